"""Gradients of real parameters as the paper writes them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits.models.base import AbstractModel


def literal_mean(
    model: AbstractModel,
    batch: int,
    parameters: PyTree,
    frame: Float[Array, "directions dim"],
    key: Key[Array, ""],
) -> PyTree:
    """Over a batch of fresh samples."""
    gradient = lambda key: model.literal_gradient(parameters, frame, key)  # noqa: E731
    if batch == 1:
        return gradient(key)
    each = jax.lax.map(gradient, jax.random.split(key, batch))
    return jax.tree.map(lambda g: jnp.mean(g, axis=0), each)
