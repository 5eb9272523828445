"""Panels for one or two Gaussian variables that find for themselves where integrands are sharp.

As ``looked_panels``, for any number of fields that are functions of these variables, and for many
integrals at once. On every line of one direction stand panels that shrink towards what is found on
it; the lines themselves stand on panels of the other direction, which shrink towards where the
integral over a line bends. The directions are chosen so that no field is constant along the lines:
what is integrated over them then has kinks where it had jumps. Where the fields' known kinks are,
cells end.

Runs on the host, around a function that is compiled once: loops in loops of compiled code would
take half a minute to compile.
"""

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.looked_panels import RANGE
from sgdlimits.expectations.rules import AbstractRule, Nodes

#: Values (components, cases, points) at points z (cases, points, dim).
LookAtMany = Callable[[np.ndarray], np.ndarray]


class _Precision(NamedTuple):
    """How much is done on an axis."""

    ends: tuple[float, ...]  # of cells, from 0 on
    grades: tuple[float, ...]  # where panels start on the way to the sharpest point of a cell
    halvings: int

    @property
    def grid(self) -> np.ndarray:
        """Ends of cells on both sides."""
        ends = np.array([*self.ends, RANGE])
        return np.concatenate([-ends[:0:-1], ends])


_EVEN = tuple(RANGE * i / 16 for i in range(16))
_WIDE, _NARROW = (0.0, 1.2, 2.4, 4.2), (0.0, 0.5, 1.0, 1.6, 2.3, 3.1, 4.0, 5.2)
_GRADES = (0.0, 0.8, 0.97)
_ALONE = _Precision(_EVEN, (0.0, 0.75, 0.9375, 0.984375), 36)
#: On a line; between lines, whose integrals are continuous; on lines that are only looked at.
_ALONG, _ACROSS, _GLANCE = (_Precision(_WIDE, _GRADES, n) for n in (18, 9, 10))
_FINE_ALONG, _FINE_ACROSS, _FINE_GLANCE = (_Precision(_NARROW, _GRADES, n) for n in (30, 14, 20))
_ORDERS = {1: (8, 24), 2: (5, 8)}  # nodes a panel by default, and at most
_MOST_KINKS, _MOST_CROSSING = 24, 6
_INSIDE = 1e-9  # of a cell: values at its ends are those within
_ROUNDING = 1e-6


