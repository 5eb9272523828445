"""Two ReLU: angles between Gaussian variables, and orthant probabilities."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.expectations.activations import AbstractActivation
from sgdlimits.expectations.pairs.base import Committee4, Pair, Smoothed, TwoPoint
from sgdlimits.expectations.pairs.relu_orthants import relu_four_point

_ALIGNED = 1e-14  # a determinant below this fraction of q r is rounding


def two_point(
    sigma: AbstractActivation,
    tau: AbstractActivation,
    q: Float[Array, "*shape"],
    m: Float[Array, "*shape"],
    r: Float[Array, "*shape"],
) -> TwoPoint:
    """The overlap of two ReLU.

    k = (sqrt(q r - m^2) + (pi - theta) m)/(2 pi), theta the angle; Cho and Saul (2009). Exact.
    k_m has infinite slope where the variables align; derivatives there are those along the
    aligned states. A variable that is zero counts with the slope 0, as in SGD.
    """
    determinant = q * r - m * m
    apart = determinant > _ALIGNED * q * r
    sine = jnp.where(apart, jnp.sqrt(jnp.where(apart, determinant, 1.0)), 0.0)
    zero = (q <= 0) | (r <= 0)
    # A variable that is zero makes no angle with anything.
    theta = jnp.arctan2(jnp.where(zero, 1.0, sine), jnp.where(zero, 0.0, m))
    k_m = jnp.where(zero, 0.0, (math.pi - theta) / (2 * math.pi))
    k = sine / (2 * math.pi) + k_m * m
    return TwoPoint(k, k_m, jnp.where(q > 0, sine / (4 * math.pi * jnp.where(q > 0, q, 1.0)), 0.0))


def four_point(of: Committee4) -> Float[Array, "p p"]:
    """The noise of the gradient of a committee of ReLU, by orthant probabilities.

    Tallis (1961), see ``relu_orthants``. Exact: to 1e-9 in general position, to 1e-5 where
    neurons coincide. Neurons that are zero have the slope 0, as in SGD.
    """
    alive = (jnp.diagonal(of.covariance)[: of.width] > 0).astype(float)
    return alive[:, None] * alive * relu_four_point(of.covariance, of.weights, of.width)


def smooth(
    activation: AbstractActivation, mean: Float[Array, "*shape"], variance: Float[Array, "*shape"]
) -> Smoothed:
    """A ReLU averaged over Gaussian noise.

    E[relu(mu + sqrt(q) xi)] = mu Phi(z) + sqrt(q) phi(z), z = mu/sqrt(q). Exact.
    """
    noisy = variance > 0
    spread = jnp.sqrt(jnp.where(noisy, variance, 1.0))
    z = mean / spread
    density = jnp.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    below = jax.scipy.special.ndtr(z)
    step = jnp.where(noisy, below, (mean > 0).astype(float))
    value = jnp.where(noisy, mean * below + spread * density, jnp.maximum(mean, 0))
    return Smoothed(value, step, jnp.where(noisy, density / spread, 0.0), step)


RELU = Pair(two_point=two_point, four_point=four_point, smooth=smooth)
