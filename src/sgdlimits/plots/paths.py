"""Statistics against time: bands of runs below lines of limits, one panel a statistic."""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib import colors as colours
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sgdlimits.plots.base import COLOURS
from sgdlimits.statistics.reserved import is_error

_MOST_COLUMNS = 3
_MOST_NAMED = 6  # components of one statistic that get a colour and a name each
_MOST_LINES = 20  # solutions that are drawn one by one; of more a band
_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_NOT_DRAWN = ("diverged",)


class _Look(NamedTuple):
    """How an engine is drawn, the same in every picture."""

    name: str
    line: str
    colour: str  # where a statistic is one number
    order: float


_LOOKS = {
    "sgd": _Look("real SGD", "none", COLOURS["simulation"], 1),
    "chain": _Look("exact chain", ":", COLOURS["third"], 2),
    "sde": _Look("SDE", "-.", COLOURS["fourth"], 3),
    "mean_field": _Look("mean field", "--", COLOURS["second"], 4),
    "ode": _Look("limit (ODE)", "-", COLOURS["theory"], 5),
}
_OTHER = _Look("", "-", "#555555", 3)


class _Component(NamedTuple):
    """One number of a statistic: its runs, and how it is written."""

    values: Float[np.ndarray, "runs times"]
    symbol: str


def variables(result: xr.Dataset) -> list[str]:
    """Names of what a result holds against time, without errors."""
    return [
        str(name)
        for name, values in result.data_vars.items()
        if values.dims[:2] == ("run", "time") and not is_error(name) and name not in _NOT_DRAWN
    ]


def draw_paths(
    results: Sequence[xr.Dataset],
    names: Sequence[str],
    axes: Sequence[Axes],
    quantiles: tuple[float, float],
) -> None:
    """One panel a name, all results in it."""
    for name, axis in zip(names, axes, strict=True):
        held = [result for result in results if name in result]
        for result in held:
            _draw(axis, result, name, quantiles)
        first = held[0]
        axis.set_xlabel(r"time $t$ = steps $\times$ step/dim")
        axis.set_ylabel(first[name].attrs.get("symbol", name))
        _name_components(axis, first[name])
    if len(results) > 1:
        _name_engines(axes[0], results, one=len(_components(results[0][names[0]])) == 1)


def panels(count: int) -> list[Axes]:
    """So many, in rows of three."""
    columns = min(count, _MOST_COLUMNS)
    rows = math.ceil(count / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.6 * columns + 0.6, 2.3 * rows + 0.3), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr]
    for axis in axes.flat[count:]:
        axis.remove()
    return list(axes.flat[:count])


def colour_of(result: xr.Dataset) -> str:
    """Of its engine, where each run is one thing."""
    return _look(result).colour


def name_of(result: xr.Dataset) -> str:
    """Of its engine."""
    return _look(result).name


def _look(result: xr.Dataset) -> _Look:
    engine = str(result.attrs.get("engine", ""))
    return _LOOKS.get(engine, _OTHER._replace(name=engine))


def _components(values: xr.DataArray) -> list[_Component]:
    """All numbers of a statistic; of a symmetric matrix those on and above the diagonal."""
    symbol, shape = values.attrs.get("symbol", str(values.name)), values.shape[2:]
    array = np.asarray(values, dtype=float)
    matrix = len(shape) == 2 and shape[0] == shape[1]
    symmetric = matrix and np.array_equal(array, array.swapaxes(2, 3), equal_nan=True)
    return [
        _Component(array[(slice(None), slice(None), *index)], _indexed(symbol, index))
        for index in product(*(range(n) for n in shape))
        if not (symmetric and index[0] > index[1])
    ]


def _indexed(symbol: str, index: tuple[int, ...]) -> str:
    """M_{12} for $M$, counted from 1."""
    if not index:
        return symbol
    places = (
        "".join(str(i + 1) for i in index)
        if max(index) < 9
        else ",".join(str(i + 1) for i in index)
    )
    bare = symbol.strip("$")
    return f"${bare}_{{{places}}}$" if "_" not in bare else f"$({bare})_{{{places}}}$"


def _colours(count: int) -> Iterator[str]:
    if count <= _MOST_NAMED:
        return iter(_PALETTE[:count])
    shades = plt.get_cmap("viridis")(np.linspace(0, 0.9, count))
    return (colours.to_hex(tuple(shade)) for shade in shades)


def _draw(axis: Axes, result: xr.Dataset, name: str, quantiles: tuple[float, float]) -> None:
    look, time = _look(result), np.asarray(result["time"])
    parts = _components(result[name])
    own = [look.colour] if len(parts) == 1 else list(_colours(len(parts)))
    for part, colour in zip(parts, own, strict=True):
        runs = len(part.values)
        solved = look.line != "none" and result.attrs.get("engine") in ("ode", "mean_field")
        dark = colour if len(parts) == 1 or not solved else _darker(colour)
        if runs == 1 or (solved and runs <= _MOST_LINES):
            style = "-" if look.line == "none" else look.line
            width = 1.3 if runs == 1 else 0.7
            axis.plot(time, part.values.T, style, color=dark, lw=width, zorder=look.order + 2)
            continue
        low, middle, high = _quantiles(part.values, (quantiles[0], 0.5, quantiles[1]))
        axis.fill_between(time, low, high, color=colour, alpha=0.25, lw=0, zorder=look.order)
        if look.line != "none":
            axis.plot(time, middle, look.line, color=dark, lw=1.2, zorder=look.order + 2)


def _quantiles(values: np.ndarray, which: tuple[float, ...]) -> np.ndarray:
    """Over the runs that have not diverged; NaN once none is left."""
    found = np.full((len(which), values.shape[1]), np.nan)
    alive = np.isfinite(values).any(0)
    if alive.any():
        found[:, alive] = np.nanquantile(
            np.where(np.isfinite(values), values, np.nan)[:, alive], which, axis=0
        )
    return found


def _darker(colour: str) -> str:
    red, green, blue = colours.to_rgb(colour)
    return colours.to_hex((0.65 * red, 0.65 * green, 0.65 * blue))


def _name_components(axis: Axes, values: xr.DataArray) -> None:
    """By colour, where there are a few."""
    parts = _components(values)
    if 1 < len(parts) <= _MOST_NAMED:
        pairs = zip(parts, _colours(len(parts)), strict=True)
        handles = [Line2D([], [], color=colour, label=part.symbol) for part, colour in pairs]
        axis.legend(
            handles=handles, frameon=False, fontsize="small", handlelength=1.0, ncols=2,
            columnspacing=0.8, labelspacing=0.2,
        )  # fmt: skip


def _name_engines(axis: Axes, results: Sequence[xr.Dataset], *, one: bool) -> None:
    """By line, once for the figure, above it."""
    figure = axis.get_figure(root=True)
    assert figure is not None
    handles = [_handle(result, one) for result in results]
    figure.legend(handles=handles, frameon=False, ncols=len(handles), loc="outside upper center")


def _handle(result: xr.Dataset, one: bool) -> Line2D | Patch:
    look = _look(result)
    colour = look.colour if one else "#444444"
    label = f"{look.name}, d = {result.attrs['dim']}" if look.line in (":", "none") else look.name
    if look.line == "none" and result.sizes["run"] > 1:
        return Patch(color=colour, alpha=0.3, lw=0, label=label)
    return Line2D([], [], color=colour, ls="-" if look.line == "none" else look.line, label=label)
