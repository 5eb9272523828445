"""Expectations of one sample's gradient that drift and corrector are made of."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Expectations(NamedTuple):
    """At unit step, as dim -> infinity; a leading axis where there are several estimates.

    ``gf`` and ``gs`` are of the whole gradient in the rows (g Xᵀ, ridge, and what else there is),
    ``gg`` of g alone: Cov(gradient) grows by gg in every direction outside the span.
    """

    h: Float[Array, "*estimates layer"]  # E dl/dv
    gf: Float[Array, "*estimates width directions"]  # E gradient Fᵀ
    gs: Float[Array, "*estimates width width"]  # E gradient Rᵀ
    gg: Float[Array, "*estimates width width"]  # E g gᵀ |X|²/dim

    @classmethod
    def zeros(cls, layer: int, width: int, directions: int) -> "Expectations":
        """One estimate of nothing."""
        shapes = ((layer,), (width, directions), (width, width), (width, width))
        return cls(*(jnp.zeros((1, *shape)) for shape in shapes))

    def mean(self) -> "Expectations":
        """Over the leading axis."""
        return jax.tree.map(lambda x: jnp.mean(x, axis=0), self)

    def deviations(self) -> "Expectations":
        """Whose squares add up to the squared standard error of the mean, linear map or not."""
        count = len(self.h)
        scale = 1 / jnp.sqrt(1.0 * count * max(count - 1, 1))
        return jax.tree.map(lambda x: scale * (x - jnp.mean(x, axis=0)), self)
