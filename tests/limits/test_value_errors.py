"""Errors of correctors, diffusions and risks against a finer rule."""

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.limits.risk import risk_error

_MIXTURE = sl.GaussianMixture(
    [[1.0], [-1.0]], [1.0, -1.0], probabilities=[0.3, 0.7], snr=[1.0, 2.0]
)


def _model(activation, **options):
    network = sl.Network(lambda v, s: jnp.sum(v * activation(s)), width=2)
    return sl.MultiIndexModel(data=_MIXTURE, network=network, loss=sl.losses.squared, **options)


def _states(count, seed=3):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((count, 2, 3)) * np.geomspace(0.3, 3, count)[:, None, None]
    v = rng.standard_normal((count, 2))
    return sl.Statistics(v, W[:, :, :1], W @ np.swapaxes(W, 1, 2))


def _values(effective, u):
    return {
        "corrector": effective.corrector(u).Q,
        "diffusion": effective.diffusion(u),
        "risk": sl.risk(effective.model, u),
    }


@pytest.mark.filterwarnings("ignore:.*of its scale only")
def test_errors_are_three_times_what_is_missing_or_more():
    # Gauss rules, six states of norms 0.3 to 3: at most one of them claims less than a third.
    u, sgd = _states(6), sl.OnlineSGD(step=0.7)
    rule = sl.TruncatedGauss(2, 5)
    coarse = sl.effective_dynamics(_model(jnp.tanh, rule=rule), sgd)
    fine = sl.effective_dynamics(_model(jnp.tanh, rule=sl.TruncatedGauss(2, 60)), sgd)
    errors = {
        "corrector": coarse.corrector_error(u).Q,
        "diffusion": coarse.diffusion_error(u),
        "risk": risk_error(coarse.model, u),
    }
    values, truth = _values(coarse, u), _values(fine, u)
    for name, error in errors.items():
        axes = tuple(range(1, error.ndim))
        missing = jnp.max(jnp.abs(values[name] - truth[name]), axis=axes)
        claimed = jnp.max(error, axis=axes)
        size = jnp.max(jnp.abs(truth[name]), axis=axes)
        assert (missing > 3 * claimed + 1e-9 * size).sum() <= 1, (name, missing, claimed)
        assert missing.max() > 1e-4 * size.max()  # the control: there is something to claim
        assert (claimed < 100 * missing + 1e-6 * size).all(), (name, missing, claimed)


def test_formulas_have_no_error_and_lonely_rules_say_that_they_do_not_know():
    u = sl.Statistics([], [[0.2], [0.1]], [[1.0, 0.1], [0.1, 0.8]])
    exact = sl.effective_dynamics(sl.committee(2, 1, "square"))
    assert not exact.diffusion_error(u).any()
    assert not exact.corrector_error(u).vector.any()
    assert risk_error(exact.model, u) == 0
    lonely = _model(jnp.tanh, rule=sl.TruncatedGauss(2, 1))
    at = sl.Statistics([1.0, 0.5], u.M, u.Q)
    assert np.isnan(sl.effective_dynamics(lonely).diffusion_error(at)).all()


def test_results_hold_the_error_of_the_risk():
    sgd, model = sl.OnlineSGD(step=0.7), _model(jnp.tanh, rule=sl.TruncatedGauss(2, 6))
    options = {"dim": 400, "time": 1.0, "runs": 2, "record": 3, "risk": True, "progress": False}
    with pytest.warns(sl.InaccurateWarning):
        ode = sl.simulate(model, sgd, "ode", initial=_states(2), **options)
    chain = sl.simulate(model, sgd, "chain", initial=_states(2), **options)
    start = ode.isel(time=0), chain.isel(time=0)
    np.testing.assert_allclose(start[0].risk_error, start[1].risk_error, rtol=1e-6)
    later = sl.Statistics(*(chain[name].values[:, -1] for name in ("v", "M", "Q")))
    np.testing.assert_allclose(chain.risk_error[:, -1], risk_error(model, later), rtol=1e-6)
    assert (ode.risk_error[:, -1] > 0).all()
    assert "risk_error" not in sl.simulate(
        sl.committee(2, 1, "erf"), sgd, "chain", **(options | {"risk": None})
    )
