"""How much of a vector or a matrix lies in a subspace, and the principal space E_k of a matrix.

Source: Ben Arous, Gheissari, Huang and Jagannath (2023), Definitions 2.1 and 2.2. Exact.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sgdlimits import _validate
from sgdlimits.spectra.sampled.eigenpairs import Eigenpairs, top

_RANK = 1e-12  # relative size below which a direction of a basis is rounding


class TieWarning(UserWarning):
    """E_k is not defined: the k-th and the next eigenvalue have the same absolute value."""


class PrincipalSpace(NamedTuple):
    """E_k(A): the span of the eigenvectors of the k eigenvalues of largest absolute value.

    Attributes:
        basis: orthonormal, shape (dimension, size), one vector a row, largest value first.
        values: their eigenvalues, with sign.
        requested: k.
        gap: (|value k| - |value k+1|)/|value 1|: of order 0 in a bulk, where E_k turns with every
            sample; inf if k is the size of the matrix.
        tied: whether the gap is zero up to rounding: E_k is then not defined, and ``basis`` is one
            of many.
        separated: how many of the k values lie outside the given edges of the bulk; None without
            edges. Fewer than k: E_k contains bulk directions. k itself with more outliers beyond:
            see ``outliers``.
        outliers: number of all known values outside the edges; None without edges.
    """

    basis: np.ndarray
    values: np.ndarray
    requested: int
    gap: float
    tied: bool
    separated: int | None
    outliers: int | None

    @property
    def complete(self) -> bool:
        """Whether k eigenpairs were found; an iteration may have converged for fewer."""
        return len(self.values) == self.requested


def principal_space(
    matrix: Any,
    k: int,
    *,
    edges: tuple[float, float] | None = None,
    tolerance: float = 1e-9,
    warn: bool = True,
) -> PrincipalSpace:
    """E_k of a symmetric matrix, by absolute value.

    Args:
        matrix: a result of ``empirical``, a symmetric array or operator; or ``Eigenpairs`` that
            ``top`` found (more than k, so that the gap is known).
        k: dimension.
        edges: (left, right) end of the bulk, to count the separated eigenvalues.
        tolerance: relative difference of absolute values that counts as a tie.
        warn: warn of ties.

    Returns:
        The space, with what limits its meaning. It has fewer than k dimensions if fewer eigenpairs
        converged.

    Raises:
        TypeError, ValueError: for bad input.

    Warns:
        TieWarning: if the space is not defined.
    """
    if isinstance(matrix, Eigenpairs):
        pairs, size = matrix, matrix.vectors.shape[1]
        k = _validate.integer("k", k, 1, size)
    else:
        size = matrix.shape[0] if hasattr(matrix, "shape") and len(matrix.shape) else 1
        k = _validate.integer("k", k, 1, size)
        pairs = top(matrix, min(k + 1, size))
    if edges is not None:
        low, high = (_validate.number("edges", edge) for edge in edges)
        if low > high:
            raise ValueError(f"edges={edges!r}: expected the left end of the bulk first.")
    magnitude = np.abs(pairs.values)
    largest = magnitude[0] if magnitude.size and magnitude[0] > 0 else 1.0
    gap = np.inf if k == size else np.nan
    if len(magnitude) > k:
        gap = float((magnitude[k - 1] - magnitude[k]) / largest)
    tied = bool(gap <= tolerance)
    if tied and warn:
        warnings.warn(
            f"E_{k} is not defined: eigenvalues {k} and {k + 1} have absolute value "
            f"{magnitude[k - 1]:.6g}; the space returned is one of many.",
            TieWarning,
            stacklevel=2,
        )
    separated = outliers = None
    if edges is not None:
        out = (pairs.values < edges[0]) | (pairs.values > edges[1])
        separated, outliers = int(out[:k].sum()), int(out.sum())
    return PrincipalSpace(
        pairs.vectors[:k], pairs.values[:k], k, float(gap), tied, separated, outliers
    )


def alignment(vector: ArrayLike, space: Any) -> float | np.ndarray:
    """rho(v, B) = |P_B v|/|v|, between 0 and 1.

    Args:
        vector: shape (..., size).
        space: rows that span B, shape (m, size), independent or not, m = 0 allowed; or a
            ``PrincipalSpace``.

    Returns:
        The alignment, with the leading shape of ``vector``.

    Raises:
        ValueError: for a zero vector, whose alignment is not defined, or sizes that disagree.
    """
    vector = np.asarray(vector, dtype=float)
    basis = _orthonormal(space, vector.shape[-1])
    largest = np.abs(vector).max(-1, keepdims=True, initial=0)
    if not (largest > 0).all() or not np.isfinite(vector).all():
        raise ValueError("vector: zero, or not a number; its alignment is not defined.")
    scaled = vector / largest  # squares of tiny entries would vanish
    projected = np.linalg.norm(scaled @ basis.T, axis=-1) / np.linalg.norm(scaled, axis=-1)
    result = np.minimum(projected, 1.0)  # rounding
    return result if result.ndim else float(result)


def lives_in(vector: ArrayLike, space: Any) -> float | np.ndarray:
    """The smallest error up to which a vector lives in a space: 1 - rho(v, B) (Definition 2.1).

    Args, Raises: as ``alignment``.
    """
    return 1 - alignment(vector, space)


def matrix_lives_in(matrix: Any, space: Any) -> float:
    """The smallest error up to which a matrix lives in a space (Definition 2.2).

    |(I - P_B) A|/|A| in operator norm: M = (I - P_B) A is admissible, and any admissible M has
    (I - P_B) M = (I - P_B) A. A zero matrix lives in every space: 0.

    Args:
        matrix: array, or a result of ``empirical``.
        space: as in ``alignment``.

    Raises:
        ValueError: for sizes that disagree, or a matrix that is not finite.
    """
    dense = matrix.dense() if hasattr(matrix, "dense") else np.asarray(matrix, dtype=float)
    if dense.ndim != 2 or not np.isfinite(dense).all():
        raise ValueError("matrix: expected a finite matrix.")
    basis = _orthonormal(space, dense.shape[0])
    whole = np.linalg.norm(dense, 2)
    if whole == 0:
        return 0.0
    return float(np.linalg.norm(dense - basis.T @ (basis @ dense), 2) / whole)


def _orthonormal(space: Any, size: int) -> np.ndarray:
    """Orthonormal rows with the span of the given ones."""
    rows = np.asarray(space.basis if isinstance(space, PrincipalSpace) else space, dtype=float)
    rows = rows[None, :] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != size or not np.isfinite(rows).all():
        raise ValueError(
            f"space has shape {rows.shape}: expected finite rows of length {size} that span it."
        )
    if len(rows) == 0:
        return rows
    _, singular, right = np.linalg.svd(rows, full_matrices=False)
    return right[singular > _RANK * max(singular[0], np.finfo(float).tiny)]
