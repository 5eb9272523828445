"""Batches of runs of fixed size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgdlimits.engines.lanes import of_diffusions, of_solutions, of_steps, of_vectors
from sgdlimits.engines.sizes import Trace, count, trace
from sgdlimits.process.lanes import LARGE, lanes, map_lanes

_FORMULA, _PRODUCT = Trace(4, elementwise=True), Trace(4, elementwise=False)


@pytest.mark.parametrize("runs", [1, 15, 16, 17, 64, 65, 256, 257, 1000])
def test_every_run_is_in_exactly_one_full_lane(runs):
    lane = of_steps(runs, _FORMULA)
    numbers = 100 + np.arange(runs)
    seen = []
    for padded, inside in lanes(numbers, lane):
        assert padded.shape == (lane,)
        assert set(np.asarray(padded[inside:])) <= {int(padded[inside - 1])}
        seen += np.asarray(padded[:inside]).tolist()
    assert seen == numbers.tolist()


def test_lanes_of_formulas_hold_the_runs_or_are_the_largest():
    for size in (of_steps, of_diffusions):
        assert all(size(runs, _FORMULA) >= min(runs, LARGE) for runs in range(1, 600, 7))


def test_lanes_of_anything_else_do_not_go_by_runs():
    for size in (of_steps, of_diffusions):
        assert len({size(runs, _PRODUCT) for runs in (1, 17, 1000)}) == 1
    assert len({of_diffusions(runs, Trace(5000, True)) for runs in (1, 17, 1000)}) == 1


@pytest.mark.parametrize("numbers", [70, 480, 1500, 10**5, 10**7])
def test_lanes_are_powers_of_two_that_one_run_can_bear(numbers):
    held = Trace(numbers, elementwise=False)
    for lane in (of_vectors(numbers), of_solutions(held), of_diffusions(7, held)):
        assert lane >= 1
        assert lane & (lane - 1) == 0
        assert lane == 1 or lane * numbers <= 2**13


def test_vectors_of_a_thousand_numbers_are_computed_alone():
    assert of_vectors(1000) == of_vectors(10**6) == 1
    assert of_vectors(60) == 16


def test_mapping_over_lanes_is_mapping_over_runs():
    result = map_lanes(lambda n: {"a": n * 2, "b": n[:, None] + np.arange(3)}, np.arange(21), 8)
    np.testing.assert_array_equal(result["a"], 2 * np.arange(21))
    np.testing.assert_array_equal(result["b"], np.arange(21)[:, None] + np.arange(3))


def _outer(x):
    return jnp.sum(x[:, None] * x[None, :])


def _looped(x):
    return jax.lax.fori_loop(0, 3, lambda i, y: y + _outer(x), 0.0)


def _branched(x):
    return jax.lax.cond(x[0] > 0, _outer, jnp.sum, x)


@pytest.mark.parametrize("function", [_outer, jax.jit(_outer), _looped, _branched])
def test_the_largest_array_is_found_inside_of_loops_and_branches(function):
    assert trace(function, jnp.ones(7)) == Trace(49, elementwise=False)  # a long sum
    assert trace(function, jax.ShapeDtypeStruct((7,), float)).largest == 49


def _loop_of_products(x):
    return jax.lax.fori_loop(0, 3, lambda i, y: y @ y, x)


@pytest.mark.parametrize(
    "function",
    [lambda x: x @ x, _loop_of_products, jnp.linalg.eigh, jnp.linalg.cholesky, jnp.linalg.qr],
)
def test_products_and_decompositions_are_not_element_by_element(function):
    assert not trace(function, jnp.eye(3)).elementwise


def test_numbers_of_a_tree():
    assert count({"a": np.zeros((2, 3)), "b": (np.zeros(()), np.zeros(0))}) == 7
