"""Phase diagrams: one number in the plane of two parameters."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sgdlimits import _validate
from sgdlimits.plots.base import COLOURS
from sgdlimits.plots.drawn import panel
from sgdlimits.plots.symbols import parameter_label
from sgdlimits.simulation.coordinates import COUNTED

Named = tuple[str, Sequence[float]]


def phase_diagram(
    data: Any,
    variable: str | None = None,
    *,
    x: str | Named | None = None,
    y: str | Named | None = None,
    levels: Sequence[float] = (),
    boundary: Callable[[float], float] | None = None,
    label: str | None = None,
    axes: Axes | None = None,
) -> Axes:
    """One number against two parameters, as colours with a scale beside them.

    Args:
        data: a result of ``sweep`` over two parameters (or one variable of it): runs are averaged,
            and the last time is taken. Or a table of numbers with a row for each of ``x`` and a
            column for each of ``y``. Or a function of two numbers.
        variable: which variable of a dataset, such as ``"risk"``.
        x, y: of a dataset the names of the parameters, default its own in their order; else pairs
            of name and increasing values, such as ``("snr", [0.5, 1.0, 2.0])``.
        levels: where contours are drawn.
        boundary: a function x -> y that is drawn as a line, such as a threshold by theory.
        label: of the scale; default: the variable's symbol.
        axes: where to draw; default: a new figure.

    Returns:
        The axes.

    Raises:
        TypeError, ValueError: for arguments that do not fit.
    """
    table, (first, xs), (second, ys), text = _table(data, variable, x, y)
    cuts = sorted(float(v) for v in _validate.finite("levels", levels).ravel())
    if boundary is not None and not callable(boundary):
        raise TypeError(f"boundary={boundary!r}: expected a function x -> y.")
    drawn = panel(axes, 4.0, 3.0)
    shown = drawn.pcolormesh(xs, ys, table.T, cmap="viridis", shading="nearest", rasterized=True)
    figure = drawn.get_figure(root=True)
    assert figure is not None
    figure.colorbar(shown, ax=drawn, label=label if label is not None else text)
    if cuts and min(table.shape) > 1:
        lines = drawn.contour(xs, ys, table.T, cuts, colors="white", linewidths=1.0)
        drawn.clabel(lines, fontsize="x-small")
    if boundary is not None:
        fine = np.linspace(xs[0], xs[-1], 200)
        limits = drawn.get_xlim(), drawn.get_ylim()
        drawn.plot(
            fine, [float(boundary(float(v))) for v in fine], color=COLOURS["second"], ls="--"
        )
        drawn.set(xlim=limits[0], ylim=limits[1])
    drawn.set(xlabel=parameter_label(first), ylabel=parameter_label(second))
    return drawn


def _table(
    data: Any, variable: str | None, x: Any, y: Any
) -> tuple[np.ndarray, tuple[str, np.ndarray], tuple[str, np.ndarray], str]:
    if isinstance(data, xr.Dataset):
        data = _variable(data, variable)
    elif variable is not None:
        raise ValueError(f"variable={variable!r}: only a dataset has variables.")
    if isinstance(data, xr.DataArray):
        return _of_sweep(data, x, y)
    first, second = _named("x", x), _named("y", y)
    if callable(data):
        of: Any = data
        data = [[float(of(float(a), float(b))) for b in second[1]] for a in first[1]]
    table = _validate.reals("data", data)
    expected = (len(first[1]), len(second[1]))
    if table.shape != expected:
        raise ValueError(
            f"data has shape {table.shape}: expected {expected}, one for each x and y."
        )
    return np.ma.masked_invalid(table), first, second, ""


def _variable(data: xr.Dataset, variable: Any) -> xr.DataArray:
    names = [str(name) for name in data.data_vars]
    if variable is None and len(names) == 1:
        variable = names[0]
    if variable not in names:
        raise ValueError(f"variable={variable!r}: expected one of {', '.join(names)}.")
    return data[variable]


def _of_sweep(data: xr.DataArray, x: Any, y: Any) -> Any:
    if "time" in data.dims:
        data = data.isel(time=-1)
    if "run" in data.dims:
        data = data.mean("run", keep_attrs=True)
    free = [str(dim) for dim in data.dims]
    inner = [dim for dim in free if dim in COUNTED]
    many = [dim for dim in inner if data.sizes[dim] > 1]
    if many:
        raise ValueError(
            f"data: {data.name!r} is many numbers, along {', '.join(many)}; select one, such as "
            f"data.sel({many[0]}=1)."
        )
    data = data.squeeze(inner)
    free = [dim for dim in free if dim not in inner]
    wanted = []
    for name, given in (("x", x), ("y", y)):
        if given is not None and given not in free:
            raise ValueError(f"{name}={given!r}: expected one of {', '.join(free)}.")
        wanted.append(given)
    rest = [dim for dim in free if dim not in wanted]
    if len(free) != 2 or wanted[0] == wanted[1] is not None:
        raise ValueError(
            f"data: it has the parameters {', '.join(free) or 'none'}, expected two; select values "
            "of the others, or average over them."
        )
    wanted = [rest.pop(0) if name is None else name for name in wanted]
    pairs = [_named(name, (dim, data[dim].values)) for name, dim in zip("xy", wanted, strict=True)]
    table = np.ma.masked_invalid(np.asarray(data.transpose(*wanted), dtype=float))
    return table, *pairs, data.attrs.get("symbol", str(data.name or ""))


def _named(argument: str, given: Any) -> tuple[str, np.ndarray]:
    """Name and values of an axis."""
    try:
        name, values = given
    except (TypeError, ValueError):
        name = values = None
    if not isinstance(name, str) or isinstance(given, str):
        raise TypeError(
            f"{argument}={given!r}: expected a name and values, such as ('snr', [0.5, 1.0])."
        )
    numbers = _validate.finite(f"{argument}: {name}", values)
    if numbers.ndim != 1 or not len(numbers) or (np.diff(numbers) <= 0).any():
        raise ValueError(f"{argument}: {name}={values!r}: expected increasing numbers.")
    return name, numbers
