"""Arnaboldi, Krzakala, Loureiro and Stephan (2023), Fig. 2: many runs of SGD against the ODE.

p = 5 and 20 at d = 5000 (quick: 1000). Their t is ours / p; step and noise are ours.
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.analysis.exit_time import drop_time
from sgdlimits.closed_forms.phase_retrieval_escape import Mediocrity
from sgdlimits.models.committees_zoo import phase_retrieval
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, holds
from sgdlimits.reproduce.mediocrity_panels import (
    PAPER_TIME,
    RISK,
    in_paper_time,
    mean_exit,
    typical_start,
)
from sgdlimits.reproduce.workspace import Workspace

_STEP, _NOISE, _DROP = 0.1, 0.5, 0.2  # step per neuron
_LAG = 0.3  # in the paper's time: about half of the risk is gone then


def figure_2(work: Workspace) -> tuple[Figure, list[Check]]:
    """Risk along SGD and along the ODE, from one start each."""
    figure, axes = new_figure(1, 2, width=PAGE, height=2.6, sharey=True)
    checks = []
    for axis, width in zip(axes[0], work.size((5, 20), (5, 20), (2, 2)), strict=True):
        checks += _panel(work, axis, width)
    axes[0, 0].set_ylabel(RISK)
    axes[0, 0].legend(loc="upper right")
    return figure, checks


def _panel(work: Workspace, axis: Axes, width: int) -> list[Check]:
    dim = work.size(1000, 5000, 50)
    model, sgd = phase_retrieval(width, _NOISE), OnlineSGD(_STEP * width, True)
    theory = Mediocrity(_STEP * width, _NOISE, width)
    horizon = theory.annealed_exit(dim, _DROP) + width * 0.9
    chain, ode = (
        in_paper_time(
            work.simulate(
                f"{engine}-{width}", model, sgd, engine, dim=dim, time=horizon, runs=runs,
                initial=typical_start(width, dim), record=201,
            ), width, _NOISE,
        )
        for engine, runs in (("chain", work.size(16, 64)), ("ode", 1))
    )  # fmt: skip
    for i in range(chain.sizes["run"]):
        axis.plot(chain["time"], chain["risk"][i], color=COLOURS["simulation"], lw=0.4, alpha=0.6,
                  label="SGD, exact law" if i == 0 else None)  # fmt: skip
    axis.plot(ode["time"], ode["risk"][0], color=COLOURS["theory"], label="ODE")
    axis.set_xlabel(PAPER_TIME)
    axis.set_ylim(0, None)
    axis.set_title(rf"$p={width}$, $d={dim}$, $\gamma={_STEP * width:g}$, $\Delta={_NOISE}$")
    runs, limit = mean_exit(chain, _DROP), mean_exit(ode, _DROP).mean
    # Noise multiplies the square of the overlap by 1 + a, and the exit comes earlier.
    saved = theory.noise_gain / width
    after, ode_after = _after_exit(chain), float(_after_exit(ode)[0])
    return [
        holds(f"mean exit time of SGD, p = {width}: the ODE's, less at most what noise saves",
              "the ODE's", limit - saved - 4 * runs.error < runs.mean < limit + 4 * runs.error,
              f"{runs.mean:.4g} ± {runs.error:.2g} in [{limit - saved:.4g}, {limit:.4g}]"),
        against_simulation(
            f"risk {_LAG:g} after the run's own exit ({len(after)} runs), p = {width}",
            "on average the ODE's", ode_after, float(after.mean()),
            float(after.std(ddof=1) / len(after) ** 0.5), bias=0.15 * ode_after,
            why_bias="(15 %: noise sets neurons apart that the ODE keeps alike)",
        ),
        runs.complete,
    ]  # fmt: skip


def _after_exit(dataset: xr.Dataset) -> np.ndarray:
    """Risk of each run that was seen for so long after its exit. At one time runs are apart."""
    times = dataset["time"].values
    at = drop_time(dataset, _DROP)["time"].values + _LAG
    seen = at <= times[-1]
    risks = dataset["risk"].transpose("run", "time").values[seen]
    return np.array([np.interp(t, times, risk) for t, risk in zip(at[seen], risks, strict=True)])
