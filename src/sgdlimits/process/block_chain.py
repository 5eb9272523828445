"""The exact chain on inputs with several eigenvalues: block by block, fields summed over blocks.

In block j a row is its coordinates B_j in the span of the frame's part and a rest outside it, of
which the Gram matrix matters. A sample has coordinates e_j and xi_j along both; all blocks share
the gradient, which sees the sums.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sgdlimits.data.blocks import Blocks
from sgdlimits.expectations.small_linalg import (
    MOST_UNROLLED,
    cholesky,
    cholesky_rows,
    dot,
    entries,
    solve_lower,
    stack,
)
from sgdlimits.process.outside import OutsideGram
from sgdlimits.statistics.block_overlaps import BlockStatistics

if TYPE_CHECKING:
    from sgdlimits.models.block_model import BlockModel

_MOST_BLOCKS = 64
_MOST_ENTRIES = 128  # of all blocks' rests, for a program that is written out

#: Preactivations of the batch -> (shrink, kick, v after the step).
Decide = Callable[[Float[Array, "rows *batch"]], tuple[Array, Array, Array]]


class BlockCoordinates(NamedTuple):
    """v; block by block coordinates in the frame's span, and the Gram matrix of the rest."""

    v: Float[Array, " layer"]
    B: Float[Array, "blocks rows directions"]
    rest: Float[Array, "blocks rows rows"]


class BlockSamples(NamedTuple):
    """The random numbers of one step's batch; the batch is the last axis, if there is one."""

    e: Float[Array, "blocks directions *batch"]
    xi: Float[Array, "blocks rows *batch"]
    deviation: Float[Array, "blocks *batch"]
    label: Float[Array, "outputs *batch"]
    outside: Float[Array, "blocks *rank"]


class Outside(eqx.Module):
    """Laws of the blocks' parts of samples that lie outside of rows and frame."""

    each: tuple[OutsideGram, ...]


def outside(blocks: Blocks, width: int, dim: int, single: bool) -> Outside:
    """Of the blocks in R^dim; see ``free_dimensions``."""
    free = free_dimensions(blocks, width, dim)
    return Outside(tuple(OutsideGram(x, width, single=single) for x in free))


def free_dimensions(blocks: Blocks, width: int, dim: int) -> list[int]:
    """Of the blocks outside of rows and frame, in R^dim.

    Raises:
        ValueError: for a block that cannot hold rows and frame, or too many blocks.
    """
    if blocks.count > _MOST_BLOCKS:
        raise ValueError(
            f"covariance: {blocks.count} eigenvalues; engine='chain' takes one step for each of "
            f"them, at most {_MOST_BLOCKS}. Use 'ode', 'sgd', or fewer eigenvalues."
        )
    sizes = blocks.spectrum.sizes(dim)
    free = sizes - np.array(blocks.ranks) - width
    if free.min() < 0:
        worst = int(free.argmin())
        needed = int(np.ceil((width + blocks.ranks[worst]) / blocks.spectrum.fractions[worst]))
        raise ValueError(
            f"dim={dim}: block {worst} (counted from 0) has {sizes[worst]} dimensions, fewer than "
            f"the {width} rows and {blocks.ranks[worst]} directions that engine='chain' keeps "
            f"there; take dim >= {needed}, or use engine='sgd'."
        )
    return free.tolist()


def coordinates(u: BlockStatistics, roots: Float[Array, "blocks r r"]) -> BlockCoordinates:
    """Of one state."""
    B = jax.vmap(lambda root, M: solve_lower(root, M.T).T)(roots, u.M)
    return BlockCoordinates(u.v, B, u.Q - B @ jnp.swapaxes(B, 1, 2))


def statistics(state: BlockCoordinates, roots: Float[Array, "blocks r r"]) -> BlockStatistics:
    """The inverse of ``coordinates``."""
    v, B, rest = state
    Q = B @ jnp.swapaxes(B, 1, 2) + rest
    return BlockStatistics(v, B @ jnp.swapaxes(roots, 1, 2), Q)


