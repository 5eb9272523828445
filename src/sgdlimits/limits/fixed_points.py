"""Fixed points of the ballistic limit: by formula and by a search that knows only the drift."""

from collections.abc import Callable
from typing import Generic, TypeVar

import equinox as eqx
import numpy as np

from sgdlimits import _validate
from sgdlimits.limits import fixed_point_search, stability
from sgdlimits.limits.vector_field import check_jacobian
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
    _distance: Callable[[S], np.ndarray] = eqx.field(static=True)

    def distance(self, u: S) -> np.ndarray:
        """Euclidean distance of statistics (any batch axes) to the point or continuum.

        In the statistics that the model's formula uses (mixtures: v and M); to the nearest point
        that was found, for a continuum from the search.
        """
        return np.asarray(self._distance(u))

    def __repr__(self) -> str:
        """One line, with values."""
        name = "stable" if self.stable else "attracting" if self.attracting else "unstable"
        size = f", dimension {self.dimension}" if self.dimension else ""
        label = f"{self.label}: " if self.label else ""
        values = self.eigenvalues.round(6)
        return f"FixedPoint({label}{self.statistics}, {name}{size}, eigenvalues={values})"


def find(process: Process[S], method: str, starts: int, seed: int) -> list[FixedPoint[S]]:
    """``EffectiveDynamics.fixed_points``."""
    _validate.one_of("method", method, _METHODS)
    starts = _validate.integer("starts", starts, 1)
    seed = _validate.integer("seed", seed, 0)
    known = None if method == "search" else process.known_fixed_points()
    if known is None and method == "formula":
        raise ValueError(
            f"method='formula': {type(process.model).__name__} has no formula here; use "
            "method='search'."
        )
    if known is None:
        check_jacobian(process)  # before a long search
    sets = fixed_point_search.search(process, starts, seed) if known is None else known
    sets = sorted(
        sets, key=lambda s: (s.dimension, tuple(np.asarray(s.statistics.vector).round(6)))
    )
    return [_describe(process, one) for one in sets]


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
    )


def _euclidean(u: AbstractStatistics, other: AbstractStatistics) -> np.ndarray:
    return np.linalg.norm(np.asarray(other.vector) - np.asarray(u.vector), axis=-1)
