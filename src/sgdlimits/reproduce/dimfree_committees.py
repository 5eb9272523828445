"""Loureiro (2023), slides: committees of erf in the classical and the high-dimensional regime.

The slides' time is ours / p and their risk is the excess over Delta/2. Classical: p and d of order
one and a small step, so SGD follows the gradient flow of the population risk. High-dimensional:
d -> infinity at fixed p and step (Saad and Solla, 1995), with a plateau where all students are
alike, and an escape from it. Dimension and starts are not on the slides: those here are ours.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import minimize_scalar

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.analysis.compare import compare
from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.limits.risk import risk
from sgdlimits.models.committee import Committee
from sgdlimits.models.committees_zoo import committee
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.process.initial import initial
from sgdlimits.reproduce.checks import Check, against_simulation, agree, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_NOISE = 1e-3
_STARTS = 400  # dimension of the random starts
TIME = r"$t = \nu\gamma/(pd)$"
EXCESS = r"$\mathcal{R} - \Delta/2$"
_BIAS = 0.03  # relative: what the ODE leaves out at these dimensions, O(gamma/(p d)) along the path


def classical(work: Workspace) -> tuple[Figure, list[Check]]:
    """k = 2 and 5, p = 10, small step: SGD, ODE and gradient flow from the same starts."""
    figure, axes = new_figure(1, 2, width=PAGE, height=2.8)
    checks: list[Check] = []
    for axis, teachers in zip(axes[0], work.size((2, 5), (2, 5), (2, 2)), strict=True):
        checks += _classical_panel(work, axis, teachers)
    axes[0, 0].legend(loc="lower left")
    return figure, checks


def _classical_panel(work: Workspace, axis: Axes, teachers: int) -> list[Check]:
    p, step = work.size(10, 10, 3), 0.05
    model, sgd = committee(p, teachers, noise=_NOISE), OnlineSGD(step)
    dim, runs = work.size(30, 100, 10), work.size(4, 16)
    last = work.size(30.0, 1000.0, 2.0)
    times = np.concatenate([[0.0], np.geomspace(0.01, last, 60)])
    options = {"dim": dim, "time": last * p, "runs": runs, "record": times * p}
    real, ode = (
        work.simulate(f"k{teachers}-{engine}", model, sgd, engine, **options)
        for engine in ("sgd", "ode")
    )
    flow = _gradient_flow(model, ode)
    _draw(axis, real, ode, p)
    axis.plot(ode["time"][1:] / p, flow[1:, 0], ":", color=COLOURS["second"], lw=1.6,
              label=r"gradient flow, $\gamma\to0$")  # fmt: skip
    axis.set_title(rf"$k={teachers}$, $p={p}$, $\gamma={step}$, $d={dim}$")
    axis.set_xscale("log")
    axis.set_yscale("log")
    checks = _paired(real, ode, p, (1.0, 10.0, last), f"k = {teachers}, d = {dim}")
    end = slice(-1, None)
    distance = np.abs(flow / _excess(ode).T - 1)[1:].max()
    checks.append(holds(
        f"k = {teachers}: this step size is already the classical limit", "gamma -> 0",
        distance < 0.05, f"ODE and gradient flow differ by at most {100 * distance:.1f} %",
    ))  # fmt: skip
    fall = float((_excess(real)[:, end] / _excess(real)[:, :1]).max())
    checks.append(holds(
        f"k = {teachers}: the teacher is learned", "risk decays", fall < 0.1,
        f"excess risk falls to {fall:.1e} of its start or less",
    ))  # fmt: skip
    return checks


def _gradient_flow(model: Committee, ode: xr.Dataset) -> np.ndarray:
    """Excess risk (time, run) of the ODE without its noise term, from the same starts."""
    starts = Statistics(*(jnp.asarray(ode[name].values[:, 0]) for name in ("v", "M", "Q")))
    still = effective_dynamics(model, OnlineSGD(1e-9))
    path = still.solve(starts, ode["time"].values, rtol=1e-6, atol=1e-9)
    # Students end in the teacher's span, where the solver's error leaves the overlaps' domain.
    path = jax.vmap(jax.vmap(model.admissible))(path)
    return np.asarray(risk(model, path, excess=True))


def high_dimension(work: Workspace) -> tuple[Figure, list[Check]]:
    """k = 4, p = 8: descent, plateau and escape, exact chain against the ODE."""
    (p, k), step = work.size((8, 4), (8, 4), (3, 2)), 0.1
    model, sgd = committee(p, k, noise=_NOISE), OnlineSGD(step)
    dims, runs = work.size((50,), (100, 400), (20,)), work.size(4, 16)
    last = work.size(450.0, 450.0, 5.0)
    # The smaller the overlaps of the start, the closer the path comes to the symmetric plateau.
    starts = initial(model, _STARTS, runs, work.seed)
    figure, axes = new_figure(1, 2, width=PAGE, height=2.8)
    checks: list[Check] = []
    times = np.concatenate([[0.0], np.geomspace(0.05, last, 90)])
    results = []
    for dim in dims:
        options = {"dim": dim, "time": last * p, "runs": runs, "record": times * p}
        chain, ode = (
            work.simulate(f"{engine}-{dim}", model, sgd, engine, initial=starts, **options)
            for engine in ("chain", "ode")
        )
        checks += _paired(chain, ode, p, (1.0, 10.0, 50.0), f"d = {dim}")
        checks += _plateau(chain, p, k, dim)
        results.append((dim, chain, ode))
    dim, chain, ode = results[-1]
    _draw(axes[0, 0], chain, ode, p)
    axes[0, 0].set_xscale("log")
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_title(rf"$k={k}$, $p={p}$, $\gamma={step}$, $d={dim}$")
    axes[0, 0].legend(loc="lower left")
    _draw_overlaps(axes[0, 1], chain, ode, p)
    return figure, checks


def _plateau(chain: xr.Dataset, p: int, k: int, dim: int) -> list[Check]:
    """Late on the plateau students are alike; then they specialise."""
    alike, late = _students_alike(k), _at(chain, 200.0, p)
    fall = _excess(chain)[:, -1] / late
    return [
        holds(f"excess risk late on the plateau, t = 200, d = {dim}", "1.8e-3",
              abs(late.mean() / alike - 1) < 0.2,
              f"{late.mean():.3e}; the best that students all alike can do is {alike:.3e}, "
              "within 20 %"),
        holds(f"the plateau is left, d = {dim}", "t about 250", bool((fall < 0.7).all()),
              f"excess risk at the end is at most {fall.max():.2f} of that"),
    ]  # fmt: skip


def _students_alike(k: int) -> float:
    """Least excess risk of students w_i = m (w*_1 + ... + w*_k), orthonormal teacher, erf."""

    def excess(m: float) -> float:
        q = k * m * m
        own, cross = np.arcsin(q / (1 + q)), np.arcsin(m / np.sqrt(2 * (1 + q)))
        return float((np.arcsin(0.5) / k - 2 * cross + own) / np.pi)

    best: Any = minimize_scalar(excess, bounds=(0, 1), method="bounded")
    return float(best.fun)


# -- shared ----------------------------------------------------------------------------------------


def _excess(dataset: xr.Dataset) -> np.ndarray:
    return dataset["risk"].values - _NOISE / 2


def _at(dataset: xr.Dataset, time: float, p: int) -> np.ndarray:
    """Excess risk of each run at the record nearest to this time in the slides' unit."""
    index = int(np.abs(dataset["time"].values / p - time).argmin())
    return _excess(dataset)[:, index]


