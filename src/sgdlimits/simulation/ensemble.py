"""The loop over lanes of runs: progress, records, storage, interruption."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from sgdlimits import _resources, _validate
from sgdlimits._logging import logger
from sgdlimits._progress import progress_bar
from sgdlimits.engines.base import Plan, RunLane
from sgdlimits.engines.path import Advanced, Recorded
from sgdlimits.process.lanes import lanes
from sgdlimits.randomness.streams import check_seed
from sgdlimits.simulation.coordinates import labelled
from sgdlimits.simulation.observe import Observing
from sgdlimits.simulation.result import DivergenceWarning, Recorder, attributes
from sgdlimits.statistics.base import AbstractStatistics

if TYPE_CHECKING:
    from sgdlimits.simulation.folder import PartialStore


class SimulationInterrupted(KeyboardInterrupt):
    """A simulation was interrupted; ``partial`` holds what was recorded (NaN where nothing was).

    Its first ``finished`` runs are whole. With ``out=`` those and all before them are stored.
    """

    def __init__(
        self,
        partial: xr.Dataset,
        finished: int = 0,
        message: str = "interrupted; the records so far are in the attribute 'partial'",
    ):
        super().__init__(message)
        self.partial = partial
        self.finished = finished


@dataclass(frozen=True)
class Ensemble:
    """Runs to compute, and how.

    Attributes:
        plan: how many of them together.
        run_lane: computes a full lane of them.
        start: states that the runs start from.
        numbers: of the runs.
        grid: recorded steps and times.
        config: everything that decides the result, as plain data.
        finish: what is added to a finished part of the result.
        observing: what looks at real parameters.
        solves: whether a solver takes the steps.
    """

    plan: Plan
    run_lane: RunLane
    start: AbstractStatistics
    numbers: np.ndarray
    grid: Recorded
    config: dict[str, Any]
    finish: Callable[[xr.Dataset], xr.Dataset] | None = None
    observing: Observing | None = None
    solves: bool = False

    def run(self, progress: bool | None, out: str | Path | None) -> xr.Dataset:
        """The result, kept in the folder ``out`` if there is one."""
        looks = len(self.numbers) if self.observing else 0
        # Nobody knows what observers cost; the bar gives them as much room as the steps.
        total = self.plan.work * (self._padded(len(self.numbers)) + looks)
        attrs = attributes(self.config)
        if out is None:
            with progress_bar(progress, self.config["engine"], total) as bar:
                return self._compute(slice(0, len(self.numbers)), attrs, bar)
        # Storage libraries only where they are used.
        from sgdlimits.simulation.folder import PartialStore
        from sgdlimits.simulation.places import folder_of

        folder = folder_of("out", out)
        found = PartialStore(folder, self.config).finished
        if found is not None:
            logger.info("read from %s: the run is there", folder)
            return found
        with PartialStore.open(folder, self.config) as store:
            found = store.finished
            if found is not None:
                return found
            done = store.rows()
            with progress_bar(progress, self.config["engine"], total) as bar:
                kept = int(done.sum())
                if kept:
                    logger.info("resuming in %s: %d of %d runs are there", folder, kept, len(done))
                bar(self.plan.work * (kept + (kept if self.observing else 0)))
                for rows in _portions(done, self.plan):
                    self._keep(store, rows, attrs, bar)
            return store.finish()

    def _keep(
        self, store: "PartialStore", rows: slice, attrs: dict[str, Any], advanced: Advanced
    ) -> None:
        """Compute and store some runs; of those that an interrupt cuts short, the finished ones."""
        try:
            store.write(rows.start, self._compute(rows, attrs, advanced))
        except SimulationInterrupted as error:
            if error.finished:
                runs = slice(0, error.finished)
                store.write(rows.start, self._completed(error.partial.isel(run=runs)))
            kept = int(store.rows().sum())
            raise SimulationInterrupted(
                error.partial,
                error.finished,
                f"interrupted; {kept} of {len(self.numbers)} runs are kept in "
                f"out={str(store.folder)!r}, where the same call resumes; the records of those "
                "it was at are in the attribute 'partial'",
            ) from None

    def _completed(self, dataset: xr.Dataset) -> xr.Dataset:
        return dataset if self.finish is None else labelled(self.finish(dataset))

    def _padded(self, runs: int) -> int:
        return -(-runs // self.plan.lane) * self.plan.lane

    def _compute(self, chosen: slice, attrs: dict[str, Any], advanced: Advanced) -> xr.Dataset:
        """The result of some of the runs."""
        start = jax.tree.map(lambda x: np.asarray(x)[chosen], self.start)
        numbers, grid = self.numbers[chosen], self.grid
        share = self.plan.work / len(grid.steps)
        observations = self.observing and self.observing.of(
            numbers, lambda looks: advanced(looks * share)
        )
        recorder = Recorder(start, len(grid.steps), observations)
        first = 0
        try:
            for padded, count in lanes(numbers, self.plan.lane):
                rows = slice(first, first + count)
                index = np.minimum(first + np.arange(self.plan.lane), first + count - 1)
                states = jax.tree.map(lambda x, index=index: jnp.asarray(x[index]), start)
                records = self.run_lane(states, padded, advanced)
                recorder.consume(records, rows, grid.times)
                first += count
        except KeyboardInterrupt as error:
            partial = recorder.dataset(numbers, grid, attrs)
            raise SimulationInterrupted(partial, first) from error
        dataset = self._completed(recorder.dataset(numbers, grid, attrs))
        _warn_of_divergence(dataset, self.solves)
        return dataset


def _portions(done: np.ndarray, plan: Plan) -> Iterator[slice]:
    """Rows that are not done, in portions to be stored together.

    The first is a lane, and each is twice the one before up to the plan's, so that something is
    kept soon, and much does not take many files.
    """
    size, largest = plan.lane, plan.part or plan.lane
    missing = np.flatnonzero(~done)
    ends = np.flatnonzero(np.diff(missing) != 1) + 1
    for block in np.split(missing, ends) if missing.size else ():
        first, end = int(block[0]), int(block[-1]) + 1
        while first < end:
            yield slice(first, min(first + size, end))
            first, size = first + size, min(2 * size, largest)


def _warn_of_divergence(dataset: xr.Dataset, solves: bool) -> None:
    times = dataset["diverged"].values
    gone = np.flatnonzero(~np.isnan(times))
    if gone.size:
        first = gone[np.argmin(times[gone])]
        why = " (or need more steps than the solver may take)" if solves else ""
        warnings.warn(
            f"{gone.size} of {times.size} runs diverged, first run {int(dataset.run[first])} at "
            f"time {times[first]:.6g}{why}; they are NaN from then on (variable 'diverged').",
            DivergenceWarning,
            stacklevel=6,  # the caller of simulate
        )


def check_runs(runs: object, first_run: object, seed: object) -> tuple[np.ndarray, int]:
    """Numbers of the runs, and the seed."""
    count = _validate.integer("runs", runs, 1)
    _resources.check_count("runs", count, lambda runs: 8.0 * runs)
    first = _validate.integer("first_run", first_run, 0, max(0, 2**31 - 1 - count))
    return first + np.arange(count), check_seed(seed)


def check_memory(plan: Plan) -> None:
    """Raise ValueError if the engine's needs would not fit."""
    if plan.memory is not None:
        _resources.check_fits(*plan.memory)


def check_records(numbers: int, runs: object, records: int) -> None:
    """Raise ValueError if records of states of so many numbers would not fit.

    Nothing of that size is made yet: neither runs nor times.
    """
    count = _validate.integer("runs", runs, 1)

    def size(runs: int, records: int) -> float:  # twice: whole, and in parts; and the times
        return runs * (16.0 * numbers * records + 8.0) + 64.0 * records

    fewer = _resources.largest(lambda n: size(n, records), count)
    rarer = _resources.largest(lambda n: size(count, n), records)
    if fewer < count:
        ways = [f"runs={fewer}"] * (fewer > 0) + [f"record={rarer}"] * (rarer > 1)
        _resources.check_fits(
            f"Recording {count} runs at {records} times",
            size(count, records),
            f"{' or '.join(ways)} would fit" if ways else "lower record and runs",
        )
