"""A few eigenpairs of a symmetric matrix, with their residuals: ``top``, ``extremes``.

Moderate matrices are formed and diagonalised, which is cheaper than iterating through the samples
and leaves no question of convergence. Larger ones are never formed: LOBPCG (Knyazev 2001, SciPy's)
works on a block of vectors, so that a sweep through the samples serves all of them. Eigenvalues at
the edge of a bulk are close to each other and converge slowly; the iteration is bounded, and what
has not converged by then is left out of the answer instead of being ground on.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from scipy.sparse.linalg import LinearOperator, lobpcg

from sgdlimits import _validate
from sgdlimits._shown import number, numbers, rows_table
from sgdlimits.spectra.sampled.operators import SampleMatrix, require_square

FORMED = 3000  # size up to which matrices are formed
_SURPLUS = 6  # vectors beyond those asked for: the last ones converge slowly
_BURST = 12


class Eigenpairs(NamedTuple):
    """Eigenpairs that have converged; fewer than were asked for if others have not.

    Attributes:
        values: shape (pairs,).
        vectors: orthonormal, shape (pairs, size): one a row.
        residuals: |A u - value u|, shape (pairs,).
        requested: how many were asked for.
        sweeps: products with the matrix that were made; 0 if it was formed.
    """

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    requested: int
    sweeps: int

    def __repr__(self) -> str:
        """How many, which, and how well they are known."""
        if not len(self.values):
            return f"Eigenpairs({self._count()})"
        worst = float(np.max(self.residuals))
        return f"Eigenpairs({self._count()}: {numbers(self.values)}; residuals up to {worst:.1e})"

    def _repr_html_(self) -> str:
        rows = [
            (str(i + 1), number(value), f"{residual:.1e}")
            for i, (value, residual) in enumerate(zip(self.values, self.residuals, strict=True))
        ]
        return rows_table(f"Eigenpairs: {self._count()}", ("", "eigenvalue", "residual"), rows)

    def _count(self) -> str:
        return f"{len(self.values)} of {self.requested} asked for"

    @property
    def complete(self) -> bool:
        """Whether all that were asked for have converged."""
        return len(self.values) == self.requested


def top(
    matrix: Any,
    k: int,
    *,
    tolerance: float = 1e-6,
    most_sweeps: int = 60,
    form: bool | None = None,
) -> Eigenpairs:
    """The k eigenpairs of largest absolute value, in decreasing order of it.

    Args:
        matrix: a result of ``empirical``, a symmetric array, or any symmetric ``LinearOperator``.
        k: how many.
        tolerance: residual allowed, relative to the largest absolute eigenvalue.
        most_sweeps: bound of the iteration on either end of the spectrum.
        form: form and diagonalise the matrix; default: up to a size of 3000.

    Returns:
        Converged pairs. The list ends before the first that has not converged, so what is returned
        are the largest ones.

    Raises:
        TypeError, ValueError: for bad input.
    """
    operator, k = _checked(matrix, k, tolerance, most_sweeps)
    both_ends = len(_signs(matrix)) == 2
    if _formed(matrix, form) or (both_ends and 2 * k > operator.shape[0]):  # ends would overlap
        values, vectors = _decompose(_dense(matrix), k, _signs(matrix))
        order = np.argsort(-np.abs(values), kind="stable")[:k]
        return _exact(matrix, values[order], vectors[:, order].T, k)
    ends = [_iterate(operator, k, sign, tolerance, most_sweeps) for sign in _signs(matrix)]
    values, vectors, residuals = (
        np.concatenate(x) for x in zip(*(end[:3] for end in ends), strict=True)
    )
    sweeps = sum(end[3] for end in ends)
    order = np.argsort(-np.abs(values), kind="stable")[:k]
    scale = np.abs(values).max()
    return _converged(values[order], vectors[order], residuals[order], k, sweeps, scale, tolerance)


def extremes(
    matrix: Any,
    k: int = 1,
    *,
    tolerance: float = 1e-6,
    most_sweeps: int = 60,
    form: bool | None = None,
) -> tuple[Eigenpairs, Eigenpairs]:
    """The k lowest eigenpairs (increasing) and the k highest (decreasing).

    Args:
        matrix, tolerance, most_sweeps, form: as in ``top``.
        k: how many on either side.

    Returns:
        (lowest, highest), each as ``top`` returns them.

    Raises:
        TypeError, ValueError: as ``top``.
    """
    operator, k = _checked(matrix, k, tolerance, most_sweeps)
    if _formed(matrix, form):
        values, vectors = np.linalg.eigh(_dense(matrix))
        low, high = np.arange(k), np.arange(len(values) - 1, len(values) - 1 - k, -1)
        lowest, highest = (_exact(matrix, values[i], vectors[:, i].T, k) for i in (low, high))
        return lowest, highest
    ends = [_iterate(operator, k, sign, tolerance, most_sweeps) for sign in (-1, 1)]
    scale = max(np.abs(end[0]).max() for end in ends)
    lowest, highest = (_converged(*end[:3], k, end[3], scale, tolerance) for end in ends)
    return lowest, highest


# -- what a matrix may be --------------------------------------------------------------------------


def _checked(matrix: Any, k: object, tolerance: object, most_sweeps: object) -> tuple[Any, int]:
    _validate.positive("tolerance", tolerance)
    _validate.integer("most_sweeps", most_sweeps, 1)
    if not isinstance(matrix, LinearOperator):
        array = np.asarray(matrix)
        if array.ndim != 2 or array.dtype.kind not in "fiu":
            raise TypeError("matrix: expected a result of empirical, or a real symmetric matrix.")
        require_square(array)
        if not np.allclose(array, array.T, rtol=1e-8, atol=1e-10 * np.abs(array).max(initial=0)):
            raise ValueError("matrix: expected a symmetric matrix.")
    require_square(matrix)
    size = matrix.shape[0]
    return matrix, _validate.integer("k", k, 1, size)


def _formed(matrix: Any, form: bool | None) -> bool:
    if not isinstance(matrix, LinearOperator):
        return True
    if isinstance(matrix, SampleMatrix) and matrix.formed:
        return True
    return matrix.shape[0] <= FORMED if form is None else form


def _dense(matrix: Any) -> np.ndarray:
    if isinstance(matrix, SampleMatrix):
        return matrix.dense()
    if isinstance(matrix, LinearOperator):
        return np.asarray(matrix @ np.eye(matrix.shape[0]))
    return np.asarray(matrix, dtype=float)


def _decompose(dense: np.ndarray, k: int, signs: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The k outermost pairs of a matrix with a sign; all pairs of any other."""
    if signs not in ((1,), (-1,)):
        return np.linalg.eigh(dense)
    first = len(dense) - k if signs == (1,) else 0
    return scipy.linalg.eigh(dense, subset_by_index=(first, first + k - 1))