def draw(
    model: "BlockModel", batch: int, constants: Outside, key: Key[Array, ""], steps: int
) -> BlockSamples:
    """The random numbers of ``steps`` steps; every leaf has a leading axis of that length."""
    law, p, roots = model.data, model.width, model.blocks.roots
    blocks, r, count, noises = len(roots), law.directions, steps * batch, law.label_noises
    classes, key = law.split(key, count)
    key_outside, key = jax.random.split(key)
    z = jax.random.normal(key, (blocks * (r + p) + noises, count))
    inside, noise = z[: blocks * (r + p)].reshape(blocks, r + p, count), z[blocks * (r + p) :]
    deviation = jnp.sqrt(model.tau)[classes].T  # (blocks, samples)
    coloured = deviation[:, None] * inside
    # Zero columns of a root are no dimensions of the frame's part; nothing may look at them.
    there = jnp.diagonal(roots, axis1=1, axis2=2) > 0
    means = jnp.einsum("cr,jrk->jkc", jnp.asarray(law.coefficients), roots)[:, :, classes]
    e = means + jnp.where(there[..., None], coloured[:, :r], 0.0)
    xi = coloured[:, r:]
    f = jnp.einsum("jrk,jkn->nr", roots, e)
    label = jax.vmap(law.label)(classes, f, noise.T)
    normals = [jax.random.normal(k, (x.normals, steps)) for k, x in zip(
        jax.random.split(key_outside, blocks), constants.each, strict=True)]  # fmt: skip
    grams = [x.from_normals(z) for z, x in zip(normals, constants.each, strict=True)]
    gram = jnp.stack(grams, axis=1)
    if batch == 1:
        first = lambda x: jnp.moveaxis(x, -1, 0)  # noqa: E731
        scaled = first(deviation) ** 2 * gram
        return BlockSamples(first(e), first(xi), first(deviation), label, scaled)

    def by_step(x: Array) -> Array:  # samples on the last axis
        return jnp.moveaxis(x.reshape(*x.shape[:-1], steps, batch), -2, 0)

    return BlockSamples(by_step(e), by_step(xi), by_step(deviation), by_step(label.T), gram)


def advance(state: BlockCoordinates, samples: BlockSamples, decide: Decide) -> BlockCoordinates:
    """The state after the step. Rests are sums of squares: they stay positive semidefinite."""
    blocks, p, _ = state.B.shape
    if p > MOST_UNROLLED or blocks * p * p > _MOST_ENTRIES:
        return _as_matrices(state, samples, decide)
    return _by_entries(state, samples, decide)


def _by_entries(state: BlockCoordinates, samples: BlockSamples, decide: Decide) -> BlockCoordinates:
    """Written out: a few loops over the runs."""
    blocks, p, r = state.B.shape
    batched = samples.e.ndim > 2
    total = (lambda x: jnp.sum(x, axis=-1)) if batched else lambda x: x
    L = [cholesky_rows(rest) for rest in state.rest]
    b, e, xi = entries(state.B), list(map(list, samples.e)), list(map(list, samples.xi))
    s = [
        sum(dot(b[j][i], e[j]) + dot(L[j][i][: i + 1], xi[j][: i + 1]) for j in range(blocks))
        for i in range(p)
    ]
    shrink, kick, v = decide(jnp.stack(s))
    new, rests = [], []
    for j in range(blocks):
        inside = [
            [shrink * b[j][i][a] + total(kick[i] * e[j][a]) for a in range(r)] for i in range(p)
        ]
        new.append(stack(inside))
        moved = [
            [(shrink * L[j][i][k] if k <= i else 0.0) + total(kick[i] * xi[j][k]) for k in range(p)]
            for i in range(p)
        ]
        gain = _gain(kick, samples, j)
        lower = [[dot(moved[i], moved[k]) + gain(i, k) for k in range(i + 1)] for i in range(p)]
        rests.append(stack([[lower[max(i, k)][min(i, k)] for k in range(p)] for i in range(p)]))
    return BlockCoordinates(v, jnp.stack(new), jnp.stack(rests))


def _gain(kick: Array, samples: BlockSamples, j: int) -> Callable[[int, int], Array]:
    """Overlaps of what the rows gain outside the span in block j, entry by entry."""
    outside, p = samples.outside[j], kick.shape[0]
    if kick.ndim == 1:
        return lambda i, k: outside * kick[i] * kick[k]
    scaled = [kick[i] * samples.deviation[j] for i in range(p)]
    gram = [[jnp.sum(scaled[i] * scaled[k], axis=-1) for k in range(p)] for i in range(p)]
    C, T = cholesky_rows(stack(gram)), entries(outside)
    gain = [[dot(C[i][k : i + 1], [T[m][k] for m in range(k, i + 1)]) for k in range(i + 1)]
            for i in range(p)]  # fmt: skip
    return lambda i, k: dot(gain[i][: k + 1], gain[k])


def _as_matrices(
    state: BlockCoordinates, samples: BlockSamples, decide: Decide
) -> BlockCoordinates:
    factors = jax.vmap(cholesky)(state.rest)
    see = lambda B, L, e, xi: B @ e + L @ xi  # noqa: E731
    s = jnp.sum(jax.vmap(see)(state.B, factors, samples.e, samples.xi), axis=0)
    shrink, kick, v = decide(s)

    def one(B: Array, L: Array, e: Array, xi: Array, deviation: Array, outside: Array):
        if kick.ndim == 1:
            B, L = shrink * B + kick[:, None] * e, shrink * L + kick[:, None] * xi
            return B, L @ L.T + outside * kick[:, None] * kick
        scaled = kick * deviation
        gain = cholesky(scaled @ scaled.T) @ outside
        B, L = shrink * B + kick @ e.T, shrink * L + kick @ xi.T
        return B, L @ L.T + gain @ gain.T

    parts = (samples.e, samples.xi, samples.deviation, samples.outside)
    B, rest = jax.vmap(one)(state.B, factors, *parts)
    return BlockCoordinates(v, B, (rest + jnp.swapaxes(rest, 1, 2)) / 2)
