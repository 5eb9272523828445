"""The deterministic map of large batches, against least squares by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl

_DIM, _BATCH, _NOISE, _X = 50, 80, 0.1, 0.4  # x = step/dim
_MODEL = sl.committee(1, 1, sl.Polynomial([0.0, 1.0]), noise=_NOISE)
_START = sl.Statistics(jnp.zeros(0), [[0.2]], [[0.7]])


def _distances(engine, **options):
    sgd = sl.OnlineSGD(_X * _DIM, batch=_BATCH, **options)
    result = sl.simulate(
        _MODEL, sgd, engine, dim=_DIM, time=6 * _X, runs=1, initial=_START, record=7
    )
    assert not [name for name in result.data_vars if str(name).endswith("_error")]  # exact
    return (1 - 2 * result.M.values + result.Q.values).ravel()


def test_the_mean_of_a_step_is_iterated():
    """E D' = D (1 - 2 x + x² (1 + (d + 1)/B)) + x² noise d/B, exactly, for batches of order d."""
    D, expected = 1 - 2 * 0.2 + 0.7, []
    for _ in range(7):
        expected.append(D)
        D = D * (1 - 2 * _X + _X**2 * (1 + (_DIM + 1) / _BATCH)) + _X**2 * _NOISE * _DIM / _BATCH
    found = _distances(sl.engines.ODE(per_step=True))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    # What the limit of fixed batches makes of it is something else.
    assert np.abs(_distances("ode") - expected).max() > 0.02


def test_what_it_cannot_do_is_said_before_work():
    with pytest.raises(ValueError, match="moments of one step at finite dim"):
        _distances(sl.engines.ODE(per_step=True), rule=sl.rules.normalise())
    with pytest.raises(ValueError, match="spherical=True, batch=80"):
        _distances(sl.engines.ODE(per_step=True), spherical=True)
