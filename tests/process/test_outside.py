"""The Gram matrix of a batch outside the span: a Wishart matrix from normals."""

import jax
import numpy as np
import pytest

from sgdlimits.process.outside import OutsideGram
from tests.helpers import z_limit

_DRAWS = 200_000


def _grams(dof, rank):
    law = OutsideGram(dof, rank, single=False)
    T = np.asarray(law.from_normals(jax.random.normal(jax.random.key(1), (law.normals, _DRAWS))))
    assert T.shape == (_DRAWS, rank, rank)
    assert (np.triu(T, 1) == 0).all()
    return T @ np.swapaxes(T, 1, 2)


@pytest.mark.stat
@pytest.mark.parametrize(("dof", "rank"), [(1, 3), (2, 3), (3, 3), (7, 2), (60, 3)])
def test_it_has_the_moments_of_sums_of_outer_products(dof, rank):
    # E W = nu I, Var W_ii = 2 nu, Var W_ij = nu; z-scores, false alarm 1e-3 a case. In less than
    # ``rank`` dimensions the matrix is singular.
    gram = _grams(dof, rank)
    i, j = np.triu_indices(rank)
    entries = gram[:, i, j]
    mean, variance = np.where(i == j, dof, 0), np.where(i == j, 2 * dof, dof)
    square = (entries - mean) ** 2
    error = lambda x: x.std(0) / _DRAWS**0.5  # noqa: E731
    z = np.concatenate(
        [(entries.mean(0) - mean) / error(entries), (square.mean(0) - variance) / error(square)]
    )
    assert np.abs(z).max() < z_limit(z.size)
    if dof < rank:
        assert np.abs(np.linalg.eigvalsh(gram[:1000])[:, : rank - dof]).max() < 1e-10 * dof
    # The control: one degree more is seen at once.
    more = np.where(i == j, dof + 1, 0)
    assert np.abs((entries.mean(0) - more) / error(entries)).max() > 30


def test_nothing_is_outside_in_no_dimension():
    law = OutsideGram(0, 2, single=False)
    T = law.from_normals(jax.random.normal(jax.random.key(0), (law.normals, 5)))
    assert (np.asarray(T) == 0).all()
