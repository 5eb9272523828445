"""The drift as a function of a vector, and its Jacobian with an error.

Three ways, by what a model says of its drift. Where it may be differentiated, by automatic
differentiation. Where it is known to rounding but derivatives through it are not, by differences
over a short step. Where nodes cross jumps of the integrand it is a staircase in the small, whose
steps average out over longer distances: then by differences of fourth order over a long step.
"""

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits._tracing import dynamic
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)

_STEP = 1e-5  # of differences: errors of 1e-10 from the third derivative, and from rounding
_LONG = 0.08  # where nodes cross jumps; halved until all states are possible
_SHORTEST = 1e-3


def drift_vector(
    process: Process[S], y: Float[Array, " statistics"], time: Array | float = 0.0
) -> Float[Array, " statistics"]:
    """h in the coordinates ``names``."""
    return process.drift(process.template.with_vector(y), time).vector


def jacobian(process: Process[S], u: S) -> Float[Array, "statistics statistics"]:
    """Dh at one state, rows and columns in the order of ``names``."""
    return _jacobian(dynamic(process), u.vector)


def jacobian_deviations(
    process: Process[S], u: S
) -> Float[np.ndarray, "deviations statistics statistics"]:
    """What ``jacobian`` may be off by, with signs: squares add up along the first axis.

    From the errors of the expectations, and of differences if they are over a long step. None of
    them where the drift is exact; NaN where its error is not known.
    """
    model, size = process.model, u.vector.size
    if not model.knows_errors:
        return np.full((1, size, size), np.nan)
    parts = [] if process.drift_is_exact else [_deviations(dynamic(process), u.vector)]
    if crosses_jumps(process):
        parts.append(_step_deviation(dynamic(process), u.vector)[None])
    return np.concatenate([np.zeros((0, size, size)), *(np.asarray(x) for x in parts)])


def crosses_jumps(process: Process) -> bool:
    """Whether drifts are sums over nodes that jumps of the integrand move across."""
    return not process.drift_is_smooth


def field_and_rates(process: Process, y: Array) -> tuple[Array, Array]:
    """(h, Dh) at one state, inside of ``jit``."""

    def field(y: Array) -> Array:
        on_border = process.on_border(process.template.with_vector(y))
        return drift_vector(process, on_border.vector)

    if process.has_jacobian:

        def twice(y: Array) -> tuple[Array, Array]:
            h = field(y)
            return h, h

        jacobian, h = jax.jacfwd(twice, has_aux=True)(y)
        return h, jacobian
    return field(y), rates(process, field, y)


def directional(
    process: Process, y: Array, tangent: Array, time: Array | float
) -> tuple[Array, Array]:
    """(h, Dh tangent), inside of ``jit``."""
    field = lambda y: drift_vector(process, y, time)  # noqa: E731
    if process.has_jacobian:
        return jax.jvp(field, (y,), (tangent,))
    return field(y), rates(process, field, y) @ tangent


def rates(process: Process, function, y: Array, long: float = _LONG) -> Array:
    """Jacobian of a function of the state that is made from the drift, in the model's way.

    The direction of differentiation is the last axis.
    """
    if process.has_jacobian:
        return jax.jacfwd(function)(y)
    moves = jnp.eye(len(y))
    if process.drift_is_smooth:
        length = _STEP * jnp.maximum(1.0, jnp.max(jnp.abs(y)))
        return _last(_difference(function, y, moves, jnp.full(len(y), length)))
    lengths = jax.vmap(lambda move: _possible_length(process, y, move, long))(moves)
    near = _difference(function, y, moves, lengths)
    far = _difference(function, y, moves, 2 * lengths)
    return _last((4 * near - far) / 3)


def _last(x: Array) -> Array:
    return jnp.moveaxis(x, 0, -1)


def _difference(function, y: Array, moves: Array, lengths: Array) -> Array:
    """(function(y + l m) - function(y - l m))/(2 l), moves first; one after the other."""
    along = jnp.concatenate([moves, -moves]) * jnp.concatenate([lengths, lengths])[:, None]
    moved = jax.lax.map(lambda move: function(y + move), along)
    size = (-1,) + (1,) * (moved.ndim - 1)
    return (moved[: len(moves)] - moved[len(moves) :]) / (2 * jnp.reshape(lengths, size))


def _possible_length(process: Process, y: Array, move: Array, long: float) -> Array:
    """The longest step, of some, with states of real vectors at twice its length to both sides."""
    lengths = long * 2.0 ** -jnp.arange(0, 8, 1.0)
    lengths = jnp.where(lengths < _SHORTEST, _SHORTEST, lengths)

    def possible(length: Array) -> Array:
        ends = y + jnp.stack([2 * length * move, -2 * length * move])
        into = lambda y: process.admissible(process.template.with_vector(y)).vector  # noqa: E731
        return jnp.max(jnp.abs(jax.vmap(into)(ends) - ends)) < 1e-6 * length

    good = jax.vmap(possible)(lengths)
    return jnp.max(jnp.where(good, lengths, _SHORTEST))


@eqx.filter_jit
def _jacobian(process: Process, y: Array) -> Array:
    y = process.interior(process.template.with_vector(y)).vector
    return field_and_rates(process, y)[1]


@eqx.filter_jit
def _deviations(process: Process, y: Array) -> Array:
    y = process.interior(process.template.with_vector(y)).vector

    def deviations(y: Array) -> Array:
        each = process.drift_deviations(process.template.with_vector(y))
        assert each is not None
        return each.vector

    # A distance that is always nought has no derivative by its square root.
    return jnp.nan_to_num(rates(process, deviations, y))


@eqx.filter_jit
def _step_deviation(process: Process, y: Array) -> Array:
    """From half of the step: shows what the differences are off by, and how rough the drift is."""
    field = lambda y: drift_vector(process, y)  # noqa: E731
    return rates(process, field, y) - rates(process, field, y, _LONG / 2)
