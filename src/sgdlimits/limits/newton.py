"""Newton's method for zeros of the drift, on a block of points at once."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits._tracing import dynamic
from sgdlimits.limits.vector_field import field_and_rates
from sgdlimits.process.process import Process

#: Singular values, relative to the largest, that a step leaves out: on a set of roots the flat
#: directions (a step along them would only move along the set), or none but exact zeros.
ON_SETS, ANYWHERE = 1e-9, 1e-14

BLOCK = 16  # points at once

_AT_REST = 1e-14  # a step, relative, after which a point is moved no further


class Found(NamedTuple):
    """Where a block of points went, and what the drift is like there."""

    points: np.ndarray  # (points, statistics)
    drifts: np.ndarray  # (points, statistics)
    rates: np.ndarray  # (points, statistics, statistics): Jacobians
    steps: np.ndarray  # (points,): largest entry of the step that would come next

    def part(self, which) -> "Found":
        """Of some points, or of one."""
        return Found(*(x[which] for x in self))


def newton(
    process: Process,
    points: np.ndarray,
    steps: int,
    cut: float = ANYWHERE,
    block: int = BLOCK,
    *,
    inside: bool = False,
) -> Found:
    """Up to so many steps from every point; ``block`` points at once, so that programs are few.

    ``inside``: points that leave the domain of the statistics are moved onto its border, where sets
    of roots often are. Roots are otherwise found by way of what lies outside of it too.
    """
    parts = []
    for begin in range(0, len(points), block):
        part = points[begin : begin + block]
        padded = np.concatenate([part, np.repeat(part[-1:], block - len(part), axis=0)])
        settings = jnp.asarray(steps), jnp.asarray(cut), jnp.asarray(inside)
        found = _newton(dynamic(process), jnp.asarray(padded), *settings)
        parts.append([np.asarray(x)[: len(part)] for x in found])
    if not parts:
        size = points.shape[1]
        empty = np.zeros((0, size))
        return Found(empty, empty, np.zeros((0, size, size)), np.zeros(0))
    return Found(*(np.concatenate(x) for x in zip(*parts, strict=True)))


@eqx.filter_jit
def _newton(
    process: Process,
    points: Float[Array, "points statistics"],
    most: Array,
    cut: Array,
    inside: Array,
) -> tuple[Array, Array, Array, Array]:
    look = jax.vmap(lambda y: field_and_rates(process, y))

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        count, y, _, _, delta = state
        y = y - delta
        within = process.admissible(process.template.with_vector(y)).vector
        y = jnp.where(inside, within, y)
        drifts, rates = look(y)
        delta = jax.vmap(lambda h, J: _least_squares(J, h, cut))(drifts, rates)
        size = jnp.max(jnp.abs(delta), axis=1)
        moves = size > _AT_REST * (1 + jnp.max(jnp.abs(y), axis=1))  # no where it is NaN
        return count + 1, y, drifts, rates, jnp.where(moves[:, None], delta, 0.0)

    def goes_on(state: tuple[Array, ...]) -> Array:
        count, _, _, _, delta = state
        return (count == 0) | ((count <= most) & jnp.any(delta != 0))

    # The first look is from inside of the loop: a drift that is compiled once compiles faster.
    n = points.shape[1]
    start = (jnp.asarray(0), points, jnp.zeros_like(points), jnp.zeros((len(points), n, n)))
    _, y, drifts, rates, delta = jax.lax.while_loop(goes_on, step, (*start, start[2]))
    return y, drifts, rates, jnp.max(jnp.abs(delta), axis=1)


def _least_squares(rates: Array, drift: Array, cut: Array) -> Array:
    """The shortest solution: finite at degenerate roots and on sets of roots."""
    # The decomposition of what is not finite may never return.
    finite = jnp.all(jnp.isfinite(rates)) & jnp.all(jnp.isfinite(drift))
    rates, drift = (jnp.where(finite, x, 0.0) for x in (rates, drift))
    left, values, right = jnp.linalg.svd(rates)
    kept = (values > cut * values[0]) & (values > 0)
    inverse = jnp.where(kept, 1 / jnp.where(kept, values, 1.0), 0.0)
    return right.T @ (inverse * (left.T @ drift))
