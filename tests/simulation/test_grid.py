"""Which steps are recorded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgdlimits.simulation.grid import Grid


@given(
    steps=st.integers(1, 10**7),
    delta=st.floats(1e-6, 1.0),
    record=st.integers(2, 200),
)
def test_start_and_end_are_recorded_at_their_exact_times(steps, delta, record):
    grid = Grid.create(steps * delta, delta, record)
    assert grid.steps[0] == 0
    assert grid.steps[-1] == steps
    assert (np.diff(grid.steps) > 0).all()
    assert len(grid.steps) == min(record, steps + 1)
    np.testing.assert_array_equal(grid.times, grid.steps * delta)


@given(st.lists(st.floats(0, 2.0), max_size=20))
def test_requested_times_are_rounded_to_whole_steps(times):
    grid = Grid.create(2.0, 0.01, np.array(times))
    for time in times:
        assert np.abs(grid.times - time).min() <= 0.005 + 1e-12
    assert set(grid.steps) <= {0, 200, *(round(t / 0.01) for t in times)}


def test_the_horizon_is_rounded_to_whole_steps():
    assert Grid.create(1.0, 0.3, 2).steps.tolist() == [0, 3]
    assert Grid.create(1.1, 0.3, 2).steps.tolist() == [0, 4]
    assert Grid.create(0.2, 0.3, 5).steps.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("time", "record", "words"),
    [
        (0.0, 3, "time=0.0: expected a number above 0"),
        (-1.0, 3, "time=-1.0: expected a number above 0"),
        (np.nan, 3, "time=nan: expected a finite number"),
        (np.inf, 3, "time=inf: expected a finite number"),
        (1e-4, 3, r"time=0.0001: expected at least one step of duration step/dim = 0.01"),
        (1.0, 1, "record=1: expected an integer that is at least 2"),
        (1.0, np.array([0.5, 1.5]), r"record: times from .*expected between 0 and time=1.0"),
        (1.0, np.array([-0.5]), r"record: times from .*expected between 0 and time=1.0"),
        (1.0, np.array([np.nan]), "record: expected a number, or a list of finite times"),
        (1.0, np.array([[0.5]]), "record: expected a number, or a list of finite times"),
    ],
)
def test_grids_that_make_no_sense_are_refused(time, record, words):
    with pytest.raises(ValueError, match=words):
        Grid.create(time, 0.01, record)


@pytest.mark.parametrize("record", [2.5, "10", True, None])
def test_a_number_of_records_is_an_integer(record, as_users_run):
    with pytest.raises(TypeError, match=r"record=.*expected an integer"):
        Grid.create(1.0, 0.01, record)


def test_a_list_of_words_is_refused(as_users_run):
    with pytest.raises((TypeError, ValueError), match="record"):
        Grid.create(1.0, 0.01, ["now"])


@pytest.mark.parametrize("time", [1e300, 1e30])
def test_more_steps_than_can_be_counted_are_refused(time):
    with pytest.raises(ValueError, match="time="):
        Grid.create(time, 1e-3, 3)
