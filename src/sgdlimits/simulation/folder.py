"""A run's folder, filled part by part and finished by joining the parts.

Layout: ``run.json`` (all inputs), ``parts/`` (finished runs while others are still to come), and
``result.zarr``. Every file or folder appears by one rename. What is damaged is never used: inputs
are written again, parts are simulated again, and a warning says so.
"""

import json
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sgdlimits.provenance import differences, identity
from sgdlimits.simulation.atomic import TEMPORARY, write_text
from sgdlimits.simulation.integrity import DamagedError
from sgdlimits.simulation.lock import LOCK, OWNER, only_writer
from sgdlimits.simulation.store import (
    INPUTS,
    RESULT,
    inputs_text,
    load_store,
    read_inputs,
    save,
)

_PARTS = "parts"
_PART = re.compile(r"(\d{9,})\.zarr")


class StorageWarning(UserWarning):
    """Something stored was damaged; it is made again."""


class PartialStore:
    """The folder of one run, identified by all of its inputs."""

    def __init__(self, folder: Path, config: dict[str, Any]):
        self.folder = folder
        self.config = json.loads(json.dumps(config))
        self.identity = identity(config)

    @classmethod
    @contextmanager
    def open(cls, folder: Path, config: dict[str, Any]) -> Iterator["PartialStore"]:
        """Create the folder, or continue in it, as its only writer.

        Raises:
            FileExistsError: if the folder holds another run, or files of something else, or
                somebody else writes to it.
        """
        store = cls(folder, config)
        store._check()
        folder.mkdir(parents=True, exist_ok=True)
        with only_writer(folder):
            store._check()  # once more, now that nobody else can change it
            store._settle()
            yield store

    @property
    def finished(self) -> xr.Dataset | None:
        """The result, if it is there and nothing remains to be done to the folder.

        Raises:
            DamagedError: if it is damaged.
        """
        try:
            asked = read_inputs(self.folder) == self.config
        except DamagedError:
            return None
        if not asked or not (self.folder / RESULT).exists() or self._parts():
            return None
        return self._result()

    def rows(self) -> np.ndarray:
        """Which rows of the runs are done; damaged parts are removed, with a warning."""
        done = np.zeros(self.config["runs"], dtype=bool)
        for path in self._parts():
            try:
                rows = self._rows_of(self._load_part(path))
            except DamagedError as error:
                shutil.rmtree(path)
                _warn(f"{error} Its runs are simulated again.")
                continue
            if done[rows].any():  # by a version with other parts
                shutil.rmtree(path)
                continue
            done[rows] = True
        return done

    def write(self, first: int, dataset: xr.Dataset) -> None:
        """Keep finished runs, from row ``first`` on."""
        save(dataset, self.folder / _PARTS / f"{first:09d}.zarr")

    def finish(self) -> xr.Dataset:
        """Join the parts into the result and remove them."""
        parts = [self._load_part(path) for path in self._parts()]
        whole = xr.concat(parts, "run", combine_attrs="identical", data_vars="minimal")
        if np.unique(whole["run"]).size != self.config["runs"]:
            raise RuntimeError(
                f"{self.folder / _PARTS}: parts do not make up the {self.config['runs']} runs."
            )
        save(whole, self.folder / RESULT)
        self._remove_parts()
        return whole

    # -- what is there already -------------------------------------------------------------------

    def _check(self) -> None:
        """Raise FileExistsError unless the folder is empty, or this run's."""
        if not self.folder.exists():
            return
        if (self.folder / INPUTS).exists():
            try:
                lines = differences(read_inputs(self.folder), self.config)
            except DamagedError:
                lines = []
            if lines and not self._stores_say_so():
                raise FileExistsError(
                    f"out={str(self.folder)!r} holds a different run; choose another folder. "
                    f"Stored -> requested: {'; '.join(lines)}."
                )
            return
        foreign = [
            path.name
            for path in self.folder.iterdir()
            if path.name not in (LOCK, OWNER, f"{TEMPORARY}{INPUTS}")
        ]
        if foreign and not self._stores_say_so():
            raise FileExistsError(
                f"out={str(self.folder)!r} is not empty and holds no run; choose another folder."
            )

    def _stores_say_so(self) -> bool:
        """Whether an undamaged store in the folder is of this run, whatever ``run.json`` says."""
        for path in (self.folder / RESULT, *self._parts()):
            try:
                load_store(path, self.identity)
            except (ValueError, OSError):
                continue
            return True
        return False

    def _settle(self) -> None:
        """Repair what a kill, or damage, has left."""
        _remove_leftovers(self.folder)
        self._write_inputs()
        if not (self.folder / RESULT).exists():
            return
        if self._parts():  # the kill fell between result and clearing up
            try:
                self._result()
            except DamagedError as error:
                if not self.rows().all():
                    raise
                shutil.rmtree(self.folder / RESULT)
                _warn(f"{error} It is made again from its parts.")
                return
        self._remove_parts()

    def _write_inputs(self) -> None:
        path = self.folder / INPUTS
        if not path.exists():
            others = {p.name for p in self.folder.iterdir()} & {RESULT, _PARTS}
            write_text(path, inputs_text(self.config))
            if others:
                _warn(f"{path} was missing; the stored runs are this one's, and it is back.")
            return
        try:
            if read_inputs(self.folder) == self.config:
                return
            what = f"{path} is damaged: it is not what the stored runs say."
        except DamagedError as error:
            what = str(error)
        if ((self.folder / RESULT).exists() or self._parts()) and not self._stores_say_so():
            raise DamagedError(
                f"{what} What is stored beside it is not the expected run either; choose another "
                "folder, or remove this one."
            )
        write_text(path, inputs_text(self.config))
        _warn(f"{what} It is written again.")

    def _result(self) -> xr.Dataset:
        try:
            return load_store(self.folder / RESULT, self.identity)
        except DamagedError as error:
            raise DamagedError(
                f"{error} Remove that store and repeat the call to simulate it again."
            ) from error

    def _parts(self) -> list[Path]:
        folder = self.folder / _PARTS
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted(path for path in found if _PART.fullmatch(path.name) and path.is_dir())

    def _load_part(self, path: Path) -> xr.Dataset:
        part = load_store(path)
        if part.attrs.get("identity") != self.identity:
            raise FileExistsError(f"{path} is no part of this run; move it away.")
        return part

    def _rows_of(self, part: xr.Dataset) -> np.ndarray:
        rows = np.asarray(part["run"]) - self.config["first_run"]
        if rows.min() < 0 or rows.max() >= self.config["runs"]:
            raise DamagedError(f"A part holds runs {rows.min()} to {rows.max()} of others.")
        return rows

    def _remove_parts(self) -> None:
        """Parts only; what somebody else keeps there stays."""
        for path in self._parts():
            shutil.rmtree(path)
        folder = self.folder / _PARTS
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _remove_leftovers(folder: Path) -> None:
    """Remove what a killed run was writing, and nothing of what others keep below."""
    for place in (folder, folder / _PARTS):
        for leftover in place.glob(f"{TEMPORARY}*"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def _warn(what: str) -> None:
    warnings.warn(what, StorageWarning, stacklevel=2)
