"""An activation averaged over Gaussian noise on its argument.

For xi ~ N(0, 1): E[sigma(mu + sqrt(q) xi)], the same of sigma', sigma'' and sigma'^2. sigma'' is
meant as the derivative of the second in mu, which exists at kinks too (for q > 0).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.activations import AbstractActivation
from sgdlimits.expectations.pairs import pair_of
from sgdlimits.expectations.pairs.base import Smoothed
from sgdlimits.expectations.truncated_gauss import C_MAX, truncated_gauss

_NODES = 40  # Gauss-Hermite, smooth activations
_SIDE = 12  # Gauss nodes on either side of a kink


def smooth(
    activation: AbstractActivation, mean: Float[Array, "*shape"], variance: Float[Array, "*shape"]
) -> Smoothed:
    """By formula if the activation has one, else by Gauss rules (one kink at most)."""
    nodes = _kinked if activation.kinks else _quadrature
    average = pair_of(activation, activation).smooth or nodes
    return average(activation, mean, variance)


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
