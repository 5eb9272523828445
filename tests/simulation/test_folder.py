"""Damage in a run's folder is repaired, or refused with a remedy; one writer at a time."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import sgdlimits as sl
from sgdlimits.simulation.folder import PartialStore, StorageWarning
from sgdlimits.simulation.integrity import DamagedError

_MODEL = sl.SpikedTensor()
_OPTIONS = {"dim": 20, "time": 0.5, "runs": 40, "record": 3, "engine": "ode"}  # lanes of few runs


@pytest.fixture(scope="module")
def whole():
    return sl.simulate(_MODEL, **_OPTIONS)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A finished folder, and one with all parts but no result."""
    place = tmp_path_factory.mktemp("originals")
    sl.simulate(_MODEL, **_OPTIONS, out=place / "finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PartialStore, "finish", _kill)
        with pytest.raises(KeyboardInterrupt):
            sl.simulate(_MODEL, **_OPTIONS, out=place / "parts")
    return place


@pytest.fixture
def finished(originals, tmp_path):
    return shutil.copytree(originals / "finished", tmp_path / "finished")


@pytest.fixture
def unfinished(originals, tmp_path):
    return shutil.copytree(originals / "parts", tmp_path / "unfinished")


def _kill(*arguments):
    raise KeyboardInterrupt


def _again(out):
    return sl.simulate(_MODEL, **_OPTIONS, out=out)


def _flip(path, place=0.5):
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


def _same(one, other):
    xr.testing.assert_identical(one, other)


def test_parts_grow_from_a_lane(unfinished):
    first = [int(path.name[:9]) for path in sorted((unfinished / "parts").iterdir())]
    assert first == [0, 4, 12, 28]


@pytest.mark.parametrize("where", ["m/c/0/0", "zarr.json", "m/zarr.json"])
def test_a_damaged_part_is_computed_again_and_said_so(unfinished, whole, where):
    _flip(unfinished / "parts" / "000000004.zarr" / where)
    with pytest.warns(StorageWarning, match=r"000000004.zarr.* is damaged.*simulated again"):
        _same(_again(unfinished), whole)
    _same(sl.load(unfinished), whole)


def test_only_what_is_damaged_is_computed_again(unfinished, whole, monkeypatch):
    shutil.rmtree(unfinished / "parts" / "000000012.zarr" / "m")
    original, rows = sl.engines.ODE.prepare, []

    def prepare(engine, problem, lane):
        run_lane = original(engine, problem, lane)

        def counted(start, numbers, advanced):
            rows.extend(np.asarray(numbers).tolist())
            yield from run_lane(start, numbers, advanced)

        return counted

    monkeypatch.setattr(sl.engines.ODE, "prepare", prepare)
    with pytest.warns(StorageWarning):
        _same(_again(unfinished), whole)
    assert sorted(rows) == list(range(12, 28))


def test_a_damaged_result_is_refused_with_the_remedy(finished):
    _flip(finished / "result.zarr" / "m" / "c" / "0" / "0")
    for call in (lambda: sl.load(finished), lambda: _again(finished)):
        with pytest.raises(DamagedError, match=r"result.zarr' is damaged: variable 'm'"):
            call()
    with pytest.raises(DamagedError, match="Remove that store and repeat the call"):
        _again(finished)


def test_a_damaged_result_is_made_again_from_parts(unfinished, whole, originals):
    shutil.copytree(originals / "finished" / "result.zarr", unfinished / "result.zarr")
    _flip(unfinished / "result.zarr" / "r2" / "c" / "0" / "0")
    with pytest.warns(StorageWarning, match="made again from its parts"):
        _same(_again(unfinished), whole)
    assert not (unfinished / "parts").exists()


def test_parts_beside_a_result_are_cleared_away(unfinished, whole, originals):
    shutil.copytree(originals / "finished" / "result.zarr", unfinished / "result.zarr")
    _same(_again(unfinished), whole)
    assert not (unfinished / "parts").exists()


def test_files_of_others_among_the_parts_stay(unfinished, whole):
    (unfinished / "parts" / ".DS_Store").write_text("x")
    (unfinished / "parts" / "notes.txt").write_text("mine")
    _same(_again(unfinished), whole)
    assert (unfinished / "parts" / "notes.txt").read_text() == "mine"
    _same(_again(unfinished), whole)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"seed": 3}', "\x00\x01"])
@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_broken_inputs_are_written_again(state, text, request, whole):
    folder = request.getfixturevalue(state)
    good = (folder / "run.json").read_text(encoding="utf-8")
    (folder / "run.json").write_text(text, encoding="utf-8")
    if state == "finished":
        with pytest.raises(DamagedError, match=r"run.json is damaged.*same call of simulate"):
            sl.load(folder)
    with pytest.warns(StorageWarning, match=r"run.json is damaged.*written again"):
        _same(_again(folder), whole)
    assert (folder / "run.json").read_text(encoding="utf-8") == good


@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_lost_inputs_come_back(state, request, whole):
    folder = request.getfixturevalue(state)
    (folder / "run.json").unlink()
    with pytest.raises((DamagedError, FileNotFoundError)):
        sl.load(folder)
    with pytest.warns(StorageWarning, match=r"run.json was missing"):
        _same(_again(folder), whole)


def test_broken_inputs_do_not_make_a_folder_somebody_else_s(unfinished):
    (unfinished / "run.json").write_text("{")
    with pytest.raises(DamagedError, match="not the expected run either"):
        sl.simulate(_MODEL, **_OPTIONS, seed=9, out=unfinished)
    assert len(list((unfinished / "parts").iterdir())) == 4


def test_a_part_of_another_run_is_not_taken_in(unfinished, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PartialStore, "finish", _kill)
        with pytest.raises(KeyboardInterrupt):
            sl.simulate(_MODEL, **_OPTIONS, seed=1, out=tmp_path / "other")
    mine = unfinished / "parts" / "000000004.zarr"
    shutil.rmtree(mine)
    shutil.copytree(tmp_path / "other" / "parts" / "000000004.zarr", mine)
    with pytest.raises(FileExistsError, match="is no part of this run"):
        _again(unfinished)


# -- one writer ------------------------------------------------------------------------------------

_HOLDER = """
import sys, pathlib
from sgdlimits.simulation.lock import only_writer
with only_writer(pathlib.Path(sys.argv[1])):
    print("holding", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_is_told_who_the_first_is(unfinished, whole):
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, unfinished],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "holding\n"
        with pytest.raises(FileExistsError, match=rf"written by process {holder.pid} on \S+ since"):
            _again(unfinished)
    finally:
        holder.kill()
        holder.communicate()
    _same(_again(unfinished), whole)  # a killed writer holds nothing


def test_two_calls_of_one_process_are_two_writers(unfinished):
    config = json.loads((unfinished / "run.json").read_text(encoding="utf-8"))
    with (
        PartialStore.open(unfinished, config),
        pytest.raises(FileExistsError, match="is being written by process"),
    ):
        _again(unfinished)


def test_a_finished_folder_can_be_read_while_locked(finished, whole):
    config = json.loads((finished / "run.json").read_text(encoding="utf-8"))
    with PartialStore.open(finished, config):
        _same(_again(finished), whole)
