"""All points of a sweep are checked before the first is simulated."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any

import numpy as np
import xarray as xr

from sgdlimits.simulation.simulate import Checked, check
from sgdlimits.statistics.reserved import is_error

# What a function of a dataset that asks for something that is not there fails with. Others may be
# of the numbers, which are not the result's.
_MISTAKES = (TypeError, KeyError, IndexError, AttributeError, ValueError)


@contextmanager
def naming(point: Mapping[str, Any]) -> Iterator[None]:
    """Errors say at which point of the grid they are."""
    try:
        yield
    except (TypeError, ValueError) as error:
        at = ", ".join(f"{name}={value!r}" for name, value in point.items())
        raise type(error)(f"arguments({at}): {error}") from error


def check_points(
    points: list[dict[str, Any]],
    given: list[dict[str, Any]],
    reduce: Callable[[xr.Dataset], xr.Dataset] | None,
    keeps: bool,
) -> None:
    """Raise TypeError or ValueError for a point that ``simulate`` refuses, or that does not join.

    ``reduce`` is tried on datasets of the results' shapes.
    """
    first, tried = None, set()
    for point, arguments in zip(points, given, strict=True):
        with naming(point):
            _check_names(arguments)
            checked = check(**arguments, keeps=keeps)
        shape = (checked.problem.grid.times.tobytes(), checked.numbers.tobytes())
        if shape in tried:
            continue
        tried.add(shape)
        like = _reduced(checked, reduce)
        if like is not None:
            check_alike(like, list(point), first)
            first = like if first is None else first


def _check_names(arguments: dict[str, Any]) -> None:
    from sgdlimits.simulation.simulate import simulate

    try:
        signature(simulate).bind(**arguments)
    except TypeError as error:
        if "model" not in arguments or "unexpected" not in str(error):
            raise TypeError(f"simulate: {error}") from None
        simulate(**arguments)  # says what it is called here


def _reduced(
    checked: Checked, reduce: Callable[[xr.Dataset], xr.Dataset] | None
) -> xr.Dataset | None:
    """What the result will be like; None if only the result can tell."""
    like = checked.likeness()
    if reduce is None:
        return like
    if checked.observing is not None:  # nobody knows what observers give
        return None
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = reduce(like)
    except np.linalg.LinAlgError:
        return None
    except _MISTAKES as error:
        if isinstance(error, KeyError) and is_error(str(error.args[0])):
            return None
        raise ValueError(
            f"reduce: fails on a result with {', '.join(map(str, like.variables))}: "
            f"{type(error).__name__}: {error}"
        ) from error
    except Exception:
        return None
    if not isinstance(result, xr.Dataset):
        raise TypeError(f"reduce: gives {type(result).__name__}, expected a dataset.")
    return result


def check_alike(result: xr.Dataset, names: list[str], first: xr.Dataset | None) -> None:
    """Raise ValueError unless a result joins along the parameters with the first."""
    for name in names:
        if name in result.dims or name in result.variables:
            raise ValueError(f"grid: {name!r} is already a name in the results; choose another.")
    for name, index in ({} if first is None else first.indexes).items():
        if name not in result.indexes or not index.equals(result.indexes[name]):
            raise ValueError(
                f"grid, reduce: results of two points differ in their {name}; let reduce keep what "
                "they have in common, such as lambda ds: ds.isel(time=-1, drop=True)."
            )
