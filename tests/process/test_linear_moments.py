"""Moments of one step under rules with memory: exact cases, and many exact steps."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits._tracing import dynamic
from sgdlimits.models.vector_model import SpikedStatistics

_DIM = jnp.asarray(60.0)
_R = sl.rules
_NETWORK = sl.committee(2, 1, "erf", noise=0.2, ridge=0.3)
_OVERLAPS = sl.Statistics(jnp.zeros(0), [[0.3], [-0.2]], [[1.0, 0.2], [0.2, 0.8]])
_SPIKED, _SPIKED_AT = sl.SpikedTensor(3, 2.0, 0.2), SpikedStatistics(0.6, 0.7)


@eqx.filter_jit
def _compiled(process, u):
    return process.one_step_moments(u, _DIM)


def _moments(process, u):
    return _compiled(dynamic(process), u)


@pytest.mark.parametrize(
    ("model", "u"), [(_NETWORK, _OVERLAPS), (_SPIKED, _SPIKED_AT)], ids=["network", "spiked"]
)
@pytest.mark.parametrize("rule", [_R.average(0.7), _R.momentum(beta=0.0)], ids=["average", "beta"])
def test_parameters_that_move_as_without_the_rule_have_its_moments(model, u, rule):
    plain, ruled = (sl.Process(model, sl.OnlineSGD(0.7, batch=3, rule=x)) for x in (None, rule))
    begun = ruled.begin(u)
    expected = _moments(plain, u).mean
    found = begun.with_vector(_moments(ruled, begun).mean)
    np.testing.assert_allclose(ruled.base(found).vector, expected, rtol=1e-9, atol=1e-13)


def _steps(process, start, warm, count):
    """Statistics after some steps, and of many steps more from there."""
    constants = process.chain_constants(int(_DIM))

    @eqx.filter_jit
    def step(process, state, keys):
        def one(key):
            noise = jax.tree.map(lambda x: x[0], process.chain_noise(key, 1, constants))
            return process.chain_step(state, noise, _DIM, 0.0)

        return jax.vmap(one)(keys)

    process, state = dynamic(process), process.chain_state(process.begin(start))
    for seed in range(warm):
        after = step(process, state, jax.random.split(jax.random.key(seed), count))
        state = jax.tree.map(lambda x: x[0], after)
    after = step(process, state, jax.random.split(jax.random.key(warm), count))
    return process.chain_statistics(state), jax.vmap(process.chain_statistics)(after).vector


@pytest.mark.parametrize(
    ("model", "start", "rule", "batch"),
    [
        (_NETWORK, _OVERLAPS, _R.chain(_R.noise(0.5), _R.momentum(beta=0.5)), 2),
        (_SPIKED, _SPIKED_AT, _R.chain(_R.momentum(decay=1.0), _R.average(0.9)), 1),
        pytest.param(_NETWORK, _OVERLAPS, _R.momentum(decay=1.5), 3, marks=pytest.mark.slow),
        pytest.param(_SPIKED, _SPIKED_AT, _R.momentum(beta=0.6), 2, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_moments_are_those_of_many_exact_steps(model, start, rule, batch):
    process = sl.Process(model, sl.OnlineSGD(0.7, rule=rule, batch=batch))
    u, after = _steps(process, start, 3, 20_000)
    moved = np.asarray(after - u.vector)

    def z(process):
        found = _moments(process, u)
        error = moved.std(0, ddof=1) / len(moved) ** 0.5 + 1e-15
        return np.abs((moved.mean(0) - np.asarray(found.mean)) / error).max(), found.covariance

    worst, covariance = z(process)
    assert worst < 5  # 5e-6 for ten statistics
    other = sl.Process(model, sl.OnlineSGD(0.7, rule=rule, batch=batch + 1))
    assert z(other)[0] > 10  # the control
    sampled = np.cov(moved.T)
    size = np.sqrt(np.diag(sampled)) + 1e-12
    # Of relative order 1/dim, and what 20000 samples leave open.
    assert np.abs((sampled - np.asarray(covariance)) / np.outer(size, size)).max() < 0.2
