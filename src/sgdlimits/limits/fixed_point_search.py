"""Find fixed points from random starts; those that are connected are one set with one verdict.

Quick expectations find the candidates, the model's own refine the few that are distinct.
"""

from functools import partial
from typing import TypeVar

import jax.numpy as jnp
import numpy as np

from sgdlimits._logging import logger
from sgdlimits._progress import Bar
from sgdlimits.limits import connected_sets, roots, stability
from sgdlimits.limits.connected_sets import ConnectedSet
from sgdlimits.limits.newton import ON_SETS, Found, newton
from sgdlimits.limits.root_candidates import candidates
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.fixed_sets import FixedSet

S = TypeVar("S", bound=AbstractStatistics)

_QUICK = 2e-2  # error of drifts that are good enough to find candidates by
_STEPS = 40
_MOST_ON_SETS = 48  # candidates on sets of roots that are refined
_EDGES = 8  # points of a set at which stability is asked for
_SLOWLY = 1e-6  # rate at which solutions may leave a point of a set unnoticed


def search(process: Process[S], starts: int, seed: int, bar: Bar | None = None) -> list[FixedSet]:
    """Newton from random points; connected roots are reported as one set."""
    bar = Bar() if bar is None else bar
    quick = process.accurate_to(_QUICK)
    points, flat = candidates(quick, starts, seed, bar)
    logger.info("fixed points: %d candidates from up to %d starts", len(points), starts)
    bar.phase(f"refining {len(points)}")
    found = _refined(process, quick, points, flat)
    bar.phase("joining what is connected")
    sets = connected_sets.connected_sets(process, found)
    return [_fixed_set(process, one) for one in sets]


def _refined(process: Process, quick: Process, points: np.ndarray, flat: np.ndarray) -> Found:
    """Roots of the process near those of a quicker one, which has so many flat directions there."""
    if quick is not process and len(points):
        on_sets = connected_sets.furthest_apart(points, np.flatnonzero(flat), _MOST_ON_SETS)
        moved = [
            newton(process, points[flat == 0], _STEPS).points,
            newton(process, points[on_sets], _STEPS, ON_SETS).points,
        ]
        points = np.concatenate(moved)
    points = roots.distinct(process, points)
    return newton(process, points, 0)


def _fixed_set(process: Process[S], one: ConnectedSet) -> FixedSet:
    """One point stands for the set; it is stable if solutions leave it nowhere."""
    centre = process.template.with_vector(jnp.asarray(connected_sets.centre(process, one)))
    if one.dimension == 0:
        return FixedSet(centre)
    return FixedSet(
        centre,
        one.dimension,
        _is_stable(process, one, stability.linear(process, centre)),
        distance=lambda u: connected_sets.distance_to(one, np.asarray(u.vector)),
    )


def _is_stable(process: Process, one: ConnectedSet, local: stability.Linear) -> bool:
    """By the slowest decay at all points that were found, then by the flow from past the ends."""
    leading = np.array([_leading(rates, one.dimension) for rates in one.rates])
    if np.median(leading) > _SLOWLY:
        return False
    to_set = partial(connected_sets.distance_to, one)
    for y, beyond in zip(one.ends[:_EDGES], one.beyond[:_EDGES], strict=True):
        if stability.leaves_from(process, y, beyond, local, to_set):
            return False
    inner = np.array([len(roots.flat_directions(rates)) == one.dimension for rates in one.rates])
    worst = one.points[inner][np.argsort(-leading[inner])[:2]]
    return all(
        stability.stays(process, u, stability.linear(process, u), one.dimension)
        for u in (process.template.with_vector(jnp.asarray(y)) for y in worst)
    )


def _leading(rates: np.ndarray, dimension: int) -> float:
    """The largest rate across the set: all eigenvalues but the neutral ones along it."""
    values = np.linalg.eigvals(rates)
    across = np.delete(values, np.argsort(np.abs(values))[:dimension])
    return float(across.real.max(initial=-np.inf))
