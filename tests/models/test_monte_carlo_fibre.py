"""Fibre points hit their target to rounding, move little, and say when there is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgdlimits.models.monte_carlo_fibre import onto_fibre


def spiked(x):
    return jnp.stack([x[0], jnp.sum(x[1:] ** 2)])


def network(x):
    W = x.reshape(3, -1)
    Q = W @ W.T
    return jnp.concatenate([W[:, 0], W[:, 1], Q[jnp.triu_indices(3)]])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("target", [(0.5, 0.8), (-2.0, 0.01), (0.0, 9.0), (0.3, 0.0)])
def test_it_hits_the_target_to_rounding_from_anywhere(seed, target):
    x = 3.0 * jax.random.normal(jax.random.key(seed), (40,))
    point = jax.jit(lambda x, u: onto_fibre(spiked, x, u))(x, jnp.asarray(target))
    assert point.reached
    np.testing.assert_allclose(spiked(point.x), target, atol=2e-12, rtol=2e-12)


@pytest.mark.parametrize("seed", range(3))
def test_overlaps_of_a_network_are_hit(seed):
    key_x, key_u = jax.random.split(jax.random.key(seed))
    target = network(jax.random.normal(key_u, (3 * 30,)) / 5)
    start = jax.random.normal(key_x, (3 * 30,)) / 5
    point = onto_fibre(network, start, target)
    assert point.reached
    np.testing.assert_allclose(network(point.x), target, atol=3e-12)


def test_a_point_on_the_fibre_stays():
    x = jax.random.normal(jax.random.key(0), (10,))
    np.testing.assert_array_equal(onto_fibre(spiked, x, spiked(x)).x, x)


def test_an_impossible_target_is_reported():
    x = jax.random.normal(jax.random.key(0), (10,))
    assert not onto_fibre(spiked, x, jnp.asarray([0.1, -0.2])).reached


def test_redundant_statistics_are_solved():
    twice = lambda x: jnp.stack([x[0], 2 * x[0], jnp.sum(x * x)])  # noqa: E731
    x = jax.random.normal(jax.random.key(0), (10,))
    point = onto_fibre(twice, x, jnp.asarray([0.2, 0.4, 2.0]))
    assert point.reached
    np.testing.assert_allclose(twice(point.x), [0.2, 0.4, 2.0], atol=1e-11)
