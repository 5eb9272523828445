"""Expectations of any row model's gradient by quadrature, for models that have nothing better.

All that a sample shows of itself (its coordinates in the span of frame and rows, its label's noise)
is a node; the rest of |X|^2 is a chi-square, of which mean and variance are enough.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.expectations.rules import AbstractRule, QuasiMonteCarlo, rule_for
from sgdlimits.models.base import PlainStep
from sgdlimits.models.class_nodes import class_nodes, factors
from sgdlimits.models.expectation_scales import scales
from sgdlimits.models.expectations import Expectations
from sgdlimits.models.rule_errors import rule_deviations
from sgdlimits.models.sample_gradient import Gradient, Seen
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.overlaps import Statistics

if TYPE_CHECKING:
    from sgdlimits.models.row_model import AbstractRowModel


_COARSE_LOG2 = 10  # of Sobol points to compare with, a quarter of the default


class _Nodes(NamedTuple):
    """One class: weights, gradients in the rows' span, and |X|^2 there; nodes come first."""

    weight: Float[Array, " nodes"]
    gradient: Gradient
    in_M: Float[Array, "nodes width directions"]  # gradient Fᵀ
    in_Q: Float[Array, "nodes width width"]  # gradient Rᵀ
    along: Float[Array, "nodes width width"]  # gradient gradientᵀ within the span
    variance: Array  # of every coordinate outside the span


def node_expectations(
    model: "AbstractRowModel", u: AbstractStatistics, rule: AbstractRule | None = None
) -> Expectations:
    """Of the gradient, as dim -> infinity, by a rule for frame, rows and the label's noise."""

    def of_class(at: _Nodes) -> Expectations:
        mean = lambda x: jnp.tensordot(at.weight, x, axes=1)  # noqa: E731
        g = at.gradient.g
        gg = at.variance * mean(g[:, :, None] * g[:, None, :])
        return Expectations(mean(at.gradient.h), mean(at.in_M), mean(at.in_Q), gg)

    return _over_classes(model, u, of_class, rule)


def node_deviations(model: "AbstractRowModel", u: AbstractStatistics) -> Expectations:
    """Errors of ``node_expectations``, along a leading axis."""

    def estimates(rule: AbstractRule) -> Expectations:
        return jax.tree.map(lambda x: x[None], node_expectations(model, u, rule))

    coarser = QuasiMonteCarlo(_fields(model), _COARSE_LOG2)  # replicates are taken together here
    return rule_deviations(estimates, _rule(model), lambda e: scales(model, u, e), coarser)


def node_moments(
    model: "AbstractRowModel", u: AbstractStatistics, plain: PlainStep, dim: Array | None
) -> tuple[Float[Array, " statistics"], Float[Array, "statistics statistics"]]:
    """Mean and covariance of increment/delta on one sample; ``dim`` None: the limit."""
    now, fields = model.overlaps(u), model.minimum_dim
    delta = 0.0 if dim is None else plain.step / dim

    def of_class(at: _Nodes) -> tuple[Array, Array]:
        g = at.gradient.g
        gg = g[:, :, None] * g[:, None, :]
        outside = plain.step if dim is None else delta * (dim - fields)
        Q = delta * at.along + at.variance * outside * gg - at.in_Q - jnp.swapaxes(at.in_Q, 1, 2)

        def statistics(h: Array, M: Array, Q: Array) -> Array:
            rate = Statistics(-plain.rate * h, -M, Q)
            return _increment(model, now, rate, None if dim is None else jnp.asarray(delta))

        values = jax.vmap(statistics)(at.gradient.h, at.in_M, Q)
        second = (values.T * at.weight) @ values
        if dim is not None:  # the fluctuation of |X|^2 outside the span, of variance 2 (dim - n)
            zero = jnp.zeros_like(now.v), jnp.zeros_like(now.M)
            kick = jax.vmap(lambda gg: model.of_overlaps(Statistics(*zero, gg)).vector)(gg)
            spread = 2 * (dim - fields) * (delta * at.variance) ** 2
            second = second + spread * (kick.T * at.weight) @ kick
        return at.weight @ values, second

    mean, second = _over_classes(model, u, of_class)
    return mean, second - mean[:, None] * mean


