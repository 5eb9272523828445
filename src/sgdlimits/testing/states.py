"""States: lifts hit them, impossible ones are refused, vectors go back and forth."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits.process.initial import lift
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.overlaps import Statistics
from sgdlimits.testing.report import Row, difference, fact
from sgdlimits.testing.statistics import random_rotation
from sgdlimits.testing.subject import Subject

_SEARCHED = 50


def states(subject: Subject) -> list[Row]:
    """Everything about states that needs no step."""
    return [
        *_lifts(subject),
        _refusals(subject),
        _vectors(subject),
        _search_points(subject),
        _admissible(subject),
    ]


@eqx.filter_jit
def _lifted(
    process: Process,
    points: AbstractStatistics,
    frame: Float[Array, "directions dim"],
    key: Key[Array, ""],
) -> tuple[PyTree, Array]:
    """Real vectors at every point, and their statistics."""

    def at(inputs: tuple[AbstractStatistics, Array]) -> tuple[PyTree, Array]:
        u, key = inputs
        state = process.lift(key, u, frame)
        return state, process.statistics(state, frame).vector

    return jax.vmap(at)((points, jax.random.split(key, len(points.vector))))


def _are_apart(subject: Subject, dim: int) -> bool:
    """Whether two seeds give two lifts, in one dimension more than the fewest.

    A single direction outside of the frame comes with one sign.
    """
    process, vectors = subject.process, []
    for seed in (1, 2):
        key = jax.random.key(seed)
        state = _lifted(process, subject.points, process.frame(dim), key)[0]
        vectors.append(np.concatenate([np.ravel(x) for x in jax.tree.leaves(state)]))
    return bool(np.abs(vectors[0] - vectors[1]).max() > 1e-3)


def _lifts(subject: Subject) -> list[Row]:
    process, points = subject.process, subject.points
    tolerance = 1e-6 if process.model.moments_are_estimates else 1e-11
    # The fewest dimensions, where nothing is to spare; estimates find points in their own alone.
    dim = process.minimum_dim if subject.has_chain else subject.dim
    frame = process.frame(dim)
    if subject.has_chain:
        frame = frame @ jnp.asarray(random_rotation(dim, 5))
    found = []
    for seed in (1, 2):
        statistics = _lifted(process, points, frame, jax.random.key(seed))[1]
        found.append(np.asarray(statistics))
    expected = np.asarray(points.vector)
    scale = max(1.0, np.abs(expected).max())
    away = max(float(np.abs(x - expected).max()) for x in found) / scale
    apart = _are_apart(subject, dim + 1 if subject.has_chain else dim)
    return [
        difference("lifted vectors", f"states, dim {dim}", away, tolerance),
        fact("lifts of two seeds", "each other, which they must not be", apart),
    ]


def _refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except (TypeError, ValueError):
        return True
    return False


def _refusals(subject: Subject) -> Row:
    process, point = subject.process, subject.points[0]
    model: Any = process.model
    base = process.base(point)
    nowhere = point.with_vector(jnp.full_like(point.vector, jnp.nan))
    bad: dict[str, Callable[[], Any]] = {
        "NaN": lambda: process.check_state(nowhere),
        "another class": lambda: model.check_statistics(object()),
        "too small a dim": lambda: lift(model, base, model.minimum_dim - 1, seed=0),
    }
    if model.kernel == "rows":
        now = model.overlaps(base)
        negative = model.of_overlaps(Statistics(now.v, now.M, -now.Q - jnp.eye(len(now.Q))))
        longer = model.of_overlaps(Statistics(now.v, now.M, now.Q + jnp.eye(len(now.Q))))
        bad["negative squares"] = lambda: process.check_state(process.begin(negative))
        if process.algorithm.spherical:
            bad["rows off the sphere"] = lambda: process.check_state(process.begin(longer))
    taken = [name for name, call in bad.items() if not _refused(call)]
    note = f"taken without an error: {', '.join(taken)}" if taken else ""
    return fact("impossible states", "are refused", not taken, note=note)


def _vectors(subject: Subject) -> Row:
    points, template = subject.points, subject.process.template
    vector = points.vector
    holds = (
        np.array_equal(points.with_vector(vector).vector, vector)
        and points.batch_shape == vector.shape[:-1]
        and len(points.names) == vector.shape[-1] == len(set(points.names))
        and not np.any(np.asarray(template.vector))
        and set(points.dims) <= set(points.labels)
    )
    return fact("vectors and names", "back and forth", holds)


def _search_points(subject: Subject) -> Row:
    process = subject.process
    points, again = (process.search_points(np.random.default_rng(0), _SEARCHED) for _ in range(2))
    vector = np.asarray(points.vector)
    try:
        process.check_state(points)
    except (TypeError, ValueError) as error:
        return fact("search points", "valid, repeated", False, note=str(error))
    holds = points.batch_shape == (_SEARCHED,) and np.array_equal(vector, again.vector)
    return fact("search points", "valid, repeated", holds and bool(vector.std(0).any()))


@eqx.filter_jit
def _moved_inside(process: Process, points: AbstractStatistics) -> AbstractStatistics:
    return jax.vmap(process.admissible)(points)


def _admissible(subject: Subject) -> Row:
    """Overshoots of the SDE are moved into the domain, and nothing else is."""
    process, points = subject.process, subject.points
    inside = np.array_equal(_moved_inside(process, points).vector, points.vector)
    outside = points.with_vector(-jnp.ones_like(points.vector))
    valid = True
    if process.model.kernel == "rows":
        moved = _moved_inside(process, outside)
        valid = not _refused(lambda: process.check_state(moved))
    return fact("overshoots", "are moved inside", inside and valid)
