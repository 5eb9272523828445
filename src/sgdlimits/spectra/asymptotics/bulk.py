"""The bulk of a block: edges, gaps, density, distribution and the atom at zero.

At a + i b with E[t^2/((a - t)^2 + b^2)] = gamma the coordinate z is real; b is unique, and x = z
increases with a. The density there is b/(pi gamma (a^2 + b^2)). No fixed point is iterated and no
branch is chosen. Edges are where b vanishes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize
from scipy.interpolate import PchipInterpolator
from scipy.optimize import elementwise

from sgdlimits._roots import bracketed_root
from sgdlimits.spectra.asymptotics.companion import Companion
from sgdlimits.spectra.asymptotics.weight_law import WeightLaw

_POINTS = 161  # of the curve on each component of the bulk
_LEAST_FLANK = 1e-3  # mass on either side of a gap; less is single samples, not a component
_MOST_GAPS = 64  # candidates, by width
TRACY_WIDOM_MEAN, TRACY_WIDOM_SD = -1.2065335745820, 1.2680340580  # beta = 1


class Edge(NamedTuple):
    """One end of the bulk.

    Attributes:
        x: its eigenvalue.
        a: its companion coordinate.
        scale: the extreme bulk eigenvalue fluctuates like x ± scale n^(-2/3) TW_1, inwards; nan at
            an edge without a square root, such as the hard edge x = 0.
        tail_noise: relative error of E[tau^2] at M samples; above 0.3 the edge is made of single
            samples, which no limit predicts sharply. nan without M.
        error: estimated error of ``x``, from the nodes of the weights' law.
    """

    x: float
    a: float
    scale: float
    tail_noise: float
    error: float


class Interval(NamedTuple):
    """a real interval in a, and its image in x."""

    low: float
    high: float
    x_low: float
    x_high: float


@dataclass(frozen=True)
class Bulk:
    """Limit law of the eigenvalues of a block, without its outliers.

    ``samples`` is the number M, where it is finite.
    """

    companion: Companion
    samples: float | None = None

    @property
    def _law(self) -> WeightLaw:
        return self.companion.law

    @cached_property
    def right(self) -> Edge:
        """The upper end of the bulk eigenvalues that are not 0: as ``left``, mirrored.

        Negative where all weights that are not 0 are negative; then a share ``atom`` of eigenvalues
        0 lies apart, above it.
        """
        return self._edge(+1)

    @cached_property
    def left(self) -> Edge:
        """The lower end of the bulk eigenvalues that are not 0.

        Let t be the weights and gamma = n/M. Eigenvalues 0 are no part of this: there is a share
        ``atom`` = 1 - P(t != 0)/gamma of them where fewer samples count than there are dimensions.

        * t >= 0, P(t > 0) > gamma: ``left.x`` is positive, and no eigenvalue is 0.
        * t >= 0, P(t > 0) = gamma: 0, a hard edge, at which the density diverges; no atom.
        * t >= 0, P(t > 0) < gamma: the atom lies apart, below ``left.x``, which is positive if
          positive weights stay away from 0, and tends to 0 with the smallest of them.
        * weights of either sign: negative; 0 lies inside, and so does the atom.
        """
        return self._edge(-1)

    @cached_property
    def atom(self) -> float:
        """Share of eigenvalues that are 0: max(0, 1 - P(t != 0)/gamma)."""
        law, gamma = self._law, self.companion.gamma
        return max(0.0, 1 - (law.positive + law.negative) / gamma)

    @cached_property
    def gaps(self) -> tuple[Interval, ...]:
        """Open intervals inside the bulk without eigenvalues, in increasing order."""
        return tuple(sorted(find_gaps(self.companion)))

    @cached_property
    def components(self) -> tuple[Interval, ...]:
        """Maximal intervals of positive density, in increasing order."""
        cuts = [self.left.a, *(a for gap in self.gaps for a in gap[:2]), self.right.a]
        pairs = list(zip(cuts[::2], cuts[1::2], strict=True))
        parts = [Interval(a, b, *map(float, self.companion.z([a, b]))) for a, b in pairs]
        if self.atom > 0:
            parts = [piece for part in parts for piece in _cut_at_zero(part)]
        return tuple(parts)

    def _edge(self, side: int) -> Edge:
        a, companion = outer_edge(self.companion, side), self.companion
        curvature = abs(companion.curvature(a))
        amplitude = np.sqrt(2 / curvature) / (companion.gamma * a * a) if a else 0.0
        scale = amplitude ** (-2 / 3) if amplitude > 0 else np.nan
        noise = np.nan
        if self.samples is not None:
            square = companion.tau(a) ** 2
            spread = max(self._law.expect(square**2) - self._law.expect(square) ** 2, 0.0)
            noise = float(np.sqrt(spread / self.samples) / companion.gamma)
        return Edge(float(companion.z(a)), a, float(scale), noise, self._edge_error(side, a))

    def _edge_error(self, side: int, a: float) -> float:
        """z is stationary in a at an edge: only its own error counts, not that of a.

        Where there is no room for that, the edge is at the largest weight, and moves with it.
        """
        law, companion = self._law, self.companion
        less, often = law.less_tail
        other = Companion(less, companion.gamma)
        z = float(companion.z(a)) if a not in law.t else float(companion.z(a * (1 + 1e-12)))
        a_less = outer_edge(other, side)
        tail = z - float(other.z(a_less * (1 + 1e-12 * (a_less in less.t))))
        if a in law.t:
            return often * abs(tail)
        groups, nodes = law.groups, law.samples
        by_nodes = nodes.mass @ (a * nodes.t / (a - nodes.t))
        binned = by_nodes - (z - companion.gamma * a)
        own = groups.error(a * groups.t / (a - groups.t))
        return float(np.sqrt(own**2 + binned**2 + (often * tail) ** 2))

    @cached_property
    def atom_error(self) -> float:
        """Estimated error of ``atom``, from the nodes of the weights' law."""
        groups = self._law.groups
        return (
            groups.error((groups.t != 0).astype(float)) / self.companion.gamma if self.atom else 0.0
        )

    @property
    def error(self) -> float:
        """Of the edge that is known worst."""
        return max(self.left.error, self.right.error)

    # -- density -------------------------------------------------------------------------------

    @cached_property
    def curve(self) -> "Curve":
        """Density and distribution on a grid that is dense at the edges."""
        grids = []
        for low, high, *_ in self.components:
            angle = np.linspace(0, np.pi, _POINTS)[1:-1]
            grids.append(low + (high - low) * (1 - np.cos(angle)) / 2)
        a = np.concatenate(grids)
        return Curve.create(self.companion, a)

    def density(self, x: np.ndarray) -> np.ndarray:
        """Density at ``x``, per unit of eigenvalue; integrates to 1 - atom."""
        x = np.asarray(x, dtype=float)
        result = np.zeros(x.shape)
        for part, grid in self.by_component():
            xs = np.concatenate([[part.x_low], grid.x, [part.x_high]])
            soft = (_soft(a, part) for a in (part.low, part.high))
            ends = np.where(list(soft), 0.0, grid.density[[0, -1]])
            values = np.concatenate([ends[:1], grid.density, ends[1:]])
            inside = (x >= part.x_low) & (x <= part.x_high)
            result[inside] = _monotone(xs, values)(x[inside])
        return result

    def distribution(self, x: np.ndarray) -> np.ndarray:
        """Share of eigenvalues at most ``x``, the atom at 0 included; from 0 to 1."""
        x = np.asarray(x, dtype=float)
        above = np.full(x.shape, np.nan)
        for part, grid in self.by_component():
            ends = self._mass_above(part.low), self._mass_above(part.high)
            xs = np.concatenate([[part.x_low], grid.x, [part.x_high]])
            values = np.concatenate([ends[:1], grid.above, ends[1:]])
            inside = (x >= part.x_low) & (x <= part.x_high)
            above[inside] = _monotone(xs, values)(x[inside])
        parts = self.components
        for one, other in pairwise(parts):
            inside = (x > one.x_high) & (x < other.x_low)
            # A gap around a = 0 holds the atom at z = 0.
            around = one.high < 0 < other.low
            below_atom = (x < 0) if around else np.full(x.shape, other.low <= 0)
            above[inside & below_atom] = self._mass_above(one.high)
            above[inside & ~below_atom] = self._mass_above(other.low)
        outside = x < parts[0].x_low
        above[outside] = np.where(x < 0, 1.0, 1 - self.atom)[outside]
        outside = x > parts[-1].x_high
        above[outside] = np.where(x < 0, self.atom, 0.0)[outside]
        return np.asarray(1 - above)

    def _mass_above(self, a: float) -> float:
        """Share of eigenvalues above z(a), for a where the density is 0."""
        law, gamma = self._law, self.companion.gamma
        if a >= 0:
            return float(law.mass[law.t > a].sum()) / gamma
        return 1 - float(law.mass[law.t < a].sum()) / gamma

    def by_component(self) -> Iterator[tuple[Interval, "Curve"]]:
        """Components with their piece of the curve."""
        curve = self.curve
        for i, part in enumerate(self.components):
            yield part, curve[i * (_POINTS - 2) : (i + 1) * (_POINTS - 2)]


