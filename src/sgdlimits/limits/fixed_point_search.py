"""Find fixed points from random starts, and join those that form a continuum."""

from functools import partial
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax
import numpy as np
import optimistix
from jaxtyping import Array, Bool, Float

from sgdlimits._tracing import dynamic
from sgdlimits.limits import flow, stability
from sgdlimits.limits.vector_field import drift_vector
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.fixed_sets import FixedSet

S = TypeVar("S", bound=AbstractStatistics)

_SNAP = 1e-9  # coordinates below this are zero: degenerate roots converge only linearly
_SAME = 1e-6  # distance below which two roots are one
_RESIDUAL = 1e-9
_FLAT = 1e-7  # singular value, relative to the largest, below which a direction is neutral
_FOLLOWED = 60.0  # in units of the typical fastest rate
_MOST_STEPS = 2000
_NEIGHBOURS = 12  # roots that each root is joined with, if a path of roots leads there
_BETWEEN = 5  # points of that path


def search(process: Process[S], starts: int, seed: int) -> list[FixedSet]:
    """Newton from ``starts`` random points; connected roots are reported as one set."""
    points = process.search_points(np.random.default_rng(seed), starts).vector
    # Newton finds unstable points too, the flow finds attracting ones from far away.
    points = jnp.concatenate([points, _follow(process, points[::2])])
    roots, converged = _newton(dynamic(process), points)
    found = _distinct(process, np.asarray(roots)[np.asarray(converged)])
    if not len(found):
        return []
    dimensions = np.array([_nullity(process, y) for y in found])
    sets = []
    for group in _groups(process, found, dimensions):
        sets.append(_fixed_set(process, found[group], dimensions[group]))
    return sets


def _follow(process: Process, starts: Array) -> Array:
    """The starts a while later; unmoved where that is too much work."""
    rates = _all_rates(dynamic(process), starts)
    time = _FOLLOWED / float(jnp.median(jnp.max(jnp.abs(rates), axis=(1, 2))))
    ends = flow.solve_vectors(
        dynamic(process), starts, jnp.asarray([time]), 1e-8, 1e-10, _MOST_STEPS
    )[0]
    return jnp.where(jnp.isfinite(ends).all(1, keepdims=True), ends, starts)


@eqx.filter_jit
def _all_rates(process: Process, states: Array) -> Array:
    return jax.vmap(jax.jacfwd(partial(drift_vector, process)))(states)


@eqx.filter_jit
def _newton(
    process: Process, starts: Float[Array, "starts statistics"]
) -> tuple[Float[Array, "starts statistics"], Bool[Array, " starts"]]:
    # The pseudo-inverse keeps Newton's steps finite at degenerate roots and on continua of them.
    solver = optimistix.Newton(rtol=1e-12, atol=1e-13, linear_solver=lineax.SVD())

    field = partial(drift_vector, process)
    # In units of the largest rate, so that one absolute tolerance fits slow and fast dynamics.
    fastest = jnp.max(jnp.abs(jax.vmap(jax.jacfwd(field))(starts)))

    def one(y: Array) -> tuple[Array, Array]:
        solution = optimistix.root_find(
            lambda y, args: field(y) / fastest, solver, y, max_steps=512, throw=False
        )
        return solution.value, solution.result == optimistix.RESULTS.successful

    return jax.vmap(one)(starts)


def _distinct(process: Process, roots: np.ndarray) -> np.ndarray:
    roots = np.where(np.abs(roots) < _SNAP, 0.0, roots)
    found = np.empty((0, roots.shape[1]))
    for y in roots:
        new = not len(found) or np.abs(found - y).max(1).min() > _SAME
        if new and _is_root(process, y):
            found = np.concatenate([found, y[None]])
    return found


@eqx.filter_jit
def _field_and_rates(process: Process, y: Array) -> tuple[Array, Array]:
    field = partial(drift_vector, process)
    return field(y), jax.jacfwd(field)(y)


def _is_root(process: Process, y: np.ndarray) -> bool:
    if not np.isfinite(y).all():
        return False
    try:
        process.check_state(process.template.with_vector(jnp.asarray(y)))
    except ValueError:  # a zero of the formulas outside the domain of the statistics
        return False
    residual, rates = map(np.asarray, _field_and_rates(dynamic(process), jnp.asarray(y)))
    # How far the root still is, by Newton's step: the drift alone says little at a degenerate root.
    step = np.linalg.lstsq(rates, residual, rcond=1e-13)[0]
    small = np.abs(residual).max() <= _RESIDUAL * max(1.0, np.abs(rates).max())
    return bool(small and np.abs(step).max() <= _SAME * (1 + np.abs(y).max()))


