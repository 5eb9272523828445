"""Keep results on disk: Zarr, written whole or not at all, every byte checked when read."""

import errno
import json
import shutil
import uuid
import warnings
from pathlib import Path
from typing import Any

import xarray as xr

from sgdlimits.provenance import identity
from sgdlimits.simulation import integrity
from sgdlimits.simulation.atomic import TEMPORARY, appear
from sgdlimits.simulation.coordinates import labelled
from sgdlimits.simulation.integrity import DamagedError
from sgdlimits.simulation.places import folder_of, path_of

#: In the folder of a run: all inputs, and the finished result.
INPUTS = "run.json"
RESULT = "result.zarr"
# Readable attributes that repeat what ``config`` says.
_REPEATED = ("engine", "dim", "seed", "dtype", "version")


def save(dataset: xr.Dataset, path: str | Path) -> Path:
    """Write a dataset as a Zarr store, atomically, with checksums and a manifest.

    Args:
        dataset: a result of ``simulate``, or any dataset.
        path: the store to create.

    Returns:
        The path.

    Raises:
        TypeError: if ``dataset`` is none, or ``path`` no path.
        ValueError: for a path that cannot be.
        FileExistsError: if something is there already.
    """
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"dataset={dataset!r}: expected a result of simulate, or any dataset.")
    path = path_of("path", path)
    if path.exists():
        raise FileExistsError(f"path={str(path)!r} exists; choose another, or remove it first.")
    folder_of("path", path.parent).mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY}{path.name}-{uuid.uuid4().hex}"
    try:
        _write(dataset, temporary)
        integrity.seal(temporary, dataset)
        appear(temporary, path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise FileExistsError(
                f"path={str(path)!r} was written by another process meanwhile."
            ) from None
        raise
    return path


def _write(dataset: xr.Dataset, store: Path) -> None:
    from zarr.codecs import Crc32cCodec, ZstdCodec

    # For readers that know nothing of the manifest: each chunk says whether it is whole.
    checked: dict[Any, Any] = {
        name: {"compressors": (ZstdCodec(), Crc32cCodec())} for name in dataset.variables
    }
    with warnings.catch_warnings():
        # Zarr announces the experimental status of string metadata; nothing here depends on it.
        warnings.simplefilter("ignore")
        dataset.drop_encoding().to_zarr(store, mode="w", consolidated=False, encoding=checked)


def load(path: str | Path, *, expected: str | None = None) -> xr.Dataset:
    """Read a result into memory, and check every byte of it.

    Args:
        path: a store written by ``save``, or the folder of a run (``simulate(..., out=folder)``).
        expected: the identity that the result must have (``dataset.attrs["identity"]``).

    Raises:
        FileNotFoundError: if there is no finished result.
        DamagedError: (a ValueError) if a file of the store is missing, altered or new, which it
            names; also for stores that ``save`` did not write.
        ValueError: if the result is another run than expected, or its inputs were altered.
    """
    path = path_of("path", path)
    if (path / INPUTS).exists():
        return _load_run(path, expected)
    if (path / RESULT).exists():
        raise DamagedError(
            f"path={str(path)!r} has a {RESULT}, but no {INPUTS} with its inputs: load {RESULT} "
            "itself, or repeat the call of simulate, which puts it back."
        )
    return load_store(path, expected)


def _load_run(folder: Path, expected: str | None) -> xr.Dataset:
    try:
        config = read_inputs(folder)
    except DamagedError as error:
        raise DamagedError(f"{error} The same call of simulate(out=...) repairs it.") from None
    if not (folder / RESULT).exists():
        raise FileNotFoundError(
            f"path={str(folder)!r}: no result there; {folder} holds an unfinished run."
        )
    dataset = load_store(folder / RESULT, expected)
    if dataset.attrs.get("identity") != identity(config):
        raise DamagedError(
            f"path={str(folder)!r}: {RESULT} is not the run that {INPUTS} describes."
        )
    return dataset


def load_store(store: Path, expected: str | None = None) -> xr.Dataset:
    """``load`` of one store."""
    if not (store / integrity.ROOT).exists():
        if store.is_dir() and any(store.glob(f"*/{integrity.ROOT}")):
            raise DamagedError(f"path={str(store)!r} is damaged: {integrity.ROOT} is missing.")
        raise FileNotFoundError(f"path={str(store)!r}: no result there.")
    integrity.verify(store)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what file viewers leave behind
        with xr.open_zarr(store, consolidated=False, chunks=None) as lazy:
            dataset = integrity.unsealed(store, lazy.load())
    _check_provenance(store, dataset.attrs)
    found = dataset.attrs.get("identity")
    if expected is not None and found != expected:
        raise ValueError(f"path={str(store)!r} holds run {found}, expected {expected}.")
    return labelled(dataset) if found is not None else dataset


def _check_provenance(store: Path, attrs: dict[str, Any]) -> None:
    """Raise ValueError if the attributes contradict each other; some datasets have none."""
    if not attrs.keys() & {"identity", "config"}:
        return
    name = f"path={str(store)!r}"
    if not {"identity", "config"} <= attrs.keys():
        raise ValueError(f"{name}: of identity and config, which name a run together, one is gone.")
    try:
        config = json.loads(attrs["config"])
    except (ValueError, TypeError):
        config = None
    if not isinstance(config, dict) or identity(config) != attrs["identity"]:
        raise ValueError(f"{name}: the inputs it records do not match its identity.")
    for key in _REPEATED:
        if key in attrs and attrs[key] != config.get(key):
            raise ValueError(
                f"{name}: its attribute {key}={attrs[key]!r} contradicts the inputs it records, "
                f"{key}={config.get(key)!r}."
            )


def inputs_text(config: dict[str, Any]) -> str:
    """Of ``run.json``."""
    return json.dumps(config, indent=2, sort_keys=True) + "\n"


def read_inputs(folder: Path) -> dict[str, Any]:
    """What ``run.json`` holds; DamagedError unless it is as it was written."""
    path = folder / INPUTS
    try:
        text = path.read_text(encoding="utf-8")
        config = json.loads(text)
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path} is damaged: {error}.") from error
    if not isinstance(config, dict) or inputs_text(config) != text:
        raise DamagedError(f"{path} is damaged: it is not as it was written.")
    return config