@dataclass(frozen=True)
class Curve:
    """Points w = a + i b on which z is real: z, density there, and mass above."""

    w: np.ndarray
    x: np.ndarray
    density: np.ndarray
    above: np.ndarray

    def __getitem__(self, key: slice) -> "Curve":
        return Curve(self.w[key], self.x[key], self.density[key], self.above[key])

    @classmethod
    def create(cls, companion: Companion, a: np.ndarray) -> "Curve":
        """At the real parts ``a``, inside the bulk."""
        law, gamma = companion.law, companion.gamma
        b = height(companion, a)
        w = a + 1j * b
        x = companion.z(w).real
        density = b / (np.pi * gamma * np.abs(w) ** 2)
        # The integral of the Stieltjes transform is elementary along the curve.
        away = w[:, None] - law.t
        turn = np.angle(away) - np.angle(w)[:, None] - law.t * b[:, None] / np.abs(away) ** 2
        above = (np.angle(w) + law.expect(turn) / gamma) / np.pi
        return cls(w, x, density, above)


def height(companion: Companion, a: np.ndarray) -> np.ndarray:
    """b >= 0 with E[t^2/((a - t)^2 + b^2)] = gamma; 0 outside the bulk."""
    law = companion.law
    square, gap = law.mass * law.t**2, (np.asarray(a)[:, None] - law.t) ** 2

    def excess(log_b: np.ndarray, index: np.ndarray) -> np.ndarray:
        return (square / (gap[index] + np.exp(2 * log_b)[:, None])).sum(-1) - companion.gamma

    top = 0.5 * np.log(square.sum() / companion.gamma)
    inside = np.flatnonzero((square / np.maximum(gap, 1e-300)).sum(-1) > companion.gamma)
    b = np.zeros(len(gap))
    if inside.size:
        low, high = np.full(inside.size, top - 40.0), np.full(inside.size, top + 1e-9)
        root = elementwise.find_root(
            excess, (low, high), args=(inside,), tolerances={"xatol": 1e-13, "xrtol": 1e-13}
        )
        b[inside] = np.exp(root.x)
    return b


