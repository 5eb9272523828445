"""Wilson's interval; counting what leaves the bound."""

import math

import pytest

import sgdlimits as sl
from sgdlimits.analysis.explosion import Proportion


def test_wilson_against_its_defining_equation():
    for count, runs, confidence in [(3, 50, 0.95), (0, 20, 0.9), (20, 20, 0.9), (2666, 4000, 0.99)]:
        low, high = Proportion(count, runs).interval(confidence)
        from scipy import stats

        z = stats.norm.isf((1 - confidence) / 2)
        for end in (low, high):
            if 0 < end < 1:
                distance = abs(count / runs - end)
                assert distance == pytest.approx(z * math.sqrt(end * (1 - end) / runs), rel=1e-9)
        assert 0 <= low <= count / runs <= high <= 1
    assert Proportion(0, 100).interval()[1] > 0.03
    assert "0.06 (3/50" in repr(Proportion(3, 50))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="confidence"):
        Proportion(1, 2).interval(1.0)
    with pytest.raises(ValueError, match="bound"):
        sl.explosion_probability(
            sl.SpikedTensor(), sl.OnlineSGD(), dim=10, time=0.1, runs=2, bound=0.0
        )
