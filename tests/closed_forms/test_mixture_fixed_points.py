"""Real SGD on mixtures in high dimension runs along the ODE."""

import numpy as np
import pytest

import sgdlimits as sl

_DIM, _RUNS, _TIME = 8000, 4, 0.5
_MODELS = {
    "binary": (sl.binary_gmm(snr=20.0), 1.0),
    "xor": (sl.xor_gmm(snr=20.0, width=4, tolerance=1e-3), 1.0),
    "k": (sl.k_gmm(3, snr=4.0), 2.0),
}


@pytest.mark.slow
@pytest.mark.stat
@pytest.mark.parametrize("name", _MODELS)
def test_sgd_at_dim_8000_stays_within_a_few_inverse_roots_of_dim_of_the_ode(name):
    # From one start off every symmetry. Fluctuations are of order d^-1/2 relative to the statistics
    # (measured: at most 1.0 for one run), the O(1/d) bias far below; the statistics move by 4 to 80
    # of the same units, so a drift that is off by a tenth fails.
    model, step = _MODELS[name]
    sgd = sl.OnlineSGD(step=step)
    start = model.search_points(np.random.default_rng(3), 1, step)[0]
    options = {"dim": _DIM, "time": _TIME, "initial": start, "record": 3, "seed": 5}
    ode = sl.simulate(model, sgd, "ode", **options)
    real = sl.simulate(model, sgd, "sgd", runs=_RUNS, **options)
    scale = 1 / np.sqrt(_DIM)
    for field in ("v", "M", "Q"):
        if not ode[field].size:
            continue
        path, runs = ode[field].values[0], real[field].values
        size = 1 + np.abs(path)
        assert (np.abs(runs - path) / size).max() < 3 * scale
        assert (np.abs(runs.mean(0) - path) / size).max() < 3 * scale / np.sqrt(_RUNS)
        assert np.abs(path[-1] - path[0]).max() > 4 * scale  # it moves
