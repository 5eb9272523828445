"""Where blocks of equal eigenvalues lie in R^dim, and the part of the frame in each of them."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits.data.spectrum import Spectrum
from sgdlimits.expectations.small_linalg import cholesky

_RELATIVE_ZERO = 1e-10  # of eigenvalues of a Gram matrix


class Places(NamedTuple):
    """Coordinates of every block, padded to the longest: at (blocks, longest) and which count.

    ``block``: of every coordinate.
    """

    at: np.ndarray
    real: np.ndarray
    block: np.ndarray


class Blocks(eqx.Module):
    """A spectrum, and Gram matrices G_j of the frame's parts in its blocks.

    Args:
        spectrum: eigenvalues and fractions.
        gram: G_j, (blocks, r, r).
    """

    spectrum: Spectrum
    gram: Float[Array, "blocks r r"]
    ranks: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, spectrum: Spectrum, gram: Float[np.ndarray, "blocks r r"]):
        self.spectrum, self.gram = spectrum, jnp.asarray(gram)
        values = np.linalg.eigvalsh(gram)
        self.ranks = tuple((values > _RELATIVE_ZERO * values.max(initial=0.0)).sum(1).tolist())

    @property
    def count(self) -> int:
        """How many blocks."""
        return self.spectrum.blocks

    @property
    def fractions(self) -> Float[Array, " blocks"]:
        """Of the dimensions."""
        return jnp.asarray(self.spectrum.fractions)

    @property
    def roots(self) -> Float[Array, "blocks r r"]:
        """Lower triangular R_j with G_j = R_j R_jᵀ; zero columns where G_j has a lower rank."""
        return jax.vmap(cholesky)(self.gram)

    @property
    def minimum_dim(self) -> int:
        """Smallest dimension in which every block holds its part of the frame."""
        each = zip(self.ranks, self.spectrum.fractions, strict=True)
        return max(int(np.ceil(max(rank, 1) / share - 1e-6)) for rank, share in each)

    def places(self, dim: int) -> Places:
        """Blocks follow each other."""
        sizes = self.spectrum.sizes(dim)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        along = np.arange(sizes.max())
        real = along < sizes[:, None]
        index = np.where(real, starts[:, None] + along, 0)
        return Places(index, real, np.repeat(np.arange(len(sizes)), sizes))

    def frame(self, dim: int) -> Float[Array, "r dim"]:
        """Rows whose parts have the Gram matrices G_j: in each block in its first coordinates."""
        places, r = self.places(dim), self.gram.shape[1]
        values, vectors = jnp.linalg.eigh(self.gram)
        largest_first = (vectors * jnp.sqrt(jnp.maximum(values, 0))[:, None, :])[..., ::-1]
        small = places.real.sum(1) < r
        parts = jnp.where(small[:, None, None], largest_first, self.roots)
        kept = min(r, places.at.shape[1])
        parts = jnp.where(places.real[:, None, :kept], parts[..., :kept], 0.0)
        frame = jnp.zeros((r, dim))
        return frame.at[:, places.at[:, :kept].T].add(jnp.transpose(parts, (1, 2, 0)))

    def along(self, x: Float[Array, "rows dim"]) -> Float[Array, "blocks rows longest"]:
        """Rows cut into their parts, padded by zeros."""
        places = self.places(x.shape[1])
        parts = jnp.where(places.real[:, None], jnp.moveaxis(x[:, places.at], 1, 0), 0)
        return parts.astype(x.dtype)


def blocks_of(
    covariance: object, gram: Any, size: int | None, classes: int
) -> tuple[tuple[tuple[float, ...], ...], Blocks | None]:
    """(G, blocks) of a data law's arguments; no blocks without a covariance.

    Args:
        covariance: the spectrum, if any.
        gram: G (r, r), which is spread evenly; or G_j (blocks, r, r); default: the identity.
        size: r, if it is known.
        classes: of the law.

    Raises:
        TypeError, ValueError: for arguments that do not fit each other.
    """
    value = np.eye(size or 1) if gram is None else gram
    deep = np.ndim(value) == 3
    if covariance is None:
        if deep:
            raise ValueError(
                f"gram has shape {np.shape(value)}: one Gram matrix per block needs a covariance."
            )
        return _validate.gram("gram", value, size), None
    if not isinstance(covariance, Spectrum):
        raise TypeError(f"covariance={covariance!r}: expected a Spectrum.")
    if covariance.sets not in (1, classes):
        raise ValueError(
            f"covariance: {covariance.sets} sets of eigenvalues for {classes} class(es); expected "
            "one set, or one per class."
        )
    if not deep:
        whole = _validate.gram("gram", value, size)
        shares = np.array(covariance.fractions)
        return whole, Blocks(covariance, shares[:, None, None] * np.array(whole))
    each = _per_block(np.asarray(value, dtype=float), covariance.blocks)
    return _validate.gram("gram", each.sum(0), size), Blocks(covariance, each)


def _per_block(each: np.ndarray, blocks: int) -> np.ndarray:
    if each.shape[0] != blocks or each.shape[1] != each.shape[2]:
        raise ValueError(f"gram has shape {each.shape}: expected ({blocks}, r, r), one per block.")
    transposed = np.swapaxes(each, 1, 2)
    if not np.isfinite(each).all() or not np.allclose(each, transposed):
        raise ValueError("gram: expected finite, symmetric matrices, one per block.")
    least = np.linalg.eigvalsh(each).min()
    if least < -1e-10 * np.trace(each.sum(0)):
        raise ValueError(
            f"gram: eigenvalue {least:.3g} in a block; expected Gram matrices, which have none "
            "below 0."
        )
    return (each + transposed) / 2
