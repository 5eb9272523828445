"""Covariance of one step's increments on inputs with several eigenvalues, as dim -> infinity.

Given the total fields y of a sample, those of a block w_j = (f_j, s_j) are Gaussian: their mean is
linear in y, and what is left has the covariance delta_jl tau_j S_j - A_j A_lᵀ.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.small_linalg import solve_lower
from sgdlimits.models.base import PlainStep
from sgdlimits.models.class_nodes import ClassNodes
from sgdlimits.statistics.block_overlaps import BlockStatistics

if TYPE_CHECKING:
    from sgdlimits.models.block_model import BlockModel


class IncrementNodes(NamedTuple):
    """Nodes, the factor of the fields they stand for, and which of (f, s) these are, in order."""

    at: ClassNodes
    factor: Float[Array, "fields fields"]
    order: np.ndarray


def increment_covariance(
    model: "BlockModel",
    u: BlockStatistics,
    plain: PlainStep,
    c: Array,
    nodes: IncrementNodes,
) -> tuple[Float[Array, " statistics"], Float[Array, "statistics statistics"]]:
    """Mean and second moments of increment/delta in class c, for one sample a step."""
    at, factor, order = nodes
    blocks, p, r = u.M.shape
    gram, a, tau = model.blocks.gram, jnp.asarray(model.data.coefficients)[c], model.tau[c]
    z, weight = at.nodes.together
    g, h = model.base.gradients_at(u.v, at.s(z), at.labels(model.law_of_fields, z))
    own = jnp.concatenate(
        [
            jnp.concatenate([gram, jnp.swapaxes(u.M, 1, 2)], axis=2),
            jnp.concatenate([u.M, u.Q], axis=2),
        ],
        axis=1,
    )
    own = tau[:, None, None] * own  # (blocks, r + p, r + p): covariance of w_j with all fields
    n, size = len(factor), r + p
    seen = own[:, order]
    flat = jnp.moveaxis(seen, 1, 0).reshape(n, blocks * size)
    A = solve_lower(factor, flat).T  # (blocks (r + p), fields)
    mean = jnp.concatenate([gram @ a, u.M @ a], axis=1).reshape(-1)
    w = (mean[:, None] + A @ z[:n]).reshape(blocks, size, -1)
    f, s = w[:, :r], w[:, r:]
    ridge, upper = model.ridge, np.triu_indices(p)
    in_M = -(g[None, :, None] * f[:, None] + ridge * u.M[..., None])
    gs = g[None, :, None] * s[:, None]
    gain = plain.step * (tau * model.blocks.fractions)[:, None, None, None]
    in_Q = gain * g[:, None] * g - gs - jnp.swapaxes(gs, 1, 2) - 2 * ridge * u.Q[..., None]
    in_v = -plain.rate * (h + ridge * u.v[:, None])
    upper_Q = in_Q[:, upper[0], upper[1]].reshape(-1, len(weight))
    rows = jnp.concatenate([in_v, in_M.reshape(-1, len(weight)), upper_Q])
    second = (weight * rows) @ rows.T
    rest = -(A @ A.T).reshape(blocks, size, blocks, size)
    rest = rest.at[jnp.arange(blocks), :, jnp.arange(blocks)].add(own)
    kicks = (weight * g) @ g.T
    each = jnp.einsum("ik,jalb->jialkb", kicks, rest).reshape(2 * (blocks * p * size,))
    onto = jnp.asarray(_onto(blocks, p, r, model.layer_size))
    second = second + onto @ each @ onto.T
    return rows @ weight, (second + second.T) / 2


def _onto(blocks: int, p: int, r: int, layer: int) -> Float[np.ndarray, "statistics products"]:
    """Increments of the statistics from the products g_i w_jb, (blocks, p, r + p) in a row."""
    number = np.arange(blocks * p * (r + p)).reshape(blocks, p, r + p)
    rows, columns = np.triu_indices(p)
    count = blocks * len(rows)
    onto = np.zeros((layer + blocks * p * r + count, number.size))
    M = layer + np.arange(blocks * p * r)
    onto[M, number[:, :, :r].ravel()] = -1
    Q = layer + blocks * p * r + np.arange(count)
    np.add.at(onto, (Q, number[:, rows, r + columns].ravel()), -1)
    np.add.at(onto, (Q, number[:, columns, r + rows].ravel()), -1)
    return onto