def _paired(
    simulation: xr.Dataset, ode: xr.Dataset, p: int, times: tuple[float, ...], where: str
) -> list[Check]:
    """Mean excess risk over runs that share their starts with the ODE."""
    checks = []
    for time in times:
        measured, expected = _at(simulation, time, p), _at(ode, time, p)
        error = float((measured - expected).std(ddof=1) / np.sqrt(len(measured)))
        checks.append(against_simulation(
            f"excess risk at t = {time:g}, {where}, mean over {len(measured)} starts",
            "ODE", float(expected.mean()), float(measured.mean()), error,
            bias=_BIAS * float(expected.mean()), why_bias="(finite d)",
        ))  # fmt: skip
    allowed = _BIAS * float(_excess(ode).mean(0).max())
    whole = compare(simulation, ode, statistics=["risk"], level=1e-3, allowed=allowed)
    checks.append(agree(f"risk at all times, {where}", "ODE", whole))
    return checks


def _draw(axis: Axes, simulation: xr.Dataset, ode: xr.Dataset, p: int) -> None:
    """Excess risk: runs thin, the ODE from the same starts on top."""
    engine = {"sgd": "SGD", "chain": "SGD, exact law"}[simulation.attrs["engine"]]
    for i in range(simulation.sizes["run"]):
        first = i == 0
        axis.plot(simulation["time"][1:] / p, _excess(simulation)[i, 1:], lw=2.2, alpha=0.45,
                  color=COLOURS["simulation"], label=engine if first else None)  # fmt: skip
        axis.plot(ode["time"][1:] / p, _excess(ode)[i, 1:], lw=0.8, color=COLOURS["theory"],
                  label="ODE, same start" if first else None)  # fmt: skip
    axis.set_xlabel(TIME)
    axis.set_ylabel(EXCESS)


def _draw_overlaps(axis: Axes, chain: xr.Dataset, ode: xr.Dataset, p: int) -> None:
    """Overlaps with the teacher of the first run: alike on the plateau, then specialised."""
    for data, colour, width, label in (
        (chain, COLOURS["simulation"], 2.0, "SGD, exact law"),
        (ode, COLOURS["theory"], 0.7, "ODE"),
    ):
        values = data["M"].values[0].reshape(data.sizes["time"], -1)
        lines = axis.plot(data["time"][1:] / p, values[1:], color=colour, lw=width, alpha=0.6)
        lines[0].set_label(label)
    axis.set_xscale("log")
    axis.set_xlabel(TIME)
    axis.set_ylabel(r"overlaps $M_{ir}$, one run")
    axis.legend(loc="upper left")
