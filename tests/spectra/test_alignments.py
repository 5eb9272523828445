"""Alignment, principal spaces and their edge cases."""

import numpy as np
import pytest

from sgdlimits import spectra
from sgdlimits.spectra.alignments import TieWarning

_A = np.diag([5.0, -4.0, 3.0, 1.0, 0.9, -0.8])


def test_alignment_is_the_cosine_of_the_angle_to_the_space():
    assert spectra.alignment([3.0, 4.0, 0.0], [[1.0, 0, 0]]) == pytest.approx(0.6)
    assert spectra.alignment([3.0, 4.0, 0.0], [[1.0, 0, 0], [1, 1, 0]]) == pytest.approx(1.0)
    assert spectra.alignment([3.0, 4.0], np.zeros((0, 2))) == 0.0
    assert spectra.alignment([3.0, 4.0], np.zeros((1, 2))) == 0.0
    dependent = [[1.0, 0, 0], [2.0, 0, 0]]
    assert spectra.alignment([3.0, 4.0, 0.0], dependent) == pytest.approx(0.6)
    many = spectra.alignment(np.eye(3), [[1.0, 0, 0]])
    np.testing.assert_allclose(many, [1, 0, 0])
    assert spectra.lives_in([3.0, 4.0], [1.0, 0.0]) == pytest.approx(0.4)
    assert spectra.alignment([1e-200, 0.0], [1.0, 0.0]) == 1.0


def test_a_zero_vector_has_no_alignment():
    with pytest.raises(ValueError, match="its alignment is not defined"):
        spectra.alignment([0.0, 0.0], [1.0, 0.0])


def test_matrices_live_in_a_space_up_to_what_projection_leaves():
    assert spectra.matrix_lives_in(_A, np.eye(6)[:2]) == pytest.approx(3 / 5)
    assert spectra.matrix_lives_in(_A, np.eye(6)) == pytest.approx(0, abs=1e-15)
    assert spectra.matrix_lives_in(_A, np.zeros((0, 6))) == pytest.approx(1)
    assert spectra.matrix_lives_in(np.zeros((3, 3)), [1.0, 0, 0]) == 0.0


def test_principal_space_is_by_absolute_value_and_counts_outliers():
    space = spectra.principal_space(_A, 2, edges=(-1.0, 1.0))
    np.testing.assert_allclose(space.values, [5, -4])
    np.testing.assert_allclose(np.abs(space.basis), np.eye(6)[:2], atol=1e-12)
    assert space.gap == pytest.approx(1 / 5)
    assert (space.tied, space.separated, space.outliers) == (False, 2, 3)  # one more beyond
    more = spectra.principal_space(_A, 5, edges=(-1.0, 1.0))
    assert (more.separated, more.outliers) == (3, 3)  # two of the five are bulk
    everything = spectra.principal_space(_A, 6)
    assert everything.gap == np.inf
    assert everything.separated is None


def test_ties_are_reported():
    with pytest.warns(TieWarning, match="E_1 is not defined"):
        space = spectra.principal_space(np.diag([2.0, -2.0, 1.0]), 1)
    assert space.tied
    quiet = spectra.principal_space(np.diag([2.0, -2.0, 1.0]), 1, warn=False)
    assert quiet.tied
    assert not spectra.principal_space(np.diag([2.0, -2.0, 1.0]), 2).tied


def test_pairs_that_did_not_converge_leave_the_space_incomplete():
    pairs = spectra.top(_A, 2)
    space = spectra.principal_space(pairs, 4)
    assert not space.complete
    assert len(space.basis) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spectra.principal_space(_A, 7), "k=7"),
        (lambda: spectra.principal_space(_A, 2, edges=(1.0, -1.0)), "left end of the bulk first"),
        (lambda: spectra.alignment([1.0, 2.0], np.eye(3)), "expected finite rows of length 2"),
        (lambda: spectra.matrix_lives_in(np.full((2, 2), np.nan), np.eye(2)), "a finite matrix"),
    ],
)
def test_bad_input_is_refused(as_users_run, call, message):
    with pytest.raises(ValueError, match=message):
        call()
