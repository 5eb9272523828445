"""The loop over lanes of runs: progress, records, storage, interruption."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from sgdlimits import _validate
from sgdlimits._progress import progress_bar
from sgdlimits.engines.base import Plan, RunLane
from sgdlimits.engines.path import Advanced, Recorded
from sgdlimits.process.lanes import lanes
from sgdlimits.randomness.streams import check_seed
from sgdlimits.simulation import memory
from sgdlimits.simulation.observe import Observing
from sgdlimits.simulation.result import DivergenceWarning, Recorder, attributes
from sgdlimits.statistics.base import AbstractStatistics


class SimulationInterrupted(KeyboardInterrupt):
    """A simulation was interrupted; ``partial`` holds what was recorded (NaN where nothing was)."""

    def __init__(self, partial: xr.Dataset):
        super().__init__("interrupted; the records so far are in the attribute 'partial'")
        self.partial = partial


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
        from sgdlimits.simulation.store import (
            PartialStore,  # storage libraries only where they are used
        )

        store = PartialStore.open(Path(out), self.config)
        if store.complete:
            return store.result()
        with progress_bar(progress, self.config["engine"], total) as bar:
            part = self.plan.part or self.plan.lane
            for first in range(0, len(self.numbers), part):
                rows = slice(first, min(first + part, len(self.numbers)))
                if store.has(first):
                    count = rows.stop - rows.start
                    bar(self.plan.work * (self._padded(count) + (count if self.observing else 0)))
                    continue
                store.write(first, self._compute(rows, attrs, bar))
        return store.finish()

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
            raise SimulationInterrupted(recorder.dataset(numbers, grid, attrs)) from error
        dataset = recorder.dataset(numbers, grid, attrs)
        dataset = dataset if self.finish is None else self.finish(dataset)
        _warn_of_divergence(dataset, self.solves)
        return dataset


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
            stacklevel=5,  # the caller of simulate
        )


def check_runs(runs: object, first_run: object, seed: object) -> tuple[np.ndarray, int]:
    """Numbers of the runs, and the seed."""
    count = _validate.integer("runs", runs, 1)
    memory.check_fits(f"runs={runs!r}", 8.0 * count, "lower runs")
    first = _validate.integer("first_run", first_run, 0, 2**31 - 1 - count)
    return first + np.arange(count), check_seed(seed)


def check_memory(plan: Plan, state: AbstractStatistics, runs: int, grid: Recorded) -> None:
    """Raise ValueError if the engine's needs, or the records of such states, would not fit."""
    if plan.memory is not None:
        memory.check_fits(*plan.memory)
    size = 2 * 8.0 * runs * len(grid.steps) * sum(x.size for x in jax.tree.leaves(state))
    memory.check_fits(
        f"Recording {runs} runs at {len(grid.steps)} times", size, "lower record or runs"
    )
