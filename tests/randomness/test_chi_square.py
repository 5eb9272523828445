"""The chi-square sampler: exact quantiles of its normals at every number of degrees."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import special, stats

from sgdlimits.randomness.chi_square import ChiSquare, ChiSquares, _from_normal

_FITTED = [17, 18, 50, 333, 1000, 2499, 2500, 2501, 10**5, 10**7, 10**8]


def _log_cdf_error(dof: int, z: float, value: float) -> float:
    """|z' - z| where value is the exact quantile at Phi(z'): an error in units of the normal."""
    with mpmath.workdps(40):
        half, x = mpmath.mpf(dof) / 2, mpmath.mpf(value) / 2
        if z < 0:
            tail = mpmath.gammainc(half, 0, x, regularized=True)
            target = mpmath.ncdf(z)
        else:
            tail = mpmath.gammainc(half, x, mpmath.inf, regularized=True)
            target = mpmath.ncdf(-z)
        density = mpmath.npdf(z)
        return float(abs(tail - target) / density)


@pytest.mark.parametrize("dof", [17, 50, 1000, 2500])
def test_values_are_the_exact_quantiles(dof):
    # Relative 1e-13 of the value is 1e-13 sqrt(dof/2) in units of the normal.
    law = ChiSquare(dof)
    for z in (-8.2, -5.0, -2.0, -0.5, 0.0, 0.5, 2.0, 5.0, 8.2):
        value = float(law.from_normals(jnp.asarray([z])))
        assert _log_cdf_error(dof, z, value) < 4e-13 * np.sqrt(dof / 2) * (1 + abs(z))


@pytest.mark.parametrize("dof", [10**5, 10**7, 10**8])
def test_values_at_large_dof_are_the_cornish_fisher_quantiles(dof):
    # Independent of any incomplete gamma function: Cornish-Fisher to order dof^-2 (Abramowitz and
    # Stegun 26.2.49 applied to chi-square); the next term is below 1e-13 relative here.
    z = np.linspace(-6, 6, 25)
    n = float(dof)
    expansion = (
        n
        + z * np.sqrt(2 * n)
        + 2 / 3 * (z**2 - 1)
        + (z**3 - 7 * z) / (9 * np.sqrt(2 * n))
        - (6 * z**4 + 14 * z**2 - 32) / (405 * n)
        + (9 * z**5 + 256 * z**3 - 433 * z) / (4860 * np.sqrt(2) * n**1.5)
    )
    found = np.asarray(ChiSquare(dof).from_normals(jnp.asarray(z)[None]))
    np.testing.assert_allclose(found, expansion, rtol=3e-13)


@pytest.mark.parametrize("dof", [17, 100, 2499, 2500, 2501, 10**4])
def test_values_agree_with_scipy(dof):
    z = np.linspace(-5, 5, 201)
    lower = 2 * special.gammaincinv(dof / 2, special.ndtr(np.minimum(z, 0)))
    upper = 2 * special.gammainccinv(dof / 2, special.ndtr(-np.maximum(z, 0)))
    found = np.asarray(ChiSquare(dof).from_normals(jnp.asarray(z)[None]))
    np.testing.assert_allclose(found, np.where(z < 0, lower, upper), rtol=2e-12)


@pytest.mark.parametrize("dof", _FITTED)
def test_moments_are_exact(dof):
    # Gauss-Hermite quadrature over the normal: no sampling error.
    z, w = np.polynomial.hermite_e.hermegauss(60)
    w = w / w.sum()
    inside = np.abs(z) < 8.4
    x = np.asarray(ChiSquare(dof).from_normals(jnp.asarray(z[inside])[None])) - dof
    w = w[inside]
    assert w @ x == pytest.approx(0, abs=1e-12 * dof + 1e-9)
    assert w @ x**2 == pytest.approx(2 * dof, rel=1e-8)
    assert w @ x**3 == pytest.approx(8 * dof, rel=1e-4)


@pytest.mark.parametrize("dof", _FITTED)
def test_more_normal_is_more_chi_square(dof):
    z = np.linspace(-8.4, 8.4, 20_001)
    values = np.asarray(ChiSquare(dof).from_normals(jnp.asarray(z)[None]))
    assert (np.diff(values) > 0).all()
    assert values[0] > 0


@pytest.mark.parametrize("dof", [0, 1, 2, 16])
def test_few_degrees_are_sums_of_squares(dof):
    law = ChiSquare(dof)
    assert law.normals == dof
    z = jax.random.normal(jax.random.key(0), (dof, 3, 4))
    np.testing.assert_allclose(law.from_normals(z), (np.asarray(z) ** 2).sum(0), rtol=1e-15)


_DRAWS = 20_000
_LAWS = [1, 2, 16, 17, 50, 10**3, 10**5, 10**7, 10**8]


def _ks_score(samples: np.ndarray, dof: int) -> float:
    return stats.kstest(samples, stats.chi2(dof).cdf).statistic * np.sqrt(len(samples))


@pytest.mark.stat
@pytest.mark.parametrize("dof", _LAWS)
def test_samples_follow_the_law(dof):
    # KS, 9 tests at 1e-4 each.
    samples = np.asarray(ChiSquare(dof).sample(jax.random.key(dof), (_DRAWS,)))
    law, limit = stats.chi2(dof), stats.kstwobign.isf(1e-4)
    assert _ks_score(samples, dof) < limit
    # Samples that are off by a twelfth of a standard deviation are rejected with power 0.999: their
    # distribution function is further away than the limit and the 0.999 quantile of the score of
    # right samples together (triangle inequality).
    shift = np.sqrt(2 * dof) / 12
    x = law.ppf(np.linspace(1e-4, 1 - 1e-4, 1000))
    distance = np.abs(law.cdf(x) - law.cdf(x - shift)).max() * np.sqrt(_DRAWS)
    assert distance > limit + stats.kstwobign.isf(1e-3)
    assert _ks_score(samples + shift, dof) > limit


def test_no_degrees_of_freedom_is_zero():
    np.testing.assert_array_equal(ChiSquare(0).sample(jax.random.key(0), (5,)), 0)


@pytest.mark.parametrize("dof", [-1, 2.0, "3", None, True])
def test_bad_degrees_are_refused(dof, as_users_run):
    with pytest.raises((TypeError, ValueError), match=r"dof=.*expected"):
        ChiSquare(dof)


@pytest.mark.parametrize(("dof", "count"), [(40, 3), (500, 400), (3000, 40), (10**6, 900)])
def test_many_chi_squares_are_as_exact_as_one(dof, count):
    many = ChiSquares(dof, count)
    z = np.linspace(-8, 8, 41)
    for i in (0, count // 2, count - 1):
        one = ChiSquare(dof - i)
        given = _from_normal(jnp.asarray(z), many.means[i], many.coefficients[:, i])
        np.testing.assert_allclose(given, one.from_normals(jnp.asarray(z)[None]), rtol=1e-11)


def test_few_degrees_of_freedom_are_sums_of_squares():
    # Means 18, 17, ..., 0 and variances twice that; 4e4 draws, the largest of 19 z-scores of means
    # exceeds 4.5 once in 1e4 seeds, and is 20 where one square is missing.
    many = ChiSquares(18, 19)
    draws = jax.vmap(many.sample)(jax.random.split(jax.random.key(3), 40_000))
    degrees = 18.0 - np.arange(19)
    error = np.sqrt(2 * np.maximum(degrees, 1e-300) / len(draws))
    assert draws.shape[1] == 19
    assert (np.abs(draws.mean(0) - degrees)[:-1] < 4.5 * error[:-1]).all()
    assert (np.abs(draws.mean(0) - degrees + 1)[:-1] > 20 * error[:-1]).all()
    assert (draws[:, -1] == 0).all()
