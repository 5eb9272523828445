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
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.expectations.small_linalg import cholesky
from sgdlimits.process.spherical_limit import tangent
from sgdlimits.statistics.overlaps import Statistics
from sgdlimits.statistics.rows import unit_rows

if TYPE_CHECKING:
    from sgdlimits.models.committee import Committee

_NOISE_NODES = 10  # Gauss-Hermite in the label noise, for projected steps
_CHI_SQUARE_NODES = 6  # Gauss-Laguerre in the chi-square


class Nodes(NamedTuple):
    """Quadrature nodes: weights, noiseless errors e0, |z|^2, and the vectors L and K."""

    weight: Float[Array, " nodes"]
    error: Float[Array, " nodes"]
    norm2: Float[Array, " nodes"]
    linear: Float[Array, "nodes statistics"]
    quadratic: Float[Array, "nodes statistics"]


def nodes_at(model: "Committee", u: Statistics, sgd: OnlineSGD) -> Nodes:
    """Nodes of the model's rule for u ~ N(0, Omega)."""
    p = model.width
    factor = cholesky(model.joint_covariance(u))
    z, weight = model.rule.nodes(jnp.zeros(len(factor)), factor, model.kinks).together
    fields = factor @ z
    layer = model.layer(u)

    def one(fields: Array) -> tuple[Array, Array, Array]:
        s, target = fields[:p], fields[p:]
        G = layer / p * model.student.slope(s)
        h = sgd.second_layer_rate / p * model.student(s) if model.train_second_layer else u.v
        cross = G[:, None] * s
        linear = Statistics(h, G[:, None] * target, cross + cross.T)
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


def projected_correction(
    nodes: Nodes, u: Statistics, sgd: OnlineSGD, noise: Array, dim: Array
) -> tuple[Array, Array]:
    """What mean and covariance of one projected step have beyond the first order in delta.

    The first order (the tangent of the free step with |x|^2/d = 1) is known better than by
    quadrature; only differences from it are integrated here, which are a factor delta smaller.
    """
    delta, n = sgd.delta(dim), u.M.shape[-1] + u.M.shape[-2]
    x, share = _chi_square_rule(dim - n)
    z, weight = np.polynomial.hermite_e.hermegauss(_NOISE_NODES)
    pairs = [(a, b) for a in range(_CHI_SQUARE_NODES) for b in range(_NOISE_NODES)]
    a, b = np.array(pairs).T

    def one(linear: Array, quadratic: Array, error: Array, norm2: Array) -> Array:
        kick, square = error * linear, sgd.step * error**2 * quadratic
        moved = u.vector + delta * (kick + norm2 / dim * square)
        exact = unit_rows(u.with_vector(moved)).vector - u.vector
        first = delta * tangent(u, u.with_vector(kick + square)).vector
        return jnp.stack([exact, first])

    def at(chi: Array, z: Array, share: Array) -> tuple[Array, Array]:
        error = nodes.error + jnp.sqrt(noise) * z
        both = jax.vmap(one)(nodes.linear, nodes.quadratic, error, nodes.norm2 + chi)
        weight = share * nodes.weight
        return jnp.einsum("n,nck->ck", weight, both), jnp.einsum(
            "n,nck,ncl->ckl", weight, both, both
        )

    inputs = (x[a], jnp.asarray(z[b]), share[a] * jnp.asarray((weight / weight.sum())[b]))
    mean, second = (jnp.sum(y, axis=0) for y in jax.lax.map(lambda i: at(*i), inputs))
    covariance = second - mean[:, :, None] * mean[:, None, :]
    return mean[0] - mean[1], covariance[0] - covariance[1]


def _chi_square_rule(dof: Array) -> tuple[Array, Array]:
    """Gauss-Laguerre nodes and weights for a chi-square (Golub and Welsch); one point at dof 0."""
    k = np.arange(_CHI_SQUARE_NODES, dtype=float)
    alpha = dof / 2 - 1
    off = jnp.sqrt(k[1:] * (k[1:] + alpha))
    jacobi = jnp.diag(2.0 * k + 1 + alpha) + jnp.diag(off, 1) + jnp.diag(off, -1)
    x, vectors = jnp.linalg.eigh(jacobi)
    return 2 * x, vectors[0] ** 2
