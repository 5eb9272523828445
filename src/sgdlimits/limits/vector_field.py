"""The drift as a function of a vector, and its Jacobian."""

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits._tracing import dynamic
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)

_STEP = 1e-5  # of differences: errors of 1e-10 from the third derivative, and from rounding


def drift_vector(
    process: Process[S], y: Float[Array, " statistics"], time: Array | float = 0.0
) -> Float[Array, " statistics"]:
    """h in the coordinates ``names``."""
    return process.drift(process.template.with_vector(y), time).vector


def jacobian(process: Process[S], u: S) -> Float[Array, "statistics statistics"]:
    """Dh at one state, rows and columns in the order of ``names``.

    Raises:
        ValueError: if the model computes its drift in a way that has no derivative.
    """
    check_jacobian(process)
    return _jacobian(dynamic(process), u.vector)


def check_jacobian(process: Process) -> None:
    """Raise ValueError if the process computes its drift in a way that has no derivative."""
    rule = process.algorithm.rule
    if not process.drift_is_smooth and not rule.simple and process.model.drift_is_smooth:
        raise ValueError(
            f"rule={rule!r}: gradients jump, and the drift's nodes cross the jumps, so its "
            "derivative would miss them; follow the flow instead."
        )
    if not process.drift_is_smooth:
        raise ValueError(
            "the drift's nodes cross the network's kinks, so its derivative would miss them; give "
            "the model rule=QuasiMonteCarlo(dim, log2_nodes, split=True)."
        )


@eqx.filter_jit
def _jacobian(process: Process, y: Array) -> Array:
    y = process.interior(process.template.with_vector(y)).vector
    if process.has_jacobian:
        return jax.jacfwd(lambda y: drift_vector(process, y))(y)
    # Known to rounding, but not differentiable by JAX: central differences.
    length = _STEP * jnp.maximum(1.0, jnp.max(jnp.abs(y)))
    moves = length * jnp.eye(len(y))
    moved = jax.lax.map(
        lambda move: drift_vector(process, y + move), jnp.concatenate([moves, -moves])
    )
    return ((moved[: len(y)] - moved[len(y) :]) / (2 * length)).T
