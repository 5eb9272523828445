"""Batches of runs of fixed size."""

import numpy as np
import pytest

from sgdlimits.simulation.lanes import (
    LARGE,
    lane_of_diffusions,
    lane_of_statistics,
    lane_of_vectors,
    lanes,
    map_lanes,
)


@pytest.mark.parametrize("runs", [1, 15, 16, 17, 64, 65, 256, 257, 1000])
def test_every_run_is_in_exactly_one_full_lane(runs):
    lane = lane_of_statistics(runs)
    numbers = 100 + np.arange(runs)
    seen = []
    for padded, count in lanes(numbers, lane):
        assert padded.shape == (lane,)
        assert set(np.asarray(padded[count:])) <= {int(padded[count - 1])}
        seen += np.asarray(padded[:count]).tolist()
    assert seen == numbers.tolist()


def test_lanes_hold_the_runs_or_are_the_largest():
    assert all(lane_of_statistics(runs) >= min(runs, LARGE) for runs in range(1, 600, 7))


@pytest.mark.parametrize("numbers", [10, 1500, 10**5, 10**7])
def test_lanes_of_vectors_are_small_powers_of_two(numbers):
    lane = lane_of_vectors(1000, numbers)
    assert lane >= 1
    assert lane & (lane - 1) == 0
    assert lane == 1 or lane * numbers <= 2**19


@pytest.mark.parametrize(("numbers", "largest"), [(5000, 32), (10**5, 2), (10**7, 1)])
def test_lanes_of_diffusions_go_by_what_an_expectation_costs(numbers, largest):
    lanes_of_runs = [lane_of_diffusions(runs, numbers) for runs in (1, 16, 1000)]
    assert lanes_of_runs[0] == 1
    assert lanes_of_runs == sorted(lanes_of_runs)
    assert lanes_of_runs[-1] == largest


@pytest.mark.parametrize("runs", [1, 17, 1000])
def test_lanes_of_diffusions_with_formulas_are_those_of_statistics(runs):
    assert lane_of_diffusions(runs, 1) == lane_of_statistics(runs)


def test_mapping_over_lanes_is_mapping_over_runs():
    result = map_lanes(lambda n: {"a": n * 2, "b": n[:, None] + np.arange(3)}, np.arange(21), 8)
    np.testing.assert_array_equal(result["a"], 2 * np.arange(21))
    np.testing.assert_array_equal(result["b"], np.arange(21)[:, None] + np.arange(3))
