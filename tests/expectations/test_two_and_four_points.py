"""Gaussian expectations of activations: 30-digit integrals, worked values, coinciding neurons.

Formulas against quadrature are in ``test_pairs``.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from sgdlimits.expectations.activations import (
    Activation,
    Erf,
    Hermite,
    Polynomial,
    Relu,
    as_activation,
    hermite_coefficients,
)
from sgdlimits.expectations.four_point import slopes_and_squared_error
from sgdlimits.expectations.pairs import erf, polynomial, square
from sgdlimits.expectations.pairs.base import Committee4
from sgdlimits.expectations.pairs.relu_orthants import orthant, relu_four_point, truncated_product
from sgdlimits.expectations.rules import TruncatedGauss
from sgdlimits.expectations.two_point import two_point
from tests.expectations.examples import COVARIANCE, CUBIC, EXAMPLES, SQUARE, WEIGHTS

_PAIRS = list(EXAMPLES.values())


def _ids(pair):
    return "-".join(type(x).__name__ for x in pair)


@pytest.mark.parametrize("pair", [*_PAIRS, (CUBIC, Erf())], ids=_ids)
def test_k_m_and_k_q_are_the_derivatives_of_k(pair):
    q, m, r = jnp.asarray(0.9), jnp.asarray(0.35), jnp.asarray(0.6)
    exact = jax.jit(lambda q, m: two_point(*pair, q, m, r))(q, m)
    slopes = jax.jit(jax.grad(lambda q, m: two_point(*pair, q, m, r).k, argnums=(0, 1)))
    k_q, k_m = slopes(q, m)
    np.testing.assert_allclose([exact.k_q, exact.k_m], [k_q, k_m], rtol=1e-8)


def _mp_two_point(name, q, m, r):
    mpmath.mp.dps = 30
    q, m, r = (mpmath.mpf(str(x)) for x in (q, m, r))
    if name == "erf":
        return 2 / mpmath.pi * mpmath.asin(m / mpmath.sqrt((1 + q) * (1 + r)))
    # E[relu relu] = int over x > 0 of x phi(x) E[relu(y) | x], in one dimension
    s = mpmath.sqrt(r - m * m / q)

    def given(x):
        mean = m / q * x
        return mean * mpmath.ncdf(mean / s) + s * mpmath.npdf(mean / s)

    return mpmath.quad(
        lambda x: x * given(x) * mpmath.npdf(x, 0, mpmath.sqrt(q)), [0, 1, 3, 12 * mpmath.sqrt(q)]
    )


@pytest.mark.parametrize("name", ["erf", "relu"])
@pytest.mark.parametrize(("q", "m", "r"), [(1.0, 0.3, 0.7), (2.5, -1.1, 0.6), (0.01, 0.0099, 1.0)])
def test_two_points_against_thirty_digits(name, q, m, r):
    sigma = as_activation("activation", name)
    found = two_point(sigma, sigma, jnp.asarray(q), jnp.asarray(m), jnp.asarray(r)).k
    assert float(found) == pytest.approx(float(_mp_two_point(name, q, m, r)), rel=1e-13)


def test_squares_are_a_polynomial():
    of = Committee4(SQUARE, SQUARE, COVARIANCE, WEIGHTS, 3)
    general = jax.jit(lambda C: polynomial.four_point(of._replace(covariance=C)))(COVARIANCE)
    np.testing.assert_allclose(square.four_point(of), general, rtol=1e-12)


def test_worked_values():
    # erf I4 and ReLU I4 of the four variables, from independent 4-D quadrature.
    order = jnp.array([2, 3, 0, 1])
    relu = jax.jit(lambda C: truncated_product(C, 0, 1))(COVARIANCE[order][:, order])
    assert float(relu) == pytest.approx(0.1279052559465033, rel=1e-8)

    # Polarisation turns sums over m, q into single entries: students are 0 and 1.
    def of(w):
        return float(erf.four_point(Committee4(Erf(), Erf(), COVARIANCE, jnp.asarray(w), 2))[0, 1])

    both, one, other = of([0.0, 0, 1, 1]), of([0.0, 0, 1, 0]), of([0.0, 0, 0, 1])
    assert (both - one - other) / 2 == pytest.approx(0.049119508679979655, rel=1e-12)


def test_orthants_of_equally_correlated_variables():
    # Correlation 1/2: n exchangeable variables, all positive with probability 1/(n+1).
    for n in (2, 3, 4):
        R = 0.5 * (jnp.eye(n) + jnp.ones((n, n)))
        assert float(jax.jit(orthant)(R)) == pytest.approx(1 / (n + 1), rel=1e-13)


def _degenerate():
    """Two equal students, one of them the teacher: every kind of coincidence."""
    u = np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8], [1.0, 0.0]])
    return jnp.asarray(u @ u.T)


@pytest.mark.parametrize(
    "pair",
    [pytest.param(x, marks=pytest.mark.slow if x[0] == Relu() else ()) for x in _PAIRS],
    ids=_ids,
)
def test_values_and_jacobians_are_finite_where_neurons_coincide(pair):
    # Values are also continuous: those of a state 1e-7 away.
    @jax.jit
    def function(C):
        return slopes_and_squared_error(Committee4(*pair, C, WEIGHTS, 3), TruncatedGauss(4, 1))

    C = _degenerate()
    assert np.isfinite(jax.jit(jax.jacfwd(function))(C)).all()
    np.testing.assert_allclose(function(C), function(C + 1e-9 * jnp.eye(4)), rtol=2e-4)


def test_relu_four_points_where_neurons_coincide():
    # All four variables equal: E[1(u>0) relu(u)^2] = q/2, times the squared sum of the weights.
    C = jnp.full((3, 3), 0.7)
    w = jnp.array([0.4, -0.9, 1.3])
    expected = float(jnp.sum(w) ** 2 * 0.35)
    found = jax.jit(lambda C: relu_four_point(C, w, 2))(C)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_hermite_coefficients():
    # erf: c_{2j+1} of the closed form; ReLU: c_0, c_1, c_2j; both from the theory of the kernels.
    odd = hermite_coefficients(Erf(), 6)
    np.testing.assert_allclose(odd[1::2], [0.564189583547756, -0.115164716, 0.0386272], rtol=2e-5)
    np.testing.assert_allclose(odd[::2], 0, atol=1e-14)
    relu = hermite_coefficients(Relu(), 5)
    root = math.sqrt(2 * math.pi)
    wanted = [1 / root, 0.5, 1 / (root * math.sqrt(2)), 0, -1 / (root * math.sqrt(24))]
    np.testing.assert_allclose(relu, wanted, atol=1e-13)
    series = [0.3, -0.2, 0.5, 0.7]
    np.testing.assert_allclose(
        hermite_coefficients(Hermite(series), 6), [*series, 0, 0], atol=1e-13
    )


def test_hermite_expansion_gives_the_kernel_on_the_sphere():
    # k(m) = sum_j c_j c*_j m^j at unit variances, for a mixed pair: quadrature against series.
    sigma, tau = Activation(jax.nn.gelu), Erf()
    c, other = hermite_coefficients(sigma, 30), hermite_coefficients(tau, 30)
    kernel = jax.jit(lambda m: two_point(sigma, tau, jnp.asarray(1.0), m, jnp.asarray(1.0)).k)
    for m in (-0.6, 0.1, 0.5):
        assert float(kernel(m)) == pytest.approx(float((c * other) @ m ** np.arange(30)), abs=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Polynomial([]), "coefficients=.*list of finite numbers"),
        (lambda: Hermite([math.inf]), "series=.*list of finite numbers"),
        (lambda: Activation(3), "function=3: expected a function"),
        (lambda: as_activation("activation", "tanh"), "activation='tanh': expected 'erf', 'relu'"),
        (lambda: as_activation("link", 2), "link=2: expected 'erf'"),
    ],
)
def test_bad_activations_are_refused(call, message, as_users_run):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_three_points_follow_from_two():
    # E[sigma'(u_i) u_l sigma(u_m)] = 2 C_il k_q + C_lm k_m: the worked value and all triples.
    weights = np.zeros((4, 4, 4))
    C, norms = np.asarray(COVARIANCE), jnp.diagonal(COVARIANCE)
    q, r = (jnp.broadcast_to(x, (4, 4)) for x in (norms[:, None], norms))
    t = jax.jit(lambda C: two_point(Erf(), Erf(), q, C, r))(COVARIANCE)
    k_q, k_m = np.asarray(t.k_q), np.asarray(t.k_m)
    for i, j, m in itertools.product(range(4), repeat=3):
        weights[i, j, m] = 2 * C[i, j] * k_q[i, m] + C[j, m] * k_m[i, m]
        L3 = (1 + C[i, i]) * (1 + C[m, m]) - C[i, m] ** 2
        closed = C[j, m] * (1 + C[i, i]) - C[i, j] * C[i, m]
        closed = 2 / math.pi * closed / ((1 + C[i, i]) * np.sqrt(L3))
        assert weights[i, j, m] == pytest.approx(float(closed), rel=1e-12, abs=1e-15)
    assert weights[0, 1, 2] == pytest.approx(0.039635124858236406, rel=1e-12)
