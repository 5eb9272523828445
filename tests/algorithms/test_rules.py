"""Rules as a textbook writes them, in NumPy, on the same samples; and what is refused."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

import sgdlimits as sl
from sgdlimits.process.row_step import Drawn, RowState
from sgdlimits.provenance import describe
from sgdlimits.statistics.overlaps import Parameters

_DIM, _STEP, _RIDGE, _BATCH = 30, 0.7, 0.2, 3
_DELTA = _STEP / _DIM
_MODEL = sl.committee(2, 1, "erf", noise=0.2, ridge=_RIDGE)


def _samples_gradients(W, x, y):
    """g of every sample (batch, 2): derivatives of (y - mean erf(s/sqrt 2))²/2 in s."""
    s = x @ W.T
    error = (y - erf(s / np.sqrt(2)).mean(1)) / 2
    return -error[:, None] * np.sqrt(2 / np.pi) * np.exp(-(s**2) / 2)


def _mean_gradient(W, x, y, gain=lambda size: np.ones_like(size), eta=0.0):
    """Mean of g Xᵀ, each scaled by what it is told to, ahead of itself by eta/dim, and ridge."""
    norm = np.linalg.norm(x, axis=1)
    g = _samples_gradients(W, x, y)
    if eta:
        ahead = [W - eta / _DIM * np.outer(a, b) for a, b in zip(g, x, strict=True)]
        each = zip(ahead, x[:, None], y[:, None], strict=True)
        g = np.concatenate([_samples_gradients(*sample) for sample in each])
    g = g * gain(np.linalg.norm(g, axis=1) * norm / np.sqrt(_DIM))[:, None]
    return g.T @ x / len(x) + _RIDGE * W


def _clip(size):
    return np.minimum(1.0, 0.2 / size)


# state, gradient(W, ...), noise -> state; states are dicts of rows, and of b² where there is one.
def _sgd(W, u):
    return W - _DELTA * u


def _heavy_ball(state, gradient, noise):
    V = 0.8 * state["velocity"] + gradient(state["W"])
    return {"W": _sgd(state["W"], V), "velocity": V}


def _nesterov(state, gradient, noise):
    G = gradient(state["W"])
    V = 0.8 * state["velocity"] + G
    return {"W": _sgd(state["W"], G + 0.8 * V), "velocity": V}


def _decaying(state, gradient, noise):
    V = state["velocity"] * (1 - 1.5 * _DELTA) + _DELTA * gradient(state["W"])
    return {"W": state["W"] - _DELTA * V, "velocity": V}


def _adjusted(state, gradient, noise):
    G = gradient(state["W"])
    V = state["velocity"] * (1 - 1.5 * _DELTA) + _DELTA * G
    return {"W": _sgd(state["W"], 0.6 * G + 2.5 * V), "velocity": V}


def _averaged(state, gradient, noise):
    W, A = state["W"], state["average"]
    return {"W": _sgd(W, gradient(W)), "average": A + 0.9 * _DELTA * (W - A)}


def _memoryless(direction):
    return lambda state, gradient, noise: {
        "W": _sgd(state["W"], direction(state["W"], gradient, noise))
    }


def _adagrad(state, gradient, noise):
    G = gradient(state["W"])
    square = state["b2"] + np.sum((G - _RIDGE * state["W"]) ** 2) / _DIM**2
    return {"W": _sgd(state["W"], G / np.sqrt(square)), "b2": square}


def _private(state, gradient, noise):
    G = gradient(state["W"], gain=_clip) + 0.3 * noise
    V = 0.8 * state["velocity"] + G
    return {"W": (1 - 0.5 * _DELTA) * state["W"] - _DELTA * V, "velocity": V}


def _decay_inside(state, gradient, noise):
    V = 0.8 * state["velocity"] + gradient(state["W"]) + 0.5 * state["W"]
    return {"W": _sgd(state["W"], V), "velocity": V}


_R = sl.rules
RULES = {
    "beta": (_R.momentum(beta=0.8), _heavy_ball),
    "nesterov": (_R.momentum(beta=0.8, nesterov=True), _nesterov),
    "decay": (_R.momentum(decay=1.5), _decaying),
    "decay-in-time": (_R.momentum(decay=lambda t: 1.5 + 0.0 * t), _decaying),
    "adjusted": (_R.adjusted_momentum(lambda t: 1.8 - t, 0.6, lambda t: 2.5 + 0.0 * t), _adjusted),
    "average": (_R.average(0.9), _averaged),
    "weight-decay": (_R.weight_decay(0.5), _memoryless(lambda W, g, z: g(W) + 0.5 * W)),
    "clip": (_R.clip(0.2), _memoryless(lambda W, g, z: g(W, gain=_clip))),
    "normalise": (_R.normalise(), _memoryless(lambda W, g, z: g(W, gain=lambda x: 1 / x))),
    "noise": (_R.noise(0.3), _memoryless(lambda W, g, z: g(W) + 0.3 * z)),
    "adagrad": (_R.adagrad_norm(0.5), _adagrad),
    "repeat": (_R.repeat(1.3), _memoryless(lambda W, g, z: g(W, eta=1.3))),
    "sign": (_R.sign(), _memoryless(lambda W, g, z: np.sign(g(W)))),
    "private": (_R.chain(_R.clip(0.2), _R.noise(0.3), _R.momentum(beta=0.8), _R.weight_decay(0.5)),
                _private),
    "mean-so-far": (_R.average(lambda t: 0.9 + 0.0 * t), _averaged),
    "decay-inside": (_R.chain(_R.weight_decay(0.5), _R.momentum(beta=0.8)), _decay_inside),
}  # fmt: skip


def _drawn(rng, frame):
    x = rng.standard_normal((_BATCH, _DIM))
    label = erf(x @ frame.T / np.sqrt(2)) + 0.4 * rng.standard_normal((_BATCH, 1))
    return x, label, rng.standard_normal((2, _DIM))


@pytest.mark.parametrize("name", RULES)
def test_real_steps_are_those_of_the_textbook(name):
    rule, step = RULES[name]
    process = sl.Process(_MODEL, sl.OnlineSGD(_STEP, batch=_BATCH, rule=rule))
    frame, rng = process.frame(_DIM), np.random.default_rng(5)
    W = rng.standard_normal((2, _DIM)) / np.sqrt(_DIM)
    kinds = {x.name: W if x.copies else 0 * W for x in rule.memory}
    state = {"W": W, **kinds, "b2": 0.25}
    scalars = {x.name: jnp.asarray(0.25) for x in rule.scalars}
    found: Any = RowState(scalars, jnp.zeros((1 + len(kinds), 0)), jnp.stack([W, *kinds.values()]))
    if rule.simple:
        found = Parameters(jnp.zeros(0), jnp.asarray(W))
    advance = eqx.filter_jit(process.step_on)
    for _ in range(3):
        x, label, noise = _drawn(rng, np.asarray(frame))
        drawn: Any = Drawn(jnp.asarray(x), jnp.asarray(label), jnp.asarray(noise), jnp.zeros(0))
        if rule.simple:
            drawn = process.draw(jax.random.key(0), frame, float)._replace(
                x=jnp.asarray(x), label=jnp.asarray(label)
            )
        found = advance(found, frame, drawn, jnp.asarray(0.3))

        def gradient(W, x=x, y=label[:, 0], **options):
            return _mean_gradient(W, x, y, **options)

        state = state | step(state, gradient, noise)
    rows = found.W[None] if rule.simple else found.R
    expected = np.stack([state["W"], *(state[x.name] for x in rule.memory)])
    np.testing.assert_allclose(rows, expected, rtol=1e-10, atol=1e-12)
    assert np.abs(expected[0] - W).max() > 1e-5  # it moved
    if rule.scalars:
        np.testing.assert_allclose(found.scalars["accumulated_square"], state["b2"], rtol=1e-12)


def test_alternate_moves_the_second_layer_first():
    model = sl.committee(2, 1, "erf", noise=0.2, train_second_layer=True)
    steps = {}
    for name, rule in (("alternate", sl.rules.alternate()), ("plain", sl.rules.average(1.0))):
        process = sl.Process(model, sl.OnlineSGD(_STEP, rule=rule, second_layer_rate=_DIM))
        rng, frame = np.random.default_rng(2), process.frame(_DIM)
        W, v = rng.standard_normal((2, _DIM)) / np.sqrt(_DIM), np.array([0.9, -0.4])
        x, label, _ = _drawn(rng, np.asarray(frame))
        kinds = 1 + len(rule.memory)
        state = RowState({}, jnp.stack([v] * kinds), jnp.stack([W] * kinds))
        drawn = Drawn(jnp.asarray(x), jnp.asarray(label), jnp.zeros(0), jnp.zeros(0))
        steps[name] = process.step_on(state, frame, drawn, 0.0)
    s = x @ W.T
    sigma, slope = erf(s / np.sqrt(2)), np.sqrt(2 / np.pi) * np.exp(-(s**2) / 2)

    def error(v):
        return label[:, 0] - sigma @ v / 2

    new = v + _STEP * (error(v)[:, None] * sigma).mean(0) / 2
    for name, used in (("alternate", new), ("plain", v)):
        g = -error(used)[:, None] * used * slope / 2
        np.testing.assert_allclose(steps[name].v[0], new, rtol=1e-12)
        np.testing.assert_allclose(steps[name].R[0], W - _DELTA * g.T @ x / _BATCH, rtol=1e-10)
    assert np.abs(steps["alternate"].R[0] - steps["plain"].R[0]).max() > 1e-4


# -- what is refused -------------------------------------------------------------------------------

_SPIKED = sl.SpikedTensor(snr=2.0)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: _R.momentum(), "decay=None, beta=None: expected exactly one"),
        (lambda: _R.momentum(beta=0.5, decay=1.0), "expected exactly one"),
        (lambda: _R.momentum(beta=1.0), r"beta=1.0: expected a number from 0 to below 1"),
        (lambda: _R.momentum(decay=-1), "decay=-1.0: expected"),
        (lambda: _R.clip(0.0), "threshold=0.0: expected a number above 0"),
        (lambda: _R.noise(-1.0), "std=-1.0"),
        (lambda: _R.adagrad_norm(0.0), "initial=0.0"),
        (lambda: _R.average(-0.1), "rate=-0.1"),
        (lambda: _R.repeat(float("nan")), "eta=nan"),
        (lambda: _R.chain(), "at least one rule"),
        (lambda: _R.chain(_R.clip(1.0), 3), "3 is no rule"),
        (lambda: _R.chain(_R.momentum(beta=0.5), _R.clip(1.0)),
         "clip acts on single samples, before their mean is taken; put it before Momentum"),
        (lambda: _R.chain(_R.clip(1.0), _R.repeat(1.0)), "repeat looks ahead"),
        (lambda: _R.chain(_R.momentum(beta=0.5), _R.adagrad_norm()), "adagrad_norm measures"),
        (lambda: _R.chain(_R.noise(0.1), _R.noise(0.2)), "both add noise"),
        (lambda: _R.chain(_R.average(1.0), _R.average(2.0)), "two rules carry 'average' along"),
        (lambda: _R.chain(_R.repeat(1.0), _R.alternate()), "repeat looks ahead in the first layer"),
        (lambda: sl.Process(_SPIKED, sl.OnlineSGD(rule=_R.repeat(1.0))),
         "depends on overlaps of its parameters"),
        (lambda: sl.Process(_SPIKED, sl.OnlineSGD(rule=_R.alternate())), "no second layer"),
        (lambda: _run("chain", _R.sign()), "coordinates are moved one by one"),
        (lambda: _run("mean_field", _R.clip(1.0)), "carry nothing along; use engine='ode'"),
        (lambda: _run("ode", _R.sign(), ridge=0.1), "with a ridge"),
        (lambda: _run("ode", _R.sign(), batch=2), "one sample a step"),
        (lambda: _run("sgd", _R.clip(1.0), literal=True), "literal=True, rule="),
        (lambda: sl.audit(_MODEL, sl.OnlineSGD(rule=_R.clip(1.0))), "the audit takes steps apart"),
        (lambda: sl.effective_dynamics(_MODEL, sl.OnlineSGD(rule=_R.clip(1.0))).one_step_moments(
            sl.Statistics(jnp.zeros(0), [[0.1], [0.2]], jnp.eye(2)), 50),
         "moments of one step at finite dim are known for rules that are linear"),
        (lambda: _R.chain(_R.line_search(), _R.momentum(beta=0.5)), "there may be average alone"),
        (lambda: _R.chain(_R.line_search(), _R.polyak()), "there may be average alone"),
        (lambda: _R.line_search(0.0), "largest=0.0: expected a number above 0"),
        (lambda: _R.polyak(scale=-1.0), "scale=-1.0"),
        (lambda: sl.Process(sl.binary_gmm(snr=2.0), sl.OnlineSGD(rule=_R.polyak())),
         "no formula for its least risk; give least="),
        (lambda: sl.critical_step(_MODEL, sl.OnlineSGD(rule=_R.line_search())), "its own step"),
        (lambda: _run("mean_field", _R.line_search()), "carry nothing along; use engine='ode'"),
        (lambda: sl.effective_dynamics(
            _SPIKED, sl.OnlineSGD(rule=_R.momentum(decay=lambda t: 1 / (1 + t)))).fixed_points(),
         r"rule=DecayingMomentum.*fixed_points is for drifts that do not change with time"),
        (lambda: sl.critical_step(
            _MODEL, sl.OnlineSGD(rule=_R.chain(_R.adjusted_momentum(lambda t: 1 / (1 + t))))),
         "rule=adjusted_momentum.*a step that changes has no critical value"),
        (lambda: _R.average(lambda t: -1.0), "rate=<function"),
        (lambda: _R.momentum(decay=lambda t: t - 1), "decay=<function"),
        (lambda: _run(sl.engines.ODE(per_step=True), _R.clip(1.0)), "moments of one step"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_by_name(make, match):
    with pytest.raises((TypeError, ValueError), match=match):
        make()


def _run(engine, rule, ridge=0.0, batch=1, **options):
    model = sl.committee(2, 1, "erf", noise=0.2, ridge=ridge)
    sgd = sl.OnlineSGD(rule=rule, batch=batch)
    return sl.simulate(model, sgd, engine, dim=20, time=0.1, runs=1, **options)


def test_a_rule_that_is_not_used_is_not_named():
    # Results stored before there were rules keep their identity.
    assert "rule" not in describe(sl.OnlineSGD())
    assert "rule" in describe(sl.OnlineSGD(rule=sl.rules.average(1.0)))
