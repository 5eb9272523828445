"""Grids of parameters: joined by name, resumed from disk, sent to a cluster, refused early."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster

import sgdlimits as sl


def _arguments(snr, seed=0):
    return {"model": sl.SpikedTensor(2, snr), "dim": 20, "time": 0.5, "runs": 3, "seed": seed}


def _last(dataset):
    return dataset[["m"]].isel(time=-1)


def test_points_are_joined_along_one_dimension_per_parameter():
    grid = {"snr": [0.8, 1.2], "seed": [3, 4, 5]}
    joined = sl.sweep(_arguments, grid, reduce=_last)
    assert joined["m"].dims == ("snr", "seed", "run")
    np.testing.assert_array_equal(joined["snr"], [0.8, 1.2])
    alone = _last(sl.simulate(**_arguments(1.2, 4)))
    np.testing.assert_array_equal(joined["m"].sel(snr=1.2, seed=4), alone["m"])


def test_an_interrupted_sweep_continues_from_its_folder(tmp_path):
    calls = []

    def stop_at_second(dataset):
        calls.append(dataset)
        if len(calls) == 3:  # the first is a trial of the shapes
            raise KeyboardInterrupt
        return _last(dataset)

    grid = {"snr": [0.8, 1.2, 1.6]}
    with pytest.raises(KeyboardInterrupt):
        sl.sweep(_arguments, grid, reduce=stop_at_second, out=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    kept = [sl.load(folder) for folder in tmp_path.iterdir()]
    whole = sl.sweep(_arguments, grid, reduce=_last, out=tmp_path)
    ends = {tuple(dataset["m"].isel(time=-1).values) for dataset in kept}
    assert ends == {tuple(whole["m"].values[i]) for i in (0, 1)}
    xr.testing.assert_equal(whole, sl.sweep(_arguments, grid, reduce=_last))


def test_a_longer_grid_finds_the_points_that_are_there(tmp_path):
    sl.sweep(_arguments, {"snr": [0.8, 1.6]}, reduce=_last, out=tmp_path)
    before = {folder.name: folder.stat().st_mtime for folder in tmp_path.iterdir()}
    sl.sweep(_arguments, {"snr": [0.4, 0.8, 1.2, 1.6]}, reduce=_last, out=tmp_path)
    after = {folder.name: folder.stat().st_mtime for folder in tmp_path.iterdir()}
    assert len(after) == 4
    assert before.items() <= after.items()


def test_points_recorded_at_other_times_are_refused_with_the_remedy():
    def arguments(dim):
        return {**_arguments(1.0), "dim": dim, "record": 4}

    with pytest.raises(ValueError, match=r"reduce: results of two points differ in their time"):
        sl.sweep(arguments, {"dim": [50, 77]})
    ends = sl.sweep(arguments, {"dim": [50, 77]}, reduce=lambda ds: ds.isel(time=-1, drop=True))
    assert ends["m"].shape == (2, 3)


def test_a_parameter_named_like_a_result_is_refused_before_the_first_point(monkeypatch):
    calls = []

    def arguments(m):
        return {**_arguments(1.0), "seed": m}

    def count(dataset):
        calls.append(dataset)
        return dataset

    def work(*arguments):
        raise AssertionError("a point was simulated")

    monkeypatch.setattr(sl.engines.Chain, "plan", work)
    with pytest.raises(ValueError, match="grid: 'm' is already a name"):
        sl.sweep(arguments, {"m": [1, 2, 3]}, reduce=count)
    assert len(calls) == 1  # the trial of the shapes


def test_a_reduction_that_asks_for_errors_is_not_tried_without_them():
    """Only the result can tell whether there are any."""
    with pytest.raises(KeyError, match="m_error"):
        sl.sweep(_arguments, {"snr": [0.8]}, reduce=lambda ds: ds[["m_error"]])


def test_the_last_of_many_points_is_checked_before_the_first(monkeypatch):
    def work(*arguments):
        raise AssertionError("a point was simulated")

    monkeypatch.setattr(sl.engines.Chain, "plan", work)
    with pytest.raises(ValueError, match=r"arguments\(snr=-1.0\): snr=-1.0: expected"):
        sl.sweep(_arguments, {"snr": [0.8, 1.2, -1.0]})
    with pytest.raises(ValueError, match=r"arguments\(time=0.001\): time=0.001: expected at least"):
        sl.sweep(
            lambda time: {**_arguments(1.0), "time": time},
            {"time": [1.0, 0.001]},
            reduce=lambda ds: ds.isel(time=-1, drop=True),
        )


def test_a_cluster_returns_the_same():
    grid = {"snr": [0.8, 1.2, 1.6]}
    with Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as client:
        sent = sl.sweep(_arguments, grid, reduce=_last, client=client)
    xr.testing.assert_equal(sent, sl.sweep(_arguments, grid, reduce=_last))


def test_one_compilation_serves_the_whole_grid():
    from jax import monitoring

    compiled = []

    def listen(event, duration, **details):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(duration)

    options = {"dim": 23, "time": 0.5, "runs": 3, "record": 3}
    sl.simulate(sl.SpikedTensor(2, 0.7), sl.OnlineSGD(step=0.5), **options)
    monitoring.register_event_duration_secs_listener(listen)
    try:
        sl.sweep(
            lambda snr, step: {
                "model": sl.SpikedTensor(2, snr),
                "sgd": sl.OnlineSGD(step=step),
                **options,
            },
            {"snr": [0.8, 1.2, 1.6], "step": [0.5, 0.3]},
            reduce=lambda ds: ds.isel(time=-1, drop=True),
        )
        within = len(compiled)
        sl.simulate(
            sl.SpikedTensor(3, 0.7), sl.OnlineSGD(step=0.1), **options
        )  # another order is another program
        assert len(compiled) > within
    finally:
        monitoring.clear_event_listeners()
    assert within == 0


def _slowly(dataset):
    time.sleep(0.3)
    return _last(dataset)


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(tmp_path):
    """Real processes: one is killed while points are out, and its points go to another."""
    grid = {"snr": [0.8, 1.0, 1.2, 1.4]}
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        victim = next(iter(client.run(os.getpid).values()))
        killer = threading.Timer(2.0, os.kill, (victim, signal.SIGKILL))
        killer.start()
        sent = sl.sweep(_arguments, grid, reduce=_slowly, out=tmp_path, client=client)
        killer.join()
        assert victim not in client.run(os.getpid).values()
    before = {folder.name: folder.stat().st_mtime_ns for folder in tmp_path.iterdir()}
    again = sl.sweep(_arguments, grid, reduce=_last, out=tmp_path)
    assert {folder.name: folder.stat().st_mtime_ns for folder in tmp_path.iterdir()} == before
    xr.testing.assert_equal(sent, again)


_CLIENT = """
import sys
from distributed import Client, LocalCluster
import sgdlimits as sl
from tests.simulation.test_sweep import GRID, _arguments, _slowly
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            sl.sweep(_arguments, GRID, reduce=_slowly, out=sys.argv[1], client=client)
"""
GRID = {"snr": [0.8 + 0.1 * i for i in range(12)]}


@pytest.mark.slow
def test_a_killed_client_loses_no_finished_point(tmp_path):
    """The process that called is killed without farewell; the next call computes the rest."""
    script, out = tmp_path / "client.py", tmp_path / "points"
    script.write_text(_CLIENT, encoding="utf-8")
    client = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(script), str(out)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    finished = lambda: {p.parent.name: p.stat().st_mtime_ns for p in out.glob("*/result.zarr")}  # noqa: E731
    deadline = time.monotonic() + 240
    while len(finished()) < 2:
        assert client.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    client.kill()
    client.wait()
    time.sleep(5)  # workers notice that nobody is there and end
    before = finished()
    assert 2 <= len(before) < 12
    again = sl.sweep(_arguments, GRID, reduce=_last, out=out)
    assert before.items() <= finished().items()
    xr.testing.assert_equal(again, sl.sweep(_arguments, GRID, reduce=_last))