def outer_edge(companion: Companion, side: int) -> float:
    """a at the upper (side = 1) or lower (side = -1) end of the bulk: E[tau^2] = gamma."""
    t = companion.law.t[companion.law.t != 0]
    if not t.size:
        raise ValueError("every weight is 0 at this state: the block is the zero matrix.")
    extreme = t.max() if side > 0 else t.min()
    second = float(companion.law.mass @ companion.law.t**2)
    reach = max(np.abs(t).max(), np.sqrt(second / companion.gamma))
    excess = lambda log: companion.slope(extreme + side * np.exp(log))  # noqa: E731
    far = np.log(4 * reach + abs(extreme))
    near = np.log(abs(extreme)) - 34
    while excess(far) < 0:
        far += 1
    if excess(near) > 0:  # a pole of no mass
        return float(extreme)
    return float(extreme + side * np.exp(bracketed_root(excess, near, far, 1e-13)))


def find_gaps(companion: Companion) -> list[Interval]:
    """Intervals between neighbouring weights on which E[tau^2] falls below gamma."""
    law = companion.law
    t = law.t[law.t != 0]
    mass = law.mass[law.t != 0]
    below = np.cumsum(mass)[:-1]
    wide = np.argsort(np.diff(t))[::-1][:_MOST_GAPS]
    least = _LEAST_FLANK * mass.sum()
    wide = [i for i in wide if below[i] > least and mass.sum() - below[i] > least]
    gaps = []
    for i in wide:
        low, high = t[i], t[i + 1]
        inner = 1e-9 * (high - low)
        first, last = float(low + inner), float(high - inner)
        middle = _lowest(companion, first, last)
        if companion.energy(middle) < companion.gamma:
            slope = lambda a: float(companion.slope(a))  # noqa: E731
            edges = bracketed_root(slope, first, middle), bracketed_root(slope, middle, last)
            gaps.append(Interval(*edges, *map(float, companion.z(np.array(edges)))))
    return gaps


def _lowest(companion: Companion, low: float, high: float) -> float:
    """Where E[tau^2], convex between two weights, is smallest."""
    found: Any = optimize.minimize_scalar(companion.energy, bounds=(low, high), method="bounded")
    return float(found.x)


def _cut_at_zero(part: Interval) -> tuple[Interval, ...]:
    """Both sides of the atom at z = 0, where density of either sign may touch it."""
    low, high, x_low, x_high = part
    if not low < 0 < high:
        return (part,)
    tiny = 1e-12 * min(-low, high)
    return Interval(low, -tiny, x_low, 0.0), Interval(tiny, high, 0.0, x_high)


def _soft(a: float, part: Interval) -> bool:
    """Whether the density vanishes at this edge like a square root."""
    return abs(a) > 1e-6 * max(abs(part.low), abs(part.high))


def _monotone(x: np.ndarray, y: np.ndarray) -> PchipInterpolator:
    x, index = np.unique(x, return_index=True)
    return PchipInterpolator(x, y[index])
