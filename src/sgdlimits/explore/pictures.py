"""What is drawn for a choice: statistics against time, and the plane with its flow."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdlimits as sl
from sgdlimits.explore.choice import MODELS, Choice
from sgdlimits.plots.base import COLOURS, style
from sgdlimits.plots.one_call import plot

_POINTS = 22
_MARGIN = 0.15
_MOST_RUNS = 8
#: Colour and width of the engines' runs, as in pictures against time.
_LOOKS = {
    "chain": (COLOURS["third"], 0.5),
    "sde": (COLOURS["fourth"], 0.5),
    "ode": (COLOURS["theory"], 1.3),
}


def statistics(results: Sequence[xr.Dataset]) -> Figure:
    """All statistics against time; bands of the chain, lines of the limit."""
    names = [name for name in ("m", "r2", "M", "Q", "risk") if name in results[0]]
    with style():
        figure = Figure(figsize=(2.6 * len(names), 2.5), layout="constrained")
        plot(*results, names=names, axes=list(figure.subplots(1, len(names), squeeze=False)[0]))
    return figure


def plane(choice: Choice, results: Sequence[xr.Dataset]) -> Figure:
    """The first overlap and the first norm: runs, over the flow where these two are all."""
    with style():
        figure = Figure(figsize=(3.6, 3.0), layout="constrained")
        axis = figure.subplots()
        x, y = _pair_names(choice, results[0])
        paths = [(_first(result[x]), _first(result[y])) for result in results]
        if _is_flat(choice):
            _flow(axis, choice, paths)
        for result, (across, up) in zip(results, paths, strict=True):
            colour, width = _LOOKS[result.attrs["engine"]]
            axis.plot(across[:_MOST_RUNS].T, up[:_MOST_RUNS].T, color=colour, lw=width, alpha=0.8)
        axis.set(xlabel=_label(results[0][x]), ylabel=_label(results[0][y]))
    return figure


def _is_flat(choice: Choice) -> bool:
    model, sgd = choice.problem()
    process = sl.effective_dynamics(model, sgd).process
    return process.template.vector.size == 2 and not sgd.spherical


def _pair_names(choice: Choice, result: xr.Dataset) -> tuple[str, str]:
    """Overlap and norm; on the sphere norms are 1, and the risk tells more."""
    if "m" in result:
        return "m", "r2"
    return ("M", "risk") if MODELS[choice.model].spherical else ("M", "Q")


def _first(values: xr.DataArray) -> np.ndarray:
    """The number, or the first entry of the matrix, of every run and time."""
    return np.asarray(values).reshape(*values.shape[:2], -1)[..., 0]


def _label(values: xr.DataArray) -> str:
    symbol = values.attrs["symbol"].strip("$")
    return f"${symbol}_{{11}}$" if values.ndim > 2 else f"${symbol}$"


def _flow(axis: Axes, choice: Choice, paths: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    dynamics = sl.effective_dynamics(*choice.problem())
    x, y = (_range(np.concatenate([path[i].ravel() for path in paths])) for i in (0, 1))
    gx, gy = np.meshgrid(np.linspace(*x, _POINTS), np.linspace(max(y[0], 0.02), y[1], _POINTS))
    least = _least(choice, gx)
    states = np.stack([gx, np.maximum(gy, least)], -1)
    template = dynamics.process.template
    drift = np.asarray(dynamics.drift(template.with_vector(jnp.asarray(states))).vector)
    drift = np.where((gy >= least)[..., None], drift, np.nan)
    axis.streamplot(
        gx, gy, drift[..., 0], drift[..., 1], color=COLOURS["flow"], linewidth=0.5,
        arrowsize=0.6, density=0.8,
    )  # fmt: skip
    for point in _known_fixed_points(dynamics):
        at = np.asarray(point.statistics.vector)
        if x[0] <= at[0] <= x[1] and y[0] <= at[1] <= y[1]:
            look = (
                {"marker": "x", "ms": 6, "mew": 1.8} if point.stable else {"marker": "o", "ms": 4}
            )
            axis.plot(*at, color="black", mfc="white", ls="none", zorder=5, **look)


def _least(choice: Choice, x: np.ndarray) -> np.ndarray:
    """The smallest second statistic: squared overlaps with a unit vector are at most norms."""
    return np.zeros(x.shape) if MODELS[choice.model].vector else x**2


def _known_fixed_points(dynamics: sl.EffectiveDynamics) -> list[sl.FixedPoint]:
    try:
        return dynamics.fixed_points("formula")
    except ValueError:  # there is none; a search would not follow a slider
        return []


def _range(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    room = _MARGIN * max(high - low, 0.2)
    return low - room, high + room
