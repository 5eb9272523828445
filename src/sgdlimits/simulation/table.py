"""A result as a table: one row a run and time, one column a number."""

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from sgdlimits import _resources
from sgdlimits.simulation.coordinates import COUNTED
from sgdlimits.statistics.reserved import ERROR, is_error

if TYPE_CHECKING:
    import pandas as pd

_ROWS = ("run", "time")


def to_table(ds: xr.Dataset) -> "pd.DataFrame":
    """A tidy pandas table of a result: one row per run and time, one column per number.

    Args:
        ds: of ``simulate``, ``sweep``, ``load`` or ``spectra.along``, whole or a part of one.

    Returns:
        Columns in this order: the parameters of a sweep; ``run``, ``time`` and what else goes with
        them (``step``); each number by its name, ``m``, or counted from 1, ``v_1``, ``M_12``,
        ``M_12_block1`` (``M_1_12`` where there are more than nine), symmetric matrices once;
        ``risk``; errors as ``M_12_error``; ``diverged``. Where labels are words they end the name:
        ``risk_new``. ``attrs`` holds engine, dim and seed. Time is in steps * step / dim.

    Raises:
        TypeError: for anything but a dataset.
        ValueError: for a table that would not fit into memory.

    Example:
        >>> import sgdlimits as sl
        >>> ds = sl.simulate(sl.SpikedTensor(), dim=50, time=1.0, runs=2, record=3)
        >>> list(sl.to_table(ds).columns)
        ['run', 'time', 'step', 'm', 'r2', 'diverged']
    """
    if not isinstance(ds, xr.Dataset):
        raise TypeError(
            f"ds={type(ds).__name__}: expected a result of simulate, a dataset; of one variable "
            "give ds[[name]]."
        )
    import pandas as pd

    rows = _rows(ds)
    sizes = {dim: ds.sizes[dim] for dim in rows}
    count = int(np.prod(list(sizes.values()), initial=1))
    wide = sum(max(1, x.size // max(1, count)) for x in ds.variables.values())
    _resources.check_fits(
        f"A table of {count} rows and {wide} columns", 16.0 * count * wide,
        "select fewer times, runs or variables first",
    )  # fmt: skip
    columns = {name: _spread(ds[name], sizes) for name in _keys(ds, rows)}
    errors = {
        str(name)
        for name in ds.data_vars
        if is_error(name) and str(name).removesuffix(ERROR) in ds.data_vars
    }
    values = sorted(map(str, ds.data_vars), key=lambda name: (name == "diverged", name in errors))
    for name in values:
        for part, column in _numbers(ds[name], rows, ERROR if name in errors else ""):
            columns[part] = _spread(column, sizes)
    table = pd.DataFrame(columns)
    table.attrs = {key: ds.attrs[key] for key in ("engine", "dim", "seed") if key in ds.attrs}
    return table


def numbers_of(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """What a result holds of each run against time, number by number, errors left out."""
    return {
        name: column
        for each in map(str, ds.data_vars)
        if {"run", "time"} <= set(ds[each].dims) and not is_error(each)
        for name, column in _numbers(ds[each], list(_ROWS), "")
    }


def _rows(ds: xr.Dataset) -> list[str]:
    """Dimensions that make rows: of runs and times, and what all variables have, as in sweeps."""
    everywhere = [
        str(dim)
        for dim in ds.dims
        if dim not in (*_ROWS, *COUNTED) and all(dim in x.dims for x in ds.data_vars.values())
    ]
    return everywhere + [dim for dim in _ROWS if dim in ds.dims]


def _keys(ds: xr.Dataset, rows: list[str]) -> list[str]:
    """Coordinates that say which row it is."""
    other = [str(x) for x in ds.coords if x not in rows and x not in COUNTED]
    return [*rows, *(name for name in other if set(ds[name].dims) <= set(rows))]


def _spread(values: xr.DataArray, sizes: dict[str, int]) -> np.ndarray:
    """One value a row, the last dimension fastest; numbered where there is no coordinate."""
    values = values.reset_coords(drop=True)
    own = [dim for dim in sizes if dim in values.dims]
    array = np.asarray(values.transpose(*own))
    where = tuple(slice(None) if dim in own else None for dim in sizes)
    return np.broadcast_to(array[where], tuple(sizes.values())).ravel()


def _numbers(
    values: xr.DataArray, rows: list[str], ending: str
) -> Iterator[tuple[str, xr.DataArray]]:
    """The numbers of a variable with their names; the ending of errors stays at the end."""
    inner = [str(dim) for dim in values.dims if dim not in rows]
    stem = str(values.name)
    if not inner:
        yield stem, values
        return
    words = {dim: _words(values, dim) for dim in inner}
    once = _is_symmetric(values, inner)
    stem = stem.removesuffix(ending) if ending else stem
    for index in product(*(range(values.sizes[dim]) for dim in inner)):
        if once and index[inner.index("neuron")] > index[inner.index("other_neuron")]:
            continue
        at = dict(zip(inner, index, strict=True))
        yield _name(stem, at, words) + ending, values.isel(at)


def _words(values: xr.DataArray, dim: str) -> list[str]:
    """What each place along a dimension is called."""
    if dim in values.coords and values[dim].dtype.kind in "UO":
        return [str(word) for word in values[dim].values]
    if dim in values.coords and dim in COUNTED:  # of a part that was selected
        return [str(number) for number in values[dim].values]
    return [str(number + 1) for number in range(values.sizes[dim])]


def _name(stem: str, at: dict[str, int], words: dict[str, list[str]]) -> str:
    inner = [dim for dim in at if dim != "block"]
    parts = [words[dim][at[dim]] for dim in inner]
    short = all(len(word) == 1 for dim in inner for word in words[dim])
    digits = all(word.isdigit() for dim in inner for word in words[dim])
    name = "_".join([stem, ("" if short and digits else "_").join(parts)]) if parts else stem
    return f"{name}_block{words['block'][at['block']]}" if "block" in at else name


def _is_symmetric(values: xr.DataArray, inner: list[str]) -> bool:
    """Whether it is a matrix over pairs of neurons that is equal to its transpose."""
    if not {"neuron", "other_neuron"} <= set(inner):
        return False
    if values.sizes["neuron"] != values.sizes["other_neuron"]:
        return False
    array: Any = np.moveaxis(
        np.asarray(values),
        [values.dims.index("neuron"), values.dims.index("other_neuron")], [-2, -1],
    )  # fmt: skip
    return bool(np.allclose(array, array.swapaxes(-1, -2), rtol=1e-9, atol=1e-12, equal_nan=True))
