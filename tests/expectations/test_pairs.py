"""The table of closed forms: every entry against quadrature, and what an entry of one's own does.

Averages over noise, of every entry, are in ``test_smoothing``.
"""

from dataclasses import replace
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgdlimits.expectations.activations import AbstractActivation, Activation, Erf, Hermite
from sgdlimits.expectations.four_point import quadrature_four_point, slopes_and_squared_error
from sgdlimits.expectations.pairs import PAIRS, pair_of
from sgdlimits.expectations.pairs.base import Committee4, FreeStep, Pair, Smoothed, TwoPoint
from sgdlimits.expectations.rules import TruncatedGauss
from sgdlimits.expectations.smoothing import smooth
from sgdlimits.expectations.two_point import quadrature_two_point, two_point
from tests.expectations.examples import COVARIANCE, CUBIC, EXAMPLES, SQUARE, WEIGHTS

_each_entry = pytest.mark.parametrize("kinds", PAIRS, ids="-".join)


def _doubled(formula):
    """A factor 2 too much."""
    return lambda *arguments: jax.tree.map(lambda x: 2 * x, formula(*arguments))


# -- what stands in the table ----------------------------------------------------------------------


def test_every_entry_is_tested_here():
    assert set(EXAMPLES) == set(PAIRS)


@_each_entry
def test_activations_find_their_entry(kinds):
    pair = EXAMPLES[kinds]
    assert pair_of(*pair) is PAIRS[kinds]
    assert PAIRS[kinds].exact
    assert all(pair_of(x, x).smooth is not None for x in pair)


def test_the_most_special_entry_wins_and_strangers_have_none():
    assert pair_of(SQUARE, CUBIC) is pair_of(CUBIC, SQUARE) is PAIRS["polynomial", "polynomial"]
    assert pair_of(Hermite([0.2, 1.0]), SQUARE) is PAIRS["polynomial", "polynomial"]
    with_covariance = [kinds for kinds in PAIRS if PAIRS[kinds].increment_covariance is not None]
    assert with_covariance == [("square", "square")]
    for pair in [(Erf(), SQUARE), (Erf(), Activation(jnp.tanh))]:
        assert pair_of(*pair) == Pair()
        assert not pair_of(*pair).exact


# -- closed forms against nodes --------------------------------------------------------------------


def _check_two_point(sigma, tau):
    q, m, r = jnp.array([1.0, 0.8]), jnp.array([0.3, -0.4]), jnp.array([0.7, 0.5])
    formula = jax.jit(lambda q, m, r: two_point(sigma, tau, q, m, r))(q, m, r)
    nodes = jax.jit(lambda q, m, r: quadrature_two_point(sigma, tau, q, m, r))(q, m, r)
    for found, wanted in zip(formula, nodes, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=2e-7)  # of six nodes a panel


@_each_entry
def test_two_point_formulas_equal_quadrature(kinds, monkeypatch):
    _check_two_point(*EXAMPLES[kinds])
    wrong = replace(PAIRS[kinds], two_point=_doubled(PAIRS[kinds].two_point))
    monkeypatch.setitem(PAIRS, kinds, wrong)
    with pytest.raises(AssertionError):
        _check_two_point(*EXAMPLES[kinds])


@_each_entry
def test_four_point_formulas_equal_quadrature(kinds):
    # Three students and one teacher, so that all of i, j, m, q may differ.
    def of(C):
        return Committee4(*EXAMPLES[kinds], C, WEIGHTS, 3)

    unused = TruncatedGauss(4, 1)  # one node: far off if it were used
    found = jax.jit(lambda C: slopes_and_squared_error(of(C), unused))(COVARIANCE)
    wanted = jax.jit(lambda C: quadrature_four_point(of(C), TruncatedGauss(4, 12)))(COVARIANCE)
    # Of 24 nodes per dimension; ReLU: correlations are lowered by 1e-9.
    tolerance = {"erf": 1e-5, "relu": 5e-8}.get(kinds[0], 5e-11) * np.abs(wanted).max()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(found, found.T)
    # The control: a factor 2 in any entry is far beyond that.
    assert np.abs(found).min() > 1000 * tolerance


