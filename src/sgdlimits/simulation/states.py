"""Statistics of a result: from labelled variables back to states."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.limits.mean_field import MeanFieldStatistics
from sgdlimits.models.base import AbstractModel, check_model
from sgdlimits.models.vector_model import SpikedStatistics
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.block_overlaps import BlockStatistics
from sgdlimits.statistics.overlaps import Statistics

#: What a result may hold, told by its variables and their dimensions.
_KNOWN: tuple[type[AbstractStatistics], ...] = (
    Statistics,
    BlockStatistics,
    MeanFieldStatistics,
    SpikedStatistics,
)


def states(
    dataset: xr.Dataset, model: AbstractModel | None = None, sgd: OnlineSGD | None = None
) -> AbstractStatistics:
    """The statistics that a result holds, as formulas take them: ``Statistics`` and the like.

    Args:
        dataset: of ``simulate`` or ``sweep``, or a part of one, such as ``dataset.isel(time=-1)``.
        model: what was learned; needed for a ``CustomModel``, whose statistics have names of their
            own.
        sgd: the algorithm, for what its rule carries along; without it the model's own statistics.

    Returns:
        Statistics with all other dimensions of their variables leading: a sweep's parameters,
        ``run``, ``time`` (those that there are).

    Raises:
        TypeError: unless they are a dataset, a model and an algorithm.
        ValueError: if it lacks a statistic of the model, or a model is needed.
    """
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"dataset={dataset!r}: expected a result of simulate.")
    kind, of = _kind(dataset, model, sgd)
    for name, dims in kind.dims.items():
        if name not in dataset:
            raise ValueError(f"dataset: it has no {name!r}, a statistic of {of}.")
        _check_whole(dataset, name, dims)
    batch = _batch(dataset, kind.dims)
    fields = {}
    for name, dims in kind.dims.items():
        leading = [dim for dim in batch if dim in dataset[name].dims]
        values = dataset[name].transpose(*leading, *dims)
        shape = [dataset.sizes[dim] for dim in batch] + list(values.shape[len(leading) :])
        where = tuple(slice(None) if dim in leading else None for dim in batch)
        fields[name] = np.broadcast_to(np.asarray(values)[where], shape)
    return kind(**fields)


def _kind(dataset: xr.Dataset, model: object, sgd: object) -> tuple[type[AbstractStatistics], str]:
    """The class of the statistics, and whose they are."""
    if model is not None:
        check_model(model)
        assert isinstance(model, AbstractModel)
        name = type(model).__name__
        if sgd is not None:
            return type(Process(model, sgd).template), name  # type: ignore[arg-type]
        # The mean field holds norms of another name for the same model.
        if str(dataset.attrs.get("engine")) == "mean_field":
            return MeanFieldStatistics, name
        return type(model.template), name
    if sgd is not None:
        raise ValueError(f"sgd={sgd!r}: it needs model, whose statistics its rule carries along.")
    for kind in _KNOWN:
        if all(_holds(dataset, name, dims) for name, dims in kind.dims.items()):
            return kind, kind.__name__
    raise ValueError(
        f"model=None: the variables {', '.join(map(str, dataset.data_vars))} are no statistics of "
        "one's own kind; give the model that they belong to."
    )


def _holds(dataset: xr.Dataset, name: str, dims: tuple[str, ...]) -> bool:
    """Whether the dataset has a variable of this name with these dimensions and no block beside."""
    if name not in dataset:
        return False
    found = set(dataset[name].dims)
    return set(dims) <= found and ("block" in found) == ("block" in dims)


def _check_whole(dataset: xr.Dataset, name: str, dims: tuple[str, ...]) -> None:
    gone = [dim for dim in dims if dim not in dataset[name].dims]
    if gone:
        raise ValueError(
            f"dataset: its {name!r} has dimensions {', '.join(map(str, dataset[name].dims))}, "
            f"expected {', '.join(dims)} among them; select runs and times, not {gone[0]}."
        )


def _batch(dataset: xr.Dataset, fields: Mapping[str, tuple[str, ...]]) -> list[str]:
    """All dimensions of the statistics that are not their own, as the one with most has them."""
    own = {dim for dims in fields.values() for dim in dims}
    each = [[str(dim) for dim in dataset[name].dims if dim not in own] for name in fields]
    return list(dict.fromkeys(dim for dims in sorted(each, key=len, reverse=True) for dim in dims))
