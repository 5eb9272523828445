"""Loureiro (2023), slides: wide committees in high dimension, Q close to M P^-1 Mᵀ + diag(q).

The reduced equations follow the law of (m, q) over neurons; the full ones also the overlaps of all
pairs. Both start at random rows N(0, I/d), so the full Q has overlaps of order d^-1/2 that the
reduced equations neglect: the error falls like p^-1/2 + d^-1/2. Squares, k = 1, no label noise.
The slides' figure has no numbers; sizes here are ours.
"""

import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation, NullLocator

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.limits.mean_field import MeanField, reduce
from sgdlimits.models.committees_zoo import committee
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.checks import Check, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_LAST = 3.0  # in the slides' time, ours / p
_TIME = r"$t = \nu\gamma/(pd)$"


def mean_field(work: Workspace) -> tuple[Figure, list[Check]]:
    """Risk and law of the neurons' overlaps, reduced against full, and the error against p."""
    figure, axes = new_figure(1, 3, width=PAGE, height=2.6)
    sizes = work.size((25, 50, 100), (25, 50, 100, 200, 400), (25, 50))
    runs = work.size(3, 8)
    sup, pairs = [], []
    for p in sizes:
        full, reduced = _pair(work, p, runs)
        sup.append(abs(full["risk"] - reduced["risk"]).max("time").values)
        pairs.append((full, reduced))
    _draw_risk(axes[0, 0], pairs[0], pairs[-1], sizes)
    wide = _wide(work)
    _draw_law(axes[0, 1], wide)
    errors = np.array(sup).mean(1)
    slope, constant = np.polyfit(np.log(sizes), np.log(errors), 1)
    axis = axes[0, 2]
    axis.loglog(sizes, errors, "o", color=COLOURS["simulation"], ms=4)
    axis.loglog(sizes, np.exp(constant) * np.array(sizes) ** slope, color=COLOURS["simulation"],
                lw=0.8, label=rf"slope ${slope:.2f}$")  # fmt: skip
    axis.loglog(sizes, errors[0] * (np.array(sizes) / sizes[0]) ** -0.5, "k--", lw=0.8,
                label=r"$p^{-1/2}$")  # fmt: skip
    axis.set_xticks(sizes, [str(p) for p in sizes])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_minor_formatter(LogFormatterSciNotation(minor_thresholds=(2, 0.5)))
    axis.set_xlabel(r"$p = d$")
    axis.set_ylabel(r"$\sup_t |\Delta\mathcal{R}|$")
    axis.legend(loc="lower left")
    at = sizes.index(50)
    total = float(wide["risk"].values[0, -1] / wide["risk"].values[0, 0])
    return figure, [
        holds("error of the risk falls with p = d", "exponent -1/2 or faster", slope < -0.4,
              f"fitted exponent {slope:.2f}, needed below -0.4"),
        holds("sup error of the risk at p = d = 50", "1.9e-2", 0.6e-2 < errors[at] < 6e-2,
              f"{errors[at]:.2e}, mean over {runs} starts; needed within a factor 3"),
        holds("the reduced equations learn", "risk decays", total < 0.05,
              f"risk at the end is {total:.1e} of its start"),
    ]  # fmt: skip


def _pair(work: Workspace, p: int, runs: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Full ODE, and reduced equations from what they keep of the same starts; d = p."""
    model, sgd = committee(p, 1, "square", noise=0.0), OnlineSGD(1.0)
    record = np.linspace(0, _LAST * p, 41)
    options = {"dim": p + 1, "time": _LAST * p, "runs": runs, "record": record}
    full = work.simulate(f"full-{p}", model, sgd, "ode", **options)
    starts = Statistics(*(jnp.asarray(full[name].values[:, 0]) for name in ("v", "M", "Q")))
    reduced = work.simulate(
        f"reduced-{p}", model, sgd, "mean_field", initial=reduce(model, starts),
        mean_field=MeanField(), **options,
    )  # fmt: skip
    return full, reduced


def _wide(work: Workspace) -> xr.Dataset:
    """Five thousand neurons in d = 100 by the reduced equations alone."""
    p = work.size(5000, 5000, 50)
    return work.simulate(
        "wide", committee(p, 1, "square", noise=0.0), OnlineSGD(1.0), "mean_field", dim=100,
        time=_LAST * p, record=np.linspace(0, _LAST * p, 61),
    )  # fmt: skip


def _draw_risk(axis: Axes, narrow, wide, sizes: tuple[int, ...]) -> None:
    for (full, reduced), p, colour in (
        (narrow, sizes[0], COLOURS["second"]), (wide, sizes[-1], COLOURS["simulation"])
    ):  # fmt: skip
        time = full["time"] / p
        for i in range(full.sizes["run"]):
            axis.plot(time, full["risk"][i], color=colour, lw=1.8, alpha=0.4,
                      label=rf"full ODE, $p=d={p}$" if i == 0 else None)  # fmt: skip
            axis.plot(time, reduced["risk"][i], "--", color="black", lw=0.7,
                      label="reduced" if i == 0 and p == sizes[0] else None)  # fmt: skip
    axis.set_yscale("log")
    axis.set_xlabel(_TIME)
    axis.set_ylabel(r"$\mathcal{R}$")
    axis.legend(loc="upper right")


def _draw_law(axis: Axes, wide: xr.Dataset) -> None:
    """The cloud of (m, q), one point a neuron, at four times."""
    colours = (COLOURS["flow"], COLOURS["third"], COLOURS["simulation"], COLOURS["second"])
    p = wide.sizes["neuron"]
    count = wide.sizes["time"]
    for index, colour in zip((0, count // 8, count // 4, count - 1), colours, strict=True):
        now = wide.isel(run=0, time=index)
        axis.plot(now["M"][:, 0], now["q"], ".", ms=1.2, color=colour, rasterized=True)
        axis.plot([], [], "o", ms=4, color=colour, label=rf"$t={float(now['time']) / p:.2g}$")
    axis.set_xlabel(r"$m_i$")
    axis.set_ylabel(r"$q_i = Q_{ii} - m_i^2$")
    axis.set_title(rf"$p={p}$, reduced")
    axis.legend(loc="upper right", handletextpad=0.2)
