"""The risk as a variable of a result, computed from the recorded statistics."""

import numpy as np
import xarray as xr
from jaxtyping import Array

from sgdlimits._tracing import dynamic
from sgdlimits.limits.risk import risk_of_batch
from sgdlimits.models.base import AbstractModel
from sgdlimits.process.lanes import LARGE, map_lanes


def with_risk(dataset: xr.Dataset, model: AbstractModel) -> xr.Dataset:
    """The dataset with ``risk`` (run, time): expected loss at each record, NaN where diverged."""
    values = [np.asarray(dataset[name]) for name in model.template.dims]
    runs, times = values[0].shape[:2]
    flat = [x.reshape(runs * times, *x.shape[2:]) for x in values]
    numbers = dynamic(model)

    def one_lane(rows: Array) -> Array:
        u = model.statistics_class(*(x[np.asarray(rows)] for x in flat))
        return risk_of_batch(numbers, u, 1)

    risk = map_lanes(one_lane, np.arange(runs * times), LARGE)
    attrs = {"long_name": "population risk, E[loss] of a fresh sample", "symbol": r"$\mathcal{R}$"}
    variable = xr.Variable(("run", "time"), risk.reshape(runs, times), {**attrs, "units": "1"})
    return dataset.assign(risk=variable)