def _signs(matrix: Any) -> tuple[int, ...]:
    """Ends of the spectrum on which the largest absolute values may be."""
    definite = getattr(matrix, "definite", 0)
    return (definite,) if definite else (1, -1)


# -- results ---------------------------------------------------------------------------------------


def _exact(matrix: Any, values: np.ndarray, vectors: np.ndarray, k: int) -> Eigenpairs:
    residuals = np.linalg.norm(_dense(matrix) @ vectors.T - vectors.T * values, axis=0)
    return Eigenpairs(values, vectors, residuals, k, 0)


def _converged(values, vectors, residuals, k, sweeps, scale, tolerance) -> Eigenpairs:
    good = residuals <= tolerance * scale
    count = len(good) if good.all() else int(np.argmin(good))
    return Eigenpairs(values[:count], vectors[:count], residuals[:count], k, sweeps)


def _iterate(
    operator: LinearOperator, k: int, sign: int, tolerance: float, most_sweeps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """k Ritz pairs from one end: values, vectors as rows, residuals, sweeps."""
    size, sweeps = operator.shape[0], 0

    def product(x: np.ndarray) -> np.ndarray:
        nonlocal sweeps
        sweeps += 1
        return np.asarray(operator @ x)

    block = min(k + _SURPLUS, max(k, size // 5))
    vectors = np.random.default_rng(0).standard_normal((size, block))
    counted = LinearOperator(  # pyright: ignore[reportCallIssue] (a factory)
        operator.shape,
        matmat=product,  # pyright: ignore[reportCallIssue]
        matvec=product,  # pyright: ignore[reportCallIssue]
        dtype=float,  # pyright: ignore[reportCallIssue]
    )
    while True:
        # In bursts, because LOBPCG itself stops only when the surplus has converged too.
        burst = min(_BURST, most_sweeps - sweeps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that some pairs have not converged is reported
            values, vectors = lobpcg(
                counted, vectors, tol=1e-14, maxiter=max(burst, 1), largest=sign > 0
            )[:2]
        order = np.argsort(-sign * values)
        values, vectors = values[order], vectors[:, order]
        residuals = np.linalg.norm(product(vectors[:, :k]) - vectors[:, :k] * values[:k], axis=0)
        done = (residuals <= tolerance * np.abs(values).max()).all()
        if done or sweeps + 3 > most_sweeps:
            return values[:k], vectors[:, :k].T, residuals, sweeps
