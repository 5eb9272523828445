"""Keep results on disk: Zarr, written whole or not at all, never answering for another run.

Layout of a run's folder: ``run.json`` (all inputs and their hash), ``parts/`` (finished runs while
others are still to come), and ``result.zarr``. Every file or folder appears by one rename.
"""

import json
import os
import shutil
import uuid
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sgdlimits.provenance import differences, identity

_INPUTS = "run.json"
_RESULT = "result.zarr"
_PARTS = "parts"
_GROUP = "zarr.json"  # in every Zarr store
_TEMPORARY = ".writing-"


def save(dataset: xr.Dataset, path: str | Path) -> Path:
    """Write a dataset as a Zarr store, atomically.

    Args:
        dataset: a result of ``simulate``, or any dataset.
        path: the store to create.

    Returns:
        The path.

    Raises:
        TypeError: if ``dataset`` is none.
        FileExistsError: if something is there already.
    """
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"dataset={dataset!r}: expected a result of simulate, or any dataset.")
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"path={str(path)!r} exists; choose another, or remove it first.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{_TEMPORARY}{path.name}-{uuid.uuid4().hex}"
    try:
        with warnings.catch_warnings():
            # Zarr announces the experimental status of string metadata; nothing here depends on it.
            warnings.simplefilter("ignore")
            dataset.to_zarr(temporary, mode="w", consolidated=False)
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return path


def load(path: str | Path, *, expected: str | None = None) -> xr.Dataset:
    """Read a result into memory.

    Args:
        path: a store written by ``save``, or the folder of a run (``simulate(..., out=folder)``).
        expected: the identity that the result must have (``dataset.attrs["identity"]``).

    Raises:
        FileNotFoundError: if there is no finished result.
        ValueError: if the result is another run than expected, or its inputs were altered.
    """
    path = Path(path)
    store = path / _RESULT if (path / _INPUTS).exists() else path
    if not (store / _GROUP).exists():
        hint = f"; {path} holds an unfinished run" if (path / _INPUTS).exists() else ""
        raise FileNotFoundError(f"path={str(path)!r}: no result there{hint}.")
    with xr.open_zarr(store, consolidated=False, chunks=None) as lazy:
        dataset = lazy.load()
    found = dataset.attrs.get("identity")
    if found is not None and identity(json.loads(dataset.attrs["config"])) != found:
        raise ValueError(f"path={str(path)!r}: the inputs it records do not match its identity.")
    if expected is not None and found != expected:
        raise ValueError(f"path={str(path)!r} holds run {found}, expected {expected}.")
    return dataset


class PartialStore:
    """A run's folder, filled part by part and finished by joining the parts."""

    def __init__(self, folder: Path, config: dict[str, Any]):
        self.folder = folder
        self.config = config

    @classmethod
    def open(cls, folder: Path, config: dict[str, Any]) -> "PartialStore":
        """Create the folder, or continue in it.

        Raises:
            FileExistsError: if the folder holds another run, or files of something else.
        """
        inputs = folder / _INPUTS
        if inputs.exists():
            existing = json.loads(inputs.read_text())
            lines = differences(existing, json.loads(json.dumps(config)))
            if lines:
                raise FileExistsError(
                    f"out={str(folder)!r} holds a different run; choose another folder. "
                    f"Stored -> requested: {'; '.join(lines)}."
                )
            _remove_leftovers(folder)
        elif folder.exists() and any(
            path.name != f"{_TEMPORARY}{_INPUTS}" for path in folder.iterdir()
        ):
            raise FileExistsError(
                f"out={str(folder)!r} is not empty and holds no run; choose another folder."
            )
        else:
            folder.mkdir(parents=True, exist_ok=True)
            temporary = folder / f"{_TEMPORARY}{_INPUTS}"
            temporary.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
            os.replace(temporary, inputs)
        return cls(folder, config)

    @property
    def complete(self) -> bool:
        """Whether the result is there."""
        return (self.folder / _RESULT).exists()

    def result(self) -> xr.Dataset:
        """The finished result."""
        return load(self.folder, expected=identity(self.config))

    def has(self, first: int) -> bool:
        """Whether the part that starts at row ``first`` is done."""
        return self._part(first).exists()

    def write(self, first: int, dataset: xr.Dataset) -> None:
        """Keep a finished part."""
        save(dataset, self._part(first))

    def finish(self) -> xr.Dataset:
        """Join the parts into the result and remove them."""
        folder = self.folder / _PARTS
        parts = [load(path) for path in sorted(folder.iterdir())]
        whole = xr.concat(parts, "run", combine_attrs="identical", data_vars="minimal")
        if np.unique(whole["run"]).size != self.config["runs"]:
            raise RuntimeError(f"{folder}: parts do not make up the {self.config['runs']} runs.")
        save(whole, self.folder / _RESULT)
        shutil.rmtree(folder)
        return whole

    def _part(self, first: int) -> Path:
        return self.folder / _PARTS / f"{first:09d}.zarr"


def _remove_leftovers(folder: Path) -> None:
    """Remove what a killed run was writing, and nothing of what others keep below."""
    for place in (folder, folder / _PARTS):
        for leftover in place.glob(f"{_TEMPORARY}*"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
