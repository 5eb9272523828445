"""Random numbers of a step in the few coordinates that it sees, block by block, for any rule."""

from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sgdlimits.process.block_chain import free_dimensions
from sgdlimits.process.wide_outside import NarrowOutside, WideOutside, outside_of

if TYPE_CHECKING:
    from sgdlimits.models.block_model import BlockModel


class BlockOutside(eqx.Module):
    """Of every block, Gram matrices of vectors outside of the span of rows and frame.

    Args:
        each: their laws.
        dof: dimensions.
    """

    each: tuple[NarrowOutside | WideOutside, ...]
    dof: Float[Array, " blocks"]


def block_outside(model: "BlockModel", rows: int, vectors: int, dim: int) -> BlockOutside:
    """Of so many vectors.

    Raises:
        ValueError: for blocks that are too small or too many.
    """
    free = free_dimensions(model.blocks, rows, dim)
    laws = tuple(outside_of(dof, vectors) for dof in free)
    return BlockOutside(laws, jnp.asarray(free, float))


class BlockSpanSamples(NamedTuple):
    """Of one step: samples and noises, one after the other on the second to last axis."""

    inside: Float[Array, "blocks vectors directions_and_rows"]  # in orthonormal bases of the spans
    deviation: Float[Array, "blocks batch"]  # of each coordinate of a sample outside of them
    outside: tuple[Array, ...]  # of vectors of deviation 1 there: see ``outside_of``
    dof: Float[Array, " blocks"]  # of what is there
    label: Float[Array, "batch outputs"]
    layer_noise: Float[Array, " layer"]

    def factors(self, vectors: int) -> Float[Array, "blocks vectors vectors"]:
        """T_j of this step, which may be drawn here, from a key."""
        each = zip(self.outside, self.dof, strict=True)
        return jnp.stack([T if T.ndim > 1 else WideOutside(x, vectors).factor(T) for T, x in each])


def draw_block_samples(
    model: "BlockModel",
    rows: int,
    batch: int,
    noises: int,
    outside: BlockOutside,
    key: Key[Array, ""],
    steps: int,
) -> BlockSpanSamples:
    """Of ``steps`` steps; every leaf has a leading axis of that length.

    ``noises`` vectors of standard normals follow the samples of every step.
    """
    law, roots = model.data, model.blocks.roots
    blocks, r, count, size = len(roots), law.directions, steps * batch, law.directions + rows
    classes, key = law.split(key, count)
    keys = jax.random.split(key, 5)
    # Zero columns of a root are no dimensions of the frame's part; nothing may look at them.
    inside_frame = jnp.diagonal(roots, axis1=1, axis2=2) > 0
    there = jnp.concatenate([inside_frame, jnp.ones((blocks, rows), bool)], axis=1)
    deviation = jnp.sqrt(model.tau)[classes]
    z = deviation[..., None] * jax.random.normal(keys[0], (count, blocks, size))
    means = jnp.einsum("cr,jrk->cjk", jnp.asarray(law.coefficients), roots)[classes]
    x = jnp.where(there, z, 0.0).at[..., :r].add(means)
    f = jnp.einsum("jrk,njk->nr", roots, x[..., :r])
    label_noise = jax.random.normal(keys[1], (count, law.label_noises))
    label = jax.vmap(law.label)(classes, f, label_noise)
    more = jax.random.normal(keys[2], (steps, noises, blocks, size))
    x = jnp.concatenate(
        [x.reshape(steps, batch, blocks, size), jnp.where(there, more, 0.0)], axis=1
    )
    own = jax.random.split(keys[3], blocks)
    grams = tuple(law.draw(key, steps) for law, key in zip(outside.each, own, strict=True))
    layer_noise = jax.random.normal(keys[4], (steps, model.layer_size if noises else 0))
    return BlockSpanSamples(
        jnp.swapaxes(x, 1, 2),
        jnp.swapaxes(deviation.reshape(steps, batch, blocks), 1, 2),
        grams,
        jnp.broadcast_to(outside.dof, (steps, blocks)),
        label.reshape(steps, batch, -1),
        layer_noise,
    )
