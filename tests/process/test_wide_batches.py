"""Batches of fewer samples than rows, for widths whose steps are matrices: law of one step."""

import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.expectations.small_linalg import MOST_UNROLLED

_WIDTH, _RUNS, _DIM = MOST_UNROLLED + 2, 4000, 40
_MODEL = sl.committee(_WIDTH, 1, "erf", noise=0.3)


def _steps(engine, batch):
    """What one long step does to the norms of two rows and their overlap; all from one state."""
    sgd = sl.OnlineSGD(step=60.0, batch=batch)
    rows = np.random.default_rng(0).standard_normal((_WIDTH, _DIM)) / _DIM**0.5
    start = sl.Statistics(np.zeros(0), rows[:, :1], rows @ rows.T)
    ds = sl.simulate(
        _MODEL, sgd, engine, dim=_DIM, time=60.0 / _DIM, runs=_RUNS, record=2,
        initial=start, seed=4, progress=False,
    )  # fmt: skip
    Q = ds.Q.values[:, -1] - np.asarray(start.Q)
    each = np.stack([Q[:, 0, 0], Q[:, 4, 4], Q[:, 0, 4]], axis=1)
    return np.concatenate([each, (each - each.mean(0)) ** 2], axis=1)


def _apart(one, other):
    return (
        np.abs(one.mean(0) - other.mean(0)) / np.sqrt((one.var(0) + other.var(0)) / _RUNS)
    ).max()


@pytest.mark.stat
def test_chain_and_real_vectors_have_one_law():
    # False alarm about 1e-4 for six numbers; another batch is 20 standard errors away.
    real = _steps("sgd", 3)
    assert _apart(real, _steps("chain", 3)) < 4.5
    assert _apart(real, _steps("chain", 4)) > 9
