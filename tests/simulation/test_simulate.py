"""The labelled result of a simulation."""

import json

import numpy as np
import pytest

import sgdlimits as sl

_ENGINES = ("sgd", "chain", "sde", "ode")
_MODEL, _SGD = sl.SpikedTensor(snr=1.2, ridge=0.1), sl.OnlineSGD(step=0.5)


def _run(engine="chain", **options):
    return sl.simulate(
        _MODEL, _SGD, engine, **{"dim": 50, "time": 0.2, "runs": 3, "record": 5, **options}
    )


@pytest.mark.parametrize("engine", _ENGINES)
def test_labels_of_the_result(engine):
    ds = _run(engine)
    assert set(ds.data_vars) == {"m", "r2", "diverged"}
    assert ds["m"].dims == ds["r2"].dims == ("run", "time")
    assert ds["diverged"].dims == ("run",)
    np.testing.assert_array_equal(ds["run"], [0, 1, 2])
    np.testing.assert_array_equal(ds["step"], [0, 5, 10, 15, 20])
    np.testing.assert_array_equal(ds["time"], np.array([0, 5, 10, 15, 20]) * (0.5 / 50))
    assert ds["time"].attrs["units"] == "steps * step / dim"
    assert ds["step"].attrs["units"] == ds["m"].attrs["units"] == "1"
    assert ds["diverged"].attrs["units"] == "steps * step / dim"
    assert ds["m"].attrs["symbol"] == "$m$"
    assert "overlap" in ds["m"].attrs["long_name"]
    assert np.isnan(ds["diverged"]).all()
    assert np.isfinite(ds["m"]).all()
    assert (ds["r2"] >= 0).all()


@pytest.mark.parametrize("engine", _ENGINES)
def test_provenance_of_the_result(engine):
    attrs = _run(engine, seed=4).attrs
    assert (attrs["engine"], attrs["dim"], attrs["seed"]) == (engine, 50, 4)
    assert attrs["version"] == sl.__version__
    assert json.loads(attrs["model"]) == {
        "type": "SpikedTensor", "order": 2, "snr": 1.2, "ridge": 0.1
    }  # fmt: skip
    assert json.loads(attrs["algorithm"])["step"] == 0.5
    config = json.loads(attrs["config"])
    assert (config["runs"], config["first_run"], config["initial"]) == (3, 0, None)
    assert config["steps"] == [0, 5, 10, 15, 20]


def test_every_input_enters_the_identity():
    one = {"m": 0.1, "r2": 1.0}
    changes = [
        {},
        {"seed": 1},
        {"dim": 51},
        {"time": 0.3},
        {"runs": 4},
        {"record": 6},
        {"first_run": 1},
        {"engine": "ode"},
        {"engine": "sde"},
        {"engine": "sde", "dt": 0.002},
        {"engine": "sgd"},
        {"engine": "sgd", "dtype": "float32"},
        {"engine": "sgd", "literal": True},
        {"initial": sl.SpikedStatistics(**one)},
        {"initial": sl.SpikedStatistics(0.1, 1.1)},
    ]
    identities = [_run(**change).attrs["identity"] for change in changes]
    assert len(set(identities)) == len(changes)
    assert _run().attrs["identity"] == identities[0]


@pytest.mark.parametrize("engine", _ENGINES)
def test_a_list_of_times_is_recorded_with_start_and_end(engine):
    ds = _run(engine, record=np.array([0.05, 0.121]))
    np.testing.assert_array_equal(ds["step"], [0, 5, 12, 20])


@pytest.mark.parametrize("engine", _ENGINES)
def test_warm_starts(engine):
    one = _run(engine, initial=sl.SpikedStatistics(0.3, 0.8))
    np.testing.assert_array_equal(one["m"][:, 0], 0.3)
    np.testing.assert_array_equal(one["r2"][:, 0], 0.8)
    m, r2 = np.array([0.1, -0.2, 0.3]), np.array([0.5, 1.0, 0.0])
    each = _run(engine, initial=sl.SpikedStatistics(m, r2))
    np.testing.assert_array_equal(each["m"][:, 0], m)
    np.testing.assert_array_equal(each["r2"][:, 0], r2)
    assert (each["m"][:, -1] != each["m"][:, 0]).all()


