"""Simulate over a grid of parameters, here or on a cluster."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sgdlimits import _x64
from sgdlimits._progress import progress_bar
from sgdlimits.provenance import describe, identity
from sgdlimits.simulation.simulate import simulate

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
        ValueError: if the grid is empty, a parameter's name is one in the results, or points do not
            share their coordinates.
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
    names = list(grid)
    if not names:
        raise ValueError(f"grid={dict(grid)!r}: expected at least one parameter with values.")
    for name in names:
        if np.ndim(grid[name]) == 0 or len(grid[name]) == 0:
            raise ValueError(f"grid[{name!r}]={grid[name]!r}: expected a list of values.")
    points = [dict(zip(names, values, strict=True)) for values in itertools.product(*grid.values())]
    # By the values, so that a grid with further ones finds what is there.
    folders = [
        None if out is None else Path(out) / f"point-{identity(describe(point))[:12]}"
        for point in points
    ]
    jobs = [
        (dict(arguments(**point)), reduce, folder)
        for point, folder in zip(points, folders, strict=True)
    ]
    results: dict[int, xr.Dataset] = {}
    with progress_bar(progress, "sweep", len(jobs)) as advanced:
        for i, result in _completed(jobs, client):
            _check(result, names, next(iter(results.values()), None))  # not after the last point
            results[i] = result
            advanced(1)
    return _join([results[i] for i in range(len(jobs))], grid)


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
    dataset = simulate(**{"progress": False, **arguments}, out=folder)
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


def _check(result: xr.Dataset, names: list[str], first: xr.Dataset | None) -> None:
    for name in names:
        if name in result.dims or name in result.variables:
            raise ValueError(f"grid: {name!r} is already a name in the results; choose another.")
    for name, index in ({} if first is None else first.indexes).items():
        if name not in result.indexes or not index.equals(result.indexes[name]):
            raise ValueError(
                f"reduce: results of two points differ in their {name}; let it keep what they have "
                "in common, such as lambda ds: ds.isel(time=-1, drop=True)."
            )