# Two students that learn from one teacher.
_STUDENTS, _TEACHERS = 2, 1
_FIELDS = COVARIANCE[:3, :3]
_LAYER, _STEP, _RATE, _NOISE, _SHRINK = np.array([0.9, -0.6]), 0.3, 0.7, 0.4, 0.9


def _increment_covariance_by_nodes(pair, trained, dim):
    """Gauss-Hermite in (s, s*, z), exact for squares, and the moments of a chi-square."""
    t, w = np.polynomial.hermite_e.hermegauss(9)  # degree 17: |x|^4 times increments squared has 16
    nodes = np.array(list(product(t, repeat=4)))
    weight = np.prod(list(product(w / w.sum(), repeat=4)), axis=1)
    s = nodes[:, :3] @ np.linalg.cholesky(np.asarray(_FIELDS)).T
    ours, theirs = s[:, :_STUDENTS], s[:, _STUDENTS:]
    student, teacher = jnp.asarray(ours), jnp.asarray(theirs)
    sigma, slope = np.asarray(pair[0](student)), np.asarray(pair[0].slope(student))
    target = 1.3 * np.asarray(pair[1](teacher))[:, 0]
    error = target - sigma @ _LAYER / _STUDENTS + np.sqrt(_NOISE) * nodes[:, 3]
    G = _LAYER / _STUDENTS * slope
    i, j = np.triu_indices(_STUDENTS)
    layer = _RATE / _STUDENTS * sigma if trained else np.zeros((len(s), 0))
    cross = _SHRINK * (G[:, i] * ours[:, j] + ours[:, i] * G[:, j])
    linear = error[:, None] * np.concatenate([layer, G * theirs, cross], axis=1)
    quadratic = np.zeros_like(linear)
    quadratic[:, -len(i) :] = _STEP * error[:, None] ** 2 * G[:, i] * G[:, j]
    # |x|^2/d is that of the three fields and a chi-square with d - 3 degrees of freedom.
    first = second = np.ones(len(s))
    if dim is not None:
        first = (np.sum(nodes[:, :3] ** 2, axis=1) + dim - 3) / dim
        second = first**2 + 2 * (dim - 3) / dim**2
    mean = weight @ (linear + first[:, None] * quadratic)
    mixed = (linear * (weight * first)[:, None]).T @ quadratic
    total = (linear * weight[:, None]).T @ linear + mixed + mixed.T
    total += (quadratic * (weight * second)[:, None]).T @ quadratic
    return total - np.outer(mean, mean)


@pytest.mark.parametrize("dim", [None, 8.0])
@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("kinds", [x for x in PAIRS if PAIRS[x].increment_covariance], ids="-".join)
def test_covariances_of_increments_equal_quadrature(kinds, trained, dim):
    pair = EXAMPLES[kinds]
    weights = jnp.concatenate([jnp.asarray(_LAYER) / _STUDENTS, jnp.array([-1.3])])

    @jax.jit
    def closed(C, step):
        of = Committee4(*pair, C, weights, _STUDENTS)
        rate = jnp.asarray(_RATE) if trained else None
        size = None if dim is None else jnp.asarray(dim)
        move = FreeStep(jnp.asarray(_LAYER), step, rate, jnp.asarray(_NOISE), size, _SHRINK)
        return pair_of(*pair).increment_covariance(of, move)

    wanted = _increment_covariance_by_nodes(pair, trained, dim)
    tolerance = 1e-10 * np.abs(wanted).max()
    np.testing.assert_allclose(closed(_FIELDS, jnp.asarray(_STEP)), wanted, atol=tolerance)
    other = closed(_FIELDS, jnp.asarray(2 * _STEP))
    assert np.abs(other - wanted).max() > 1e8 * tolerance


# -- a pair of one's own ---------------------------------------------------------------------------


