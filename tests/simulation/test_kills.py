"""Processes that are killed at every point of writing lose nothing, and resume bit for bit."""

import json
import os
import subprocess
import sys

import pytest

import sgdlimits as sl

# Dies at the n-th time that something reaches the disk, without any farewell.
_SCRIPT = """
import json, os, sys
left, kind, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
import sgdlimits as sl
def deadly(function):
    def call(*arguments, **words):
        global left
        left -= 1
        if left == 0:
            os._exit(9)
        return function(*arguments, **words)
    return call
for name in ("fsync", "rename", "replace", "unlink", "rmdir", "mkdir"):
    setattr(os, name, deadly(getattr(os, name)))
options = dict(dim=20, time=0.5, runs=20, record=3, engine="ode")
if kind == "simulate":
    sl.simulate(sl.SpikedTensor(), **options, out=out)
elif kind == "sweep":
    def arguments(snr):
        return dict(model=sl.SpikedTensor(2, snr), **options)
    sl.sweep(arguments, {"snr": [1.0, 2.0]}, out=out)
else:
    from sgdlimits.reproduce.workspace import reproduce
    reproduce("bgj-spiked-hitting", out, form="tiny", progress=False)
"""
_OPTIONS = {"dim": 20, "time": 0.5, "runs": 20, "record": 3, "engine": "ode"}


def _run(place, kind, out):
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(out.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _SCRIPT, str(place), kind, str(out)],
        check=False,
        capture_output=True,
        env={**os.environ, **cache},
        text=True,
    )
    assert done.returncode in (0, 9), done.stderr
    return done.returncode == 0


def _kill_again_and_again(kind, tmp_path, stride, check):
    """Each kill falls further on; every call continues in the folder that the last one left."""
    assert _run(0, kind, tmp_path / "warm")  # the compiled programs; kills count no files of these
    kills, number = 0, 0
    for number in range(int(os.environ.get("SGDLIMITS_KILLS", "24"))):
        out = tmp_path / f"run-{number // 3}"  # three kills in each folder
        kills += not _run(1 + stride * number, kind, out)
        if number % 3 == 2:
            assert _run(0, kind, out)
            check(out)
    assert kills > number // 2


def _check_folder(folder, whole):
    assert sl.load(folder).identical(whole)
    assert sorted(p.name for p in folder.iterdir()) == [".lock", "result.zarr", "run.json"]
    config = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert config["runs"] == whole.sizes["run"]


@pytest.mark.slow
def test_simulations_survive_kills_at_any_point_of_writing(tmp_path):
    whole = sl.simulate(sl.SpikedTensor(), **_OPTIONS)
    _kill_again_and_again("simulate", tmp_path, 11, lambda out: _check_folder(out, whole))


@pytest.mark.slow
def test_sweeps_survive_kills_at_any_point_of_writing(tmp_path):
    wholes = [sl.simulate(sl.SpikedTensor(2, snr), **_OPTIONS) for snr in (1.0, 2.0)]

    def check(out):
        folders = sorted(out.iterdir(), key=lambda folder: sl.load(folder).attrs["config"])
        assert len(folders) == 2
        for folder, whole in zip(folders, wholes, strict=True):
            _check_folder(folder, whole)

    _kill_again_and_again("sweep", tmp_path, 11, check)


@pytest.mark.slow
def test_figures_survive_kills_at_any_point_of_writing(tmp_path):
    def check(out):
        warm = tmp_path / "warm"
        assert {p.name for p in out.iterdir()} == {p.name for p in warm.iterdir()}
        assert (out / "checks.md").read_bytes() == (warm / "checks.md").read_bytes()
        for folder in (warm / "data").iterdir():
            _check_folder(out / "data" / folder.name, sl.load(folder))

    _kill_again_and_again("reproduce", tmp_path, 17, check)
