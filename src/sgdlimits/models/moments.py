"""Expectations over one sample that drift and corrector of a multi-index model are made of."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Moments(NamedTuple):
    """At unit step: increments are minus delta times these. Leading axis: a rule's replicates."""

    h: Float[Array, "*replicates layer"]  # E dl/dv
    gf: Float[Array, "*replicates width directions"]  # E g fᵀ, g = dl/ds
    gs: Float[Array, "*replicates width width"]  # E g sᵀ
    gg: Float[Array, "*replicates width width"]  # E g gᵀ/snr

    @classmethod
    def zeros(cls, layer: int, width: int, directions: int) -> "Moments":
        """One replicate of nothing."""
        shapes = ((layer,), (width, directions), (width, width), (width, width))
        return cls(*(jnp.zeros((1, *shape)) for shape in shapes))
