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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["simulate", "sweep"])
def test_kills_at_any_point_of_writing(kind, tmp_path):
    """Each kill falls further on; every call continues in the folder that the last one left."""
    whole = sl.simulate(sl.SpikedTensor(2, 1.0), **_OPTIONS)
    model = sl.SpikedTensor() if kind == "simulate" else sl.SpikedTensor(2, 1.0)
    if kind == "simulate":
        whole = sl.simulate(model, **_OPTIONS)
    assert _run(0, kind, tmp_path / "warm")  # the compiled programs; kills count no files of these
    kills = 0
    for number in range(int(os.environ.get("SGDLIMITS_KILLS", "30"))):
        out = tmp_path / f"run-{number // 3}"  # three kills in each folder
        kills += not _run(1 + 11 * number, kind, out)
        if number % 3 == 2:
            assert _run(0, kind, out)
            folders = [out] if kind == "simulate" else sorted(out.iterdir())
            found = [sl.load(folder) for folder in folders]
            assert any(dataset.identical(whole) for dataset in found)
            for folder in folders:
                assert sorted(p.name for p in folder.iterdir()) == [
                    ".lock",
                    "result.zarr",
                    "run.json",
                ]
                config = json.loads((folder / "run.json").read_text(encoding="utf-8"))
                assert config["runs"] == _OPTIONS["runs"]
    assert kills > number // 2
