"""The Gram matrix outside of the span for many vectors, drawn where a step needs it.

As ``OutsideGram``, which writes every entry out and holds those of many steps: here a step holds a
key. Chi-squares come from a rejection sampler.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sgdlimits.expectations.small_linalg import MOST_UNROLLED
from sgdlimits.process.outside import OutsideGram


class WideOutside(eqx.Module):
    """Law of the triangular T with T Tᵀ ~ Wishart_rank(I, dof).

    Args:
        dof: dimensions outside of the span.
        rank: vectors.
    """

    dof: Float[Array, ""]
    rank: int = eqx.field(static=True)

    def __init__(self, dof: int | Array, rank: int):
        self.dof, self.rank = jnp.asarray(dof, float), rank

    def draw(self, key: Key[Array, ""], steps: int) -> Array:
        """One key a step."""
        return jax.random.key_data(jax.random.split(key, steps))

    def factor(self, drawn: Array) -> Float[Array, "rank rank"]:
        """T of one step."""
        key, key_squares = jax.random.split(jax.random.wrap_key_data(drawn))
        lower = jnp.tril(jax.random.normal(key, (self.rank, self.rank)), -1)
        degrees = jnp.maximum(self.dof - jnp.arange(self.rank, dtype=float), 0.0)
        some = degrees > 0
        squares = 2 * jax.random.gamma(key_squares, jnp.where(some, degrees, 1.0) / 2)
        # In fewer dimensions than vectors the last columns vanish.
        return jnp.where(some, lower + jnp.diag(jnp.sqrt(squares)), 0.0)


class NarrowOutside(OutsideGram):
    """The same for few vectors."""

    def draw(self, key: Key[Array, ""], steps: int) -> Array:
        """T of every step."""
        return self.from_normals(jax.random.normal(key, (self.normals, steps)))


def outside_of(dof: int, rank: int) -> NarrowOutside | WideOutside:
    """For so many vectors."""
    if rank > MOST_UNROLLED:
        return WideOutside(dof, rank)
    return NarrowOutside(dof, rank, single=False)  # pyright: ignore
