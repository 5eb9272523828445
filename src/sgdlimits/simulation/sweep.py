"""Simulate over a grid of parameters, here or on a cluster."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sgdlimits import _validate, _x64
from sgdlimits._logging import logger
from sgdlimits._progress import progress_bar
from sgdlimits.provenance import describe, identity
from sgdlimits.simulation.places import folder_of
from sgdlimits.simulation.simulate import simulate
from sgdlimits.simulation.sweep_checks import check_alike, check_points, naming

Arguments = Callable[..., Mapping[str, Any]]
Reduce = Callable[[xr.Dataset], xr.Dataset]
_Job = tuple[dict[str, Any], Reduce | None, Path | None]


def sweep(
    arguments: Arguments,
    grid: Mapping[str, Sequence[Any]],
    *,
    reduce: Reduce | None = None,
    out: str | Path | None = None,
    client: Any = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Simulate at every point of a grid and join the results along one dimension per parameter.

    Args:
        arguments: called with one value per parameter (by name); returns the keyword arguments of
            ``simulate`` for that point.
        grid: parameter names and the values each takes.
        reduce: applied to each result before joining, to keep only what is needed; results must
            agree on their coordinates after it.
        out: folder in which each point's simulation is kept and resumed; a point whose stored
            inputs differ is refused, as in ``simulate``.
        client: a ``dask.distributed.Client`` to send the points to (extra ``cluster``); default:
            one after the other in this process.
        progress: show a progress bar over points; default: when standard error is a terminal.

    Returns:
        Dataset with the parameters as leading dimensions and coordinates.

    Raises:
        TypeError, ValueError: before the first point, if the grid is empty or repeats a value, a
            parameter's name is one in the results, ``simulate`` would refuse a point, ``reduce``
            fails on such results, or points do not share their coordinates after it.
        FileExistsError: if ``out`` holds other runs.

    Example:
        >>> import sgdlimits as sl
        >>> def arguments(snr):
        ...     return dict(model=sl.SpikedTensor(2, snr), dim=500, time=2.0, runs=16)
        >>> ends = sl.sweep(arguments, {"snr": [0.8, 1.2]}, reduce=lambda ds: ds.isel(time=-1))
        >>> dict(ends.m.sizes)
        {'snr': 2, 'run': 16}
    """
    _x64.require()
    if not callable(arguments):
        raise TypeError(f"arguments={arguments!r}: expected a function of the parameters.")
    if reduce is not None and not callable(reduce):
        raise TypeError(f"reduce={reduce!r}: expected a function of a dataset.")
    if progress is not None:
        _validate.boolean("progress", progress)
    root = None if out is None else folder_of("out", out)
    _check_client(client)
    names = _check_grid(grid)
    points = [dict(zip(names, values, strict=True)) for values in itertools.product(*grid.values())]
    # By the values, so that a grid with further ones finds what is there.
    folders = [
        None if root is None else root / f"point-{identity(describe(point))[:12]}"
        for point in points
    ]
    given = [_arguments_at(arguments, point) for point in points]
    check_points(points, given, reduce, keeps=root is not None)
    jobs = [(each, reduce, folder) for each, folder in zip(given, folders, strict=True)]
    results: dict[int, xr.Dataset] = {}
    with progress_bar(progress, "sweep", len(jobs), "first point") as advanced:
        for i, result in _completed(jobs, client):
            check_alike(result, names, next(iter(results.values()), None))  # not after the last
            results[i] = result
            logger.info("sweep: point %d of %d, %s", len(results), len(jobs), points[i])
            advanced(1)
    return _join([results[i] for i in range(len(jobs))], grid)


def _check_grid(grid: object) -> list[str]:
    """Names of the parameters."""
    if not isinstance(grid, Mapping):
        raise TypeError(f"grid={grid!r}: expected a dict of parameters and their values.")
    if not grid:
        raise ValueError(f"grid={dict(grid)!r}: expected at least one parameter with values.")
    for name, values in grid.items():
        if not isinstance(name, str):
            raise TypeError(f"grid: {name!r} is no name of a parameter.")
        if isinstance(values, str) or np.ndim(values) == 0 or len(values) == 0:
            raise ValueError(f"grid[{name!r}]={values!r}: expected a list of values.")
        for i, value in enumerate(values):
            if any(value == other for other in list(values)[:i]):
                raise ValueError(f"grid[{name!r}]: {value!r} is there twice.")
            if isinstance(value, float) and not np.isfinite(value) and value != np.inf:
                raise ValueError(f"grid[{name!r}]={values!r}: expected numbers, not {value!r}.")
    return list(grid)


def _check_client(client: object) -> None:
    if client is None:
        return
    from distributed import Client

    if not isinstance(client, Client):
        raise TypeError(f"client={client!r}: expected a dask.distributed.Client.")


def _arguments_at(arguments: Arguments, point: dict[str, Any]) -> dict[str, Any]:
    with naming(point):
        try:
            signature(arguments).bind(**point)
        except TypeError as error:
            raise TypeError(f"it does not take the grid's parameters: {error}") from None
        except ValueError:  # some functions have no signature
            pass
        given = arguments(**point)
        if not isinstance(given, Mapping):
            raise TypeError(f"gives {given!r}, expected a dict of simulate's keyword arguments.")
        for own in ("out", "progress"):
            if own in given:
                raise TypeError(f"gives {own}; give it to sweep itself.")
        return dict(given)


def _completed(jobs: list[_Job], client: Any) -> Iterator[tuple[int, xr.Dataset]]:
    """Numbers and results of the points, as they are done."""
    if client is None:
        for i, job in enumerate(jobs):
            yield i, _simulate_point(*job)
        return
    from distributed import as_completed

    futures = {client.submit(_simulate_point, *job, pure=False): i for i, job in enumerate(jobs)}
    for future, result in as_completed(futures, with_results=True):
        yield futures[future], result


def _simulate_point(
    arguments: dict[str, Any], reduce: Reduce | None, folder: Path | None
) -> xr.Dataset:
    dataset = simulate(**arguments, progress=False, out=folder)
    return dataset if reduce is None else reduce(dataset)


def _join(results: list[xr.Dataset], grid: Mapping[str, Sequence[Any]]) -> xr.Dataset:
    for name in reversed(list(grid)):
        size = len(grid[name])
        coordinate = xr.Variable(name, np.asarray(grid[name]))
        results = [
            xr.concat(
                results[i : i + size], coordinate, join="exact", combine_attrs="drop_conflicts"
            )
            for i in range(0, len(results), size)
        ]
    return results[0]
