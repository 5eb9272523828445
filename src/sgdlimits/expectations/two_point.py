"""Expectations of two functions of two jointly Gaussian variables.

For (x, y) ~ N(0, [[q, m], [m, r]]), activations sigma and tau:

    k = E[sigma(x) tau(y)],   k_m = dk/dm = E[sigma'(x) tau'(y)],   k_q = dk/dq.

Three-point functions follow by Stein's lemma: E[sigma'(x) u tau(y)] = 2 C_xu k_q + C_yu k_m for
any u jointly Gaussian with (x, y).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.activations import AbstractActivation, Erf, Polynomial, Relu
from sgdlimits.expectations.rules import AbstractRule, QuasiMonteCarlo, TruncatedGauss
from sgdlimits.expectations.small_linalg import cholesky

_SMOOTH_ORDER = 20  # 40 Gauss-Hermite nodes a side: 1e-15 at unit variances, 1e-7 at variance 4
_KINKED_ORDER = 12  # nodes on either side: 1e-12; the tables of longer rules are less accurate
_ALIGNED = 1e-14  # a determinant below this fraction of q r is rounding


class TwoPoint(NamedTuple):
    """k and its derivatives in the covariance and in the variance of the first variable."""

    k: Float[Array, "*shape"]
    k_m: Float[Array, "*shape"]
    k_q: Float[Array, "*shape"]


def two_point(
    sigma: AbstractActivation,
    tau: AbstractActivation,
    q: Float[Array, "*shape"],
    m: Float[Array, "*shape"],
    r: Float[Array, "*shape"],
) -> TwoPoint:
    """k, k_m, k_q: by formula for two erf, two ReLU or two polynomials, else by quadrature."""
    if isinstance(sigma, Erf) and isinstance(tau, Erf):
        return erf_two_point(q, m, r)
    if isinstance(sigma, Relu) and isinstance(tau, Relu):
        return relu_two_point(q, m, r)
    if isinstance(sigma, Polynomial) and isinstance(tau, Polynomial):
        return polynomial_two_point(sigma, tau, q, m, r)
    return quadrature_two_point(sigma, tau, q, m, r)


def erf_two_point(
    q: Float[Array, "*shape"], m: Float[Array, "*shape"], r: Float[Array, "*shape"]
) -> TwoPoint:
    """k = (2/pi) asin(m / sqrt((1+q)(1+r))); Saad and Solla (1995). Exact."""
    product = (1 + q) * (1 + r)
    root = jnp.sqrt(product - m * m)
    return TwoPoint(
        2 / math.pi * jnp.arcsin(m / jnp.sqrt(product)),
        2 / math.pi / root,
        -m / (math.pi * (1 + q) * root),
    )


def relu_two_point(
    q: Float[Array, "*shape"], m: Float[Array, "*shape"], r: Float[Array, "*shape"]
) -> TwoPoint:
    """k = (sqrt(q r - m^2) + (pi - theta) m)/(2 pi), theta the angle; Cho and Saul (2009). Exact.

    k_m has infinite slope where the variables align; derivatives there are those along the
    aligned states.
    """
    determinant = q * r - m * m
    apart = determinant > _ALIGNED * q * r
    sine = jnp.where(apart, jnp.sqrt(jnp.where(apart, determinant, 1.0)), 0.0)
    zero = (q <= 0) | (r <= 0)
    # A variable that is zero makes no angle with anything: count it as a right one.
    theta = jnp.arctan2(jnp.where(zero, 1.0, sine), jnp.where(zero, 0.0, m))
    k_m = (math.pi - theta) / (2 * math.pi)
    k = sine / (2 * math.pi) + k_m * m
    return TwoPoint(k, k_m, jnp.where(q > 0, sine / (4 * math.pi * jnp.where(q > 0, q, 1.0)), 0.0))


def polynomial_two_point(
    sigma: Polynomial,
    tau: Polynomial,
    q: Float[Array, "*shape"],
    m: Float[Array, "*shape"],
    r: Float[Array, "*shape"],
) -> TwoPoint:
    """Sums of Gaussian moments (Isserlis): polynomials in q, m and r. Exact."""
    slope = sigma.derivative

    def expect(a: Polynomial, b: Polynomial) -> Array:
        return _polynomial_moment(a.coefficients, b.coefficients, q, m, r)

    return TwoPoint(
        expect(sigma, tau), expect(slope, tau.derivative), expect(slope.derivative, tau) / 2
    )


def _polynomial_moment(
    left: tuple[float, ...], right: tuple[float, ...], q: Array, m: Array, r: Array
) -> Array:
    """E[left(x) right(y)]: j pairs across, the rest among themselves."""
    total = jnp.zeros(jnp.broadcast_shapes(q.shape, m.shape, r.shape))
    for a, one in enumerate(left):
        for b, other in enumerate(right):
            if one * other == 0 or (a + b) % 2:
                continue
            for j in range(a % 2, min(a, b) + 1, 2):
                i, l = (a - j) // 2, (b - j) // 2  # noqa: E741
                # a!/(j! i! 2^i) * b!/(l! 2^l) pairings
                ways = math.factorial(a) // (math.factorial(j) * math.factorial(i) * 2**i)
                ways *= math.factorial(b) // (math.factorial(l) * 2**l)
                total = total + one * other * ways * q**i * m**j * r**l
    return total


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
