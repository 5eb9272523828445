"""Statistics of two-layer networks: second layer, overlaps with the frame, and with each other."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.statistics.base import AbstractStatistics, Label, numeric


class Parameters(NamedTuple):
    """Real parameters: second layer v (layer,) and first layer W (width, dim)."""

    v: Array
    W: Array


class Coordinates(NamedTuple):
    """v, coordinates of the rows in the frame's span, and Gram matrix of the rest of them."""

    v: Array
    B: Array
    rest: Array


class Statistics(AbstractStatistics):
    """Second layer v, overlaps M = W Fᵀ and Q = W Wᵀ, with any leading batch axes.

    Args:
        v: second layer (or any finite rest), shape (..., layer); length 0 if there is none.
        M: overlaps of the p neurons with the r fixed directions, shape (..., p, r).
        Q: overlaps of the neurons with each other, symmetric, shape (..., p, p).
    """

    v: Float[Array, "*batch layer"] = eqx.field(converter=numeric("v"))
    M: Float[Array, "*batch neurons directions"] = eqx.field(converter=numeric("M"))
    Q: Float[Array, "*batch neurons neurons"] = eqx.field(converter=numeric("Q"))

    dims: ClassVar = {
        "v": ("weight",),
        "M": ("neuron", "direction"),
        "Q": ("neuron", "other_neuron"),
    }
    labels: ClassVar = {
        "v": Label(r"$v$", "second layer"),
        "M": Label(r"$M$", "overlaps of the neurons with the fixed directions, W Fᵀ"),
        "Q": Label(r"$Q$", "overlaps of the neurons with each other, W Wᵀ"),
    }

    def R_perp(self, G: Float[Array, "directions directions"]) -> Float[Array, "*batch n n"]:
        """Q - M G⁻¹ Mᵀ: overlaps of the parts of the neurons orthogonal to the directions."""
        solved = jnp.linalg.solve(jnp.asarray(G), jnp.swapaxes(self.M, -1, -2))
        return self.Q - self.M @ solved

    @property
    def names(self) -> tuple[str, ...]:
        """v_i, M_ij and Q_ij with i <= j, counted from 1."""
        layer, (p, r) = self.v.shape[-1], self.M.shape[-2:]
        rows, columns = np.triu_indices(p)
        return (
            *(f"v_{i + 1}" for i in range(layer)),
            *(f"M_{i + 1}{j + 1}" for i in range(p) for j in range(r)),
            *(f"Q_{i + 1}{j + 1}" for i, j in zip(rows, columns, strict=True)),
        )

    @property
    def vector(self) -> Float[Array, "*batch statistics"]:
        """v, then M by rows, then the upper triangle of Q by rows."""
        p = self.Q.shape[-1]
        rows, columns = np.triu_indices(p)
        flat = self.M.reshape(*self.M.shape[:-2], -1)
        return jnp.concatenate([self.v, flat, self.Q[..., rows, columns]], axis=-1)

    def with_vector(self, vector: Float[Array, "*batch statistics"]) -> "Statistics":
        """The statistics of this shape with the given vector."""
        layer, (p, r) = self.v.shape[-1], self.M.shape[-2:]
        rows, columns = np.triu_indices(p)
        position = np.zeros((p, p), dtype=int)
        position[rows, columns] = np.arange(len(rows))
        position[columns, rows] = np.arange(len(rows))
        batch = vector.shape[:-1]
        upper = vector[..., layer + p * r :]
        return Statistics(
            vector[..., :layer],
            vector[..., layer : layer + p * r].reshape(*batch, p, r),
            upper[..., position],
        )
