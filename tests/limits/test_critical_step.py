"""The largest stable step: known for least squares, whatever batch and momentum."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl

_LINE = sl.committee(1, 1, sl.Polynomial([0.0, 1.0]), noise=0.5)
_START = sl.Statistics(jnp.zeros(0), [[0.2]], [[1.0]])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"batch": 2, "rule": sl.rules.momentum(beta=0.75)}, 1.0),
        pytest.param({}, 2.0, marks=pytest.mark.slow),
        pytest.param({"batch": 3}, 6.0, marks=pytest.mark.slow),
        pytest.param(
            {"rule": sl.rules.chain(sl.rules.noise(0.5), sl.rules.average(0.3))}, 2.0,
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_least_squares(options, expected):
    # Excess risk D: dD/dt = -2 D + step/batch (D + noise) + ..., which rests below step = 2 batch.
    sgd = sl.OnlineSGD(step=0.2, **options)
    assert sl.critical_step(_LINE, sgd, initial=_START) == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
def test_risk_is_finite_below_and_not_above():
    sgd = sl.OnlineSGD(step=0.1, rule=sl.rules.momentum(decay=1.0))
    critical = sl.critical_step(_LINE, sgd, initial=_START)
    for share, rests in ((0.9, True), (1.1, False)):
        at = dataclasses.replace(sgd, step=share * critical)
        u = sl.effective_dynamics(_LINE, at).solve(_START, [100.0, 200.0])
        risk = np.asarray(sl.risk(_LINE, sl.Statistics(u.v, u.M, u.Q)))
        assert (risk[1] < 1.5 * risk[0]) == rests


def test_what_does_not_rest_is_refused():
    with pytest.raises(ValueError, match="does not rest"):
        sl.critical_step(_LINE, sl.OnlineSGD(step=3.0), initial=_START)
    with pytest.raises(ValueError, match="schedule="):
        sl.critical_step(_LINE, sl.OnlineSGD(schedule=sl.schedules.power(1.0)))


@pytest.mark.slow
def test_a_point_that_moves_far_between_two_steps_is_followed():
    """Newton's method from the rest at step 6.7 finds none at 8.7; there is a stable one to 15."""
    model = sl.committee(2, 1, "erf")
    critical = sl.critical_step(model)
    below = sl.effective_dynamics(model, sl.OnlineSGD(0.8 * critical))
    end = below.solve(sl.initial(model, 400, 1, 0), [4000.0])[0]
    assert np.abs(below.drift(end).vector).max() < 1e-4
    assert critical == pytest.approx(15.33, rel=0.01)
