"""Laws of one SGD step of a committee, by quadrature over the preactivations.

Given u = (s, s*), one step changes the statistics by delta (E L + step (|x|^2/d) E^2 K), where
E = y - f is Gaussian in the label noise, |x|^2 = |z|^2 + chi-square with d - n degrees of freedom,
and, with G = (v/p) sigma'(s),

    L = (rate sigma(s)/p, G s*ᵀ, G sᵀ + s Gᵀ),   K = (0, 0, G Gᵀ).

Label noise and chi-square are integrated by formula where the step is a polynomial in them.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from sgdlimits.expectations.small_linalg import cholesky
from sgdlimits.models.base import PlainStep
from sgdlimits.statistics.overlaps import Statistics

if TYPE_CHECKING:
    from sgdlimits.models.committee import Committee


class Nodes(NamedTuple):
    """Quadrature nodes: weights, noiseless errors e0, |z|^2, and the vectors L and K."""

    weight: Float[Array, " nodes"]
    error: Float[Array, " nodes"]
    norm2: Float[Array, " nodes"]
    linear: Float[Array, "nodes statistics"]
    quadratic: Float[Array, "nodes statistics"]


def nodes_at(model: "Committee", u: Statistics, plain: PlainStep, shrink: ArrayLike = 1.0) -> Nodes:
    """Nodes of the model's rule for u ~ N(0, Omega); ``shrink`` = 1 - delta ridge."""
    p = model.width
    factor = cholesky(model.joint_covariance(u))
    z, weight = model.rule.nodes(jnp.zeros(len(factor)), factor, model.kinks).together
    fields = factor @ z
    layer = model.layer(u)

    def one(fields: Array) -> tuple[Array, Array, Array]:
        s, target = fields[:p], fields[p:]
        G = layer / p * model.student.slope(s)
        h = plain.rate / p * model.student(s) if model.train_second_layer else u.v
        cross = G[:, None] * s
        linear = Statistics(h, G[:, None] * target, shrink * (cross + cross.T))
        quadratic = Statistics(jnp.zeros_like(u.v), jnp.zeros_like(u.M), G[:, None] * G)
        error = model.target(target) - model.output(layer, s)
        return error, linear.vector, quadratic.vector

    error, linear, quadratic = jax.vmap(one, in_axes=1)(fields)
    return Nodes(weight, error, jnp.sum(z * z, axis=0), linear, quadratic)


def mean_square(nodes: Nodes, noise: ArrayLike, dim: Array, n: int) -> Float[Array, " statistics"]:
    """E[(|x|^2/d) E^2 K] in n fields, at finite dim."""
    return (nodes.weight * _norm_ratio(nodes, dim, n) * (nodes.error**2 + noise)) @ nodes.quadratic


def _norm_ratio(nodes: Nodes, dim: Array, n: int) -> Float[Array, " nodes"]:
    """E[|x|^2]/d given the node."""
    return (nodes.norm2 + dim - n) / dim


def covariance(
    nodes: Nodes, step: Array, noise: Array, dim: Array | None, n: int
) -> Float[Array, "statistics statistics"]:
    """Covariance of increment/delta without projection; ``dim`` None: the limit."""
    w, e, r2, L, K = nodes
    K = step * K
    once, twice = jnp.ones_like(r2), jnp.ones_like(r2)
    if dim is not None:
        once = _norm_ratio(nodes, dim, n)
        twice = once**2 + 2 * (dim - n) / dim**2
    two = e**2 + noise
    cross = L.T @ ((w * once * (e**3 + 3 * noise * e))[:, None] * K)
    second = L.T @ ((w * two)[:, None] * L) + cross + cross.T
    four = e**4 + 6 * noise * e**2 + 3 * noise**2
    second = second + K.T @ ((w * twice * four)[:, None] * K)
    mean = (w * e) @ L + (w * once * two) @ K
    return second - mean[:, None] * mean
