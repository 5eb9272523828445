"""First crossings of synthetic paths whose answers are known."""

import numpy as np
import pytest
import xarray as xr

import sgdlimits as sl

_TIMES = np.array([0.0, 1.0, 2.0, 4.0])


def _dataset(*paths, name="m"):
    values = np.array(paths, float)
    return xr.Dataset(
        {name: (("run", "time"), values)},
        {
            "run": 5 + np.arange(len(paths)),
            "time": ("time", _TIMES, {"units": "steps * step / dim"}),
            "step": ("time", np.array([0, 10, 20, 40])),
        },
    )


@pytest.mark.parametrize(
    ("path", "time"),
    [
        ([0.0, 0.4, 0.8, 1.0], 1.25),  # between records, linearly
        ([0.0, 0.5, 0.8, 1.0], 1.0),  # exactly at a record
        ([1.0, 0.8, 0.6, 0.0], 2 + 2 / 6),  # from above
        ([0.0, 1.0, 0.0, 1.0], 0.5),  # the first of several
        ([0.5, 0.5, 0.8, 1.0], 0.0),  # starts at the level
        ([0.0, 0.2, 0.3, 0.5], 4.0),  # at the last record
        ([0.0, 1.0, np.nan, np.nan], 0.5),  # diverged after crossing
    ],
)
def test_crossings(path, time):
    result = sl.exit_time(_dataset(path), 0.5, "m")
    assert not result["censored"][0]
    assert float(result["time"][0]) == pytest.approx(time)
    assert float(result["step"][0]) == pytest.approx(10 * time)


@pytest.mark.parametrize(
    ("path", "last"),
    [
        ([0.0, 0.1, 0.2, 0.3], 4.0),  # never
        ([1.0, 0.9, 0.8, 0.7], 4.0),  # never, from above
        ([0.0, 0.4, np.nan, np.nan], 1.0),  # diverged before
        ([0.0, np.nan, np.nan, np.nan], 0.0),
    ],
)
def test_runs_that_never_cross_are_censored(path, last):
    result = sl.exit_time(_dataset(path), 0.5, "m")
    assert result["censored"][0]
    assert np.isnan(result["time"][0])
    assert np.isnan(result["step"][0])
    assert float(result["last_time"][0]) == last


def test_runs_are_kept_apart_and_labelled():
    result = sl.exit_time(_dataset([0, 0, 0, 0], [0, 1, 1, 1], [0, 0, 0, 1]), 0.5, "m")
    np.testing.assert_array_equal(result["run"], [5, 6, 7])
    np.testing.assert_array_equal(result["censored"], [True, False, False])
    np.testing.assert_allclose(result["time"], [np.nan, 0.5, 3.0])
    assert result["time"].attrs["units"] == "steps * step / dim"
    assert (result.attrs["level"], result.attrs["of"]) == (0.5, "m")


def test_absolute_values_and_functions():
    ds = _dataset([0.0, -0.4, -0.8, -1.0])
    assert sl.exit_time(ds, 0.5, "m")["censored"][0]
    assert float(sl.exit_time(ds, 0.5, "|m|")["time"][0]) == pytest.approx(1.25)
    assert float(sl.exit_time(ds, 0.25, lambda d: d["m"] ** 2)["time"][0]) == pytest.approx(
        1 + (0.25 - 0.16) / (0.64 - 0.16)
    )


def test_the_order_of_dims_does_not_matter():
    ds = _dataset([0.0, 0.4, 0.8, 1.0], [0.0, 0.0, 0.0, 0.0])
    turned = ds.assign(m=ds["m"].transpose("time", "run"))
    np.testing.assert_array_equal(
        sl.exit_time(turned, 0.5, "m")["time"], sl.exit_time(ds, 0.5, "m")["time"]
    )


def test_a_simulation_that_starts_beyond_the_level_crosses_back():
    ds = sl.simulate(
        sl.SpikedTensor(snr=0.5), engine="ode", dim=100, time=3.0, record=3001,
        initial=sl.SpikedStatistics(1.0, 1.0),
    )  # fmt: skip
    crossing = sl.exit_time(ds, 0.1, "m")
    path = sl.effective_dynamics(sl.SpikedTensor(snr=0.5)).solve(
        sl.SpikedStatistics(1.0, 1.0), [float(crossing["time"][0])]
    )
    assert float(path.m[0]) == pytest.approx(0.1, rel=1e-3)


def test_drops_are_relative_to_each_run_and_the_floor():
    ds = _dataset([3.0, 2.0, 1.0, 1.0], [2.0, 2.0, 1.0, 1.0], [5.0, 5.0, 5.0, 5.0], name="risk")
    # Half of what is above 1: levels 2, 1.5, 3.
    result = sl.drop_time(ds, 0.5, floor=1.0)
    np.testing.assert_allclose(result["time"], [1.0, 1.5, np.nan])
    np.testing.assert_array_equal(result["censored"], [False, False, True])
    with pytest.raises(ValueError, match="floor=2"):
        sl.drop_time(ds, 0.5, floor=2.0)
    with pytest.raises(ValueError, match="drop=2"):
        sl.drop_time(ds, 2.0)
