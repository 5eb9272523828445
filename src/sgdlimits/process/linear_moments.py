"""Mean and covariance of one step of a rule that is linear in memory and the mean gradient.

R' = A R + b G + c xi for the rows R of parameters and memories, with G the mean gradient of the
batch and xi noise. The mean needs no more than the moments of one plain gradient g,

    E[G Gᵀ] = E[g gᵀ]/B + (1 - 1/B) E[g] E[g]ᵀ,

and is exact at finite dim where these are; the covariance has a relative error of order 1/dim.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.algorithms.rules.base import AbstractRule, At
from sgdlimits.algorithms.rules.coefficients import Rates
from sgdlimits.expectations.small_linalg import symmetric_root
from sgdlimits.models.base import PlainStep
from sgdlimits.models.expectations import Expectations
from sgdlimits.process.batch_moments import mean_in_span, mean_square
from sgdlimits.process.layout import Whole
from sgdlimits.process.rule_nodes import SampleMoments, over_nodes

if TYPE_CHECKING:
    from sgdlimits.process.rule_row_kernel import RuleRowKernel


def step_coefficients(rule: AbstractRule, delta: Any, rate: Any, time: Any) -> Rates:
    """(A, b, c) of one step; the parameters' part of it ``rate`` times as long."""
    delta = jnp.asarray(delta)
    names = [memory.name for memory in rule.memory]
    kinds = 1 + len(names)
    basis = list(jnp.eye(kinds + 2))
    memory = dict(zip(names, basis[1:kinds], strict=True))
    at = At(basis[0], memory, basis[kinds + 1], {}, delta, time)
    direction, after = rule.direction(basis[kinds], at)
    table = jnp.stack([basis[0] - rate * delta * direction, *(after[name] for name in names)])
    return Rates(table[:, :kinds], table[:, kinds], table[:, kinds + 1])


def linear_moments(
    kernel: "RuleRowKernel", u: Any, step: Any, dim: Array, time: Any
) -> tuple[Float[Array, " statistics"], Float[Array, "statistics statistics"]]:
    """Of the increment of one step of this size."""
    whole, rate = kernel.layout.split(u), kernel.algorithm.second_layer_rate
    rows = step_coefficients(kernel.rule, step / dim, 1.0, time)
    layer = step_coefficients(kernel.rule, step / dim, rate, time)
    covariance = _covariance(kernel, u, whole, rows, layer, dim)
    after = _mean(kernel, u, whole, rows, layer, dim)
    # Overlaps are at most quadratic in the statistics, as Q = m² + r2: what the spread adds to
    # their mean is no part of the mean statistics.
    split = lambda y: kernel.layout.split(u.with_vector(y))  # noqa: E731
    spread = _curved(split, u.vector, covariance)
    mean = kernel.layout.join(jax.tree.map(jnp.subtract, after, spread)).vector
    return mean - u.vector, covariance


def _curved(function: Callable[[Array], Any], y: Array, second: Array) -> Any:
    """Half of the second derivative of ``function`` at y, against a matrix."""

    def twice(move: Array) -> Any:
        along = lambda y: jax.jvp(function, (y,), (move,))[1]  # noqa: E731
        return jax.jvp(along, (y,), (move,))[1]

    each = jax.vmap(twice)(symmetric_root(second).T)
    return jax.tree.map(lambda x: jnp.sum(x, axis=0) / 2, each)


def _mean(
    kernel: "RuleRowKernel", u: Any, whole: Whole, rows: Rates, layer: Rates, dim: Array
) -> Whole:
    """Overlaps of all rows after the step, on average."""
    e = kernel.model.expectations(kernel.layout.base(u))
    A, b, c = jnp.kron(rows.mix, jnp.eye(kernel.model.width)), rows.gradient, rows.noise
    cross = jnp.kron(b[:, None], kernel.with_memory(whole, e) @ A.T)
    gained = jnp.kron(b[:, None] * b, _square(kernel, u, e, dim))
    noise = dim * jnp.kron(c[:, None] * c, jnp.eye(kernel.model.width))
    return Whole(
        layer.mix @ whole.v + layer.gradient[:, None] * e.h,
        A @ whole.M + jnp.kron(b[:, None], e.gf),
        A @ whole.Q @ A.T + cross + cross.T + gained + noise,
        whole.scalars,
    )


