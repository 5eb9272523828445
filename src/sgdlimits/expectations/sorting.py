"""Merge sorted lists of a few numbers by minima and maxima alone.

XLA's sort takes longer on a processor than all the rest of an integral by panels; this is a handful
of vectorised operations, and differentiable.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

_LARGE = 1e300


def merge(
    one: Float[Array, "*shape n"], other: Float[Array, "*shape m"]
) -> Float[Array, "*shape l"]:
    """Both, ascending, l = n + m: bitonic merge of two ascending lists."""
    n, m = one.shape[-1], other.shape[-1]
    size = 1 << (n + m - 1).bit_length()
    shape = jnp.broadcast_shapes(one.shape[:-1], other.shape[:-1])
    fill = jnp.full((*shape, size - n - m), _LARGE)
    parts = [
        jnp.broadcast_to(one, (*shape, n)),
        fill,
        jnp.broadcast_to(other[..., ::-1], (*shape, m)),
    ]
    x = jnp.concatenate(parts, axis=-1)
    step = size // 2
    while step:
        pairs = x.reshape(*shape, size // (2 * step), 2, step)
        low = jnp.minimum(pairs[..., 0, :], pairs[..., 1, :])
        high = jnp.maximum(pairs[..., 0, :], pairs[..., 1, :])
        x = jnp.stack([low, high], axis=-2).reshape(*shape, size)
        step //= 2
    return x[..., : n + m]
