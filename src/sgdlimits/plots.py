"""Figures for people: one style, bands, phase portraits."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax.numpy as jnp
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sgdlimits.limits.effective_dynamics import EffectiveDynamics

#: Okabe and Ito's colours, distinguishable without colour vision, by role.
COLOURS = {
    "simulation": "#0072B2",
    "theory": "#000000",
    "second": "#D55E00",
    "third": "#009E73",
    "fourth": "#CC79A7",
    "flow": "#BBBBBB",
}
COLUMN = 3.4  # inches: one column of a two-column paper
PAGE = 7.0


@contextmanager
def style() -> Iterator[None]:
    """Readable at column width, saved at 200 dots per inch."""
    settings: Any = {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "legend.fontsize": 7,
        "legend.frameon": False,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "lines.linewidth": 1.2,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
        "savefig.dpi": 200,
        "figure.dpi": 100,
    }
    with mpl.rc_context(settings):
        yield


def new_figure(rows: int, columns: int, width: float = PAGE, height: float | None = None, **kwargs):
    """A figure with panels, and the panels labelled (a), (b), ... in reading order."""
    height = width / columns * rows * 0.8 if height is None else height
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **kwargs)
    for letter, axis in zip("abcdefghijkl", axes.flat, strict=False):
        axis.set_title(f"({letter})", loc="left", fontweight="bold")
    plt.close(figure)  # the caller saves it; no window should hold on to it
    return figure, axes


def band(
    axis: Axes,
    values: xr.DataArray,
    colour: str = COLOURS["simulation"],
    quantiles: tuple[float, float] = (0.05, 0.95),
    label: str | None = None,
) -> None:
    """Fill between two quantiles over runs, against time."""
    low, high = (values.quantile(q, "run") for q in quantiles)
    axis.fill_between(values["time"], low, high, color=colour, alpha=0.25, lw=0, label=label)


def phase_portrait(
    axis: Axes,
    dynamics: EffectiveDynamics,
    x: tuple[str, float, float],
    y: tuple[str, float, float],
    points: int = 40,
) -> None:
    """Stream lines of the drift in the plane of two statistics, with its fixed points.

    Args:
        axis: where to draw.
        dynamics: dynamics with exactly two statistics.
        x, y: (name, low, high) of the axes.
        points: grid points per direction.

    Raises:
        ValueError: if the dynamics have other statistics than the two.
    """
    names = dynamics.names
    if sorted(names) != sorted((x[0], y[0])):
        raise ValueError(f"x, y = {x[0]!r}, {y[0]!r}: expected the two statistics {names}.")
    gx, gy = np.meshgrid(np.linspace(x[1], x[2], points), np.linspace(y[1], y[2], points))
    order = [names.index(x[0]), names.index(y[0])]
    vector = np.empty((*gx.shape, 2))
    vector[..., order[0]], vector[..., order[1]] = gx, gy
    drift = np.asarray(
        dynamics.drift(dynamics.process.template.with_vector(jnp.asarray(vector))).vector
    )
    axis.streamplot(
        gx, gy, drift[..., order[0]], drift[..., order[1]],
        color=COLOURS["flow"], linewidth=0.5, arrowsize=0.6, density=0.9,
    )  # fmt: skip
    draw_fixed_points(axis, dynamics, order)
    axis.set_xlim(x[1], x[2])
    axis.set_ylim(y[1], y[2])
    labels = type(dynamics.process.template).labels
    axis.set_xlabel(labels[x[0]].symbol)
    axis.set_ylabel(labels[y[0]].symbol)


def draw_fixed_points(axis: Axes, dynamics: EffectiveDynamics, order: Sequence[int]) -> None:
    """Stable fixed points as crosses, the others as open circles."""
    for point in dynamics.fixed_points():
        position = np.asarray(point.statistics.vector)[list(order)]
        if point.stable:
            axis.plot(*position, "x", color="black", ms=6, mew=1.8, zorder=5)
        else:
            axis.plot(*position, "o", mfc="white", mec="black", ms=4, zorder=5)
