"""Points of a fibre {x : u(x) = target}, from any point near or far, by Gauss-Newton steps."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_MOST_STEPS = 200
_TOLERANCE = 1e-12  # of u(x), relative to 1 + |target|
_SMALLEST_FACTOR = 1e-6
_RIDGE = 1e-14  # of J Jᵀ, relative to its diagonal: redundant statistics stay solvable

#: Flat parameters to the vector of statistics.
VectorStatistics = Callable[[Float[Array, " parameters"]], Float[Array, " statistics"]]


class FibrePoint(NamedTuple):
    """Flat parameters, and whether their statistics are the target's up to rounding."""

    x: Array
    reached: Bool[Array, ""]


def onto_fibre(
    statistics: VectorStatistics,
    x: Float[Array, " parameters"],
    target: Float[Array, " statistics"],
) -> FibrePoint:
    """The point of {u = target} that damped Gauss-Newton steps reach from ``x``.

    x <- x - a Jᵀ (J Jᵀ)⁻¹ (u(x) - target), J = du/dx: the smallest move that is right to first
    order, with a = 1, or halved as often as needed for the residual to fall. The point depends
    smoothly on the target while no step is halved. ``reached`` says whether the residual is below
    1e-12 (1 + |target|) in every statistic.
    """
    scale = 1 + jnp.abs(target)

    def residual(x: Array) -> Array:
        return (statistics(x) - target) / scale

    def size(r: Array) -> Array:
        return jnp.max(jnp.abs(r))

    def unfinished(state: tuple) -> Array:
        _, r, factor, count = state
        return (size(r) > _TOLERANCE) & (factor > _SMALLEST_FACTOR) & (count < _MOST_STEPS)

    def step(state: tuple) -> tuple:
        x, r, factor, count = state
        J = jax.jacrev(residual)(x)
        gram = J @ J.T
        gram = gram + _RIDGE * jnp.trace(gram) * jnp.eye(len(gram))
        new = x - factor * (jnp.linalg.solve(gram, r) @ J)
        r_new = residual(new)
        better = size(r_new) < size(r)
        return (
            jnp.where(better, new, x),
            jnp.where(better, r_new, r),
            jnp.where(better, jnp.minimum(1.0, 2 * factor), factor / 2),
            count + 1,
        )

    state = (x, residual(x), jnp.asarray(1.0, x.dtype), jnp.asarray(0))
    x, r, _, _ = jax.lax.while_loop(unfinished, step, state)
    return FibrePoint(x, size(r) <= _TOLERANCE)
