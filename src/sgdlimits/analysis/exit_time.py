"""First passage times of recorded trajectories, with censoring."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from sgdlimits import _validate
from sgdlimits.statistics.reserved import is_error

Quantity = str | Callable[[xr.Dataset], xr.DataArray]


def exit_time(dataset: xr.Dataset, level: float, of: Quantity) -> xr.Dataset:
    """When a quantity first crosses a level, run by run.

    The crossing is from the side on which the run starts, found by linear interpolation between
    records: record often enough for the accuracy you need.

    Args:
        dataset: a result of ``simulate``.
        level: the value to cross.
        of: name of a variable, "|name|" for its absolute value, or a function of the dataset that
            returns an array with dims run and time.

    Returns:
        Dataset over ``run``: ``time`` of the crossing (NaN if none), ``step`` (time in SGD steps),
        and ``censored``: True where the run ended, or diverged, before it crossed; such a run is
        known only to take longer than ``last_time``, the last time at which it was seen.

    Raises:
        TypeError, ValueError: if ``level`` or ``of`` is not usable.
    """
    level = _validate.number("level", level)
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"dataset={dataset!r}: expected a result of simulate.")
    values = _quantity(dataset, of)
    if values.sizes["time"] < 2:
        raise ValueError("dataset: one record, in which nothing can be crossed; record more.")
    times = dataset["time"].values
    steps = dataset["step"].values
    series = values.transpose("run", "time").values - level
    seen = np.isfinite(series)
    last_seen = times[np.maximum(seen.cumsum(1).argmax(1), 0)]
    side = np.sign(series[:, :1])
    crossed = seen & (np.sign(series) != side)
    crossed[:, 0] = series[:, 0] == 0
    censored = ~crossed.any(1)
    index = np.maximum(crossed.argmax(1), 1)
    rows = np.arange(len(series))
    before, after = series[rows, index - 1], series[rows, index]
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = np.where(before == 0, 0.0, before / (before - after))
    crossing = times[index - 1] + fraction * (times[index] - times[index - 1])
    in_steps = steps[index - 1] + fraction * (steps[index] - steps[index - 1])
    units = dataset["time"].attrs.get("units", "")
    return xr.Dataset(
        {
            "time": ("run", np.where(censored, np.nan, crossing), {"units": units}),
            "step": ("run", np.where(censored, np.nan, in_steps), {"units": "1"}),
            "censored": ("run", censored),
            "last_time": ("run", last_seen, {"units": units}),
        },
        {"run": dataset["run"]},
        {**dataset.attrs, "level": level, "of": of if isinstance(of, str) else repr(of)},
    )


def drop_time(
    dataset: xr.Dataset, drop: float, of: Quantity = "risk", floor: float = 0.0
) -> xr.Dataset:
    """When a quantity has lost the fraction ``drop`` of what it starts with, run by run.

    First time at which (x(t) - floor)/(x(0) - floor) reaches 1 - drop: the exit time of eq. (9) of
    Arnaboldi, Krzakala, Loureiro and Stephan (2023), with ``floor`` half the variance of the label
    noise.

    Args:
        dataset: a result of ``simulate``; the teacher-student models record ``risk``.
        drop: T, between 0 and 1.
        of: as in ``exit_time``.
        floor: the value that cannot be undercut.

    Returns:
        As ``exit_time``.

    Raises:
        TypeError, ValueError: for bad arguments, or a run that starts at or below ``floor``.
    """
    drop, floor = _validate.positive("drop", drop), _validate.number("floor", floor)
    if drop > 1:
        raise ValueError(f"drop={drop!r}: expected a fraction, at most 1.")
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"dataset={dataset!r}: expected a result of simulate.")
    left = _quantity(dataset, of) - floor
    start = left.isel(time=0)
    if not bool((start > 0).all()):
        raise ValueError(f"floor={floor!r}: expected it below where every run starts.")
    result = exit_time(dataset, 1 - drop, lambda _: left / start)
    name = of if isinstance(of, str) else repr(of)
    return result.assign_attrs(level=1 - drop, of=f"({name} - {floor})/its start")


def _quantity(dataset: xr.Dataset, of: Quantity) -> xr.DataArray:
    if callable(of):
        values = of(dataset)
    elif isinstance(of, str):
        absolute = len(of) > 2 and of[0] == of[-1] == "|"
        name = of[1:-1] if absolute else of
        usable = [
            v for v in dataset.data_vars
            if set(dataset[v].dims) == {"run", "time"} and not is_error(v)
        ]  # fmt: skip
        if name not in usable:
            if "run" not in dataset.dims:
                raise ValueError("dataset has no dim run; keep it, as in ds.isel(run=[0]).")
            known = ", ".join(repr(v) for v in usable)
            one = f"one of {known}, in bars for its absolute value as in '|{usable[0]}|', or "
            hint = " The risk is recorded with simulate(..., risk=True)." if name == "risk" else ""
            raise ValueError(
                f"of={of!r}: expected {one if usable else ''}a function of the dataset, such as "
                f"lambda ds: abs(ds['M']).max(('neuron', 'direction')).{hint}"
            )
        values = abs(dataset[name]) if absolute else dataset[name]
    else:
        raise TypeError(f"of={of!r}: expected a variable's name or a function of the dataset.")
    if set(values.dims) != {"run", "time"}:
        raise ValueError(f"of: its dims are {values.dims}, expected run and time.")
    return values
