"""Arnaboldi, Krzakala, Loureiro and Stephan (2023), Fig. 5: training the second layer or not.

max |m_j| against time with the second layer fixed at ones or trained at the same step, p = 20 and
50, d = 1000. Their t is ours / p; the step of the second layer is gamma/d, as in their eq. (16).
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.analysis.exit_time import exit_time
from sgdlimits.closed_forms.phase_retrieval_escape import Mediocrity
from sgdlimits.models.committees_zoo import phase_retrieval
from sgdlimits.plots import COLOURS, PAGE, band, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, holds
from sgdlimits.reproduce.mediocrity_panels import PAPER_TIME
from sgdlimits.reproduce.workspace import Workspace

_STEP, _NOISE = 0.1, 0.5  # step per neuron
_LEVEL = 0.3
_TIME, _LONG = 1.4, 4.0  # in the paper's units: quick, and full to see what comes later


def figure_5(work: Workspace) -> tuple[Figure, list[Check]]:
    """Largest overlap along real SGD, second layer fixed and trained."""
    figure, axes = new_figure(1, 2, width=PAGE, height=2.6, sharey=True)
    checks = []
    for axis, width in zip(axes[0], work.size((20, 50), (20, 50), (2, 2)), strict=True):
        checks += _panel(work, axis, width)
    axes[0, 0].set_ylabel(r"$\max_j |m_j|$")
    axes[0, 0].legend(loc="upper left")
    return figure, checks


def _panel(work: Workspace, axis: Axes, width: int) -> list[Check]:
    sgd, runs, dim = OnlineSGD(_STEP * width, True), work.size(8, 32), work.size(1000, 1000, 50)
    exits = []
    for trained in (False, True):
        dataset = work.simulate(
            f"{width}-{'trained' if trained else 'fixed'}",
            phase_retrieval(width, _NOISE, trained), sgd, "sgd", dim=dim,
            time=work.size(_TIME, _LONG, _TIME) * width, runs=runs, record=141, dtype="float32",
        )  # fmt: skip
        dataset = dataset.assign_coords(time=dataset["time"] / width)
        colour = COLOURS["third" if trained else "simulation"]
        largest = _largest(dataset)
        band(axis, largest, colour, (0.0, 1.0))
        axis.plot(dataset["time"], largest.mean("run"), color=colour, ls="--" if trained else "-",
                  label="trained" if trained else "fixed")  # fmt: skip
        exits.append(exit_time(dataset, _LEVEL, _largest))
    axis.axhline(_LEVEL, color=COLOURS["flow"], lw=0.7)
    axis.set_xlabel(PAPER_TIME)
    axis.set_title(rf"$p={width}$, $d={dim}$, $\gamma={_STEP * width:g}$, $\Delta={_NOISE}$")
    fixed, trained = (np.asarray(e["time"]) for e in exits)
    difference = trained - fixed  # the same starts
    rate = Mediocrity(_STEP * width, _NOISE, width).overlap_rate * width
    return [
        holds(f"all runs reach max|m| = {_LEVEL}, p = {width}", "–",
              bool(np.isfinite(difference).all()), f"{np.isfinite(difference).sum()} of {runs}"),
        against_simulation(
            f"trained less fixed, time to max|m| = {_LEVEL}, p = {width}", "same t_ext", 0.0,
            float(difference.mean()), float(difference.std(ddof=1) / len(difference) ** 0.5),
            bias=0.05 / rate, why_bias="(1/20 of the time in which m grows by e)",
        ),
    ]  # fmt: skip


def _largest(dataset: xr.Dataset) -> xr.DataArray:
    return abs(dataset["M"]).max(("neuron", "direction"))