def _increment(
    model: "AbstractRowModel", now: Statistics, rate: Statistics, delta: Array | None
) -> Float[Array, " statistics"]:
    """Increment/delta of the model's own statistics, for one of the overlaps."""
    if delta is None:  # the limit
        return jax.jvp(model.of_overlaps, (now,), (rate,))[1].vector
    after = jax.tree.map(lambda x, dx: x + delta * dx, now, rate)
    return (model.of_overlaps(after).vector - model.of_overlaps(now).vector) / delta


def _fields(model: "AbstractRowModel") -> int:
    return model.data.directions + model.width + model.data.label_noises


def _rule(model: "AbstractRowModel") -> AbstractRule:
    return rule_for(_fields(model), kinks=model.kinks)


def _over_classes(
    model: "AbstractRowModel",
    u: AbstractStatistics,
    function: Any,
    rule: AbstractRule | None = None,
) -> Any:
    rule = rule or _rule(model)
    classes = [function(_nodes(model, u, c, rule)) for c in range(len(model.data.coefficients))]
    weights = model.data.weights
    return jax.tree.map(lambda *x: jnp.tensordot(weights, jnp.stack(x), axes=1), *classes)


def _nodes(model: "AbstractRowModel", u: AbstractStatistics, c: int, rule: AbstractRule) -> _Nodes:
    law, now = model.data, model.overlaps(u)
    state, number = model.coordinates(u), jnp.asarray(c)
    (p, r), gram = state.B.shape, jnp.asarray(law.gram)
    a, deviation = jnp.asarray(law.coefficients)[c], law.deviations[c]
    of = factors(law, now, joint=True)
    at = class_nodes(law, now, of, rule, model.kinks, number, a, deviation)
    z, weight = at.nodes.together
    s, f = at.s(z).T, at.f(z).T
    e = (a @ law.root)[:, None] + deviation * z[:r]
    norm2 = jnp.sum(e * e, axis=0) + jnp.sum((deviation * z[r : r + p]) ** 2, axis=0)
    labels = jax.vmap(lambda f, z: law.label(number, f, z))(f, at.noise(z).T)

    def one(s: Array, label: Array) -> Gradient:
        gradient = model.gradient(now.v, Seen(s, label, now.M, now.Q))
        push = jnp.zeros_like(now.M) if gradient.push is None else gradient.push
        pull, penalty = jnp.asarray(gradient.pull), jnp.asarray(gradient.penalty)
        return gradient._replace(pull=pull, push=push, penalty=penalty)

    gradient = jax.vmap(one)(s, labels)
    g, pull, push = gradient.g, gradient.pull, gradient.push
    assert push is not None
    pull = jnp.asarray(pull)[:, None, None]
    fixed_M, fixed_Q = pull * now.M + push @ gram, pull * now.Q + push @ now.M.T
    in_M = fixed_M + g[:, :, None] * f[:, None, :]
    in_Q = fixed_Q + g[:, :, None] * s[:, None, :]
    with_X = pull * s[:, :, None] + jnp.einsum("nir,nr->ni", push, f)[:, :, None]
    cross = with_X * g[:, None, :]
    # (pull R + push F)(pull R + push F)ᵀ
    steady = pull * jnp.swapaxes(fixed_Q, 1, 2) + fixed_M @ jnp.swapaxes(push, 1, 2)
    along = steady + cross + jnp.swapaxes(cross, 1, 2)
    along = along + norm2[:, None, None] * g[:, :, None] * g[:, None, :]
    return _Nodes(weight, gradient, in_M, in_Q, along, deviation**2)
