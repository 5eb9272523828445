"""Schedules that are best by the limit: against known optima, and simpler families."""

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl

_MODEL = sl.SpikedTensor(2, 1.5)
_START = sl.SpikedStatistics(m=0.1, r2=1.0)


def _find(**options):
    settings = {"time": 4.0, "initial": _START, "knots": 6, "progress": False}
    return sl.optimise_schedule(_MODEL, sl.OnlineSGD(), **settings | options)


def test_it_is_better_than_both_families_and_its_value_is_that_of_the_limit():
    found = _find()
    assert found.value < found.cosine.value < found.constant.value
    end = sl.effective_dynamics(_MODEL, found.sgd).solve(_START, [4.0])[0]
    assert found.value == pytest.approx(float(sl.risk(_MODEL, end)), rel=1e-5)
    assert found.gain == pytest.approx(found.constant.value / found.value)
    for shift in (-0.05, 0.05):  # no neighbour is better
        values = np.asarray(found.schedule.values) * (1 + shift * np.cos(np.arange(6)))
        moved = sl.schedules.linear(found.schedule.times.tolist(), values.tolist())
        sgd = sl.OnlineSGD(schedule=moved)
        end = sl.effective_dynamics(_MODEL, sgd).solve(_START, [4.0])[0]
        assert float(sl.risk(_MODEL, end)) > found.value
    axes = found.plot()
    assert axes.get_xlabel() == "$t$"
    assert "value=" in repr(found)


def test_an_optimum_at_a_bound_is_said():
    with pytest.warns(sl.ScheduleWarning, match=r"knots lie at bounds=\(0, 0.2\)"):
        found = _find(bounds=(0.0, 0.2))
    assert found.at_bound.any()
    assert (np.asarray(found.schedule.values) <= 0.2 + 1e-12).all()


def test_of_several_starts_the_mean_is_minimised():
    two = sl.SpikedStatistics(m=jnp.array([0.1, 0.4]), r2=jnp.ones(2))
    found = _find(initial=two, objective=lambda u: -(u.m**2))
    ends = sl.effective_dynamics(_MODEL, found.sgd).solve(two, [4.0])[0]
    assert found.value == pytest.approx(-float(jnp.mean(ends.m**2)), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "loss"}, "objective='loss': expected one of 'risk'"),
        ({"objective": lambda u: u.vector}, r"objective: gives an array of shape \(2,\)"),
        ({"objective": lambda u: u.z}, "objective: failed on one state"),
        ({"over": "momentum"}, "over='momentum': expected one of 'step'"),
        ({"bounds": (1.0, 0.5)}, "expected the least below the largest"),
        ({"knots": 1}, "knots=1: expected an integer"),
    ],
)
def test_nonsense_is_refused(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        _find(**options)
