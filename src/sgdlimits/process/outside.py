"""The part of a batch outside the span of frame and rows: only its Gram matrix matters.

In nu dimensions outside of the span, kicks K Xᵀ of a batch add K X Xᵀ Kᵀ to the rows' overlaps,
whose law is that of C T Tᵀ Cᵀ for any C with C Cᵀ = K Kᵀ and T Tᵀ ~ Wishart_q(I, nu): T is lower
triangular with chi's on its diagonal (Bartlett 1933), whatever the size of the batch.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.randomness.chi_square import ChiSquare


class OutsideGram(eqx.Module):
    """Law of T for q rows (of the chi-square itself for one sample a step), from normals.

    Args:
        dof: nu.
        rank: q; 1 for one sample a step.
        single: whether a step has one sample.
    """

    squares: tuple[ChiSquare, ...]
    rank: int = eqx.field(static=True)
    single: bool = eqx.field(static=True)

    def __init__(self, dof: int, rank: int = 1, *, single: bool = True):
        self.rank, self.single = 1 if single else rank, single
        # In less than q dimensions the last columns of T vanish.
        self.squares = tuple(ChiSquare(max(dof - j, 0)) for j in range(self.rank))

    @property
    def normals(self) -> int:
        """Standard normals that one draw consumes."""
        return sum(square.normals for square in self.squares) + self.rank * (self.rank - 1) // 2

    def from_normals(self, z: Float[Array, "normals steps"]) -> Float[Array, "steps *shape"]:
        """Draws: chi-squares (steps,) for one sample a step, else T (steps, rank, rank)."""
        squares, first = [], 0
        for square in self.squares:
            squares.append(square.from_normals(z[first : first + square.normals]))
            first += square.normals
        if self.single:
            return squares[0]
        rows = []
        for i in range(self.rank):
            below = [jnp.where(self.squares[j].mean > 0, z[first + j], 0.0) for j in range(i)]
            first += i
            above = [jnp.zeros_like(squares[0])] * (self.rank - 1 - i)
            rows.append(jnp.stack([*below, jnp.sqrt(squares[i]), *above], axis=-1))
        return jnp.stack(rows, axis=-2)