class LookedPlane(AbstractRule):
    """Gauss-Legendre nodes on one line, or on lines that stand on Gauss-Legendre nodes.

    Args:
        dim: 1 or 2.
        order: nodes in a panel; default 8, and 5 in two dimensions.
        fine: smaller cells to look in.
    """

    dim: int = eqx.field(static=True)
    order: int = eqx.field(static=True)
    fine: bool = eqx.field(static=True)

    def __init__(self, dim: int, order: int | None = None, *, fine: bool = False):
        self.dim = dim
        self.order = _ORDERS[dim][0] if order is None else order
        self.fine = fine

    @property
    def follows_jumps(self) -> bool:
        """It looks for them."""
        return True

    @property
    def count(self) -> int:
        """Of all panels, without kinks."""
        axis = _ALONE if self.dim == 1 else self._axes[0]
        panels = 2 * (len(axis.grid) - 1) * len(axis.grades)
        return (panels * self.order) ** self.dim

    @property
    def _axes(self) -> tuple[_Precision, _Precision, _Precision]:
        """Along a line, across lines, and along lines that are looked at."""
        return (
            (_FINE_ALONG, _FINE_ACROSS, _FINE_GLANCE) if self.fine else (_ALONG, _ACROSS, _GLANCE)
        )

    def nodes(
        self,
        mean: Float[Array, " fields"],
        factor: Float[Array, "fields dim"],
        kinks: tuple[float, ...],
    ) -> Nodes:
        """Without a look."""
        nothing = lambda z: np.zeros((1, *z.shape[:2]))  # noqa: E731
        z, weight = self.of_many(np.asarray(mean)[None], np.asarray(factor)[None], kinks, nothing)
        return Nodes(z.swapaxes(1, 2), weight)  # pyright: ignore[reportArgumentType]

    def of_many(
        self,
        mean: Float[np.ndarray, "cases fields"],
        factor: Float[np.ndarray, "cases fields dim"],
        kinks: tuple[float, ...],
        look: LookAtMany,
    ) -> tuple[Float[np.ndarray, "cases nodes dim"], Float[np.ndarray, "cases nodes"]]:
        """(z, weight) for many integrals over fields mean + factor z.

        Raises:
            ValueError: unless ``factor`` has full rank, that of the rule.
        """
        kinks = kinks[: max(1, _MOST_KINKS // max(1, mean.shape[1]))]
        if self.dim == 1:
            slope = factor[..., 0]
            at = _quotient(np.array(kinks)[:, None] - mean[:, None], slope[:, None])
            z, weight = self._axis(_ALONE, at.reshape(len(mean), -1), lambda y: look(y[..., None]))
            return z[..., None], weight
        return self._plane(mean, factor, kinks, look)

    def _plane(
        self, mean: np.ndarray, factor: np.ndarray, kinks: tuple[float, ...], look: LookAtMany
    ) -> tuple[np.ndarray, np.ndarray]:
        cases = len(mean)
        across = np.stack([_between(rows) for rows in factor])
        along = np.stack([-across[:, 1], across[:, 0]], axis=1)
        a, b = (np.einsum("cfz,cz->cf", factor, e) for e in (across, along))
        offset = _quotient(np.array(kinks)[:, None] - mean[:, None], b[:, None])
        offset = offset.reshape(cases, -1)
        slope = np.tile(_quotient(-a, b, 0.0), len(kinks))

        def points(y1: np.ndarray, y2: np.ndarray) -> np.ndarray:
            """(cases, lines, points, 2) from y1 (cases, lines), y2 (cases, lines, points)."""
            first, second = across[:, None, None], along[:, None, None]
            return y1[..., None, None] * first + y2[..., None] * second

        def values(y1: np.ndarray, y2: np.ndarray) -> np.ndarray:
            """(components, cases * lines, points), y2 with one axis for cases and lines."""
            z = points(y1, y2.reshape(*y1.shape, -1))
            found = look(z.reshape(cases, -1, 2))
            return found.reshape(len(found), *y2.shape)

        on_line, between, glance = self._axes

        def lines(y1: np.ndarray, axis: _Precision) -> tuple[np.ndarray, np.ndarray]:
            """Nodes and weights (cases * lines, nodes)."""
            at = offset[:, None] + slope[:, None] * y1[..., None]
            at = at.reshape(y1.size, -1)
            return self._axis(axis, at, lambda y2: values(y1, y2))

        def over_lines(y1: np.ndarray) -> np.ndarray:
            y2, weight = lines(y1, glance)
            return np.einsum("kln,ln->kl", values(y1, y2), weight).reshape(-1, *y1.shape)

        crossings = _crossings(mean, factor, kinks, offset, slope, across)
        y1, outer = self._axis(between, crossings, over_lines)
        y2, inner = lines(y1, on_line)
        z = points(y1, y2.reshape(*y1.shape, -1)).reshape(cases, -1, 2)
        weight = outer[..., None] * inner.reshape(*y1.shape, -1)
        return z, weight.reshape(cases, -1)

    def _axis(
        self, axis: _Precision, cuts: np.ndarray, look: Callable[[np.ndarray], np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights (lines, nodes), given cuts (lines, cuts)."""
        grid = np.broadcast_to(axis.grid, (len(cuts), len(axis.grid)))
        edges = np.concatenate([grid, np.clip(cuts, -RANGE, RANGE)], axis=1)
        edges = np.sort(edges, axis=1)
        margin = _INSIDE * np.diff(edges)
        at = _sharpest(look, edges[:, :-1] + margin, edges[:, 1:] - margin, axis.halvings)
        return _graded(edges, at, axis.grades, self.order)

    def coarser(self) -> "LookedPlane | None":
        """Two nodes a panel less."""
        return LookedPlane(self.dim, self.order - 2, fine=self.fine) if self.order > 2 else None

    def finer(self) -> "LookedPlane | None":
        """More nodes and, in two dimensions, smaller cells."""
        most = _ORDERS[self.dim][1]
        return LookedPlane(self.dim, most, fine=True) if self.order < most else None


def _sharpest(
    look: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray, halvings: int
) -> np.ndarray:
    """Of every cell (lines, cells), the point around which values bend most."""
    cells = low.shape[1]

    def at(*z: np.ndarray) -> list[np.ndarray]:
        values = look(np.concatenate(z, axis=1))
        return np.split(np.where(np.isfinite(values), values, 0.0), len(z), axis=2)

    f_low, f_middle, f_high = at(low, (low + high) / 2, high)
    size = np.max(np.abs(np.concatenate([f_low, f_middle, f_high], axis=2)), axis=2, keepdims=True)
    size[size == 0] = 1.0
    bend = lambda a, b, c: np.max(np.abs(a - 2 * b + c) / size, axis=0)  # noqa: E731
    assert f_low.shape[2] == cells
    for _ in range(halvings):
        middle = (low + high) / 2
        f_left, f_right = at((low + middle) / 2, (middle + high) / 2)
        left = bend(f_low, f_left, f_middle) >= bend(f_middle, f_right, f_high)
        low, high = np.where(left, low, middle), np.where(left, middle, high)
        f_low, f_middle, f_high = (
            np.where(left, f_low, f_middle),
            np.where(left, f_left, f_right),
            np.where(left, f_middle, f_high),
        )
    return (low + high) / 2


def _graded(
    edges: np.ndarray, cut: np.ndarray, grades: tuple[float, ...], order: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and normal weights on panels that shrink towards every cut."""
    low, high, to = edges[:, :-1, None], edges[:, 1:, None], np.array(grades)
    rising = low + to * (cut[..., None] - low)
    falling = (high + to * (cut[..., None] - high))[..., ::-1]
    ends = np.concatenate([rising, cut[..., None], falling[..., :-1]], axis=2)
    ends = np.concatenate([ends.reshape(len(edges), -1), edges[:, -1:]], axis=1)
    t, w = np.polynomial.legendre.leggauss(order)
    half = np.diff(ends)[..., None] / 2
    z = ends[:, :-1, None] + half * (1 + t)
    weight = (half * w * np.exp(-z * z / 2)).reshape(len(edges), -1)
    return z.reshape(len(edges), -1), weight / weight.sum(1, keepdims=True)


def _quotient(one: np.ndarray, other: np.ndarray, otherwise: float = RANGE) -> np.ndarray:
    one, other = np.broadcast_arrays(one, other)
    with np.errstate(over="ignore"):
        return np.divide(one, other, out=np.full(one.shape, otherwise), where=other != 0)


def _between(rows: np.ndarray) -> np.ndarray:
    """The direction that bisects the widest angle between fields: their kinks are far from it."""
    rows = rows[np.linalg.norm(rows, axis=1) > 0]
    angles = np.sort(np.arctan2(rows[:, 1], rows[:, 0]) % np.pi)
    gaps = np.diff(np.append(angles, angles[0] + np.pi))
    widest = int(np.argmax(gaps > gaps.max() - _ROUNDING))  # of equal ones always the same
    angle = angles[widest] + gaps[widest] / 2
    return np.array([np.cos(angle), np.sin(angle)])


def _crossings(
    mean: np.ndarray,
    factor: np.ndarray,
    kinks: tuple[float, ...],
    offset: np.ndarray,
    slope: np.ndarray,
    across: np.ndarray,
) -> np.ndarray:
    """In y1. Kinks at zero of fields that are linear in one vector all cross where that is zero."""
    if kinks == (0.0,):
        zero = -np.einsum("czf,cf->cz", np.linalg.pinv(factor), mean)
        return np.einsum("cz,cz->c", across, zero)[:, None]
    if offset.shape[1] > _MOST_CROSSING or offset.shape[1] < 2:
        return np.zeros((len(offset), 0))
    i, j = np.array(list(combinations(range(offset.shape[1]), 2))).T
    return _quotient(offset[:, j] - offset[:, i], slope[:, i] - slope[:, j])
