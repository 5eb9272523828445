"""Statistics of networks on inputs with several eigenvalues: overlaps block by block."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.statistics.base import AbstractStatistics, Label, numeric


class BlockStatistics(AbstractStatistics):
    """Second layer v, and overlaps M_j = W_j F_jᵀ, Q_j = W_j W_jᵀ of the rows' parts in block j.

    Args:
        v: second layer (or any finite rest), shape (..., layer); length 0 if there is none.
        M: shape (..., blocks, p, r); the sum over blocks is W Fᵀ.
        Q: shape (..., blocks, p, p), symmetric; the sum over blocks is W Wᵀ.
    """

    v: Float[Array, "*batch layer"] = eqx.field(converter=numeric("v"))
    M: Float[Array, "*batch blocks neurons directions"] = eqx.field(converter=numeric("M"))
    Q: Float[Array, "*batch blocks neurons neurons"] = eqx.field(converter=numeric("Q"))

    dims: ClassVar = {
        "v": ("weight",),
        "M": ("block", "neuron", "direction"),
        "Q": ("block", "neuron", "other_neuron"),
    }
    labels: ClassVar = {
        "v": Label(r"$v$", "second layer"),
        "M": Label(r"$M_j$", "overlaps of the neurons with the fixed directions, block by block"),
        "Q": Label(r"$Q_j$", "overlaps of the neurons with each other, block by block"),
    }

    @property
    def names(self) -> tuple[str, ...]:
        """v_i, then for every block M_ij and Q_ij with i <= j, all counted from 1."""
        layer, (blocks, p, r) = self.v.shape[-1], self.M.shape[-3:]
        rows, columns = np.triu_indices(p)
        return (
            *(f"v_{i + 1}" for i in range(layer)),
            *(f"M_{i + 1}{k + 1}_block{j + 1}" for j in range(blocks) for i in range(p)
              for k in range(r)),
            *(f"Q_{i + 1}{k + 1}_block{j + 1}" for j in range(blocks)
              for i, k in zip(rows, columns, strict=True)),
        )  # fmt: skip

    @property
    def vector(self) -> Float[Array, "*batch statistics"]:
        """v, then M block by block, then the upper triangles of Q block by block."""
        rows, columns = np.triu_indices(self.Q.shape[-1])
        batch = self.M.shape[:-3]
        upper = self.Q[..., rows, columns].reshape(*batch, -1)
        return jnp.concatenate([self.v, self.M.reshape(*batch, -1), upper], axis=-1)

    def with_vector(self, vector: Float[Array, "*batch statistics"]) -> "BlockStatistics":
        """The statistics of this shape with the given vector."""
        layer, (blocks, p, r) = self.v.shape[-1], self.M.shape[-3:]
        rows, columns = np.triu_indices(p)
        position = np.zeros((p, p), dtype=int)
        position[rows, columns] = position[columns, rows] = np.arange(len(rows))
        batch = vector.shape[:-1]
        split = layer + blocks * p * r
        upper = vector[..., split:].reshape(*batch, blocks, len(rows))
        return BlockStatistics(
            vector[..., :layer],
            vector[..., layer:split].reshape(*batch, blocks, p, r),
            upper[..., position],
        )