class _Sine(AbstractActivation):
    def __call__(self, s):
        return jnp.sin(s)

    def slope(self, s):
        return jnp.cos(s)

    @property
    def kinds(self):
        return ("sine",)


def _sines(sigma, tau, q, m, r):
    """E[sin x sin y] = exp(-(q + r)/2) sinh(m), from the characteristic function of x +- y."""
    damping = jnp.exp(-(q + r) / 2)
    k = damping * jnp.sinh(m)
    return TwoPoint(k, damping * jnp.cosh(m), -k / 2)


def _averaged_sine(activation, mean, variance):
    damping = jnp.exp(-variance / 2)
    value = damping * jnp.sin(mean)
    slope2 = (1 + damping**4 * jnp.cos(2 * mean)) / 2
    return Smoothed(value, damping * jnp.cos(mean), -value, slope2)


def test_a_pair_of_ones_own_is_one_entry(monkeypatch):
    sine = _Sine()
    mean, variance = jnp.array([0.4, -1.2]), jnp.array([0.7, 0.3])
    before = smooth(sine, mean, variance)
    assert pair_of(sine, sine) == Pair()

    monkeypatch.setitem(PAIRS, ("sine", "sine"), Pair(two_point=_sines, smooth=_averaged_sine))
    _check_two_point(sine, sine)
    for found, wanted in zip(smooth(sine, mean, variance), before, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9)

    # It is what the package uses: panels are off in the sixth digit, and a wrong entry is seen.
    wide = jnp.asarray(25.0), jnp.asarray(24.0), jnp.asarray(25.0)
    closed = float(jax.jit(lambda q, m, r: two_point(sine, sine, q, m, r).k)(*wide))
    assert closed == pytest.approx(float(np.exp(-1) - np.exp(-49)) / 2, rel=1e-13)
    nodes = float(quadrature_two_point(sine, sine, *wide).k)
    assert nodes == pytest.approx(closed, rel=1e-4)
    assert nodes != pytest.approx(closed, rel=1e-9)
    monkeypatch.setitem(PAIRS, ("sine", "sine"), Pair(two_point=_doubled(_sines)))
    with pytest.raises(AssertionError):
        _check_two_point(sine, sine)


def test_what_an_entry_lacks_is_by_quadrature(monkeypatch):
    sine, rule = _Sine(), TruncatedGauss(4, 6)
    monkeypatch.setitem(PAIRS, ("sine", "sine"), Pair(two_point=_sines))
    of = Committee4(sine, sine, COVARIANCE, WEIGHTS, 3)
    assert not pair_of(sine, sine).exact
    nodes = jax.jit(lambda C: quadrature_four_point(of._replace(covariance=C), rule))
    found = jax.jit(lambda C: slopes_and_squared_error(of._replace(covariance=C), rule))
    np.testing.assert_array_equal(found(COVARIANCE), nodes(COVARIANCE))
    assert two_point(sine, Erf(), *jnp.array([0.9, 0.3, 0.8])).k > 0


@pytest.mark.parametrize("kinds", [x for x in PAIRS if x[0] != "relu"], ids="-".join)
def test_closed_forms_are_vectorised_and_differentiated(kinds):
    pair = EXAMPLES[kinds]
    batch = jnp.stack([COVARIANCE, 0.5 * COVARIANCE])

    def four(C):
        return PAIRS[kinds].four_point(Committee4(*pair, C, WEIGHTS, 3))

    found = jax.jit(jax.vmap(four))(batch)
    np.testing.assert_allclose(found[1], jax.jit(four)(batch[1]), rtol=1e-12)
    # Along a ray the derivative is that of differences.
    ray = lambda c: four(c * COVARIANCE)  # noqa: E731
    slope = jax.jit(jax.jacfwd(ray))(jnp.asarray(1.0))
    difference = (jax.jit(ray)(1 + 1e-5) - jax.jit(ray)(1 - 1e-5)) / 2e-5
    np.testing.assert_allclose(slope, difference, rtol=1e-6)
