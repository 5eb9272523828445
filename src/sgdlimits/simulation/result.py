"""One labelled result for every engine."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from sgdlimits.engines.path import Record, Recorded
from sgdlimits.provenance import canonical, identity
from sgdlimits.simulation.observe import Observations
from sgdlimits.statistics.base import AbstractStatistics

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
        self.diverged = np.full(start.batch_shape[0], np.nan)

    def consume(self, records: Iterable[Record], rows: slice, times: np.ndarray) -> None:
        """Take a lane's records into ``rows``; its padding runs are dropped."""
        count = rows.stop - rows.start
        for record in records:
            diverged = record.diverged[:count]
            self.diverged[rows] = diverged
            gone = times[record.slot] >= diverged
            if self.observations is not None:
                self.observations.take(record.slot, record.parameters, rows, gone)
            for name, values in self.values.items():
                new = np.array(getattr(record.statistics, name), dtype=float)[:count]
                new[gone] = np.nan
                values[rows, record.slot] = new
                if record.error is not None:
                    errors = self.errors.setdefault(name, np.zeros_like(values))
                    errors[rows, record.slot] = np.asarray(getattr(record.error, name))[:count]

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
            meaning = f"standard error of {name} from the Monte Carlo estimate of the moments"
            data[f"{name}_error"] = xr.Variable(
                ("run", "time", *self.dims[name]), values, {"long_name": meaning, "units": "1"}
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
        return xr.Dataset(data, coords, attrs)


def attributes(config: dict[str, Any]) -> dict[str, Any]:
    """Provenance: readable entries, and all that is needed to run again."""
    return {
        "model": canonical(config["model"]),
        "algorithm": canonical(config["algorithm"]),
        "engine": config["engine"],
        "dim": config["dim"],
        "seed": config["seed"],
        "version": config["version"],
        "config": canonical(config),
        "identity": identity(config),
    }
