"""Results as tables, coordinates of what is counted, and the way back to statistics."""

import numpy as np
import pytest
import xarray as xr

import sgdlimits as sl
from sgdlimits.simulation.coordinates import labelled


def _result(runs=2, times=3, width=2, directions=2, **extra):
    """By hand: M_ij at run r and time t is 1000 r + 100 t + 10 i + j, counted from 1."""
    r, t, i, j = np.ogrid[0:runs, 0:times, 1 : width + 1, 1 : directions + 1]
    half = np.arange(width)[:, None] + 10.0 * np.arange(width)
    dims = ("run", "time")
    data = {
        "v": ((*dims, "weight"), np.zeros((runs, times, 0))),
        "M": ((*dims, "neuron", "direction"), 1000.0 * r + 100 * t + 10 * i + j),
        "Q": (
            (*dims, "neuron", "other_neuron"),
            np.broadcast_to(half + half.T, (runs, times, width, width)),
        ),
        "M_error": ((*dims, "neuron", "direction"), np.full((runs, times, width, directions), 0.5)),
        "diverged": ("run", [np.nan] * (runs - 1) + [1.0]),
        **extra,
    }
    coords = {
        "run": np.arange(runs),
        "time": np.arange(times) / 2,
        "step": ("time", np.arange(times)),
    }
    return xr.Dataset(data, coords, {"engine": "ode", "dim": 10, "seed": 3})


def test_there_is_a_row_for_every_run_and_time_and_a_column_for_every_number():
    table = sl.to_table(_result())
    assert list(table.columns) == [
        "run",
        "time",
        "step",
        "M_11",
        "M_12",
        "M_21",
        "M_22",
        "Q_11",
        "Q_12",
        "Q_22",
        "M_11_error",
        "M_12_error",
        "M_21_error",
        "M_22_error",
        "diverged",
    ]
    assert len(table) == 6
    row = table[(table.run == 1) & (table.time == 1.0)].iloc[0]
    assert (row.step, row.M_21, row.Q_12, row.M_12_error, row.diverged) == (2, 1221, 11, 0.5, 1.0)
    assert table.attrs == {"engine": "ode", "dim": 10, "seed": 3}


def test_q_that_is_not_symmetric_is_there_in_full():
    result = _result()
    result["Q"] = result["Q"].copy(data=np.random.default_rng(0).random(result["Q"].shape))
    assert "Q_21" in sl.to_table(result)


def test_more_than_nine_neurons_and_words_keep_their_names_apart():
    task = (("run", "time", "task"), np.arange(12.0).reshape(2, 3, 2))
    result = _result(width=11, risk=task).assign_coords(task=["old", "new"])
    table = sl.to_table(result)
    assert {"M_1_1", "M_11_1", "M_1_2", "Q_1_11", "risk_old", "risk_new"} <= set(table)
    assert table.columns.is_unique
    assert table.M_11_1[0] == 111


def test_parameters_of_a_sweep_are_columns_whatever_is_left_of_runs_and_times():
    one = labelled(_result())
    whole = xr.concat([one, one + 0], xr.Variable("snr", [0.5, 2.0]))
    table = sl.to_table(whole)
    assert list(table.columns[:4]) == ["snr", "run", "time", "step"]
    assert len(table) == 12
    ends = sl.to_table(whole[["M"]].isel(time=-1).mean("run"))
    assert list(ends["snr"]) == [0.5, 2.0]
    assert list(ends["M_12"]) == [712.0, 712.0]
    part = sl.to_table(whole[["M"]].sel(neuron=[2]))
    assert "M_21" in part
    assert "M_11" not in part


def test_blocks_end_the_names():
    values = np.arange(2 * 3 * 2 * 1 * 1.0).reshape(2, 3, 2, 1, 1)
    blocks = (("run", "time", "block", "neuron", "direction"), values)
    result = _result()[["diverged"]].assign(M=blocks)
    table = sl.to_table(result)
    assert {"M_11_block1", "M_11_block2"} <= set(table)
    # An ending is moved behind the indices only where it is the error of something there.
    spread = (("time", "statistic"), np.ones((2, 2)))
    alone = xr.Dataset({"standard_error": spread, "m": ("time", np.zeros(2))})
    assert "standard_error_1" in sl.to_table(alone)
    assert table.M_11_block2[0] == 1


@pytest.mark.parametrize("wrong", [None, 3, [1.0]])
def test_what_is_no_dataset_is_refused(wrong, as_users_run):
    with pytest.raises(TypeError, match="ds="):
        sl.to_table(wrong)


# -- of real results -------------------------------------------------------------------------------


def test_results_count_neurons_and_directions_and_keep_them_on_disk(tmp_path):
    model = sl.committee(2, 1, "erf")
    call = dict(dim=20, time=0.4, runs=2, record=2, seed=0)
    result = sl.simulate(model, sl.OnlineSGD(0.4), "chain", **call)
    for name in ("neuron", "other_neuron"):
        assert result[name].values.tolist() == [1, 2]
    assert result["direction"].values.tolist() == [1]
    np.testing.assert_array_equal(result.M.sel(neuron=2, direction=1), result.M[:, :, 1, 0])
    kept = sl.simulate(model, sl.OnlineSGD(0.4), "chain", **call, out=tmp_path / "run")
    xr.testing.assert_identical(kept, result)
    xr.testing.assert_identical(sl.load(tmp_path / "run"), result)
    # Written before results had them.
    bare = result.drop_vars(["neuron", "other_neuron", "direction", "weight"])
    xr.testing.assert_identical(sl.load(sl.save(bare, tmp_path / "old.zarr")), result)


def test_states_are_found_without_a_model():
    result = _result(v=(("run", "time", "weight"), np.ones((2, 3, 2))))
    found = sl.states(result)
    assert isinstance(found, sl.Statistics)
    assert found.batch_shape == (2, 3)
    np.testing.assert_array_equal(found.M, result.M)
    whole = xr.concat([result, result + 1], xr.Variable("snr", [0.5, 2.0]))
    assert sl.states(whole).batch_shape == (2, 2, 3)
    assert sl.states(whole.isel(run=0, time=-1)).v.shape == (2, 2)
    # One of them may not depend on what another does.
    whole["v"] = whole["v"].isel(snr=0)
    np.testing.assert_array_equal(sl.states(whole).v[1], result.v)


def test_other_statistics_are_told_apart():
    spiked = xr.Dataset({"m": ("time", [0.1]), "r2": ("time", [1.0])})
    assert isinstance(sl.states(spiked), sl.SpikedStatistics)
    wide = _result().drop_vars("Q").assign(q=(("run", "time", "neuron"), np.ones((2, 3, 2))))
    assert isinstance(sl.states(wide), sl.MeanFieldStatistics)
    blocks = _result().drop_vars(["v", "diverged"]).expand_dims(block=2, axis=2)
    blocks["v"] = (("run", "time", "weight"), np.zeros((2, 3, 0)))
    found = sl.states(blocks)
    assert isinstance(found, sl.BlockStatistics)
    assert found.M.shape == (2, 3, 2, 2, 2)


def test_states_that_cannot_be_told_are_refused(as_users_run):
    with pytest.raises(ValueError, match="no statistics"):
        sl.states(_result()[["M"]])
    with pytest.raises(ValueError, match="no 'm'"):
        sl.states(_result(), sl.SpikedTensor())
    with pytest.raises(ValueError, match="needs model"):
        sl.states(_result(), sgd=sl.OnlineSGD())
    with pytest.raises(ValueError, match="expected neuron, direction among them"):
        sl.states(_result().isel(neuron=0), sl.committee(2, 2))
