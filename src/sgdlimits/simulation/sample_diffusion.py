"""Sample paths of rescaled diffusive limits, as simulations are run."""

import numpy as np
import xarray as xr

from sgdlimits import __version__, _validate
from sgdlimits.engines.sde import (
    LONGEST_DEFAULT_STEP,
    check_step,
    plan_diffusion,
    prepare_diffusion,
)
from sgdlimits.engines.starts import broadcast
from sgdlimits.limits.rescaled import RescaledDynamics
from sgdlimits.provenance import describe
from sgdlimits.simulation.ensemble import Ensemble, check_memory, check_records, check_runs
from sgdlimits.simulation.grid import Grid
from sgdlimits.statistics.base import AbstractStatistics


def sample_diffusion(
    dynamics: RescaledDynamics,
    *,
    initial: AbstractStatistics,
    time: float,
    runs: int = 1,
    seed: int = 0,
    record: int | np.ndarray = 101,
    dt: float = LONGEST_DEFAULT_STEP,
    progress: bool | None = None,
) -> xr.Dataset:
    """Sample paths of a rescaled diffusive limit, ``effective_dynamics(...).rescale(...)``.

    Args:
        dynamics: the diffusion.
        initial: rescaled states to start from (scaled entries magnified), one or one per run.
        time: horizon, in the same units as everywhere.
        runs, seed, record, progress: as in ``simulate``.
        dt: longest time step.

    Returns:
        A dataset as ``simulate`` returns it; scaled statistics are magnified.

    Raises:
        TypeError, ValueError: for bad input, before any work starts: also for states that the
            statistics cannot be at.
    """
    if not isinstance(dynamics, RescaledDynamics):
        raise TypeError(f"dynamics={dynamics!r}: expected effective_dynamics(...).rescale(...).")
    if progress is not None:
        _validate.boolean("progress", progress)
    dt = _validate.positive("dt", dt)
    time = _validate.positive("time", time)
    check_step(dt, time)
    with _validate.renamed("statistics", "initial"):
        dynamics.check_state(initial)
    process, delta = dynamics.process, time / max(1, round(time / dt))
    check_records(process.template.vector.size, runs, Grid.records(time, delta, record))
    grid = Grid.create(time, delta, record)
    numbers, seed = check_runs(runs, 0, seed)
    plan = plan_diffusion(dynamics, runs, grid.times, dt)
    check_memory(plan)
    config = {
        "model": describe(process.model),
        "algorithm": describe(process.algorithm),
        "engine": "rescaled sde",
        "dim": dynamics.dim or "limit",
        "scaled": list(dynamics.scaled_names),
        "centre": describe(dynamics.centre),
        "runs": len(numbers),
        "seed": seed,
        "initial": describe(initial),
        "steps": describe(grid.steps),
        "dt": dt,
        "dtype": "float64",
        "version": __version__,
    }
    run_lane = prepare_diffusion(dynamics, seed, grid.times, dt)
    ensemble = Ensemble(plan, run_lane, broadcast(initial, runs), numbers, grid, config)
    dataset = ensemble.run(progress, None)
    for name in set(dynamics.scaled_names) & set(dataset.data_vars):
        attrs = dataset[name].attrs
        attrs["symbol"] = rf"$\sqrt{{d}}$ {attrs['symbol']}"
        attrs["long_name"] = f"sqrt(dim) times: {attrs['long_name']}"
    return dataset
