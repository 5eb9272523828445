"""Solves with coupled blocks against dense ones."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from sgdlimits.limits.coupled_blocks import CoupledBlocks, Couplings


def _matrix(rng, weights, layer, parts):
    """A random matrix of this structure, in the order of a state."""
    blocks, m = weights.shape[1], sum(parts)
    n, sums = layer + blocks * m, len(weights) * m
    order = np.concatenate([
        np.add.outer(np.arange(blocks) * size, np.arange(size)) + layer + blocks * sum(parts[:i])
        for i, size in enumerate(parts)
    ], axis=1)  # fmt: skip
    dense = np.zeros((n, n))
    W = np.zeros((sums, n))
    for a, weight in enumerate(weights):
        for i in range(m):
            W[a * m + i, order[:, i]] = weight
    for place in order:
        dense[np.ix_(place, place)] = rng.standard_normal((m, m)) + 4 * np.eye(m)
    dense[layer:] += rng.standard_normal((n - layer, sums)) @ W / np.sqrt(n)
    dense[:layer] = rng.standard_normal((layer, sums)) @ W
    dense[:, :layer] = rng.standard_normal((n, layer))
    dense[:layer, :layer] += 4 * np.eye(layer)
    return dense


@pytest.mark.parametrize(
    ("weights", "layer", "parts"),
    [
        (np.arange(1.0, 41)[None] ** -1.5, 0, (1, 1)),
        (np.stack([np.arange(1.0, 38) ** -1.0, np.ones(37), np.repeat([1.0, 2.0], [20, 17])]), 2,
         (2, 3)),
        (np.ones((2, 33)), 1, (1, 1)),  # all eigenvalues equal: the sums are one
    ],
    ids=["power-law", "layer-and-classes", "equal"],
)  # fmt: skip
def test_a_solve_is_that_of_the_dense_matrix(weights, layer, parts):
    rng = np.random.default_rng(0)
    dense = _matrix(rng, weights, layer, parts)
    right = rng.standard_normal(len(dense))
    solver = CoupledBlocks(Couplings(weights, [(False, layer), *((True, n) for n in parts)]))

    def solve(dense):
        operator = lx.MatrixLinearOperator(dense)
        state = solver.init(operator, {})
        return solver.compute(state, jnp.asarray(right), {})[0]

    solution = jax.jit(solve)(jnp.asarray(dense))
    np.testing.assert_allclose(dense @ np.asarray(solution), right, atol=1e-9)
    # Control: one entry between two blocks is a coupling that the solver cannot see.
    dense[-1, layer] += 1.0
    assert np.abs(dense @ np.asarray(jax.jit(solve)(jnp.asarray(dense))) - right).max() > 1e-3


def test_split_and_join():
    couplings = Couplings(np.ones((1, 5)), [(False, 2), (True, 1), (True, 3)])
    y = jnp.arange(22.0)
    v, blocks = couplings.split(y)
    assert blocks.shape == (5, 4)
    assert blocks[0].tolist() == [2, 7, 8, 9]
    np.testing.assert_array_equal(couplings.join(v, blocks), y)


def test_parts_may_stand_in_any_order():
    # As with momentum: numbers of no block between, and after, those of blocks.
    rng = np.random.default_rng(1)
    weights, layer, parts = np.arange(1.0, 36)[None] ** -1.2, 3, (2, 1)
    dense = _matrix(rng, weights, layer, parts)
    n = len(dense)
    places = np.split(np.arange(n), np.cumsum([3, 70]))
    order = np.concatenate([places[0][:1], places[1], places[0][1:2], places[2], places[0][2:]])
    mixed, right = dense[np.ix_(order, order)], rng.standard_normal(n)
    one = (False, 1)
    solver = CoupledBlocks(Couplings(weights, [one, (True, 2), one, (True, 1), one]))
    state = solver.init(lx.MatrixLinearOperator(jnp.asarray(mixed)), {})
    solution = solver.compute(state, jnp.asarray(right), {})[0]
    np.testing.assert_allclose(mixed @ np.asarray(solution), right, atol=1e-9)
