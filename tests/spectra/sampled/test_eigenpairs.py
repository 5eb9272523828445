"""Eigenpairs against numpy.linalg, on both routes; bounded work where nothing is separated."""

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from sgdlimits import spectra


def _with_eigenvalues(values, seed=0):
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((len(values), len(values))))
    return (Q * values) @ Q.T


def _operator(matrix, counter=None):
    def product(x):
        if counter is not None:
            counter.append(x.shape)
        return matrix @ x

    return LinearOperator(matrix.shape, matmat=product, matvec=product, dtype=float)


_SPECTRUM = np.concatenate([np.linspace(-1, 1, 300), [-5.0, 4.0, 3.0, -2.5]])


@pytest.mark.parametrize("iterate", [False, True])
def test_top_is_by_absolute_value_from_both_ends(iterate):
    matrix = _with_eigenvalues(_SPECTRUM)
    pairs = spectra.top(_operator(matrix) if iterate else matrix, 4, form=not iterate)
    np.testing.assert_allclose(pairs.values, [-5, 4, 3, -2.5], atol=1e-8)
    np.testing.assert_allclose(pairs.vectors @ pairs.vectors.T, np.eye(4), atol=1e-6)
    residuals = np.linalg.norm(matrix @ pairs.vectors.T - pairs.vectors.T * pairs.values, axis=0)
    np.testing.assert_allclose(pairs.residuals, residuals, atol=1e-12)
    assert (pairs.residuals < 5e-6).all()
    assert pairs.complete
    assert (pairs.sweeps > 0) == iterate


@pytest.mark.parametrize("iterate", [False, True])
def test_extremes(iterate):
    matrix = _with_eigenvalues(_SPECTRUM)
    lowest, highest = spectra.extremes(
        _operator(matrix) if iterate else matrix, 2, form=not iterate
    )
    np.testing.assert_allclose(lowest.values, [-5, -2.5], atol=1e-8)
    np.testing.assert_allclose(highest.values, [4, 3], atol=1e-8)
    for pairs in (lowest, highest):
        action = matrix @ pairs.vectors.T
        np.testing.assert_allclose(action, pairs.vectors.T * pairs.values, atol=1e-5)


def test_asking_for_ten_where_two_are_separated_stops_and_reports_the_two():
    bulk = np.linspace(0, 1, 700) ** 3 * -0.2 + 1  # dense at its edge, 1
    matrix = _with_eigenvalues(np.concatenate([bulk, [3.0, 2.0]]))
    calls = []
    pairs = spectra.top(_operator(matrix, calls), 10, most_sweeps=9, form=False)
    assert 2 <= len(pairs.values) < 10
    assert not pairs.complete
    np.testing.assert_allclose(pairs.values[:2], [3, 2], atol=1e-8)
    assert (pairs.residuals <= 3e-6).all()
    assert len(calls) <= 2 * 13
    assert pairs.sweeps == len(calls)


def test_an_operator_that_is_formed_answers_exactly():
    matrix = _with_eigenvalues(_SPECTRUM)
    formed = spectra.top(_operator(matrix), 6, form=True)
    expected = sorted(_SPECTRUM, key=lambda x: -abs(x))[:6]
    np.testing.assert_allclose(np.abs(formed.values), np.abs(expected), atol=1e-12)
    assert formed.sweeps == 0


def test_every_eigenvalue_may_be_asked_for():
    pairs = spectra.top(np.diag([1.0, -2.0, 0.0]), 3)
    np.testing.assert_array_equal(pairs.values, [-2, 1, 0])


@pytest.mark.parametrize(
    ("matrix", "k", "message"),
    [
        (np.eye(3), 4, "k=4: expected an integer that is between 1 and 3"),
        (np.eye(3), 0, "k=0"),
        (np.ones((2, 3)), 1, "has shape"),
        (np.triu(np.ones((3, 3))), 1, "expected a symmetric matrix"),
        (np.ones(3), 1, "real symmetric"),
        (1j * np.eye(3), 1, "real symmetric"),
    ],
)
def test_bad_input_is_refused(as_users_run, matrix, k, message):
    with pytest.raises((TypeError, ValueError), match=message):
        spectra.top(matrix, k)


def test_more_than_half_of_an_operators_pairs_are_each_found_once():
    operator = aslinearoperator(np.diag([5.0, 4.0, 3.0, 2.0, 1.0, 0.5]))
    for form in (None, False):
        pairs = spectra.top(operator, 4, form=form)
        np.testing.assert_allclose(pairs.values, [5.0, 4.0, 3.0, 2.0])
        np.testing.assert_allclose(pairs.vectors @ pairs.vectors.T, np.eye(4), atol=1e-9)
