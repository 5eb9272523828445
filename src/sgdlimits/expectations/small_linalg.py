"""Cholesky and triangular solves of small matrices, unrolled.

Vectorised over many runs, a library call per run costs far more than the arithmetic; written out,
the compiler fuses everything into a few loops over the runs. Rank-deficient matrices are meant to
work: late in training neurons align and their Gram matrix becomes singular.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

_RELATIVE_ZERO = 1e-14  # a pivot below this fraction of the diagonal entry is rounding


def cholesky(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Lower triangular L with L Lᵀ = matrix, for positive semidefinite matrices.

    A direction of zero variance gets a zero column.
    """
    n = matrix.shape[0]
    rows: list[list[Array]] = [[jnp.zeros(())] * n for _ in range(n)]
    for j in range(n):
        pivot = matrix[j, j] - sum(rows[j][k] * rows[j][k] for k in range(j))
        positive = pivot > _RELATIVE_ZERO * matrix[j, j]
        # The inner "where" keeps the derivative of the square root finite in the branch not taken.
        root = jnp.sqrt(jnp.where(positive, pivot, 1.0))
        rows[j][j] = jnp.where(positive, root, 0.0)
        for i in range(j + 1, n):
            rest = matrix[i, j] - sum(rows[i][k] * rows[j][k] for k in range(j))
            rows[i][j] = jnp.where(positive, rest / root, 0.0)
    return _stack(rows)


def solve_lower(factor: Float[Array, "n n"], right: Float[Array, "n m"]) -> Float[Array, "n m"]:
    """X with factor X = right for lower triangular ``factor``; rows of zero pivots give zero."""
    n = factor.shape[0]
    solution: list[Array] = []
    for i in range(n):
        rest = right[i] - sum(factor[i, k] * solution[k] for k in range(i))
        positive = factor[i, i] > 0
        solution.append(jnp.where(positive, rest / jnp.where(positive, factor[i, i], 1.0), 0.0))
    return jnp.stack(solution)


def matmul(left: Float[Array, "n k"], right: Float[Array, "k m"]) -> Float[Array, "n m"]:
    """Matrix product as a sum of outer products."""
    total = left[:, 0][:, None] * right[0][None, :]
    for k in range(1, left.shape[1]):
        total = total + left[:, k][:, None] * right[k][None, :]
    return total


def matvec(matrix: Float[Array, "n k"], vector: Float[Array, " k"]) -> Float[Array, " n"]:
    """Matrix times vector as a sum of columns."""
    total = matrix[:, 0] * vector[0]
    for k in range(1, matrix.shape[1]):
        total = total + matrix[:, k] * vector[k]
    return total


def _stack(rows: list[list[Array]]) -> Array:
    return jnp.stack([jnp.stack(row) for row in rows])
