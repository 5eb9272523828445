"""Runs in batches of one fixed size, so that results do not depend on how they are batched.

A compiler may order the operations of a batch of 3 and of 200 differently, which changes last
bits and then, in chaotic or unstable dynamics, everything. A program compiled once for a fixed
number of runs (a lane) does the same arithmetic for run r whatever runs beside it.
"""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer, PyTree

LARGE = 256
_SIZES = (16, 64, LARGE)
_SIZES_GPU = (256, 4096)
_CACHED_NUMBERS = 2**19  # parameters of one lane of vectors: about what stays in cache
_CACHED_EXPECTATIONS = 2**18  # the same, where several arrays of this size are in use


def lane_of_statistics(runs: int) -> int:
    """Lane for engines whose state is a few numbers per run."""
    sizes = _SIZES if jax.default_backend() == "cpu" else _SIZES_GPU
    return next((size for size in sizes if runs <= size), sizes[-1])


def lane_of_solutions(runs: int) -> int:
    """Lane for the ODE, whose right-hand side may be an expensive expectation."""
    return next((size for size in (1, 4, *_SIZES) if runs <= size), LARGE)


def lane_of_diffusions(runs: int, numbers: int) -> int:
    """Lane for SDEs, whose coefficients at one state may be expectations over ``numbers``."""
    if numbers <= 1:  # formulas
        return lane_of_statistics(runs)
    return min(lane_of_solutions(runs), _fitting(_CACHED_EXPECTATIONS, numbers))


def lane_of_vectors(runs: int, numbers: int) -> int:
    """Lane for engines whose state is ``numbers`` numbers per run."""
    return min(lane_of_statistics(runs), _fitting(_CACHED_NUMBERS, numbers))


def _fitting(room: int, numbers: int) -> int:
    """Largest power of two of runs that fit in a room; at least one."""
    return 2 ** int(np.log2(max(1, room // max(1, numbers))))


def lanes(runs: np.ndarray, lane: int) -> Iterator[tuple[Integer[Array, " lane"], int]]:
    """Run numbers in full lanes, padded by repeating the last, with the number that count."""
    for start in range(0, len(runs), lane):
        part = runs[start : start + lane]
        padded = np.concatenate([part, np.repeat(part[-1:], lane - len(part))])
        yield jnp.asarray(padded), len(part)


def map_lanes(
    function: Callable[[Integer[Array, " lane"]], PyTree], runs: np.ndarray, lane: int
) -> PyTree:
    """Apply a function of a lane of run numbers to all runs; leaves gain a leading run axis."""
    parts = [
        jax.tree.map(lambda x, count=count: np.asarray(x)[:count], function(numbers))
        for numbers, count in lanes(runs, lane)
    ]
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)
