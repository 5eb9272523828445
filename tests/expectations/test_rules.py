"""Gaussian expectations with kinks: two independent routes, and honest error estimates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from sgdlimits.expectations.rules import QuasiMonteCarlo, TruncatedGauss, coarse_rule, rule_for
from sgdlimits.expectations.small_linalg import cholesky, solve_lower
from sgdlimits.expectations.truncated_gauss import truncated_gauss


@pytest.mark.parametrize("cut", [-7.9, -3.0, -0.4, 0.0, 1.3, 6.0])
@pytest.mark.parametrize("order", [4, 6, 8, 12, 24])
def test_each_side_is_integrated_exactly_up_to_its_degree(cut, order):
    z, weight = (np.asarray(x) for x in truncated_gauss(jnp.asarray(cut), order))
    assert weight.sum() == pytest.approx(1, abs=1e-14)
    for degree in (1, 3, 2 * order - 1):
        above = integrate.quad(
            lambda x, k=degree: (x - cut) ** k * stats.norm.pdf(x), cut, np.inf, epsabs=0
        )[0]
        found = np.sum(weight * np.where(z > cut, z - cut, 0.0) ** degree)
        assert found == pytest.approx(above, rel=1e-8)


def _expectation(rule, mean, factor, function, kinks=(0.0,)):
    nodes = rule.nodes(mean, factor, kinks)
    values = function(mean + jnp.swapaxes(nodes.z, 1, 2) @ factor.T)
    each = np.asarray(jnp.sum(nodes.weight * values, axis=-1))
    return each.mean(), each.std(ddof=1) / len(each) ** 0.5 if len(each) > 1 else 0.0


def _kinked(s):
    relu = jnp.maximum(s, 0)
    return relu[..., 0] * relu[..., 1] / (1 + jnp.exp(relu[..., 1] - relu[..., 0]))


def test_tensor_rule_against_adaptive_quadrature():
    mean, factor = jnp.array([0.3, -0.2]), jnp.array([[1.0, 0.0], [0.5, 0.74]])
    law = stats.multivariate_normal(np.asarray(mean), np.asarray(factor @ factor.T))

    def integrand(y, x):
        return law.pdf([x, y]) * x * y / (1 + np.exp(y - x))

    exact = integrate.dblquad(integrand, 0, 9, 0, 9, epsabs=1e-11, epsrel=1e-11)[0]
    value, _ = _expectation(TruncatedGauss(2, 12), mean, factor, _kinked)
    assert value == pytest.approx(exact, abs=1e-9)


def test_error_estimate_of_quasi_monte_carlo_is_honest():
    """|error| below 5 reported standard errors in each of 10 laws; 5 % off would be seen."""
    rng = np.random.default_rng(0)
    for _ in range(10):
        factor = jnp.asarray(np.linalg.cholesky(np.cov(rng.standard_normal((3, 30)))))
        mean = jnp.asarray(rng.standard_normal(3) / 2)
        value, error = _expectation(QuasiMonteCarlo(3, 11, 16), mean, factor, _kinked)
        exact, _ = _expectation(TruncatedGauss(3, 10), mean, factor, _kinked)
        assert abs(value - exact) < 5 * error
        assert error < 0.01 * exact


def test_plain_nodes_stay_accurate_where_every_coordinate_has_chosen_a_side():
    # E (sum_i relu(s_i))^2 for ten independent s_i ~ N(1.5, 1), by hand.
    mean, factor = jnp.full(10, 1.5), jnp.eye(10)
    density, tail = stats.norm.pdf(1.5), stats.norm.cdf(1.5)
    first, second = density + 1.5 * tail, 3.25 * tail + 1.5 * density
    exact = 10 * second + 90 * first**2

    def square(s):
        return jnp.sum(jnp.maximum(s, 0), axis=-1) ** 2

    plain, error = _expectation(QuasiMonteCarlo(10, 12), mean, factor, square)
    _, wasteful = _expectation(QuasiMonteCarlo(10, 12, split=True), mean, factor, square)
    assert abs(plain - exact) < 5 * error
    assert error < 2e-4 * exact
    assert wasteful > 5 * error


def test_cholesky_of_singular_matrices():
    rng = np.random.default_rng(1)
    thin = rng.standard_normal((4, 2))
    gram = thin @ thin.T
    factor = np.asarray(cholesky(jnp.asarray(gram)))
    np.testing.assert_allclose(factor @ factor.T, gram, atol=1e-12)
    assert np.isfinite(np.asarray(solve_lower(jnp.asarray(factor), jnp.asarray(thin)))).all()


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5, 6, 9])
@pytest.mark.parametrize("error", [1e-1, 1e-2, 1e-3, 1e-12])
def test_a_coarse_rule_is_cheaper_or_the_rule_itself(dim, error):
    default = rule_for(dim)
    coarse = coarse_rule(default, error)
    assert coarse is default if error == 1e-12 else coarse.count <= default.count
    if error == 1e-1:
        assert coarse.count < default.count


@pytest.mark.parametrize(
    "rule",
    [
        TruncatedGauss(2, 3),
        TruncatedGauss(3, (4, 2, 1)),
        QuasiMonteCarlo(2, 4, 3),
        QuasiMonteCarlo(7, 4, 2),
    ],
)
@pytest.mark.parametrize("kinks", [(), (0.0,)])
def test_rules_have_as_many_nodes_as_they_say(rule, kinks):
    nodes = rule.nodes(jnp.zeros(rule.dim), jnp.eye(rule.dim), kinks)
    assert nodes.weight.size == rule.count
    assert nodes.z.size == rule.count * rule.dim
    z, weight = nodes.together
    assert z.shape == (rule.dim, rule.count)
    np.testing.assert_allclose(weight.sum(), 1, rtol=0.02)
    np.testing.assert_array_equal(z[:, -1], nodes.z[-1, :, -1])


def test_a_chosen_rule_is_never_made_coarser():
    for rule in (TruncatedGauss(4, 3), QuasiMonteCarlo(6, 11), QuasiMonteCarlo(6, 12, 4)):
        assert coarse_rule(rule, 1.0) is rule


@pytest.mark.parametrize("cut", [-7.0, -1.0, 0.0, 1e-9, 2.5, 8.0])
def test_weights_follow_the_cut_like_the_normal_density(cut):
    # At cut = 0 the formula changes its branch; states with no overlap lie there.
    def mass_below(cut):
        _, weight = truncated_gauss(jnp.asarray(cut), 4)
        return jnp.sum(weight[:4])

    assert float(mass_below(cut)) == pytest.approx(stats.norm.cdf(cut), rel=1e-13)
    assert float(jax.grad(mass_below)(cut)) == pytest.approx(stats.norm.pdf(cut), rel=1e-9)
