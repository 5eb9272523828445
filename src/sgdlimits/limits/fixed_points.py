"""Fixed points of the ballistic limit: by formula and by a search that knows only the drift."""

from collections.abc import Callable
from typing import Generic, TypeVar

import equinox as eqx
import numpy as np

from sgdlimits import _resources, _validate
from sgdlimits._progress import progress_bar
from sgdlimits._shown import numbers, rows_table
from sgdlimits.limits import fixed_point_search, stability
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.fixed_sets import FixedSet

S = TypeVar("S", bound=AbstractStatistics)

_METHODS = ("auto", "formula", "search")


class FixedPoint(eqx.Module, Generic[S]):
    """A zero of the drift, or a connected continuum of them reported once.

    Attributes:
        statistics: where it is; a generic point of a continuum.
        eigenvalues: of the Jacobian of the drift there, by decreasing real part; real when all are.
            -inf for each wall of the zero-noise limit that the point slides on.
        stable: whether every solution that starts near it (near any point of a continuum) stays
            near; decided by the eigenvalues or, where they leave it open, by following the flow.
        attracting: whether solutions that start near ``statistics`` stay near. A continuum may be
            attracting and not stable: left at its edge.
        dimension: of the continuum; 0 for a point.
        neutral_directions: orthonormal, shape (dimension, statistics): tangent at ``statistics``.
        label: a name, where the model has one.
    """

    statistics: S
    eigenvalues: np.ndarray
    stable: bool
    attracting: bool
    dimension: int
    neutral_directions: np.ndarray
    label: str
    _distance: Callable[[S], np.ndarray | np.floating] = eqx.field(static=True)
    _errors: Callable[[], np.ndarray] = eqx.field(static=True)

    @property
    def eigenvalue_errors(self) -> np.ndarray:
        """Estimated absolute errors of ``eigenvalues``, from the expectations behind the drift.

        0 where drifts are exact, NaN where their errors are not known. To first order, and on the
        safe side for eigenvalues that are close together. Computed when asked for.
        """
        return self._errors()

    def distance(self, u: S) -> np.ndarray:
        """Euclidean distance of statistics (any batch axes) to the point or continuum.

        In the statistics that the model's formula uses (mixtures: v and M); to the nearest point
        that was found, for a continuum from the search.
        """
        return np.asarray(self._distance(u))

    @property
    def stability(self) -> str:
        """In a word: "stable", "attracting" (a continuum left at its edge) or "unstable"."""
        return "stable" if self.stable else "attracting" if self.attracting else "unstable"

    def __repr__(self) -> str:
        """One line, with values."""
        size = f", dimension {self.dimension}" if self.dimension else ""
        label = f"{self.label}: " if self.label else ""
        values = self.eigenvalues.round(6)
        return f"FixedPoint({label}{self.statistics}, {self.stability}{size}, eigenvalues={values})"


class FixedPoints(list[FixedPoint[S]]):
    """A list of fixed points that shows itself as a table."""

    def __repr__(self) -> str:
        """How many there are, and one line for each."""
        stable = sum(point.stable for point in self)
        lines = [f"{len(self)} fixed points, {stable} of them stable", *map(repr, self)]
        return "\n  ".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            (
                point.label, repr(point.statistics), point.stability,
                str(point.dimension) if point.dimension else "", numbers(point.eigenvalues),
            )
            for point in self
        ]  # fmt: skip
        head = ("label", "statistics", "stability", "dimension", "eigenvalues")
        return rows_table(repr(self).partition("\n")[0], head, rows)


def find(
    process: Process[S], method: str, starts: int, seed: int, progress: bool | None = None
) -> FixedPoints[S]:
    """``EffectiveDynamics.fixed_points``."""
    _validate.one_of("method", method, _METHODS)
    starts = _validate.integer("starts", starts, 1)
    size = 64.0 * process.template.vector.size
    _resources.check_count("starts", starts, lambda starts: size * starts)
    seed = _validate.integer("seed", seed, 0)
    known = None if method == "search" else process.known_fixed_points()
    if known is None and method == "formula":
        raise ValueError(
            f"method='formula': {type(process.model).__name__} has no formula here; use "
            "method='search'."
        )
    if progress is not None:
        _validate.boolean("progress", progress)
    # What comes after the starts takes about as long as half of them.
    with progress_bar(progress, "fixed points", 1.5 * starts) as bar:
        sets = fixed_point_search.search(process, starts, seed, bar) if known is None else known
        sets = sorted(
            sets, key=lambda s: (s.dimension, tuple(np.asarray(s.statistics.vector).round(6)))
        )
        found: FixedPoints[S] = FixedPoints()
        for one in sets:
            bar.phase(f"stability of {len(found) + 1} of {len(sets)}")
            found.append(_describe(process, one))
            bar(0.5 * starts / len(sets))
    return found


def _describe(process: Process[S], one: FixedSet) -> FixedPoint[S]:
    u = one.statistics
    local = stability.linear(process, u)
    attracting = stability.stays(process, u, local, one.dimension)
    stable = attracting if one.stable is None else one.stable
    return FixedPoint(
        u,
        local.eigenvalues,
        stable,
        attracting,
        one.dimension,
        local.neutral(one.dimension),
        one.label,
        one.distance or (lambda other: _euclidean(u, other)),
        lambda: stability.eigenvalue_errors(process, u, local),
    )


def _euclidean(u: AbstractStatistics, other: AbstractStatistics) -> np.ndarray | np.floating:
    return np.linalg.norm(np.asarray(other.vector) - np.asarray(u.vector), axis=-1)
