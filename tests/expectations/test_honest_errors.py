"""Panels against brute force: values are right, and errors are what they say they are."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgdlimits.expectations import panel_pairs
from sgdlimits.expectations.activations import Activation
from sgdlimits.expectations.own_points import OwnPoints
from sgdlimits.expectations.panel_pairs import LEVELS, pair_integrals
from tests.expectations.dense import KNOWN, dense, sizes, standard_pair

#: Every activation is a student or a teacher at least once; kinks, jumps and scales are mixed.
PAIRS = [
    ("relu", "relu"), ("abs", "heaviside"), ("tanh", "tanh"), ("gelu", "tanh"), ("elu", "hardtanh"),
    ("selu", "sign"), ("softsign", "leaky relu"), ("softplus 50", "staircase"),
    ("relu6", "cubic"), ("staircase", "mish"), ("silu", "sine"), ("hardtanh", "softplus 50"),
    ("mish", "x sign x"), ("leaky relu", "abs"),
]  # fmt: skip
_COUNT = 12
_TRUST = 3.0  # times the claim


def _states(seed):
    """(count, 3): q, m, r. Norms from 1e-3 to 30; half of the pairs nearly aligned, or exactly."""
    rng = np.random.default_rng(seed)
    q, r = 10 ** rng.uniform(-6, 2.95, (2, _COUNT))
    apart = 10 ** rng.uniform(-8, 0, _COUNT)
    rho = np.where(np.arange(_COUNT) % 2, 1 - apart, rng.uniform(-1, 1, _COUNT))
    rho[0], rho[1] = 0.0, 1.0
    q[2], r[2], q[3], r[3] = 9.0, 100.0, 100.0, 1e-3
    return np.stack([q, rho * np.sqrt(q * r), r], axis=1)


@cache
def _truth(pair, seed):
    sigma, tau = (KNOWN[name] for name in pair)
    states = _states(seed)
    found = np.array([dense(sigma, tau, *of) for of in states])
    return found, np.array([sizes(sigma, tau, q, r) for q, _, r in states])


def _values(pair, states, levels):
    """The same four numbers by panels, (levels, states, 4)."""
    sigma, tau = (Activation(KNOWN[name].function) for name in pair)

    @jax.jit
    @jax.vmap
    def all_states(q, m, r):
        found = [pair_integrals(sigma, tau, q, m, r, level) for level in levels]
        return jnp.stack([jnp.stack([*each.forward, each.slopes]) for each in found])

    k, k_m, k_q, slopes = np.moveaxis(all_states(*map(jnp.asarray, states.T)), (2, 1), (0, 1))
    b, c, s = np.array([standard_pair(*of) for of in states]).T
    return np.stack([k, 2 * k_q * c + k_m * b, 2 * k_q * s, slopes], axis=-1)


def _judge(pairs, seed):
    """(true errors, claims), both in units of the numbers' sizes."""
    true, claimed = [], []
    for pair in pairs:
        states = _states(seed)
        found, size = _truth(pair, seed)
        fine, *coarse = _values(pair, states, (0, *LEVELS))
        unit = np.where(size > 0, size, 1.0)
        true.append(np.abs(fine - found) / unit)
        claimed.append(np.sqrt(((np.array(coarse) - fine) ** 2).sum(0)) / unit)
    return np.array(true), np.array(claimed)


def _honest(true, claimed):
    """Fraction of numbers whose error is below three times the claim, up to rounding."""
    return np.mean(true <= _TRUST * claimed + 1e-11)


@pytest.fixture(scope="module")
def judged():
    return _judge(PAIRS, 0)


def test_every_activation_is_among_the_pairs():
    assert {name for pair in PAIRS for name in pair} == set(KNOWN)


def test_values_are_those_of_brute_force(judged):
    true, _ = judged
    for pair, errors in zip(PAIRS, true, strict=True):
        print(pair, f"worst {errors.max():.0e} median {np.median(errors):.0e}")
        # Sine of a neuron of norm 30 turns two hundred times: more than panels are for.
        if "sine" not in pair:
            assert errors.max() < 1e-3, pair
    assert np.median(true) < 1e-7


def test_claims_are_small(judged):
    _, claimed = judged
    for pair, claims in zip(PAIRS, claimed, strict=True):
        print(pair, f"worst {claims.max():.0e} median {np.median(claims):.0e}")
        if "sine" not in pair:
            assert claims.max() < 2e-3, pair
            assert np.mean(claims < 1e-3) > 0.98, pair


def test_errors_are_honest(judged):
    fraction = _honest(*judged)
    print(f"true error below three times the claim: {fraction:.4f}")
    assert fraction >= 0.99


def test_the_test_of_honesty_sees_kinks_that_were_not_found(monkeypatch):
    monkeypatch.setattr(panel_pairs, "own_points", lambda _: OwnPoints((), ()))
    true, claimed = _judge([("abs", "heaviside"), ("relu6", "cubic")], 0)
    assert _honest(true, claimed) < 0.99
    assert true.max() > 1e-2
    assert claimed.max() > 1e-2


def test_the_test_of_honesty_sees_claims_of_a_better_rule(judged):
    true, claimed = judged
    rough = []
    for pair in PAIRS[:3]:
        found, size = _truth(pair, 0)
        rough.append(
            np.abs(_values(pair, _states(0), (3,))[0] - found) / np.where(size > 0, size, 1)
        )
    assert _honest(np.array(rough), claimed[:3]) < 0.9
    assert _honest(true[:3], claimed[:3]) >= 0.99
