"""An average of the parameters beside noisy SGD: what it gains, and what it costs.

Least squares, y = w*.x + sigma z, at rest: |W - w*|² is D = step sigma²/(2 - step), and the average
at rate a has a/(1 + a) of it, because it forgets W over a time 1/a while W forgets itself over 1.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms import rules
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.engines.ode import ODE
from sgdlimits.expectations.activations import Polynomial
from sgdlimits.models.committees_zoo import committee
from sgdlimits.plots import COLOURS, PAGE, band, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, holds
from sgdlimits.reproduce.distances import distance
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_STEP, _TIME, _NOISE = 0.5, 40.0, 0.5
_FLOOR = _STEP * _NOISE / (2 - _STEP)
_RATES = (0.1, 0.3, 1.0, 3.0)
_SHOWN = ("second", "third", "fourth")


def _mean_so_far(t):
    """The plain mean over all times; the start counts for half a unit."""
    return 1 / (t + 0.5)


def _tail(t):
    """The mean with weight (t + 2)³: of the last quarter, about."""
    return 4 / (t + 2.0)


def averages(work: Workspace) -> tuple[Figure, list[Check]]:
    """Distances from the teacher against time, and at rest against the rate."""
    figure, axes = new_figure(1, 2, width=PAGE, height=2.7)
    return figure, [*_paths(work, axes[0, 0]), *_at_rest(work, axes[0, 1])]


def _run(work: Workspace, name: str, rate: Any, start: Statistics, engine: Any = "chain") -> Any:
    model = committee(1, 1, Polynomial([0.0, 1.0]), noise=_NOISE)
    return work.simulate(
        name, model, OnlineSGD(_STEP, rule=rules.average(rate)), engine,
        dim=work.size(400, 2000, 40), time=work.size(_TIME, _TIME, 1.0), record=81, initial=start,
        runs=work.size(96, 256, 4) if engine == "chain" else 1,
    )  # fmt: skip


def _paths(work: Workspace, axis: Axes) -> list[Check]:
    checks = []
    start = Statistics(jnp.zeros(0), [[0.0]], [[0.2]])
    kinds = {"a = 0.1": 0.1, "mean so far": _mean_so_far, "tail": _tail}
    kinds = dict(list(kinds.items())[: work.size(3, 3, 1)])
    for (name, rate), colour in zip(kinds.items(), _SHOWN, strict=False):
        short = name.replace(" ", "")
        chain = _run(work, f"{short}-chain", rate, start)
        ode = _run(work, f"{short}-ode", rate, start, ODE(errors=False))
        if colour == "second":
            band(axis, distance(chain), COLOURS["simulation"])
            axis.plot(ode["time"], distance(ode)[0], color=COLOURS["simulation"], label="$W$")
        band(axis, distance(chain, "_average"), COLOURS[colour])
        theory = distance(ode, "_average")[0]
        axis.plot(ode["time"], theory, color=COLOURS[colour],
                  label=rf"$A$, {name.replace('a = ', '$a=$')}")  # fmt: skip
        end = distance(chain, "_average").values[:, -1]
        checks.append(against_simulation(
            f"|A - w*|² at the end, {name}", "–", float(theory[-1]), float(end.mean()),
            float(end.std(ddof=1) / len(end) ** 0.5),
            bias=5 * float(theory[-1]) / chain.attrs["dim"], why_bias="(5/d of it)",
        ))  # fmt: skip
    axis.set_yscale("log")
    axis.set_xlabel(r"$t$")
    axis.set_ylabel(r"$|A-w_\star|^2$")
    axis.legend()
    return checks


def _at_rest(work: Workspace, axis: Axes) -> list[Check]:
    checks = []
    rates = work.size(_RATES, _RATES, _RATES[1:2])
    grid = np.geomspace(rates[0] / 2, 2 * rates[-1], 100)
    axis.loglog(grid, grid / (1 + grid), color=COLOURS["theory"], label=r"$a/(1+a)$")
    found, at_teacher = [], Statistics(jnp.zeros(0), [[1.0]], [[1.0]])
    for rate in rates:
        chain = _run(work, f"rest-{rate:g}", rate, at_teacher)
        late = chain["time"].values > chain["time"].values[-1] - work.size(15.0, 15.0, 0.5)
        each = distance(chain, "_average").values[:, late].mean(1) / _FLOOR
        mean, error = float(each.mean()), float(each.std(ddof=1) / len(each) ** 0.5)
        found.append((rate, mean, error))
        # What the average has yet to forget of its start, where it was without error.
        left = float(np.mean(np.exp(-min(2 * rate, 1.0) * chain["time"].values[late])))
        checks.append(against_simulation(
            f"|A - w*|²/|W - w*|² at rest, a = {rate:g}", "–", rate / (1 + rate), mean, error,
            bias=5 * rate / (1 + rate) / chain.attrs["dim"] + left * rate / (1 + rate),
            why_bias="(5/d of it, and what is left of the start)",
        ))  # fmt: skip
    x, y, e = np.array(found).T
    axis.errorbar(x, y, 4 * e, fmt="o", ms=3, color=COLOURS["simulation"],
                  label="chain, ±4 s.e.")  # fmt: skip
    axis.set_xlabel(r"rate $a$")
    axis.set_ylabel(r"$|A-w_\star|^2\,/\,|W-w_\star|^2$ at rest")
    axis.legend()
    chain = _run(work, f"rest-{rates[-1]:g}", rates[-1], at_teacher)  # kept from above
    last = distance(chain).values[:, -1]
    checks.append(against_simulation(
        "|W - w*|² at rest", "step σ²/(2 - step)", _FLOOR, float(last.mean()),
        float(last.std(ddof=1) / len(last) ** 0.5), 5 * _FLOOR / chain.attrs["dim"], "(5/d of it)",
    ))  # fmt: skip
    if len(found) > 1:
        checks.append(holds("a slower average rests lower", "–", bool(np.all(np.diff(y) > 0)),
                            f"from {y[0]:.3f} to {y[-1]:.3f} of the last iterate's"))  # fmt: skip
    return checks
