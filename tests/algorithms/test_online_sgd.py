"""The algorithm object."""

import pytest

import sgdlimits as sl


def test_the_step_size_is_step_over_dim():
    assert sl.OnlineSGD(step=0.5).delta(200) == 0.0025
    assert sl.OnlineSGD().delta(8) == 0.125


def test_it_cannot_be_changed():
    sgd = sl.OnlineSGD()
    with pytest.raises(AttributeError):
        sgd.step = 2.0