# -- continua --------------------------------------------------------------------------------------


def _nullity(process: Process, y: np.ndarray) -> int:
    """Neutral directions at a root, not counting walls."""
    _, rates = _field_and_rates(dynamic(process), jnp.asarray(y))
    values = np.linalg.svd(np.asarray(rates), compute_uv=False)
    return int((values < _FLAT * values[0]).sum())


def _groups(process: Process, roots: np.ndarray, dimensions: np.ndarray) -> list[np.ndarray]:
    """Index sets of roots that paths of roots connect."""
    parent = list(range(len(roots)))

    def top(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    if (dimensions > 0).any():
        for _ in range(2):  # near roots first, then the remaining groups with each other
            pairs = _candidates(roots, dimensions, np.array([top(i) for i in range(len(roots))]))
            joined = _connected(process, roots, pairs)
            for i, j in pairs[joined].tolist():
                parent[top(i)] = top(j)
    tops = np.array([top(i) for i in range(len(roots))])
    return [np.flatnonzero(tops == t) for t in np.unique(tops)]


def _candidates(roots: np.ndarray, dimensions: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Pairs (i, j) in different groups, i on a continuum, j among the nearest such roots of i."""
    pairs = []
    for i in np.flatnonzero(dimensions > 0):
        others = np.flatnonzero(group != group[i])
        distances = np.linalg.norm(roots[others] - roots[i], axis=1)
        pairs += [(i, j) for j in others[np.argsort(distances)[:_NEIGHBOURS]]]
    return np.array(pairs, dtype=int).reshape(-1, 2)


def _connected(process: Process, roots: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Whether the segment between two roots, moved onto the zeros of the drift, is unbroken."""
    result = [
        np.asarray(_paths(dynamic(process), jnp.asarray(roots[part])))
        for part in np.array_split(pairs, max(1, len(pairs) // 256))
    ]
    return np.concatenate(result) if result else np.zeros(0, dtype=bool)


@eqx.filter_jit
def _paths(process: Process, ends: Float[Array, "pairs 2 statistics"]) -> Bool[Array, " pairs"]:
    field = partial(drift_vector, process)

    def project(y: Array, _: None) -> tuple[Array, None]:
        step = jnp.linalg.lstsq(jax.jacfwd(field)(y), field(y), rcond=1e-9)[0]
        return y - step, None

    def one(ends: Array) -> Array:
        share = jnp.arange(1, _BETWEEN + 1)[:, None] / (_BETWEEN + 1)
        line = ends[0] + share * (ends[1] - ends[0])
        onto = jax.vmap(lambda y: jax.lax.scan(project, y, length=8)[0])(line)
        residual = jnp.max(jnp.abs(jax.vmap(field)(onto)))
        path = jnp.concatenate([ends[:1], onto, ends[1:]])
        strides = jnp.linalg.norm(jnp.diff(path, axis=0), axis=1)
        even = jnp.linalg.norm(ends[1] - ends[0]) / (_BETWEEN + 1)
        return (residual < _RESIDUAL) & jnp.all(strides < 2.5 * even)

    return jax.vmap(one)(ends)


def _fixed_set(process: Process[S], members: np.ndarray, dimensions: np.ndarray) -> FixedSet:
    """The set's most generic member stands for it; it is stable if none of the others is left."""
    dimension = int(dimensions.max())
    if dimension == 0:
        return FixedSet(process.template.with_vector(jnp.asarray(members[0])))
    generic = members[dimensions == dimension]
    centre = generic[np.argmin(np.linalg.norm(generic - members.mean(0), axis=1))]
    edge = members[np.argsort(dimensions, kind="stable")][:8]
    stable = all(
        stability.stays(process, u, stability.linear(process, u), int(dimension))
        for u in (process.template.with_vector(jnp.asarray(y)) for y in edge)
    )

    def distance(u: AbstractStatistics) -> np.ndarray:
        y = np.asarray(u.vector)[..., None, :]
        return np.linalg.norm(y - members, axis=-1).min(-1)

    return FixedSet(
        process.template.with_vector(jnp.asarray(centre)), dimension, stable, distance=distance
    )
