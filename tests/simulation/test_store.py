"""Stores are written whole or not at all, and answer only for what they hold."""

import json
import os

import numpy as np
import pytest
import xarray as xr

import sgdlimits as sl
from sgdlimits.simulation.folder import PartialStore
from sgdlimits.simulation.result import attributes

_MODEL = sl.SpikedTensor()
_OPTIONS = {"dim": 20, "time": 0.5, "runs": 3, "record": 3}


@pytest.fixture
def dataset():
    return sl.simulate(_MODEL, **_OPTIONS)


def test_a_saved_result_comes_back_whole(dataset, tmp_path):
    path = sl.save(dataset, tmp_path / "deep" / "a.zarr")
    assert path == tmp_path / "deep" / "a.zarr"
    loaded = sl.load(path)
    xr.testing.assert_identical(loaded, dataset)
    assert loaded.attrs == dataset.attrs


def test_nothing_is_overwritten(dataset, tmp_path):
    sl.save(dataset, tmp_path / "a.zarr")
    with pytest.raises(FileExistsError, match=r"path='.*a\.zarr' exists"):
        sl.save(dataset, tmp_path / "a.zarr")


def test_a_killed_save_leaves_nothing_that_loads(dataset, tmp_path, monkeypatch):
    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            sl.save(dataset, tmp_path / "a.zarr")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError, match=r"path='.*a\.zarr': no result there"):
        sl.load(tmp_path / "a.zarr")
    with pytest.raises(FileNotFoundError, match="no result there"):
        sl.load(tmp_path)
    sl.save(dataset, tmp_path / "a.zarr")


def test_a_store_of_another_run_is_refused(dataset, tmp_path):
    path = sl.save(dataset, tmp_path / "a.zarr")
    sl.load(path, expected=dataset.attrs["identity"])
    with pytest.raises(ValueError, match=f"holds run {dataset.attrs['identity']}, expected abc"):
        sl.load(path, expected="abc")


def test_altered_inputs_are_noticed(dataset, tmp_path):
    config = json.loads(dataset.attrs["config"])
    config["seed"] = 99
    altered = dataset.assign_attrs(config=json.dumps(config))
    path = sl.save(altered, tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="do not match its identity"):
        sl.load(path)


def test_any_dataset_can_be_saved(tmp_path):
    plain = xr.Dataset({"x": ("t", np.arange(3.0))})
    xr.testing.assert_identical(sl.load(sl.save(plain, tmp_path / "x.zarr")), plain)


# -- the folder of a run ---------------------------------------------------------------------------


def test_a_run_leaves_inputs_and_result_and_nothing_else(tmp_path):
    dataset = sl.simulate(_MODEL, **_OPTIONS, out=tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        ".lock",
        "result.zarr",
        "run.json",
    ]
    stored = json.loads((tmp_path / "run" / "run.json").read_text())
    assert stored == json.loads(dataset.attrs["config"])


def _config():
    return json.loads(sl.simulate(_MODEL, **_OPTIONS).attrs["config"])


def test_remains_of_a_killed_write_are_swept_up(tmp_path):
    folder = tmp_path / "run"
    with PartialStore.open(folder, _config()):
        pass
    for place in (folder, folder / "parts"):
        (place / ".writing-000000000.zarr-abc" / "m").mkdir(parents=True)
    with PartialStore.open(folder, _config()) as store:
        assert list(folder.rglob(".writing-*")) == []
        assert not store.rows().any()
    dataset = sl.simulate(_MODEL, **_OPTIONS, out=folder)
    assert dataset.sizes["run"] == 3


def test_a_refused_folder_is_left_as_it_is(tmp_path):
    # Another simulation below, or beside, may be writing.
    theirs = tmp_path / "sub" / ".writing-result.zarr-abc"
    theirs.mkdir(parents=True)
    (tmp_path / ".writing-mine").write_text("x")
    with pytest.raises(FileExistsError, match="holds no run"):
        sl.simulate(sl.SpikedTensor(), dim=50, time=0.1, runs=2, out=tmp_path)
    assert theirs.exists()
    assert (tmp_path / ".writing-mine").exists()


def test_a_run_killed_while_writing_its_inputs_can_start_again(tmp_path):
    # The kill fell between writing the temporary file and renaming it.
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".writing-run.json").write_text("{")
    dataset = sl.simulate(_MODEL, **_OPTIONS, out=folder)
    assert dataset.sizes["run"] == 3
    assert not (folder / ".writing-run.json").exists()


def test_a_kill_between_the_last_part_and_the_result_repeats_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "run"

    def killed(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PartialStore, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            sl.simulate(_MODEL, **_OPTIONS, out=folder)

    def prepare(engine, problem, lane):
        def recomputed(*arguments):
            raise AssertionError("a finished part was computed again")

        return recomputed

    monkeypatch.setattr(sl.engines.Chain, "prepare", prepare)
    dataset = sl.simulate(_MODEL, **_OPTIONS, out=folder)
    assert dataset.sizes["run"] == 3


def test_missing_parts_are_not_passed_over(tmp_path):
    config = {**_config(), "runs": 5}
    three = sl.simulate(_MODEL, **_OPTIONS).assign_attrs(attributes(config))
    with PartialStore.open(tmp_path / "run", config) as store:
        store.write(0, three)
        assert store.rows().tolist() == [True, True, True, False, False]
        with pytest.raises(RuntimeError, match="do not make up the 5 runs"):
            store.finish()
    assert store.finished is None


def test_a_result_whose_inputs_file_was_swapped_is_refused(tmp_path):
    folder = tmp_path / "run"
    sl.simulate(_MODEL, **_OPTIONS, out=folder)
    config = {**json.loads((folder / "run.json").read_text()), "seed": 1}
    (folder / "run.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="expected"):
        sl.simulate(_MODEL, **_OPTIONS, seed=1, out=folder)
