"""No byte of a store changes without notice, and what is damaged is named."""

import shutil

import numpy as np
import pytest
import xarray as xr

import sgdlimits as sl
from sgdlimits.simulation import integrity
from sgdlimits.simulation.integrity import DamagedError


@pytest.fixture
def store(tmp_path):
    dataset = xr.Dataset(
        {"m": (("run", "time"), np.linspace(0.1, 0.9, 6).reshape(2, 3)), "gone": ("run", [0.0, 0])},
        {"time": [0.0, 0.5, 1.0], "law": ("run", ["a", "β"])},
        {"title": "a test of storage", "note": "0" * 64},
    )
    return sl.save(dataset, tmp_path / "a.zarr")


def _files(store):
    return sorted(path for path in store.rglob("*") if path.is_file())


def _verdict(store):
    try:
        integrity.verify(store)
    except DamagedError as error:
        return str(error).removeprefix("path=")
    return ""


def test_every_flipped_byte_is_noticed(store):
    integrity.verify(store)  # and nothing is seen where nothing was done
    rng = np.random.default_rng(0)
    missed, tried = [], 0
    for path in _files(store):
        original = path.read_bytes()
        with open(path, "r+b", buffering=0) as file:
            for place, flip in enumerate(rng.integers(1, 256, len(original))):
                file.seek(place)
                file.write(bytes([original[place] ^ int(flip)]))
                tried += 1
                if path.parent.name not in _verdict(store):
                    missed.append((path.name, place))
                file.seek(place)
                file.write(original[place : place + 1])
    assert missed == []
    assert tried > 2000
    integrity.verify(store)


def test_every_bit_of_the_manifest_s_own_digest_counts(store):
    root = store / "zarr.json"
    text = root.read_bytes()
    start = text.index(b'"sgdlimits_sha256": "') + 21
    for place in range(start, start + 64):
        for bit in range(8):
            damaged = bytearray(text)
            damaged[place] ^= 1 << bit
            root.write_bytes(damaged)
            with pytest.raises(DamagedError):
                integrity.verify(store)
    root.write_bytes(text)
    sl.load(store)


def test_readers_that_know_nothing_of_manifests_see_flipped_numbers_too(store):
    chunk = store / "m" / "c" / "0" / "0"
    flipped = bytearray(chunk.read_bytes())
    flipped[len(flipped) // 2] ^= 4
    chunk.write_bytes(flipped)
    with pytest.raises(Exception, match="checksum"):
        xr.open_zarr(store, consolidated=False, chunks=None).load()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda s: (s / "m" / "c" / "0" / "0").unlink(), r"'m': m/c/0/0 is missing"),
        (lambda s: shutil.rmtree(s / "m"), r"variable 'm': m/c/0/0 is missing; .*m/zarr.json is"),
        (lambda s: (s / "m" / "zarr.json").unlink(), r"m/zarr.json is missing"),
        (lambda s: shutil.copytree(s / "m", s / "n"), r"variable 'n': n/c/0/0 was not there"),
        (lambda s: (s / "m" / "c" / "0" / "0").write_bytes(b""), r"m/c/0/0 was altered"),
        (lambda s: (s / "zarr.json").write_text("{"), r"zarr.json cannot be read"),
        (lambda s: (s / "zarr.json").write_text("[]"), r"zarr.json cannot be read"),
        (lambda s: (s / "zarr.json").write_text("{}"), r"no manifest"),
        (lambda s: (s / "zarr.json").unlink(), r"zarr.json is missing"),
        (
            lambda s: (s / "zarr.json").write_text(
                (s / "zarr.json").read_text(encoding="utf-8").replace("a test", "no test")
            ),
            r"its attributes and manifest, was altered",
        ),
    ],
)
def test_damage_is_named(store, damage, words):
    damage(store)
    with pytest.raises(DamagedError, match=words) as caught:
        sl.load(store)
    assert str(store) in str(caught.value)


def test_what_file_viewers_leave_behind_is_no_damage(store):
    (store / ".DS_Store").write_bytes(b"x")
    (store / "m" / "._c").write_bytes(b"x")
    assert "m" in sl.load(store)


def test_a_store_of_somebody_else_is_not_taken_on_trust(tmp_path):
    xr.Dataset({"x": ("t", np.arange(3.0))}).to_zarr(tmp_path / "x.zarr", consolidated=False)
    with pytest.raises(DamagedError, match=r"no manifest.*xarray.open_zarr"):
        sl.load(tmp_path / "x.zarr")


def test_the_manifest_is_seen_by_nobody(store, tmp_path):
    loaded = sl.load(store)
    assert set(loaded.attrs) == {"title", "note"}
    again = sl.save(loaded, tmp_path / "b.zarr")  # encodings of the first store do not matter
    xr.testing.assert_identical(sl.load(again), loaded)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 5}, "its attribute seed=5 contradicts"),
        ({"engine": "sgd"}, "its attribute engine='sgd' contradicts"),
        ({"identity": "abc"}, "do not match its identity"),
        ({"config": "{"}, "do not match its identity"),
        ({"config": "[]"}, "do not match its identity"),
        ({"identity": None}, "one is gone"),
        ({"config": None}, "one is gone"),
    ],
)
def test_edited_provenance_is_refused(tmp_path, change, words):
    dataset = sl.simulate(sl.SpikedTensor(), dim=20, time=0.1, runs=1, record=2)
    attrs = {**dataset.attrs, **change}
    dataset.attrs = {key: value for key, value in attrs.items() if value is not None}
    path = sl.save(dataset, tmp_path / "a.zarr")
    with pytest.raises(ValueError, match=words):
        sl.load(path)
