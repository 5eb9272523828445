"""Whether solutions that start near a fixed point stay near it."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits._tracing import dynamic
from sgdlimits.limits import flow
from sgdlimits.limits.newton import newton
from sgdlimits.limits.vector_field import (
    crosses_jumps,
    drift_vector,
    jacobian_deviations,
)
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)

Distance = Callable[[np.ndarray], np.ndarray]

_NEUTRAL = 1e-7  # |real part| below which linear stability does not decide
_SURELY = 2.0  # errors of an eigenvalue
_RADIUS = 1e-3
# A squared norm that is moved by a radius lets a norm move by its root, without leaving.
_LEFT = 100 * _RADIUS
_STARTS, _STARTS_IN_TIME = 256, 32
_TRIAL = 1e-6  # displacement at which the derivative is tried


class Linear(NamedTuple):
    """The drift to first order in a displacement, on the walls that the point slides on."""

    rates: np.ndarray  # A P: Jacobian after the projection onto the walls
    projector: np.ndarray
    eigenvalues: np.ndarray  # by decreasing real part; -inf for every wall

    def neutral(self, dimension: int) -> np.ndarray:
        """The ``dimension`` slowest directions, orthonormal rows."""
        walls = np.eye(len(self.rates)) - self.projector
        _, _, vectors = np.linalg.svd(np.concatenate([self.rates, 1e3 * walls]))
        return vectors[len(vectors) - dimension :]


def linear(process: Process, u: AbstractStatistics) -> Linear:
    """Jacobian and eigenvalues at a fixed point."""
    walls = process.constraints(u)
    projector, count = walls.projector, len(walls.normals)
    rates = newton(process, _inside(process, u)[None], 0).rates[0] @ projector
    basis = _image(projector)  # the projection alone has a zero for every wall: leave those out
    inside = np.linalg.lstsq(basis, rates @ basis, rcond=None)[0] if count else rates
    values = np.linalg.eigvals(inside)
    eigenvalues = np.concatenate([values[np.argsort(-np.real(values))], np.full(count, -np.inf)])
    if np.abs(np.imag(values)).max(initial=0) <= 1e-10 * np.abs(rates).max():
        eigenvalues = np.sort(np.real(eigenvalues))[::-1]
    return Linear(rates, projector, eigenvalues)


def eigenvalue_errors(process: Process, u: AbstractStatistics, local: Linear) -> np.ndarray:
    """Estimated absolute errors of the eigenvalues, from those of the Jacobian, to first order.

    What the Jacobian may be off by, times the condition of the eigenvalue.
    """
    walls = len(local.eigenvalues) - int(np.isfinite(local.eigenvalues).sum())
    basis = _image(local.projector)
    inside = np.linalg.lstsq(basis, local.rates @ basis, rcond=None)[0]
    deviations = jacobian_deviations(process, u) @ local.projector
    deviations = (
        np.linalg.lstsq(basis, np.hstack(list(deviations @ basis)), rcond=None)[0]
        if len(deviations)
        else np.zeros((basis.shape[1], 0))
    )
    size = np.linalg.norm(deviations)
    values, right = np.linalg.eig(inside)
    left = np.linalg.pinv(right)
    conditions = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=0)
    order = np.argsort(-np.real(values))
    return np.concatenate([(size * conditions)[order], np.zeros(walls)])


def _inside(process: Process, u: AbstractStatistics) -> np.ndarray:
    return np.asarray(process.interior(u).vector)


def _image(projector: np.ndarray) -> np.ndarray:
    left, values, _ = np.linalg.svd(projector)
    return left[:, values > 0.5]  # an oblique projector's nonzero singular values are at least 1


def stays(process: Process, u: AbstractStatistics, local: Linear, dimension: int) -> bool:
    """By the eigenvalues, but for ``dimension`` neutral ones; where more vanish, by the flow."""
    rest = local.eigenvalues[dimension:]
    leading = rest[0].real if rest.size else -np.inf
    if crosses_jumps(process):  # no derivative in the small
        error = eigenvalue_errors(process, u, local)[dimension:]
        if abs(leading) > _SURELY * error[:1].max(initial=0.0):
            return bool(leading < 0)
        return not _leaves_in_time(process, np.asarray(u.vector), local)
    smooth = _is_smooth(process, u, local)
    if smooth and abs(leading) > _NEUTRAL:
        return bool(leading < 0)
    centre = np.asarray(u.vector)
    if dimension or not smooth:
        return not _leaves_in_time(process, centre, local)
    return not _leaves(process, centre)


def _is_smooth(process: Process, u: AbstractStatistics, local: Linear) -> bool:
    """Whether the drift has the derivative that was computed, on both sides of every coordinate."""
    moves = _TRIAL * np.concatenate([local.projector.T, -local.projector.T])
    # By the program that knows the Jacobian, which is there already.
    found = newton(process, np.asarray(u.vector) + moves, 0).drifts
    scale = 1 + np.abs(local.rates).max()
    return bool(np.abs(found - moves @ local.rates.T).max() <= 1e-2 * _TRIAL * scale)


@eqx.filter_jit
def _furthest(
    process: Process,
    centre: Float[Array, " statistics"],
    starts: Float[Array, "starts statistics"],
    radius: float,
) -> Float[Array, " starts"]:
    """Largest distance from the centre along the flow, followed by arc length for 20 radii.

    By arc length, because near a degenerate point the flow in time is arbitrarily slow.
    """

    def direction(y: Array) -> Array:
        h = drift_vector(process, y)
        return h / jnp.maximum(jnp.sqrt(jnp.sum(h * h)), 1e-300)

    def step(y: Array, _: None) -> tuple[Array, Array]:
        middle = y + radius / 40 * direction(y)
        y = y + radius / 20 * direction(middle)
        return y, jnp.sqrt(jnp.sum((y - centre) ** 2))

    return jax.vmap(lambda y: jnp.max(jax.lax.scan(step, y, length=400)[1]))(starts)


def _leaves(process: Process, centre: np.ndarray) -> bool:
    """At an isolated smooth point."""
    starts = _around(process, centre, _RADIUS)
    if not len(starts):
        return False
    distances = _furthest(dynamic(process), jnp.asarray(centre), jnp.asarray(starts), _RADIUS)
    # A Gram matrix that is perturbed at random may start further out than a radius.
    begin = np.maximum(np.linalg.norm(starts - centre, axis=-1), _RADIUS)
    return bool(np.nanmax(np.asarray(distances) / begin) > 5)


def leaves_from(
    process: Process, centre: np.ndarray, beside: np.ndarray, local: Linear, distance: Distance
) -> bool:
    """Whether solutions from near the end of a set of roots leave the set.

    Args:
        process: whose solutions.
        centre: the end.
        beside: where the set would go on.
        local: the drift elsewhere on the set: at the end it may have no derivative.
        distance: to the set; solutions may move along it.
    """
    u = process.template.with_vector(jnp.asarray(centre))
    past = process.admissible(u.with_vector(jnp.asarray(beside)))
    first = np.asarray(past.vector)[None]
    return _leaves_in_time(process, centre, local, first, distance)


def _leaves_in_time(
    process: Process,
    centre: np.ndarray,
    local: Linear,
    first: np.ndarray | None = None,
    distance: Distance | None = None,
) -> bool:
    """On a continuum or at a kink: along it one drifts by the order of the displacement."""
    starts = _around(process, centre, _RADIUS)[:_STARTS_IN_TIME]
    if first is not None:
        starts = np.concatenate([first, starts])[:_STARTS_IN_TIME]
    if not len(starts):
        return False
    # Growth at a hundredth of the fastest rate has left the neighbourhood by the longer time.
    longest = np.log(100) * 100 / max(np.abs(local.rates).max(), 1e-3)
    for time in (longest / 30, longest):
        ends = flow.solve_vectors(
            dynamic(process), jnp.asarray(starts), jnp.asarray([time]), 1e-6, 1e-9
        )
        distances = np.linalg.norm(np.asarray(ends)[-1] - centre, axis=-1)
        if distance is not None:
            distances = np.minimum(distances, distance(np.asarray(ends)[-1]))
        if np.nanmax(distances) > _LEFT:
            return True
    return False


def _around(process: Process, centre: np.ndarray, radius: float) -> np.ndarray:
    """Random valid states at a distance of about ``radius``."""
    rng = np.random.default_rng(0)
    around = process.neighbours(
        process.template.with_vector(jnp.asarray(centre)), rng, _STARTS, radius
    )
    return np.asarray(around.vector)
