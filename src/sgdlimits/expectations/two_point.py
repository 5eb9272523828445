"""Expectations of two functions of two jointly Gaussian variables.

For (x, y) ~ N(0, [[q, m], [m, r]]), activations sigma and tau:

    k = E[sigma(x) tau(y)],   k_m = dk/dm = E[sigma'(x) tau'(y)],   k_q = dk/dq.

Three-point functions follow by Stein's lemma: E[sigma'(x) u tau(y)] = 2 C_xu k_q + C_yu k_m for
any u jointly Gaussian with (x, y).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.activations import AbstractActivation
from sgdlimits.expectations.pairs import pair_of
from sgdlimits.expectations.pairs.base import TwoPoint
from sgdlimits.expectations.rules import AbstractRule, QuasiMonteCarlo, TruncatedGauss
from sgdlimits.expectations.small_linalg import cholesky

_SMOOTH_ORDER = 20  # 40 Gauss-Hermite nodes a side: 1e-15 at unit variances, 1e-7 at variance 4
_KINKED_ORDER = 12  # nodes on either side: 1e-12; the tables of longer rules are less accurate


def two_point(
    sigma: AbstractActivation,
    tau: AbstractActivation,
    q: Float[Array, "*shape"],
    m: Float[Array, "*shape"],
    r: Float[Array, "*shape"],
) -> TwoPoint:
    """The overlap of two activations: by formula if the pair has one, else by quadrature."""
    formula = pair_of(sigma, tau).two_point or quadrature_two_point
    return formula(sigma, tau, q, m, r)


def quadrature_two_point(
    sigma: AbstractActivation,
    tau: AbstractActivation,
    q: Float[Array, "*shape"],
    m: Float[Array, "*shape"],
    r: Float[Array, "*shape"],
) -> TwoPoint:
    """Two-dimensional Gauss rules, split at kinks; quasi-Monte-Carlo with several kinks."""
    kinks = tuple(sorted({*sigma.kinks, *tau.kinks}))
    rule = pair_rule(kinks)

    def one(q: Array, m: Array, r: Array) -> TwoPoint:
        factor = cholesky(jnp.stack([jnp.stack([q, m]), jnp.stack([m, r])]))
        z, weight = rule.nodes(jnp.zeros(2), factor, kinks).together
        x, y = factor @ z
        slope, value = sigma.slope(x), tau(y)
        k_m = weight @ (slope * tau.slope(y))
        if sigma.kinks:
            # sigma'' is no function; Stein's lemma with u = x gives k_q without it.
            positive = q > 0
            k_q = (weight @ (slope * x * value) - m * k_m) / (2 * jnp.where(positive, q, 1.0))
            k_q = jnp.where(positive, k_q, 0.0)
        else:
            bend = jax.jvp(sigma.slope, (x,), (jnp.ones_like(x),))[1]
            k_q = weight @ (bend * value) / 2
        return TwoPoint(weight @ (sigma(x) * value), k_m, k_q)

    shape = jnp.broadcast_shapes(q.shape, m.shape, r.shape)
    flat = [jnp.broadcast_to(x, shape).ravel() for x in (q, m, r)]
    return TwoPoint(*(x.reshape(shape) for x in jax.lax.map(lambda a: one(*a), tuple(flat))))


def pair_rule(kinks: tuple[float, ...]) -> AbstractRule:
    """Rule for two variables with these kinks."""
    if len(kinks) > 1:
        return QuasiMonteCarlo(2, 12)
    return TruncatedGauss(2, _KINKED_ORDER if kinks else _SMOOTH_ORDER)


def matrix_two_point(
    sigma: AbstractActivation, tau: AbstractActivation, covariance: Float[Array, "n n"],
    rows: np.ndarray, columns: np.ndarray,
) -> TwoPoint:  # fmt: skip
    """``two_point`` of sigma(u_i) and tau(u_j), i in ``rows``, j in ``columns``, as matrices."""
    variance = jnp.diagonal(covariance)
    q, r = jnp.broadcast_arrays(variance[rows][:, None], variance[columns][None, :])
    return two_point(sigma, tau, q, covariance[np.ix_(rows, columns)], r)
