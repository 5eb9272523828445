"""Rows beside a frame, block by block: random ones, and vectors with given overlaps.

Blocks may be small: in d_j dimensions, r_j of them the frame's, what rows have outside the frame
has rank d_j - r_j at most.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Key

from sgdlimits.data.blocks import Blocks
from sgdlimits.expectations.small_linalg import solve_lower
from sgdlimits.statistics.block_overlaps import BlockStatistics


def random_rows(
    key: Key[Array, ""],
    dim: Float[Array, ""],
    sizes: Integer[Array, " blocks"],
    blocks: Blocks,
    width: int,
) -> tuple[Float[Array, "blocks width r"], Float[Array, "blocks width width"]]:
    """(M, Q) of rows w_i ~ N(0, I/dim): Gaussian blocks, and Wishart ones (Bartlett)."""
    key_b, key_lower, key_squares = jax.random.split(key, 3)
    roots = blocks.roots
    count, r = len(roots), roots.shape[-1]
    inside = jnp.diagonal(roots, axis1=1, axis2=2) > 0
    B = jax.random.normal(key_b, (count, width, r)) / jnp.sqrt(dim)
    B = jnp.where(inside[:, None, :], B, 0.0)
    dof = (sizes - jnp.sum(inside, axis=1))[:, None] - jnp.arange(width)
    there = dof > 0
    halves = jnp.where(there, dof, 1).astype(float) / 2
    squares = jnp.where(there, 2 * jax.random.gamma(key_squares, halves), 0.0)
    lower = jnp.tril(jax.random.normal(key_lower, (count, width, width)), -1)
    lower = jnp.where(there[:, None, :], lower, 0.0)
    lower = lower + jnp.sqrt(squares)[:, :, None] * jnp.eye(width)
    rest = lower @ jnp.swapaxes(lower, 1, 2) / dim
    return B @ jnp.swapaxes(roots, 1, 2), B @ jnp.swapaxes(B, 1, 2) + rest


def coordinates(
    M: Float[Array, "width r"], Q: Float[Array, "width width"], root: Float[Array, "r r"]
) -> tuple[Float[Array, "width r"], Float[Array, "width width"]]:
    """(B, rest) in one block: M = B rootᵀ, Q = B Bᵀ + rest."""
    B = solve_lower(root, M.T).T
    return B, Q - B @ B.T


def lift_rows(
    key: Key[Array, ""], u: BlockStatistics, blocks: Blocks, frame: Float[Array, "r dim"]
) -> Float[Array, "width dim"]:
    """Rows with these overlaps; what is free is uniform orthogonal to the frame's parts."""
    width, dim = u.M.shape[1], frame.shape[1]
    places, roots = blocks.places(dim), blocks.roots
    padding = max(0, width - places.at.shape[1])
    pad = lambda x: jnp.pad(x, ((0, 0), (0, 0), (0, padding)))  # noqa: E731
    real = jnp.pad(jnp.asarray(places.real), ((0, 0), (0, padding)))
    free = jnp.asarray(places.real.sum(1)) - jnp.sum(
        jnp.diagonal(roots, axis1=1, axis2=2) > 0, axis=1
    )
    normals = jax.random.normal(key, (len(roots), width, real.shape[1]))

    def one(M: Array, Q: Array, root: Array, part: Array, real: Array, free: Array, z: Array):
        B, basis = solve_lower(root, M.T).T, solve_lower(root, part)
        z = jnp.where(real, z, 0.0)
        for _ in range(2):  # twice: orthogonal to rounding
            z = z - (z @ basis.T) @ basis
        orthonormal, _ = jnp.linalg.qr(z.T)
        values, vectors = jnp.linalg.eigh(Q - B @ B.T)
        values, vectors = values[::-1], vectors[:, ::-1]  # the largest in the first directions
        values = jnp.where(jnp.arange(len(values)) < free, jnp.maximum(values, 0.0), 0.0)
        return B @ basis + (vectors * jnp.sqrt(values)) @ orthonormal.T

    parts = jax.vmap(one)(u.M, u.Q, roots, pad(blocks.along(frame)), real, free, normals)
    parts = jnp.moveaxis(parts[..., : places.at.shape[1]], 1, 0)
    parts = jnp.where(places.real, parts, 0.0)
    return jnp.zeros((width, dim)).at[:, places.at].add(parts)
