"""Statistics of a result: from labelled variables back to states."""

import numpy as np
import xarray as xr

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.models.base import AbstractModel, check_model
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics


def states(
    dataset: xr.Dataset, model: AbstractModel, sgd: OnlineSGD | None = None
) -> AbstractStatistics:
    """The statistics that a result holds, as formulas take them.

    Args:
        dataset: of ``simulate``, or a part of one, such as ``dataset.isel(time=-1)``.
        model: what was learned.
        sgd: the algorithm, for what its rule carries along; without it the model's own statistics.

    Returns:
        Statistics with the dataset's dimensions ``run`` and ``time`` (those that it has) leading.

    Raises:
        TypeError: unless they are a dataset and a model.
        ValueError: if it lacks a statistic of the model.
    """
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"dataset={dataset!r}: expected a result of simulate.")
    check_model(model)
    template = model.template if sgd is None else Process(model, sgd).template
    fields = {}
    for name, dims in type(template).dims.items():
        if name not in dataset:
            raise ValueError(f"dataset: it has no {name!r}, a statistic of {type(model).__name__}.")
        batch = [dim for dim in ("run", "time") if dim in dataset[name].dims]
        fields[name] = np.asarray(dataset[name].transpose(*batch, *dims))
    return type(template)(**fields)
