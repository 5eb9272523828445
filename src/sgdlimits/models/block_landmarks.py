"""Random overlaps in blocks: wide ones to search fixed points from, and those near a state."""

import jax
import numpy as np

from sgdlimits.data.blocks import Blocks
from sgdlimits.models.block_rows import coordinates
from sgdlimits.statistics.block_overlaps import BlockStatistics

_APART = 0.5  # of blocks from each other, in units of what they have in common


def wide(
    template: BlockStatistics, blocks: Blocks, rng: np.random.Generator, count: int
) -> BlockStatistics:
    """Overlaps of order one, alike in all blocks up to a part; half of them with small rests."""
    p, r = template.M.shape[-2:]
    roots = np.asarray(blocks.roots)
    shares = np.sqrt(np.array(blocks.spectrum.fractions))[:, None, None]
    shape = (count, blocks.count)

    def normal(*size: int) -> np.ndarray:
        alike = rng.standard_normal((count, 1, *size))
        return (alike + _APART * rng.standard_normal((*shape, *size))) / np.hypot(1.0, _APART)

    shrink = np.where(np.arange(count) % 2 == 0, 1.0, 10 ** rng.uniform(-4, 0, count))
    factor = normal(p, p) * shares * np.sqrt(shrink / p)[:, None, None, None]
    inside = np.diagonal(roots, axis1=1, axis2=2) > 0
    B = 1.5 * np.where(inside[:, None], normal(p, r), 0.0)
    v = 1.5 * rng.standard_normal((count, template.v.size))
    Q = B @ np.swapaxes(B, -1, -2) + factor @ np.swapaxes(factor, -1, -2)
    return BlockStatistics(v, B @ np.swapaxes(roots, 1, 2), Q)


def near(
    u: BlockStatistics, blocks: Blocks, rng: np.random.Generator, count: int, radius: float
) -> BlockStatistics:
    """Moves v, coordinates in the frame's span, and the rests within the positive matrices."""
    J, p, r = u.M.shape
    roots = np.asarray(blocks.roots)
    inside = np.diagonal(roots, axis1=1, axis2=2) > 0
    dv = rng.standard_normal((count, u.v.shape[-1]))
    dB = np.where(inside[:, None], rng.standard_normal((count, J, p, r)), 0.0)
    factor = rng.standard_normal((count, J, p, p))
    scale = radius / np.sqrt((dv**2).sum(-1) + (dB**2).sum((-3, -2, -1)))
    B, rest = (np.asarray(x) for x in jax.vmap(coordinates)(u.M, u.Q, blocks.roots))
    B = B + scale[:, None, None, None] * dB
    rest = rest + scale[:, None, None, None] / (J * p) * factor @ np.swapaxes(factor, -1, -2)
    v = np.asarray(u.v) + scale[:, None] * dv
    M = B @ np.swapaxes(roots, 1, 2)
    return BlockStatistics(v, M, B @ np.swapaxes(B, -1, -2) + rest)


def relabelled(u: BlockStatistics, layer: int) -> list[BlockStatistics]:
    """Neighbouring neurons exchanged, with their entries of v if it has one for each."""
    found, p = [], u.Q.shape[-1]
    for i in range(p - 1):
        order = np.arange(p)
        order[[i, i + 1]] = i + 1, i
        v = u.v[..., order] if layer == p else u.v
        found.append(BlockStatistics(v, u.M[..., order, :], u.Q[..., order, :][..., order]))
    return found
