"""Runs that blow up are marked, and leave the others alone."""

import re
import warnings

import numpy as np
import pytest

import sgdlimits as sl

_MODEL, _SGD = sl.SpikedTensor(order=3, snr=3.0), sl.OnlineSGD(step=0.3)
_DELTA = 0.3 / 12


def _run(engine="chain", **options):
    options = {"dim": 12, "time": 100 * _DELTA, "runs": 400, "seed": 2, "record": 101, **options}
    with pytest.warns(sl.DivergenceWarning) as caught:
        dataset = sl.simulate(_MODEL, _SGD, engine, **options)
    return dataset, str(caught[0].message)


@pytest.mark.parametrize("engine", ["chain", "sgd"])
def test_diverged_runs_are_marked_from_their_time_on(engine):
    ds, message = _run(engine)
    gone = ~np.isnan(ds["diverged"].values)
    assert 0.01 < gone.mean() < 0.4  # some blow up, most do not: the theory says a few percent
    for run in np.flatnonzero(gone):
        after = ds["time"].values >= ds["diverged"].values[run]
        assert after.any()
        for name in ("m", "r2"):
            assert np.isnan(ds[name].values[run, after]).all()
            assert np.isfinite(ds[name].values[run, ~after]).all()
    assert np.isfinite(ds["m"].values[~gone]).all()
    # The warning names the first run and its time.
    first = int(np.nanargmin(ds["diverged"].values))
    numbers = re.match(r"(\d+) of 400 runs diverged, first run (\d+) at time ([\d.]+)", message)
    assert int(numbers[1]) == gone.sum()
    assert ds["diverged"].values[int(numbers[2])] == ds["diverged"].values[first]
    assert float(numbers[3]) == pytest.approx(ds["diverged"].values[first], rel=1e-5)


@pytest.mark.parametrize("engine", ["chain", "sgd"])
def test_runs_beside_a_diverged_one_are_what_they_are_alone(engine):
    ds, _ = _run(engine, runs=64)
    fine = int(np.flatnonzero(np.isnan(ds["diverged"].values))[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sl.DivergenceWarning)
        alone = sl.simulate(
            _MODEL, _SGD, engine, dim=12, time=100 * _DELTA, runs=20, seed=2, first_run=fine
        )
    np.testing.assert_array_equal(alone["m"][0], ds["m"][fine])


def test_the_time_of_divergence_does_not_depend_on_the_records():
    dense, _ = _run()
    sparse, _ = _run(record=2)
    np.testing.assert_array_equal(dense["diverged"], sparse["diverged"])


def test_no_divergence_is_reported_before_it_happens():
    # The engine computes whole blocks of steps: what blows up after the end does not count.
    ds, _ = _run()
    first = np.nanmin(ds["diverged"].values)
    short = sl.simulate(
        _MODEL, _SGD, dim=12, time=float(first - _DELTA), runs=400, seed=2, record=2
    )
    assert np.isnan(short["diverged"]).all()
    assert np.isfinite(short["m"]).all()


def test_without_divergence_there_is_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sl.simulate(sl.SpikedTensor(), dim=100, time=0.5)
