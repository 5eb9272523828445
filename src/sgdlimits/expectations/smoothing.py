"""An activation averaged over Gaussian noise on its argument.

For xi ~ N(0, 1): E[sigma(mu + sqrt(q) xi)], the same of sigma', sigma'' and sigma'^2. sigma'' is
meant as the derivative of the second in mu, which exists at kinks too (for q > 0).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.activations import AbstractActivation, Erf, Polynomial, Relu
from sgdlimits.expectations.truncated_gauss import C_MAX, truncated_gauss

_NODES = 40  # Gauss-Hermite, smooth activations
_SIDE = 12  # Gauss nodes on either side of a kink


class Smoothed(NamedTuple):
    """Averages over the noise."""

    value: Float[Array, "*shape"]
    slope: Float[Array, "*shape"]
    bend: Float[Array, "*shape"]
    slope2: Float[Array, "*shape"]


def smooth(
    activation: AbstractActivation, mean: Float[Array, "*shape"], variance: Float[Array, "*shape"]
) -> Smoothed:
    """By formula for erf, ReLU and polynomials; Gauss rules otherwise (one kink at most)."""
    if isinstance(activation, Erf):
        return _erf(mean, variance)
    if isinstance(activation, Relu):
        return _relu(mean, variance)
    if isinstance(activation, Polynomial):
        return _polynomial(activation, mean, variance)
    if activation.kinks:
        return _kinked(activation, mean, variance)
    return _quadrature(activation, mean, variance)


def _erf(mean: Array, variance: Array) -> Smoothed:
    wide, wider = 1 + variance, 1 + 2 * variance
    slope = jnp.sqrt(2 / (math.pi * wide)) * jnp.exp(-mean * mean / (2 * wide))
    return Smoothed(
        jax.scipy.special.erf(mean / jnp.sqrt(2 * wide)),
        slope,
        -mean * slope / wide,
        2 / math.pi / jnp.sqrt(wider) * jnp.exp(-mean * mean / wider),
    )


def _relu(mean: Array, variance: Array) -> Smoothed:
    noisy = variance > 0
    spread = jnp.sqrt(jnp.where(noisy, variance, 1.0))
    z = mean / spread
    density = jnp.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    below = jax.scipy.special.ndtr(z)
    step = jnp.where(noisy, below, jnp.heaviside(mean, 0.5))
    value = jnp.where(noisy, mean * below + spread * density, jnp.maximum(mean, 0))
    return Smoothed(value, step, jnp.where(noisy, density / spread, 0.0), step)


def _polynomial(activation: Polynomial, mean: Array, variance: Array) -> Smoothed:
    slope = activation.derivative
    squared = np.polynomial.polynomial.polymul(slope.coefficients, slope.coefficients)
    parts = (activation, slope, slope.derivative, Polynomial(squared.tolist()))
    return Smoothed(*(smoothed_polynomial(part, mean, variance) for part in parts))


def smoothed_polynomial(
    polynomial: Polynomial, mean: Float[Array, "*shape"], variance: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """E[c(mean + sqrt(variance) xi)], a polynomial in both."""
    total = jnp.zeros(jnp.broadcast_shapes(mean.shape, variance.shape))
    for power, c in enumerate(polynomial.coefficients):
        for pairs in range(power // 2 + 1) if c else ():
            ways = math.factorial(power) / (
                math.factorial(power - 2 * pairs) * math.factorial(pairs) * 2**pairs
            )
            total = total + c * ways * variance**pairs * mean ** (power - 2 * pairs)
    return total


def _quadrature(activation: AbstractActivation, mean: Array, variance: Array) -> Smoothed:
    z, w = np.polynomial.hermite_e.hermegauss(_NODES)
    weight = jnp.asarray(w / w.sum())
    x = mean[..., None] + jnp.sqrt(jnp.maximum(variance, 0))[..., None] * jnp.asarray(z)
    slope, bend = jax.jvp(activation.slope, (x,), (jnp.ones_like(x),))
    return Smoothed(*(y @ weight for y in (activation(x), slope, bend, slope * slope)))


def _kinked(activation: AbstractActivation, mean: Array, variance: Array) -> Smoothed:
    (kink,) = activation.kinks
    noisy = variance > 0
    spread = jnp.sqrt(jnp.where(noisy, variance, 1.0))
    cut = jnp.clip((kink - mean) / spread, -C_MAX, C_MAX)
    z, weight = truncated_gauss(cut, _SIDE)
    x = mean[..., None] + spread[..., None] * jnp.where(noisy[..., None], z, 0.0)
    slope = activation.slope(x)
    # Integration by parts: the derivative of the smoothed slope without sigma''.
    bend = jnp.where(noisy, jnp.sum(weight * slope * z, axis=-1) / spread, 0.0)
    value, first, second = (
        jnp.sum(weight * y, axis=-1) for y in (activation(x), slope, slope * slope)
    )
    return Smoothed(value, first, bend, second)
