"""Runs that blow up are marked, and leave the others alone."""

import re
import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.engines.path import Record, Recorded
from sgdlimits.simulation.result import Recorder
from tests.models.custom_examples import gaussian, regression

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


@pytest.mark.parametrize("dt", [1e-300, 1e-14, 5e-324])
def test_steps_that_get_nowhere_are_refused(dt):
    for start in (
        lambda: sl.simulate(_MODEL, _SGD, "sde", dim=12, time=1.0, dt=dt),
        lambda: sl.simulate(_MODEL, _SGD, sl.engines.SDE(dt=dt), dim=12, time=1.0),
        lambda: sl.sample_diffusion(
            sl.effective_dynamics(sl.SpikedTensor()).rescale("m"),
            initial=sl.SpikedStatistics(0.1, 1.0), time=1.0, dt=dt,
        ),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=rf"dt={dt!r}: .* steps to time 1, expected at most"):
            start()


def test_what_is_not_finite_is_marked_though_the_engine_did_not_see_it():
    start = sl.SpikedStatistics([0.1, 0.2, np.nan], [1.0, 1.0, 1.0])
    recorder = Recorder(start, 4)
    times, unseen = np.array([0.0, 0.5, 1.0, 1.5]), np.full(3, np.nan)
    states = [
        ([0.1, np.inf, 0.3], [1, 1, 1]),
        ([0.1, 0.3, 0.3], [1, 1, 1]),
        ([0.1] * 3, [np.nan] * 3),
    ]
    records = [Record(i + 1, sl.SpikedStatistics(*u), unseen) for i, u in enumerate(states)]
    recorder.consume(records, slice(0, 3), times)
    ds = recorder.dataset(np.arange(3), Recorded(np.arange(4), times), {})
    assert ds["diverged"].values.tolist() == [1.5, 0.5, 0.0]
    np.testing.assert_array_equal(np.isnan(ds["m"]).sum("time"), [1, 3, 4])


def test_a_start_that_is_not_finite_is_marked():
    def broken(key, dim):
        return gaussian(key, dim) * jnp.nan

    with pytest.warns(sl.DivergenceWarning, match=r"1 of 1 runs diverged.*time 0"):
        ds = sl.simulate(regression(initial=broken), engine="sgd", dim=20, time=0.5, record=2)
    assert ds["diverged"].values.tolist() == [0.0]
