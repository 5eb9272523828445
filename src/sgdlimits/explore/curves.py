"""What is computed for a choice: limit, chain and SDE, from one start."""

from typing import Any

import xarray as xr

import sgdlimits as sl
from sgdlimits.explore.choice import Choice

RECORDS = 81


def limit(choice: Choice) -> xr.Dataset:
    """The ODE, from the starts of the first runs of the chain."""
    return _simulate(choice, sl.engines.ODE(errors=False), runs=4)


def chain(choice: Choice) -> xr.Dataset:
    """The exact chain; fewer runs where steps are many."""
    return _simulate(choice, "chain", runs=choice.affordable_runs)


def sde(choice: Choice) -> xr.Dataset:
    """Drift and noise."""
    return _simulate(choice, sl.engines.SDE(errors=False), runs=choice.affordable_runs)


def _simulate(choice: Choice, engine: Any, runs: int) -> xr.Dataset:
    model, sgd = choice.problem()
    return sl.simulate(
        model, sgd, engine, dim=choice.dim, time=choice.time, runs=runs, seed=choice.seed,
        record=RECORDS, progress=False,
    )  # fmt: skip