@pytest.mark.parametrize("engine", _ENGINES)
@pytest.mark.parametrize("start", [(0, 1), (np.float32(0.25), np.float32(1.0)), (0.25, 1)])
def test_starts_of_other_number_types(engine, start, as_users_run):
    # Whole numbers and single precision are what people type and load.
    ds = _run(engine, initial=sl.SpikedStatistics(*start))
    same = _run(engine, initial=sl.SpikedStatistics(float(start[0]), float(start[1])))
    np.testing.assert_array_equal(ds["m"], same["m"])


@pytest.mark.parametrize("engine", _ENGINES)
def test_whole_numbers_are_parameters(engine):
    whole = sl.simulate(
        sl.SpikedTensor(snr=2), sl.OnlineSGD(step=1), engine, dim=50, time=1, runs=3, record=2
    )
    floats = sl.simulate(
        sl.SpikedTensor(snr=2.0), sl.OnlineSGD(step=1.0), engine, dim=50, time=1.0, runs=3, record=2
    )
    np.testing.assert_array_equal(whole["m"], floats["m"])
    assert whole.attrs["identity"] == floats.attrs["identity"]


def test_the_last_state_is_that_of_the_last_step():
    # 20 chain steps by hand from the same random numbers.
    import jax
    import jax.numpy as jnp

    from sgdlimits.engines.path import BLOCK
    from sgdlimits.process.process import Process
    from sgdlimits.randomness.streams import run_keys

    ds, process = _run(runs=1, seed=5), Process(_MODEL, _SGD)
    key = jax.random.fold_in(run_keys(5, "chain", jnp.array([0]))[0], 0)
    noise = process.chain_noise(key, BLOCK, process.chain_constants(50))
    state = process.chain_state(sl.initial(_MODEL, 50, 1, seed=5)[0])
    for step in range(20):
        one = jax.tree.map(lambda x, i=step: x[i], noise)
        state = process.chain_step(state, one, jnp.asarray(50.0), step * process.delta(50))
    u = process.chain_statistics(state)
    np.testing.assert_allclose(ds["m"].values[0, -1], float(u.m), rtol=1e-12)
    np.testing.assert_allclose(ds["r2"].values[0, -1], float(u.r2), rtol=1e-12)


def test_many_runs_take_several_lanes():
    ds = _run(runs=300, record=2)
    np.testing.assert_array_equal(ds["run"], np.arange(300))
    assert len(np.unique(ds["m"][:, -1])) == 300


def test_one_step_is_a_simulation():
    ds = _run(time=0.01, record=101)
    np.testing.assert_array_equal(ds["step"], [0, 1])


def test_sgd_and_dim_have_sensible_defaults():
    ds = sl.simulate(_MODEL, dim=20, time=0.1)
    assert json.loads(ds.attrs["algorithm"])["step"] == 1.0
    assert ds.sizes == {"run": 1, "time": 3}


@pytest.mark.parametrize("engine", _ENGINES)
def test_progress_adds_up_to_the_whole(engine, monkeypatch):
    from contextlib import contextmanager

    from sgdlimits.simulation import ensemble as module

    told = []

    @contextmanager
    def collect(show, label, total):
        told.append(total)
        yield told.append

    monkeypatch.setattr(module, "progress_bar", collect)
    _run(engine, runs=300, time=0.1, record=4)
    total, *parts = told
    assert len(parts) > 1
    assert sum(parts) == pytest.approx(total)


def test_there_is_no_bar_where_no_person_watches(capsys):
    _run()
    assert capsys.readouterr().err == ""
