"""Initial statistics and lifted vectors, as public functions."""

import numpy as np
import pytest

import sgdlimits as sl

_MODEL = sl.SpikedTensor()


def test_a_run_starts_the_same_whatever_other_runs_there_are():
    few, many = sl.initial(_MODEL, 100, 3, seed=1), sl.initial(_MODEL, 100, 700, seed=1)
    np.testing.assert_array_equal(few.vector, many.vector[:3])
    assert many.batch_shape == (700,)
    assert len(np.unique(many.m)) == 700


def test_seeds_and_dims_change_the_start():
    base = np.asarray(sl.initial(_MODEL, 100, 3, seed=1).vector)
    assert (base != np.asarray(sl.initial(_MODEL, 100, 3, seed=2).vector)).all()
    assert (base != np.asarray(sl.initial(_MODEL, 101, 3, seed=1).vector)).all()


def test_a_batch_is_lifted_run_by_run():
    u = sl.SpikedStatistics([0.1, 0.1], [1.0, 1.0])
    vectors = np.asarray(sl.lift(_MODEL, u, 10, seed=1))
    assert vectors.shape == (2, 10)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01
    alone = sl.lift(_MODEL, sl.SpikedStatistics(0.1, 1.0), 10, seed=1)
    np.testing.assert_allclose(vectors[0], alone, rtol=1e-12)


def test_two_batch_axes_cannot_be_lifted():
    u = sl.SpikedStatistics(np.zeros((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"batch shape \(2, 3\): expected at most one run axis"):
        sl.lift(_MODEL, u, 10, seed=1)
