"""Batches of runs of fixed size."""

import jax.numpy as jnp
import numpy as np
import pytest

from sgdlimits.engines.lanes import of_diffusions, of_solutions, of_statistics, of_vectors
from sgdlimits.engines.sizes import count, largest_array
from sgdlimits.process.lanes import LARGE, lanes, map_lanes


@pytest.mark.parametrize("runs", [1, 15, 16, 17, 64, 65, 256, 257, 1000])
def test_every_run_is_in_exactly_one_full_lane(runs):
    lane = of_statistics(runs)
    numbers = 100 + np.arange(runs)
    seen = []
    for padded, inside in lanes(numbers, lane):
        assert padded.shape == (lane,)
        assert set(np.asarray(padded[inside:])) <= {int(padded[inside - 1])}
        seen += np.asarray(padded[:inside]).tolist()
    assert seen == numbers.tolist()


def test_lanes_hold_the_runs_or_are_the_largest():
    assert all(of_statistics(runs) >= min(runs, LARGE) for runs in range(1, 600, 7))


@pytest.mark.parametrize("numbers", [1, 10, 60, 480, 1500, 10**5, 10**7])
@pytest.mark.parametrize("size", [of_vectors, of_solutions, lambda n: of_diffusions(7, n + 1)])
def test_lanes_are_powers_of_two_that_one_run_can_bear(size, numbers):
    lane = size(numbers)
    assert lane >= 1
    assert lane & (lane - 1) == 0
    assert lane == 1 or lane * numbers <= 2**13


def test_vectors_of_some_hundred_numbers_are_computed_alone():
    assert of_vectors(2000) == 1
    assert of_vectors(60) == 16


@pytest.mark.parametrize("runs", [1, 17, 1000])
def test_lanes_of_diffusions_go_by_runs_only_for_formulas(runs):
    assert of_diffusions(runs, 1) == of_statistics(runs)
    assert of_diffusions(runs, 5000) == of_diffusions(1, 5000) == 1


def test_mapping_over_lanes_is_mapping_over_runs():
    result = map_lanes(lambda n: {"a": n * 2, "b": n[:, None] + np.arange(3)}, np.arange(21), 8)
    np.testing.assert_array_equal(result["a"], 2 * np.arange(21))
    np.testing.assert_array_equal(result["b"], np.arange(21)[:, None] + np.arange(3))


def test_the_largest_array_is_found_inside_of_loops_and_branches():
    import jax

    def outer(x):
        return jnp.sum(x[:, None] * x[None, :])

    def looped(x):
        return jax.lax.fori_loop(0, 3, lambda i, y: y + outer(x), 0.0)

    def branched(x):
        return jax.lax.cond(x[0] > 0, outer, jnp.sum, x)

    x = jnp.ones(7)
    assert largest_array(jnp.sum, x) <= 7
    for function in (outer, jax.jit(outer), looped, branched):
        assert largest_array(function, x) == 49


def test_numbers_of_a_tree():
    assert count({"a": np.zeros((2, 3)), "b": (np.zeros(()), np.zeros(0))}) == 7
