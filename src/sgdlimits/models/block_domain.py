"""The domain of overlaps in blocks: in every block those of real vectors."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.data.blocks import Blocks
from sgdlimits.statistics.block_overlaps import BlockStatistics
from sgdlimits.statistics.gram_domain import into_domain
from sgdlimits.statistics.overlaps import Statistics

_RANK = 1e-9  # of the squared norms in a block: what rounding leaves of a rest that is none


def check_block_overlaps(
    u: object, template: BlockStatistics, gram: Float[np.ndarray, "blocks r r"]
) -> None:
    """Raise unless ``u`` has the template's shapes and real vectors can realise it in every block.

    Raises:
        TypeError: if ``u`` is not ``BlockStatistics``.
        ValueError: for other shapes, entries that are not finite, Q_j that is not symmetric, or no
            Gram matrix together with M_j and G_j.
    """
    if not isinstance(u, BlockStatistics):
        raise TypeError(
            f"statistics={u!r}: expected BlockStatistics(v, M, Q), with a leading axis of blocks "
            "in M and Q."
        )
    batch = u.batch_shape
    for name, zero in (("v", template.v), ("M", template.M), ("Q", template.Q)):
        value = np.asarray(getattr(u, name))
        if value.shape[len(batch) :] != zero.shape:
            raise ValueError(
                f"statistics: {name} has shape {value.shape[len(batch) :]}, expected {zero.shape}."
            )
        if not np.isfinite(value).all():
            raise ValueError(f"statistics: {name} must be finite.")
    M, Q = np.asarray(u.M), np.asarray(u.Q)
    if not np.allclose(Q, np.swapaxes(Q, -1, -2), atol=1e-9):
        most = np.abs(Q - np.swapaxes(Q, -1, -2)).max()
        raise ValueError(f"statistics: Q must be symmetric; |Q_ij - Q_ji| is up to {most:.3g}.")
    G = np.broadcast_to(gram, (*batch, *gram.shape))
    joint = np.block([[G, np.swapaxes(M, -1, -2)], [M, Q]])
    least = np.linalg.eigvalsh(joint)[..., 0]
    scale = 1 + np.trace(np.abs(joint), axis1=-2, axis2=-1)
    if (least < -1e-8 * scale).any():
        block = int(np.unravel_index(np.argmin(least), least.shape)[-1])
        raise ValueError(
            f"statistics: not the overlaps of real vectors; in block {block} (counted from 0) the "
            f"Gram matrix [[G, Mᵀ], [M, Q]] has eigenvalue {least.min():.3g}, expected none "
            "below 0."
        )


def check_block_ranks(u: BlockStatistics, blocks: Blocks, dim: int) -> None:
    """Raise ValueError unless blocks of R^dim have room for rows with these overlaps."""
    M, Q = np.asarray(u.M), np.asarray(u.Q)
    inverse = np.linalg.pinv(np.asarray(blocks.gram), rcond=1e-10, hermitian=True)
    rest = np.linalg.eigvalsh(Q - M @ inverse @ np.swapaxes(M, -1, -2))
    scale = np.trace(Q, axis1=-2, axis2=-1)[..., None]
    needed = (rest > _RANK * scale).sum(-1) + np.array(blocks.ranks)
    short = needed - blocks.spectrum.sizes(dim)
    if (short > 0).any():
        block = int(np.unravel_index(np.argmax(short), short.shape)[-1])
        raise ValueError(
            f"dim={dim}: block {block} (counted from 0) has {blocks.spectrum.sizes(dim)[block]} "
            "dimensions, but rows and directions with these statistics span "
            f"{needed[..., block].max()} there; take a larger dim."
        )


def into_block_domain(u: BlockStatistics, roots: Float[Array, "blocks r r"]) -> BlockStatistics:
    """One state, block by block with Q made Q >= M G⁻¹ Mᵀ where it is not."""
    each = jax.vmap(lambda M, Q, root: into_domain(Statistics(u.v, M, Q), root).Q)
    return BlockStatistics(u.v, u.M, jnp.asarray(each(u.M, u.Q, roots)))
