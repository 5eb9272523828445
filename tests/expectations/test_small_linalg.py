"""Factors of the steps of wide chains: a library call, or columns where a pivot is zero."""

import jax
import jax.numpy as jnp
import numpy as np

from sgdlimits.expectations.small_linalg import MOST_UNROLLED, cholesky, cholesky_of_step

_N = MOST_UNROLLED + 4


def _regular(seed):
    A = np.random.default_rng(seed).standard_normal((_N, 2 * _N))
    return A @ A.T


def _singular():
    A = np.random.default_rng(3).standard_normal((_N, 3))
    A[1], A[5] = 2 * A[0], 0.0  # parallel rows, and one that is zero
    return A @ A.T


def test_regular_and_singular_matrices_beside_each_other_have_their_factors():
    matrices = jnp.asarray(np.array([_regular(0), _singular(), _regular(1)]))
    factors = jax.jit(jax.vmap(cholesky_of_step))(matrices)
    scale = np.sqrt(np.abs(matrices).max())
    for matrix, factor in zip(matrices, factors, strict=True):
        np.testing.assert_allclose(factor @ factor.T, matrix, atol=1e-12 * scale**2)
        np.testing.assert_array_equal(np.triu(factor, 1), 0.0)
    np.testing.assert_allclose(factors, jax.vmap(cholesky)(matrices), atol=1e-7 * scale)
    zero = np.diagonal(factors[1]) == 0
    assert zero[[1, 5]].all()
    assert zero.sum() == _N - 3


def test_a_matrix_does_not_depend_on_those_beside_it():
    together = jax.jit(jax.vmap(cholesky_of_step))(jnp.asarray([_regular(0), _singular()]))
    alone = [jax.jit(cholesky_of_step)(jnp.asarray(x)) for x in (_regular(0), _singular())]
    np.testing.assert_array_equal(together, alone)


def test_the_library_alone_knows_no_factor_of_a_singular_matrix():
    A = np.random.default_rng(3).standard_normal((_N, 2))
    A[0] = 0.0
    assert np.isnan(np.asarray(jnp.linalg.cholesky(jnp.asarray(A @ A.T)))).any()
