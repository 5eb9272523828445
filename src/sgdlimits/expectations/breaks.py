"""Where a function of one variable jumps, or its slope does: found by looking.

Every cell of a grid is halved, over and over, always keeping the half in which the function changes
more. What is left after some forty halvings is a change over 1e-12: nothing for a smooth function,
however steep, and the whole of a jump. The same of the slope finds kinks.
"""

from collections.abc import Callable

import numpy as np

Sampled = Callable[[np.ndarray], np.ndarray]

REACH = 40.0  # breaks further out are not looked for
MOST = 24  # as many are kept, those nearest to zero first
_COARSE, _FINE = 1600, 800  # cells over the whole range, and within |x| <= 2
_OFFSET = 0.00123456  # keeps round numbers, where functions are spliced, off the grid
_HALVINGS = 44
_JUMP = 1e-5  # relative to the size of the function around
_TAIL = 1e-4  # of the size further in, where that is larger: a tail is known to 1e-16 of the whole
_ROUNDS = 4  # a cell with a break is looked at again on either side of it


def find_breaks(functions: Sampled) -> tuple[float, ...]:
    """Where one of some functions jumps within |x| <= 40, ascending.

    ``functions`` maps a vector to their values, as rows: an activation and its slope. Jumps below
    1e-5 of the function's size around them are not told from smooth changes. A function that
    changes within 1e-6 of its argument counts as one that jumps, which costs time and no accuracy.
    At most 24.
    """
    wide, near = np.linspace(-REACH, REACH, _COARSE + 1), np.linspace(-2, 2, _FINE + 1)
    grid = np.unique(np.concatenate([wide, near])) + _OFFSET
    found: list[float] = []
    for row, values in enumerate(functions(grid)):
        part = lambda x, row=row: functions(x)[row]  # noqa: E731
        low, high, size = grid[:-1], grid[1:], _size_around(grid, values)
        for _ in range(_ROUNDS):
            at, jumps = _largest_change(part, low, high, size)
            found.extend(at[jumps])
            gap = 1e-9 * np.maximum(1, np.abs(at[jumps]))
            left, right = at[jumps] - gap, at[jumps] + gap
            low, high = np.r_[low[jumps], right], np.r_[left, high[jumps]]
            size = np.r_[size[jumps], size[jumps]]
            wide_enough = high > low
            low, high, size = low[wide_enough], high[wide_enough], size[wide_enough]
            if not len(low):
                break
    return _nearest(distinct(_round(np.array(found))))


def distinct(points: np.ndarray) -> tuple[float, ...]:
    """Ascending, without those that lie within 1e-8 of another."""
    points = np.sort(points)
    keep = np.diff(points, prepend=-np.inf) > 1e-8 * np.maximum(1, np.abs(points))
    return tuple(float(x) for x in points[keep])


def _nearest(points: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sorted(sorted(points, key=abs)[:MOST]))


def _size_around(grid: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of every cell: the largest finite value within three cells, or a part of those further in."""
    size = np.where(np.isfinite(values), np.abs(values), 0.0)
    padded = np.pad(size, 3, mode="edge")
    around = np.max([padded[k : k + len(size)] for k in range(7)], axis=0)
    order = np.argsort(np.abs(grid))
    around[order] = np.maximum(around[order], _TAIL * np.maximum.accumulate(size[order]))
    return np.maximum(around[:-1], around[1:])


def _largest_change(
    part: Sampled, low: np.ndarray, high: np.ndarray, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(where, whether it is a jump) of the largest change in every cell."""
    at_low, at_high = part(low), part(high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        value = part(middle)
        left = _change(at_low, value) >= _change(value, at_high)
        low, at_low = np.where(left, low, middle), np.where(left, at_low, value)
        high, at_high = np.where(left, middle, high), np.where(left, value, at_high)
    return (low + high) / 2, _change(at_low, at_high) > np.maximum(_JUMP * size, 1e-300)


def _change(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """|one - other|; what is not finite is infinitely far away."""
    with np.errstate(invalid="ignore", over="ignore"):
        change = np.abs(one - other)
    return np.where(np.isfinite(change), change, np.inf)


def _round(points: np.ndarray) -> np.ndarray:
    """Numbers with six digits, where one is that close."""
    near = np.round(points, 6)
    return np.where(np.abs(near - points) < 1e-9 * np.maximum(1, np.abs(points)), near, points)
