"""The risk as a variable of a result, computed from the recorded statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from sgdlimits._tracing import dynamic
from sgdlimits.limits.risk import risk_of_batch
from sgdlimits.models.base import AbstractModel
from sgdlimits.simulation.lanes import LARGE, map_lanes

_LARGER = 16 * LARGE  # for many records: fewer calls


def with_risk(dataset: xr.Dataset, model: AbstractModel) -> xr.Dataset:
    """The dataset with ``risk`` (run, time): expected loss at each record, NaN where diverged."""
    values = [np.asarray(dataset[name]) for name in model.template.dims]
    runs, times = values[0].shape[:2]
    u = model.statistics_class(*(x.reshape(runs * times, *x.shape[2:]) for x in values))
    numbers, inside = dynamic(model), runs * times
    lane = LARGE if inside <= _LARGER else _LARGER
    risk = map_lanes(
        lambda rows: risk_of_batch(numbers, jax.tree.map(lambda x: jnp.asarray(x)[rows], u), 1),
        np.arange(inside),
        lane,
    )
    attrs = {"long_name": "population risk, E[loss] of a fresh sample", "symbol": r"$\mathcal{R}$"}
    variable = xr.Variable(("run", "time"), risk.reshape(runs, times), {**attrs, "units": "1"})
    return dataset.assign(risk=variable)
