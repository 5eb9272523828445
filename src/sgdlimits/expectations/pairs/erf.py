"""Two erf(s/sqrt(2)): everything is an arc sine or a Gaussian."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.activations import AbstractActivation
from sgdlimits.expectations.pairs.base import Committee4, Pair, Smoothed, TwoPoint, symmetric


def two_point(
    sigma: AbstractActivation,
    tau: AbstractActivation,
    q: Float[Array, "*shape"],
    m: Float[Array, "*shape"],
    r: Float[Array, "*shape"],
) -> TwoPoint:
    """The overlap of two erf.

    k = (2/pi) asin(m / sqrt((1+q)(1+r))); Saad and Solla (1995). Exact.
    """
    product = (1 + q) * (1 + r)
    root = jnp.sqrt(product - m * m)
    return TwoPoint(
        2 / math.pi * jnp.arcsin(m / jnp.sqrt(product)),
        2 / math.pi / root,
        -m / (math.pi * (1 + q) * root),
    )


def four_point(of: Committee4) -> Float[Array, "p p"]:
    """The noise of the gradient of a committee of erf.

    I4 = k_m(i, j) (2/pi) asin(T_mq / sqrt((1+T_mm)(1+T_qq))), Saad and Solla (1995). Exact.
    T is the covariance under the law tilted by sigma'(u_i) sigma'(u_j), itself Gaussian.
    """
    C = of.covariance
    n = C.shape[0]
    i, j = np.triu_indices(of.width)
    m, q = np.triu_indices(n)
    # Inverse of I + C restricted to (i, j), pair by pair; i = j counts the variable twice.
    a, b, c = 1 + C[i, i], 1 + C[j, j], C[i, j]
    determinant = a * b - c * c
    A, B, X = b / determinant, a / determinant, -c / determinant
    left, right = C[i], C[j]  # (pairs, n)
    one, other = A[:, None] * left + X[:, None] * right, X[:, None] * left + B[:, None] * right
    T = C[m, q] - one[:, m] * left[:, q] - other[:, m] * right[:, q]
    spread = jax.lax.rsqrt(1 + jnp.diagonal(C) - one * left - other * right)
    twice = jnp.asarray(np.where(m == q, 1.0, 2.0))
    weight = twice * of.weights[m] * of.weights[q]
    angles = jnp.arcsin(T * spread[:, m] * spread[:, q]) @ weight
    return symmetric((2 / math.pi) ** 2 * angles / jnp.sqrt(determinant), of.width)


def smooth(
    activation: AbstractActivation, mean: Float[Array, "*shape"], variance: Float[Array, "*shape"]
) -> Smoothed:
    """An erf averaged over Gaussian noise is a wider erf.

    E[erf((mu + sqrt(q) xi)/sqrt(2))] = erf(mu/sqrt(2 (1+q))). Exact.
    """
    wide, wider = 1 + variance, 1 + 2 * variance
    slope = jnp.sqrt(2 / (math.pi * wide)) * jnp.exp(-mean * mean / (2 * wide))
    return Smoothed(
        jax.scipy.special.erf(mean / jnp.sqrt(2 * wide)),
        slope,
        -mean * slope / wide,
        2 / math.pi / jnp.sqrt(wider) * jnp.exp(-mean * mean / wider),
    )


ERF = Pair(two_point=two_point, four_point=four_point, smooth=smooth)
