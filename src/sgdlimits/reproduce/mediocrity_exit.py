"""Arnaboldi, Krzakala, Loureiro and Stephan (2023), Fig. 1: leaving the random start, and when.

Their t is ours / p. The paper finds that the noise of SGD does not change the exit time; it does,
by log(4/mu)/(2 mu) at p = 1 whatever d is, which the right panel shows. Figure 1 gives d = 3000 but
neither step, noise nor threshold: those here are ours.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.closed_forms.phase_retrieval_escape import Mediocrity
from sgdlimits.closed_forms.phase_retrieval_one_neuron import OneNeuron
from sgdlimits.models.committees_zoo import phase_retrieval
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, equal
from sgdlimits.reproduce.mediocrity_panels import (
    draw_engines,
    in_paper_time,
    mean_exit,
    one_start,
    same_risk,
)
from sgdlimits.reproduce.workspace import Workspace

_STEP, _NOISE, _DROP = 0.08, 0.5, 0.05
_QUICK = {1: (300, 1000, 3000), 4: (300, 1000)}
_TINY = {1: (30, 100)}
_FULL = {p: (300, 1000, 3000, 10_000, 30_000) for p in (1, 2, 5, 10)}
_COLOURS = {1: "simulation", 2: "fourth", 4: "second", 5: "second", 10: "third"}
_BIAS = 0.5  # of the mean, times d^-1/2: what formulas of leading order leave out


def figure_1(work: Workspace) -> tuple[Figure, list[Check]]:
    """Risk of SGD, SDE and ODE from one start; measured over predicted exit times."""
    figure, axes = new_figure(1, 2, width=PAGE, height=2.9)
    checks = _one_start(work, axes[0, 0])
    axis = axes[0, 1]
    sizes = work.size(_QUICK, _FULL, _TINY)
    for width, dims in sizes.items():
        checks += _random_starts(work, axis, width, dims)
    axis.axhline(1, color=COLOURS["theory"], lw=0.8)
    axis.set_xscale("log")
    ticks = sorted({d for dims in sizes.values() for d in dims})
    axis.set_xticks(ticks, [str(d) for d in ticks])
    axis.minorticks_off()
    axis.set_xlabel(r"$d$")
    axis.set_ylabel(r"measured / predicted $t_{\mathrm{ext}}$")
    for marker, name in (("s:", "annealed (47)"), ("^--", "quenched (46)"), ("o-", "with noise")):
        axis.plot([], [], marker, mfc="white" if name[0] != "w" else None, color="grey", ms=4,
                  label=name)  # fmt: skip
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.35 * (high - low))
    axis.set_title(rf"$\gamma/p={_STEP}$, random starts")
    axis.legend(ncols=2, fontsize=6, loc="upper right")
    return figure, checks


def _one_start(work: Workspace, axis: Axes) -> list[Check]:
    dim, theory = work.size(1000, 3000, 100), OneNeuron(_STEP, _NOISE)
    m0 = dim**-0.5
    ode_exit = theory.exit(m0, _DROP)
    engines = one_start(work, 1, _STEP, _NOISE, dim, ode_exit + 3.0)
    draw_engines(axis, engines, _DROP)
    axis.set_title(rf"$p=1$, $d={dim}$, $\gamma={_STEP}$, $\Delta={_NOISE}$, one start")
    axis.legend(loc="center left", fontsize=6)
    chain, sde = mean_exit(engines.chain, _DROP), mean_exit(engines.sde, _DROP)
    expected = theory.sde_exit(dim, _DROP, m0)
    return [
        equal("exit time of the ODE, p = 1, one start: closed form and engine", "eq. (9)",
              ode_exit, mean_exit(engines.ode, _DROP).mean, 2e-4),
        against_simulation(f"exit time of SGD, p = 1, d = {dim}, one start: nonlinear SDE",
                           f"that of the ODE, {ode_exit:.4g}", expected, chain.mean, chain.error,
                           bias=10 / dim, why_bias="(next order in 1/d)"),
        against_simulation("the same, SDE engine", "–", expected, sde.mean, sde.error,
                           bias=6e-3, why_bias="(time step 2e-3)"),
        same_risk(engines.chain, engines.sde),
        chain.complete,
    ]  # fmt: skip


def _random_starts(work: Workspace, axis: Axes, width: int, dims: tuple[int, ...]) -> list[Check]:
    # gamma/p is the same for all widths, as in the paper.
    sgd, theory = OnlineSGD(_STEP * width, True), Mediocrity(_STEP * width, _NOISE, width)
    model, runs = phase_retrieval(width, _NOISE), work.size(256, 4096)
    rows, checks = [], []
    for dim in dims:
        quenched, noisy = theory.quenched_exit(dim, _DROP), theory.noisy_exit(dim, _DROP)
        horizon = quenched + 8 / (width * theory.overlap_rate)
        chain = mean_exit(
            in_paper_time(
                work.simulate(
                    f"random-chain-{width}-{dim}", model, sgd, "chain", dim=dim, time=horizon,
                    runs=runs, record=401,
                ), width, _NOISE,
            ), _DROP,
        )  # fmt: skip
        predicted = noisy / width
        annealed = theory.annealed_exit(dim, _DROP) / width
        rows.append((annealed, quenched / width, predicted, chain.mean, chain.error))
        checks += [
            against_simulation(
                f"mean exit time, p = {width}, d = {dim}: with noise",
                f"quenched, {quenched / width:.4g}", predicted, chain.mean, chain.error,
                bias=_BIAS * chain.mean / dim**0.5, why_bias="(d^-1/2)",
            ),
            chain.complete,
        ]  # fmt: skip
    annealed, quenched, predicted, mean, error = np.array(rows).T
    colour = COLOURS[_COLOURS[width]]
    axis.plot(dims, mean / annealed, "s:", ms=4, mfc="white", color=colour)
    axis.plot(dims, mean / quenched, "^--", ms=4, mfc="white", color=colour)
    axis.errorbar(dims, mean / predicted, yerr=2 * error / predicted, fmt="o-", ms=4, color=colour,
                  label=rf"$p={width}$")  # fmt: skip
    return checks
