"""Lifted vectors have the statistics asked for; statistics do not see rotations of space."""

import jax
import numpy as np
import pytest

import sgdlimits as sl
from tests.helpers import random_rotation
from tests.registry import every_case


@every_case
def test_lift_hits_its_statistics_to_rounding(case):
    for dim in (*case.small_dims, case.dim, 10_000):
        vectors = sl.lift(case.model, case.points, dim, seed=3)
        frame = case.model.frame(dim)
        found = jax.vmap(lambda x, frame=frame: case.model.statistics(x, frame))(vectors)
        np.testing.assert_allclose(
            found.vector, case.points.vector, rtol=1e-12, atol=1e-14, err_msg=f"dim={dim}"
        )


@every_case
def test_lift_works_at_the_minimum_dim_and_is_refused_below(case, as_users_run):
    least = case.model.minimum_dim
    assert least == case.small_dims[0]
    sl.lift(case.model, case.generic, least, seed=0)
    with pytest.raises(ValueError, match=f"dim={least - 1}.*at least {least}"):
        sl.lift(case.model, case.generic, least - 1, seed=0)


@every_case
def test_lifts_of_two_seeds_differ_and_of_one_seed_agree(case):
    def lifted(seed):
        vectors = sl.lift(case.model, case.generic, case.dim, seed=seed)
        return np.concatenate([np.ravel(x) for x in jax.tree.leaves(vectors)])

    np.testing.assert_array_equal(lifted(0), lifted(0))
    assert np.abs(lifted(0) - lifted(1)).max() > 1e-3


@every_case
def test_lift_has_no_preferred_direction(case):
    # In a rotated frame the lift is another vector with the same statistics.
    rotation = random_rotation(case.dim, 5)
    frame = case.model.frame(case.dim) @ rotation
    x = case.model.lift(jax.random.key(1), case.generic, frame)
    np.testing.assert_allclose(
        case.model.statistics(x, frame).vector, case.generic.vector, rtol=1e-12, atol=1e-14
    )


@every_case
def test_vectors_and_statistics_convert_back_and_forth(case):
    vector = case.points.vector
    np.testing.assert_array_equal(case.points.with_vector(vector).vector, vector)
    assert case.points.batch_shape == vector.shape[:-1]
    assert len(case.points.names) == vector.shape[-1] == len(set(case.points.names))
    assert sl.effective_dynamics(case.model, case.sgd).names == case.model.template.names
    np.testing.assert_array_equal(case.model.template.vector, 0)
    assert set(case.points.labels) == set(case.points.dims)


@every_case
def test_search_points_are_valid_and_reproducible(case):
    points = case.model.search_points(np.random.default_rng(0), 50, case.sgd)
    case.model.check_statistics(points)
    assert points.batch_shape == (50,)
    again = case.model.search_points(np.random.default_rng(0), 50, case.sgd)
    np.testing.assert_array_equal(points.vector, again.vector)
    assert np.asarray(points.vector).std(0)[case.moving].min() > 0
