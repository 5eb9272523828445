"""An activation averaged over Gaussian noise on its argument.

For xi ~ N(0, 1): E[sigma(mu + sqrt(q) xi)], the same of sigma', sigma'' and sigma'^2. sigma'' is
meant as the derivative of the second in mu, which exists at kinks too (for q > 0; 0 for q = 0).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.expectations.activations import AbstractActivation
from sgdlimits.expectations.own_points import own_points
from sgdlimits.expectations.pairs import pair_of
from sgdlimits.expectations.pairs.base import Smoothed
from sgdlimits.expectations.panels import nodes_around

_ORDER = 8  # nodes in a panel


def smooth(
    activation: AbstractActivation, mean: Float[Array, "*shape"], variance: Float[Array, "*shape"]
) -> Smoothed:
    """By formula if the activation has one, else by Gauss rules on panels."""
    average = pair_of(activation, activation).smooth or _quadrature
    return average(activation, mean, variance)


def _quadrature(activation: AbstractActivation, mean: Array, variance: Array) -> Smoothed:
    noisy = variance > 0
    spread = jnp.where(noisy, jnp.sqrt(jnp.where(noisy, variance, 1.0)), 0.0)
    axis = nodes_around(mean, spread, own_points(activation), _ORDER)
    x = mean[..., None] + spread[..., None] * axis.z
    slope = activation.slope(x)
    # Integration by parts: the derivative of the smoothed slope without sigma''.
    bend = axis.covariance(slope) / jnp.where(noisy, spread, 1.0)
    return Smoothed(
        axis.mean(activation(x)), axis.mean(slope), jnp.where(noisy, bend, 0.0),
        axis.mean(slope * slope),
    )  # fmt: skip
