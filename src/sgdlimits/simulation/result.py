"""One labelled result for every engine."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from sgdlimits.engines.path import Record, Recorded
from sgdlimits.provenance import canonical, identity
from sgdlimits.simulation.coordinates import labelled
from sgdlimits.simulation.observe import Observations
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.reserved import ERROR

TIME_UNITS = "steps * step / dim"


class DivergenceWarning(UserWarning):
    """Some runs left the range of floating point; they are NaN from their marked time on."""


class Recorder:
    """Collects the records of some runs; unrecorded entries are NaN."""

    def __init__(
        self, start: AbstractStatistics, records: int, observations: Observations | None = None
    ):
        self.observations = observations
        self.labels = type(start).labels
        self.dims = type(start).dims
        self.values: dict[str, np.ndarray] = {}
        for name in self.dims:
            first = np.asarray(getattr(start, name), dtype=float)
            self.values[name] = np.full((first.shape[0], records, *first.shape[1:]), np.nan)
            self.values[name][:, 0] = first
        self.errors: dict[str, np.ndarray] = {}
        self.meaning = ""
        self.diverged = np.full(start.batch_shape[0], np.nan)
        self.diverged[_broken(self._at(slice(None), 0))] = 0.0

    def consume(self, records: Iterable[Record], rows: slice, times: np.ndarray) -> None:
        """Take a lane's records into ``rows``; its padding runs are dropped."""
        count = rows.stop - rows.start
        for record in records:
            # Whatever an engine watches, what is recorded is looked at once more.
            diverged = np.fmin(self.diverged[rows], record.diverged[:count])
            new = [getattr(record.statistics, name) for name in self.values]
            bad = _broken([np.asarray(x, dtype=float)[:count] for x in new])
            diverged = np.where(bad & np.isnan(diverged), times[record.slot], diverged)
            self.diverged[rows] = diverged
            gone = times[record.slot] >= diverged
            if self.observations is not None:
                self.observations.take(record.slot, record.parameters, rows, gone)
            for name, values in self.values.items():
                new = np.array(getattr(record.statistics, name), dtype=float)[:count]
                new[gone] = np.nan
                values[rows, record.slot] = new
                if record.error is not None:
                    self.meaning = record.error.meaning
                    errors = self.errors.setdefault(name, _none_yet(values))
                    of = np.array(getattr(record.error.statistics, name), dtype=float)[:count]
                    of[gone] = np.nan
                    errors[rows, record.slot] = of

    def _at(self, rows: slice, slot: int) -> list[np.ndarray]:
        return [values[rows, slot] for values in self.values.values()]

    def dataset(self, runs: np.ndarray, grid: Recorded, attrs: dict[str, Any]) -> xr.Dataset:
        """The labelled result."""
        data = {}
        for name, values in self.values.items():
            label = self.labels[name]
            data[name] = xr.Variable(
                ("run", "time", *self.dims[name]),
                values,
                {"long_name": label.meaning, "symbol": label.symbol, "units": "1"},
            )
        for name, values in self.errors.items():
            data[name + ERROR] = xr.Variable(
                ("run", "time", *self.dims[name]),
                values,
                {"long_name": self.meaning.format(name), "of": name, "units": "1"},
            )
        data["diverged"] = xr.Variable(
            "run",
            self.diverged,
            {"long_name": "time of divergence, NaN if none", "units": TIME_UNITS},
        )
        coords = {
            "run": runs,
            "time": xr.Variable("time", grid.times, {"long_name": "time", "units": TIME_UNITS}),
            "step": xr.Variable("time", grid.steps, {"long_name": "SGD steps", "units": "1"}),
        }
        if self.observations is not None:
            observed, labels = self.observations.variables()
            data, coords = {**data, **observed}, {**labels, **coords}
        return labelled(xr.Dataset(data, coords, attrs))


def _broken(values: list[np.ndarray]) -> np.ndarray:
    """Which runs have a number that is not finite; runs lead."""
    return ~np.all([np.isfinite(x.reshape(len(x), -1)).all(1) for x in values], axis=0)


def _none_yet(values: np.ndarray) -> np.ndarray:
    """Errors before anything was recorded: none at the start, NaN from then on."""
    errors = np.full_like(values, np.nan)
    errors[:, 0] = 0
    return errors


def attributes(config: dict[str, Any]) -> dict[str, Any]:
    """Provenance: readable entries, and all that is needed to run again."""
    return {
        "model": canonical(config["model"]),
        "algorithm": canonical(config["algorithm"]),
        "engine": config["engine"],
        "dim": config["dim"],
        "seed": config["seed"],
        "dtype": config["dtype"],
        "version": config["version"],
        "config": canonical(config),
        "identity": identity(config),
    }
