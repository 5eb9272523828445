"""Wilson's interval; explosions of phase retrieval without the constraint, chain against SGD."""

import math

import pytest
from scipy import stats

import sgdlimits as sl
from sgdlimits.analysis.explosion import Proportion


@pytest.mark.parametrize(
    ("count", "runs", "confidence"), [(3, 50, 0.95), (0, 20, 0.9), (20, 20, 0.9), (266, 400, 0.99)]
)
def test_wilson_solves_its_defining_equation(count, runs, confidence):
    low, high = Proportion(count, runs).interval(confidence)
    z = stats.norm.isf((1 - confidence) / 2)
    assert 0 <= low <= count / runs <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            distance = abs(count / runs - end)
            assert distance == pytest.approx(z * math.sqrt(end * (1 - end) / runs), rel=1e-9)


def test_nothing_seen_is_not_nothing():
    assert Proportion(0, 100).interval()[1] > 0.03
    assert "0.06 (3/50" in repr(Proportion(3, 50))


@pytest.mark.stat
def test_sgd_explodes_as_often_as_its_chain():
    # p = 2, d = 50, 200 steps. z-test of two proportions at 4.5 s.e.; half the step is the control.
    model, start = sl.phase_retrieval(2, 0.6), None

    def count(step, engine, seed):
        return sl.explosion_probability(
            model, sl.OnlineSGD(step=step), dim=50, time=200 * step / 50, runs=1024, seed=seed,
            initial=start, engine=engine,
        )  # fmt: skip

    chain, sgd, gentle = count(0.4, "chain", 0), count(0.4, "sgd", 1), count(0.2, "chain", 2)
    pooled = (chain.value + sgd.value) / 2
    error = math.sqrt(2 * pooled * (1 - pooled) / 1024)
    assert 0.05 < chain.value < 0.95
    assert abs(chain.value - sgd.value) < 4.5 * error
    assert abs(gentle.value - sgd.value) > 4.5 * error


def test_on_the_sphere_nothing_explodes():
    found = sl.explosion_probability(
        sl.phase_retrieval(2), sl.OnlineSGD(step=0.4, spherical=True), dim=50, time=0.8, runs=64
    )
    assert found.count == 0


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="confidence"):
        Proportion(1, 2).interval(1.0)
    with pytest.raises(ValueError, match="bound"):
        sl.explosion_probability(
            sl.SpikedTensor(), sl.OnlineSGD(), dim=10, time=0.1, runs=2, bound=0.0
        )
