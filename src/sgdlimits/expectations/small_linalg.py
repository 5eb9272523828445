"""Cholesky factors, triangular solves and roots of small matrices that may be singular.

Vectorised over many runs, a library call per run costs far more than the arithmetic; up to a width
of 8 the operations are written out, and the compiler fuses them into a few loops over the runs.
Rank-deficient matrices are meant to work: late in training neurons align and their Gram matrix
becomes singular.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

MOST_UNROLLED = 8  # the written-out program grows like n^3
_RELATIVE_ZERO = 1e-14  # a pivot below this fraction of the diagonal entry is rounding

Rows = list[list[Array]]


def cholesky(matrix: Float[Array, "n n"], zero: float = _RELATIVE_ZERO) -> Float[Array, "n n"]:
    """Lower triangular L with L Lᵀ = matrix, for positive semidefinite matrices.

    A direction of zero variance gets a zero column; ``zero``: of the diagonal entry.
    """
    if matrix.shape[0] > MOST_UNROLLED:
        return _cholesky_by_columns(matrix, zero)
    return stack(cholesky_rows(matrix, zero))


def cholesky_rows(matrix: Float[Array, "n n"], zero: float = _RELATIVE_ZERO) -> Rows:
    """The rows of L, entry by entry."""
    n = matrix.shape[0]
    rows: Rows = [[jnp.zeros(())] * n for _ in range(n)]
    for j in range(n):
        pivot = matrix[j, j] - sum(rows[j][k] * rows[j][k] for k in range(j))
        rows[j][j], inverse = _root_and_inverse(pivot, matrix[j, j], zero)
        for i in range(j + 1, n):
            rest = matrix[i, j] - sum(rows[i][k] * rows[j][k] for k in range(j))
            rows[i][j] = rest * inverse
    return rows


def _root_and_inverse(pivot: Array, diagonal: Array, zero: float) -> tuple[Array, Array]:
    """Root of the pivot and its inverse; zeros where the pivot is zero up to rounding."""
    positive = pivot > zero * diagonal
    # The inner "where" keeps the derivative finite in the branch not taken.
    safe = jnp.where(positive, pivot, 1.0)
    inverse = jnp.where(positive, jax.lax.rsqrt(safe), 0.0)
    return safe * inverse, inverse


def _cholesky_by_columns(matrix: Array, zero: float) -> Array:
    """One column after the other: a program of fixed size."""
    column = lambda rest, j: _column(matrix, rest, j, zero)  # noqa: E731
    return jax.lax.scan(column, matrix, jnp.arange(matrix.shape[0]))[1].T


def _column(matrix: Array, rest: Array, j: Array, zero: float) -> tuple[Array, Array]:
    """What is left of a matrix after column j of its factor, and the column."""
    _, inverse = _root_and_inverse(rest[j, j], matrix[j, j], zero)
    new = jnp.where(jnp.arange(len(matrix)) >= j, rest[:, j] * inverse, 0.0)
    return rest - new[:, None] * new[None, :], new


def cholesky_of_step(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """``cholesky`` for the steps of a chain, which nobody differentiates in reverse.

    Above the width that is written out a library call takes a thirtieth of the time; where it
    meets a pivot that is zero, the columns are taken one after the other.
    """
    n = matrix.shape[0]
    if n <= MOST_UNROLLED:
        return cholesky(matrix)
    factor = jnp.linalg.cholesky(matrix)
    # Not a number is not above anything.
    regular = jnp.all(jnp.diagonal(factor) ** 2 > _RELATIVE_ZERO * jnp.diagonal(matrix))

    def column(now: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        j, rest, columns = now
        rest, new = _column(matrix, rest, j, _RELATIVE_ZERO)
        return j + 1, rest, columns.at[:, j].set(new)

    # A loop that is not entered, rather than a branch: of several runs together, branches are all
    # taken.
    start = jnp.where(regular, n, 0), matrix, jnp.zeros_like(matrix)
    columns = jax.lax.while_loop(lambda now: now[0] < n, column, start)[2]
    return jnp.where(regular, factor, columns)


def solve_lower(factor: Float[Array, "n n"], right: Float[Array, "n m"]) -> Float[Array, "n m"]:
    """X with factor X = right for a factor by ``cholesky``; rows of zero pivots give zero."""
    n = factor.shape[0]
    regular = jnp.diagonal(factor) > 0
    if n > MOST_UNROLLED:
        # The columns of zero pivots are zero, so a one on their diagonal leaves the others alone.
        filled = jnp.where(regular[:, None], factor, jnp.eye(n))
        return jax.scipy.linalg.solve_triangular(
            filled, jnp.where(regular[:, None], right, 0.0), lower=True
        )
    solution: list[Array] = []
    for i in range(n):
        rest = right[i] - sum(factor[i, k] * solution[k] for k in range(i))
        solution.append(jnp.where(regular[i], rest / jnp.where(regular[i], factor[i, i], 1.0), 0.0))
    return jnp.stack(solution)


def symmetric_root(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The positive semidefinite S with S S = matrix; negative eigenvalues count as zero.

    Unlike a factor of eigenvectors it does not depend on their signs, which differ from one
    compiled program to the next.
    """
    values, vectors = jnp.linalg.eigh(matrix)
    # The root of an eigenvalue that is zero up to rounding would be far above rounding.
    values = jnp.where(values > 10 * _RELATIVE_ZERO * values[-1], values, 0.0)
    return (vectors * jnp.sqrt(values)) @ vectors.T


def dot(left: list[Array], right: list[Array]) -> Array:
    """Sum of products, written out."""
    total = left[0] * right[0]
    for a, b in zip(left[1:], right[1:], strict=True):
        total = total + a * b
    return total


def entries(array: Float[Array, "n *m"]) -> list:
    """A vector or matrix as (nested) lists of its entries."""
    parts = [array[i] for i in range(array.shape[0])]
    return [entries(part) for part in parts] if array.ndim > 1 else parts


def stack(rows: Rows) -> Array:
    """The matrix with these entries."""
    return jnp.stack([jnp.stack(row) for row in rows])
