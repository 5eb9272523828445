"""Errors of mixtures' expectations are what they are said to be, also where neurons are near.

The truth is Monte Carlo in NumPy, by Sobol points that know nothing of kinks, with its own standard
error.
"""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import sgdlimits as sl
from sgdlimits._tracing import dynamic
from sgdlimits.expectations.rules import TruncatedGauss

_TRUST = 3.0  # times the claim
_LOG2, _SCRAMBLES = 15, 8
_SIGMAS = 4.0  # of the truth's own error
#: Fraction of states where one number of 6, 27 or 44 may be further off than it claims. Of four
#: neurons only the two nearest are taken last, with few nodes on every axis: 0.15 were measured.
_BOUNDS = {2: 0.05, 3: 0.05, 4: 0.2}


def _state(rng, p, r):
    """Norms from 0.1 to 5; two neurons nearly parallel or antiparallel, or little outside the span.

    Far from orthogonal to the means, whose classes then see the wedge between two kinks.
    """
    W = rng.standard_normal((p, p + r))
    kind = rng.integers(4)
    if kind < 2:
        apart = 10 ** rng.uniform(-3, -0.3)
        W[-1] = (-1) ** kind * W[0] + apart * rng.standard_normal(p + r)
    elif kind == 2:
        W[:, r:] *= 10 ** rng.uniform(-2, 0)
    W *= (10 ** rng.uniform(-1, 0.7, p) / np.linalg.norm(W, axis=1))[:, None]
    v = rng.standard_normal(p) * 10 ** rng.uniform(-0.5, 0.5)
    return sl.Statistics(jnp.asarray(v), jnp.asarray(W[:, :r]), jnp.asarray(W @ W.T))


def _model(p, snr):
    return sl.binary_gmm(snr=snr, width=p) if p == 2 else sl.xor_gmm(snr=snr, width=p)


@cache
def _cases(p, count):
    rng = np.random.default_rng(p)
    r = 1 if p == 2 else 2
    return [(_model(p, float(10 ** rng.uniform(-0.5, 2))), _state(rng, p, r)) for _ in range(count)]


@cache
def _normals(p):
    sets = [stats.qmc.Sobol(p, rng=np.random.default_rng([77, k])) for k in range(_SCRAMBLES)]
    points = np.stack([one.random_base2(_LOG2).T for one in sets])
    return special.ndtri(np.clip(points, 1e-12, 1 - 1e-12))


def _sampled(model, u):
    """(means, standard errors) of h, g f, g s, g g."""
    v, M, Q = (np.asarray(x) for x in (u.v, u.M, u.Q))
    snr, labels = float(model.data.deviations[0]) ** -2, np.array(model.data.labels)[:, 0]
    factor = np.linalg.cholesky(Q + 1e-15 * np.trace(Q) * np.eye(len(Q)))
    slope = np.linalg.solve(factor, M).T
    found = []
    for z in _normals(len(v)):
        total = 0.0
        for a, label in zip(np.array(model.data.coefficients), labels, strict=True):
            s, f = (x[:, None] + y @ z / np.sqrt(snr) for x, y in ((M @ a, factor), (a, slope)))
            active = np.maximum(s, 0)
            miss = special.expit(v @ active) - label
            g = miss * v[:, None] * (s > 0)
            parts = (miss * active).mean(1), g @ f.T, g @ s.T, g @ g.T / snr
            n = z.shape[1]
            each = [parts[0], *((x / n).ravel() for x in parts[1:])]
            total = total + np.concatenate(each) / len(labels)
        found.append(total)
    return np.mean(found, 0), np.std(found, 0, ddof=1) / np.sqrt(_SCRAMBLES)


@cache
def _truths(p, count):
    return [_sampled(model, u) for model, u in _cases(p, count)]


def _vector(e):
    return np.concatenate([np.ravel(x) for x in (e.h, e.gf, e.gs, e.gg)])


def _claims(p, count):
    """(values, claims) at every state."""

    @eqx.filter_jit
    def both(model, u):
        deviations = model.deviations(u)
        return model._estimates(u).mean(), jax.tree.map(
            lambda x: jnp.sqrt(jnp.sum(x * x, 0)), deviations
        )

    found = [both(dynamic(model), u) for model, u in _cases(p, count)]
    return [(_vector(e), _vector(claim)) for e, claim in found]


def _dishonest(p, count, claims):
    """Fraction of states where a number is further from the truth than three times its claim."""
    bad = []
    for (value, claim), (truth, spread) in zip(claims, _truths(p, count), strict=True):
        bad.append((np.abs(value - truth) > _TRUST * claim + _SIGMAS * spread + 1e-9).any())
    return np.mean(bad)


def _judge(p, count, monkeypatch):
    fraction = _dishonest(p, count, _claims(p, count))
    with monkeypatch.context() as patch:
        patch.setattr(TruncatedGauss, "turned", lambda self: None)
        one_order = _dishonest(p, count, _claims(p, count))
    print(f"{p} neurons, dishonest at {fraction:.3f} of states; in one order only {one_order:.3f}")
    assert fraction <= _BOUNDS[p]
    # The control: coarser rules of one construction miss the same wedges.
    assert one_order > 0.1


def test_errors_of_two_neurons_are_honest(monkeypatch):
    _judge(2, 24, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("p", [3, 4])
def test_errors_of_more_neurons_are_honest(p, monkeypatch):
    _judge(p, 40, monkeypatch)


def _together(rule, mean, factor):
    return jax.jit(lambda m, C: rule.nodes(m, C, (0.0,)).together)(mean, factor)


def test_the_rule_in_another_order_integrates_polynomials_and_kinks():
    rng = np.random.default_rng(0)
    A, mean = rng.standard_normal((3, 3)), jnp.asarray([0.3, -0.2, 0.1])
    factor = jnp.asarray(np.linalg.cholesky(A @ A.T))
    rule = TruncatedGauss(3, (8, 6, 6))
    z, weight = _together(rule, mean, factor)
    turned, other = _together(rule.turned(), mean, factor)
    assert other.shape == (rule.turned().count,)
    np.testing.assert_allclose(turned @ other, 0, atol=1e-7)
    np.testing.assert_allclose((other * turned) @ turned.T, np.eye(3), atol=1e-6)
    product = lambda z, w: w @ np.maximum(mean[:, None] + factor @ z, 0).prod(0)  # noqa: E731
    np.testing.assert_allclose(product(turned, other), product(z, weight), atol=2e-5)


@pytest.mark.parametrize("apart", [0.0, 1e-9, 1e-3])
@pytest.mark.parametrize("sign", [1, -1])
def test_thin_wedges_between_kinks(sign, apart):
    """P(s_1 > 0, s_2 > 0) of nearly (anti)parallel fields, or exactly so."""
    factor = jnp.asarray([[1.0, 0.0], [sign * 1.0, apart]])
    mean = jnp.asarray([0.0, 0.02])
    z, weight = _together(TruncatedGauss(2, 8).turned(), mean, factor)
    s = mean[:, None] + factor @ z
    found = np.asarray(weight) @ np.asarray(s > 0).all(0)
    z = np.linspace(-9, 9, 2_000_001)
    inner = special.ndtr((0.02 + sign * z) / apart) if apart else 1.0 * (0.02 + sign * z > 0)
    normal = np.exp(-z * z / 2)
    exact = (normal * inner * (z > 0)).sum() / normal.sum()
    assert found == pytest.approx(exact, abs=2e-5)
