"""Arnaboldi, Krzakala, Loureiro and Stephan (2023), Fig. 3: the experiment of Fig. 1 at p = 2.

Step, noise and threshold are not printed; gamma/p is that of Fig. 1 here. The paper's SDE code for
p = 2 copies one entry of the covariance to a wrong place; here all are derived.
"""

from matplotlib.figure import Figure

from sgdlimits.closed_forms.phase_retrieval_escape import Mediocrity
from sgdlimits.plots import COLUMN, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, holds
from sgdlimits.reproduce.mediocrity_panels import draw_engines, mean_exit, one_start, same_risk
from sgdlimits.reproduce.workspace import Workspace

_STEP, _NOISE, _DROP = 0.16, 0.5, 0.05


def figure_3(work: Workspace) -> tuple[Figure, list[Check]]:
    """Risk of SGD, SDE and ODE from one start, two neurons."""
    dim = work.size(1000, 3000, 100)
    theory = Mediocrity(_STEP, _NOISE, 2)
    horizon = theory.annealed_exit(dim, _DROP) / 2 + 2.0
    figure, axes = new_figure(1, 1, width=COLUMN, height=2.8)
    engines = one_start(work, 2, _STEP, _NOISE, dim, horizon)
    draw_engines(axes[0, 0], engines, _DROP)
    axes[0, 0].set_title(rf"$p=2$, $d={dim}$, $\gamma={_STEP}$, $\Delta={_NOISE}$")
    axes[0, 0].legend(loc="center left", fontsize=6)
    chain, sde = mean_exit(engines.chain, _DROP), mean_exit(engines.sde, _DROP)
    ode = mean_exit(engines.ode, _DROP)
    linear = theory.exit_from(2.0, 2.0, dim, _DROP) / 2
    return figure, [
        against_simulation(f"exit time of SGD against the SDE, p = 2, d = {dim}", "the same",
                           sde.mean, chain.mean, (chain.error**2 + sde.error**2) ** 0.5,
                           bias=10 / dim, why_bias="(next order in 1/d)"),
        same_risk(engines.chain, engines.sde),
        holds("exit time of the ODE against that of its linearisation", "accurate for small T",
              abs(linear - ode.mean) < 2 * _DROP * ode.mean,
              f"{linear:.4g} and {ode.mean:.4g}; allowed 2T"),
        chain.complete,
    ]  # fmt: skip
