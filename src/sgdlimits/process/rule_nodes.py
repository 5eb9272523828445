"""Expectations under rules that look at single samples, and covariances of all rows, by nodes.

A node is all that a step sees of a sample: its projections on directions and rows, memories
included, and its label's noise. |X|^2/dim is at its mean, the variance of the class.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from sgdlimits.algorithms.rules.base import AbstractRule
from sgdlimits.expectations import rules as node_rules
from sgdlimits.models.class_nodes import class_nodes, factors
from sgdlimits.models.expectations import Expectations
from sgdlimits.models.row_model import AbstractRowModel
from sgdlimits.models.sample_gradient import Seen
from sgdlimits.process.layout import Whole
from sgdlimits.process.ruled_gradient import ruled_gradient

_LOG2 = 13  # of Sobol points a replicate: gradients jump where they are clipped
_SLOPE = (2 / jnp.pi) ** 0.5  # of E[sign(X_j) | field] in E[X_j | field]


class SampleMoments(NamedTuple):
    """Gradients at the nodes of one class, nodes first."""

    h: Float[Array, "nodes layer"]
    in_M: Float[Array, "nodes width directions"]  # gradient Fᵀ
    in_Q: Float[Array, "nodes width rows"]  # gradient Rᵀ
    kick: Float[Array, "nodes width"]  # |X|/sqrt(dim) g, which moves rows outside of the span


def is_exact(model: Any) -> bool:
    """Whether nodes give polynomials that they integrate exactly: there are no labels."""
    return model.data.outputs == 0


def over_nodes(
    model: AbstractRowModel,
    rule: AbstractRule,
    whole: Whole,
    function: Callable[[SampleMoments], PyTree],
) -> PyTree:
    """E[function(moments)], of a function of all nodes; replicates on a leading axis."""
    law, now = model.data, whole.rows
    fields = law.directions + len(now.Q) + law.label_noises
    nodes = (
        node_rules.rule_for(fields)
        if is_exact(model)
        else node_rules.QuasiMonteCarlo(fields, _LOG2, split=False)
    )
    total = None
    for c in range(len(law.coefficients)):
        weight, moments = _of_class(model, rule, whole, nodes, c)
        mean = jax.tree.map(
            lambda x, weight=weight: jnp.einsum(
                "rn,rn...->r...", weight, x.reshape(*weight.shape, *x.shape[1:])
            ),
            function(moments),
        )
        mean = jax.tree.map(lambda x, c=c: law.weights[c] * x, mean)
        total = mean if total is None else jax.tree.map(jnp.add, total, mean)
    return total


def _of_class(
    model: AbstractRowModel, rule: AbstractRule, whole: Whole, nodes: Any, c: int
) -> tuple[Array, SampleMoments]:
    law, now, number = model.data, whole.rows, jnp.asarray(c)
    a, deviation = jnp.asarray(law.coefficients)[c], law.deviations[c]
    p, gram = model.width, jnp.asarray(law.gram)
    at = class_nodes(
        law, now, factors(law, now, joint=True), nodes, model.kinks, number, a, deviation
    )
    weight = at.nodes.weight
    z, _ = at.nodes.together
    s, f = at.s(z).T, at.f(z).T
    labels = jax.vmap(lambda f, z: law.label(number, f, z))(f, at.noise(z).T)
    M, Q, norm2 = now.M[:p], now.Q[:p, :p], deviation**2

    def one(s: Array, f: Array, label: Array) -> SampleMoments:
        seen = Seen(s[:p], label, M, Q, norm2)
        g, h, pull, push, _ = ruled_gradient(model, rule, now.v, seen)
        in_M, in_Q = pull * now.M[:p], pull * now.Q[:p]
        if push is not None:
            in_M, in_Q = in_M + push @ gram, in_Q + push @ now.M.T
        in_M, in_Q = in_M + g[:, None] * f, in_Q + g[:, None] * s
        if not rule.by_coordinate:
            return SampleMoments(h, in_M, in_Q, deviation * g)
        some = g != 0
        share = jnp.where(some, _SLOPE / jnp.abs(jnp.where(some, deviation * g, 1.0)), 0.0)[:, None]
        return SampleMoments(jnp.sign(h), share * in_M, share * in_Q, jnp.sign(g))

    return weight, jax.vmap(one)(s, f, labels)


def rule_expectations(model: AbstractRowModel, rule: AbstractRule, whole: Whole) -> Expectations:
    """Of the gradients as the rule takes them, in the parameters' rows; replicates lead."""

    def products(x: SampleMoments) -> Expectations:
        return Expectations(x.h, x.in_M, x.in_Q, x.kick[:, :, None] * x.kick[:, None, :])

    p = model.width
    ours = Whole(whole.v[:1], whole.M[:p], whole.Q[:p, :p], {})
    return over_nodes(model, rule, ours, products)
