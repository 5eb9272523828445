"""Steps that the population decides, against least squares by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits._tracing import dynamic

_NOISE, _BATCH = 0.6, 2
_MODEL = sl.committee(1, 1, sl.Polynomial([0.0, 1.0]), noise=_NOISE)
_STATE = sl.Statistics(jnp.zeros(0), [[0.2]], [[0.7]])
_D = 1 - 2 * 0.2 + 0.7  # |w - w*|²
_BEST = _BATCH * _D / (_D + _NOISE)  # of step (D (-2 + step/batch) + step/batch noise)


def _process(rule, **options):
    return sl.Process(_MODEL, sl.OnlineSGD(0.5, batch=_BATCH, rule=rule, **options))


@eqx.filter_jit
def _drift(process, u):
    return process.drift(u)


@eqx.filter_jit
def _mean(process, dim):
    return process.one_step_moments(_STATE, dim).mean


@pytest.mark.parametrize(
    ("rule", "step"),
    [
        (sl.rules.line_search(), _BEST),
        (sl.rules.line_search(largest=0.3), 0.3),
        (sl.rules.polyak(2.0), _BEST),
        (sl.rules.polyak(1.0, least=0.0), _BATCH * (_D + _NOISE) / 2 / (_D + _NOISE)),
        (sl.rules.chain(sl.rules.polyak(0.6), sl.rules.average(0.1)), 0.3 * _BEST),
    ],
)  # fmt: skip
def test_limit_real_step_and_chain_take_the_step_that_is_known_by_hand(rule, step):
    process, plain = _process(rule), sl.Process(_MODEL, sl.OnlineSGD(step, batch=_BATCH))
    u = process.begin(_STATE)
    # Of the clock of step 0.5.
    drift = process.base(_drift(dynamic(process), u)).vector
    np.testing.assert_allclose(
        drift, step / 0.5 * _drift(dynamic(plain), _STATE).vector, rtol=1e-9, atol=1e-12
    )
    dim = 40
    frame = process.frame(dim)
    state = process.lift(jax.random.key(0), u, frame)
    drawn = process.draw(jax.random.key(1), frame, float)
    after = eqx.filter_jit(process.step_on)(state, frame, drawn, jnp.zeros(()))
    W, x, y = np.asarray(state.R[0]), np.asarray(drawn.x), np.asarray(drawn.label)
    gradient = ((x @ W.T - y) * x).mean(0)
    np.testing.assert_allclose(after.R[0], W - step / dim * gradient, rtol=1e-9)


def test_line_search_is_greedy_best_and_its_mean_step_is_the_chains():
    """The mean of one exact step against the moments, and against steps that are a tenth off."""
    dim, process = 60, _process(sl.rules.line_search())
    constants, state = process.chain_constants(dim), process.chain_state(_STATE)

    @eqx.filter_jit
    def steps(process, keys):
        def one(key):
            noise = jax.tree.map(lambda x: x[0], process.chain_noise(key, 1, constants))
            after = process.chain_step(state, noise, jnp.asarray(1.0 * dim), 0.0)
            return process.chain_statistics(after).vector

        return jax.vmap(one)(keys)

    found = np.asarray(steps(dynamic(process), jax.random.split(jax.random.key(3), 20_000)))
    moved = found - np.asarray(_STATE.vector)
    error = moved.std(0, ddof=1) / len(moved) ** 0.5

    def z(step):
        plain = sl.Process(_MODEL, sl.OnlineSGD(step, batch=_BATCH))
        mean = _mean(dynamic(plain), jnp.asarray(1.0 * dim))
        return np.abs((moved.mean(0) - np.asarray(mean)) / error).max()

    assert z(_BEST) < 4.5
    assert z(1.1 * _BEST) > 6  # the control
    ours = _mean(dynamic(process), jnp.asarray(1.0 * dim))
    assert np.abs((moved.mean(0) - np.asarray(ours)) / error).max() < 4.5
