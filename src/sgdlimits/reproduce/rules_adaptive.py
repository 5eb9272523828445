"""Normalised, sign and AdaGrad-norm SGD on noiseless least squares: floors and speed.

Floors: pi gamma²/16 for normalised gradients and pi² gamma²/32 for signs, from the limit.
"""

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from sgdlimits.algorithms import rules
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.engines.ode import ODE
from sgdlimits.expectations.activations import Polynomial
from sgdlimits.models.committees_zoo import committee
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_STEP, _TIME = 0.5, 12.0
_RULES = {
    "plain": (None, "chain", None),
    "normalised": (rules.normalise, "chain", np.pi * _STEP**2 / 16),
    "sign": (rules.sign, "sgd", np.pi**2 * _STEP**2 / 32),
    "AdaGrad-norm": (rules.adagrad_norm, "chain", None),
}


def floors(work: Workspace) -> tuple[Figure, list[Check]]:
    """Risk against time, the limit over simulations at finite dimension."""
    figure, axes = new_figure(1, 1, width=PAGE / 2, height=2.8)
    axis, checks = axes[0, 0], []
    model = committee(1, 1, Polynomial([0.0, 1.0]), noise=0.0)
    dim, runs = work.size(400, 2000, 40), work.size(32, 64, 4)
    start = Statistics(jnp.zeros(0), [[0.2]], [[1.0]])
    colours = ("simulation", "theory", "third", "flow")
    for (name, (rule, engine, floor)), colour in zip(_RULES.items(), colours, strict=True):
        sgd = OnlineSGD(_STEP, rule=None if rule is None else rule())
        options = {"time": work.size(_TIME, _TIME, 1.0), "record": 61, "initial": start}
        real = work.simulate(f"{name}-real", model, sgd, engine, dim=dim, runs=runs, **options)
        solver = ODE(errors=False)
        ode = work.simulate(f"{name}-ode", model, sgd, solver, dim=dim, runs=1, **options)
        time = real["time"].values
        axis.semilogy(time, real["risk"].mean("run"), "o", ms=2, color=COLOURS[colour])
        axis.semilogy(time, ode["risk"][0], color=COLOURS[colour], label=name)
        if floor is None:
            last = [float(x["risk"].values[:, -1].mean()) for x in (real, ode)]
            first = float(ode["risk"].values[0, 0])
            checks.append(holds(f"{name}: no floor", "–", max(last) < 0.05 * first,
                                f"risk {last[0]:.1e}, {last[1]:.1e} at the end"))  # fmt: skip
            continue
        late = real["risk"].values[:, time > time[-1] / 2].mean(1)
        checks.append(against_simulation(
            f"{name}: floor", f"{floor:.4g}", floor, float(late.mean()),
            float(late.std(ddof=1) / runs**0.5), 3 * floor / dim, "(3/d of it)",
        ))  # fmt: skip
        axis.axhline(floor, color=COLOURS[colour], lw=0.7, ls=":")
    axis.set_xlabel(r"$t$")
    axis.set_ylabel("risk")
    axis.set_ylim(1e-4, 2)
    axis.legend()
    return figure, checks