def _square(kernel: "RuleRowKernel", u: Any, e: Expectations, dim: Array) -> Array:
    """E[G Gᵀ] of the batch, from the mean of one plain step on one sample, of length one."""
    model, batch, base = kernel.model, kernel.algorithm.batch, kernel.layout.base(u)
    mean, covariance = model.increment_moments(base, PlainStep(dim, 1.0), dim)
    function = lambda y: model.overlaps(base.with_vector(y)).Q  # noqa: E731
    change = jax.jvp(function, (base.vector,), (mean,))[1]
    change = change + _curved(function, base.vector, covariance + mean[:, None] * mean)
    single = change + e.gs + e.gs.T
    alone = mean_square(e, model.overlaps(base), model.data.root)
    return single / batch + (1 - 1 / batch) * alone


def _covariance(
    kernel: "RuleRowKernel", u: Any, whole: Whole, rows: Rates, layer: Rates, dim: Array
) -> Array:
    """To leading order: what a sample moves, and the length that it adds outside of the span."""
    batch, b, c, p = kernel.algorithm.batch, rows.gradient, rows.noise, kernel.model.width
    A, none = jnp.kron(rows.mix, jnp.eye(p)), jax.tree.map(jnp.zeros_like, whole)
    e = kernel.model.expectations(kernel.layout.base(u))
    weights = mean_in_span(e, kernel.model.overlaps(kernel.layout.base(u)), kernel.model.data.root)

    def lengthened(gram: Array) -> Array:
        return kernel.tangent(u, none._replace(Q=gram)).vector

    def increment(x: SampleMoments) -> tuple[Array, Array]:
        # Beside what rows are and the mean gradient is, of which it changes the overlaps.
        along = jnp.concatenate([x.in_M, x.in_Q[:, :p]], axis=1) @ weights.T
        dQ = jnp.kron(b[:, None], x.in_Q @ A.T) + jnp.kron(b[:, None] * b, along)
        gram = jnp.kron(b[:, None] * b, x.kick[:, None] * x.kick)
        rate = none._replace(
            v=layer.gradient[:, None] * x.h,
            M=jnp.kron(b[:, None], x.in_M),
            Q=dQ + dQ.T + dim / batch * gram,
        )
        return kernel.tangent(u, rate).vector, lengthened(gram)

    def products(x: SampleMoments) -> tuple[Array, ...]:
        values, gained = jax.vmap(increment)(x)
        square = lambda y: y[:, :, None] * y[:, None, :]  # noqa: E731
        return values, square(values), square(gained), x.kick[:, :, None] * x.kick[:, None, :]

    found = over_nodes(kernel.model, kernel.rule, whole, products)
    mean, second, fourth, gg = (jnp.mean(x, axis=0) for x in found)
    total = (second - mean[:, None] * mean) / batch

    def of_lengths(S: Array) -> Array:
        """Of the Gram matrix of dim normal coordinates with this covariance."""
        L = symmetric_root(S).T
        pair = lambda x, y: lengthened(x[:, None] * y + y[:, None] * x)  # noqa: E731
        each = jax.vmap(lambda x: jax.vmap(lambda y: pair(x, y))(L))(L)
        flat = each.reshape(-1, each.shape[-1])
        return dim / 2 * flat.T @ flat

    # With S the covariance that the batch's gradients make, E[S S] has a part from each sample.
    S = jnp.kron(b[:, None] * b, gg) / batch
    total = total + 2 * dim / batch**3 * fourth - of_lengths(S) / batch
    total = total + of_lengths(S + jnp.kron(c[:, None] * c, jnp.eye(p)))
    if not kernel.rule.noisy:
        return total
    noise = kernel.noise_factor(u, whole, rows, layer, A)
    return total + noise @ noise.T
