"""Momentum and unit gradients on spiked matrices and a single-index model, with finite dimension.

Spiked tensors of order k under ``normalise``: a gradient has size 2 sqrt(k) R^(k-1), R² = m² + r2,
so that m rests where lambda m^(k-2) = R^(2k-2), as without it, and r2 at c/(2 sqrt(k) R^(k-1))
instead of c. Momentum at beta is plain SGD at step/(1 - beta), in time t/(1 - beta).
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms import rules
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.closed_forms.spiked_tensor_phases import critical_snr, m_star
from sgdlimits.engines.ode import ODE
from sgdlimits.expectations.activations import Polynomial
from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.models.committees_zoo import committee
from sgdlimits.models.spiked_tensor import SpikedTensor
from sgdlimits.models.vector_model import SpikedStatistics
from sgdlimits.plots import COLOURS, PAGE, band, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, equal, holds
from sgdlimits.reproduce.distances import distance
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_BETA, _SNR, _STEP = 0.3, 2.0, 1.0
_RULES = {
    "plain": (None, "simulation"),
    "momentum": (rules.momentum(beta=_BETA), "second"),
    "unit gradients": (rules.normalise(), "third"),
}


def _simulated(work: Workspace) -> dict[str, Any]:
    """The rules, of which the tiny form simulates one."""
    return _RULES if work.form != "tiny" else {"plain": _RULES["plain"]}


def spiked(work: Workspace) -> tuple[Figure, list[Check]]:
    """Spiked matrices above, a single-index model below."""
    figure, axes = new_figure(2, 3, width=PAGE, height=4.6)
    checks = [*_paths(work, axes[0, 0]), *_fixed_points(work, axes[0, 1])]
    checks += [*_thresholds(work, axes[0, 2]), *_finite(work, axes[1, 0])]
    return figure, [*checks, *_floors(work, axes[1, 1]), *_learning(work, axes[1, 2])]


# -- by formula ------------------------------------------------------------------------------------


def _rest(name: str, snr: float, step: float = _STEP) -> float:
    """m at rest for spiked matrices, 0 below the threshold."""
    if name == "unit gradients":
        square = snr - step / (2 * (2 * snr) ** 0.5)
        return max(square, 0.0) ** 0.5
    return m_star(2, snr, _effective(name, step)) if snr > _threshold(name, 2, step) else 0.0


def _effective(name: str, step: float) -> float:
    return step / (1 - _BETA) if name == "momentum" else step


def _threshold(name: str, order: int, step: float) -> float:
    """The smallest snr with a fixed point at m > 0."""
    if name != "unit gradients":
        return critical_snr(order, _effective(name, step))
    edge = (step / (2 * order**0.5)) ** (1 / (order + 1))  # where r2 is all of R²
    R = edge * np.geomspace(1 + 1e-9, 5, 20_000)
    m2 = R**2 - step / (2 * order**0.5 * R ** (order - 1))
    return float(np.min(R ** (2 * order - 2) / m2 ** (order / 2 - 1)))


def _floor(name: str, step: float) -> float:
    """|w - w*|² at rest, linear link and label noise of variance 1."""
    if name != "unit gradients":
        step = _effective(name, step)
        return step / (2 - step)
    square = step**2 * np.pi / 8  # D²/(D + 1) at rest
    return (square + (square**2 + 4 * square) ** 0.5) / 2


# -- spiked matrices -------------------------------------------------------------------------------


def _matrix(work: Workspace, name: str, rule: Any, engine: Any = "chain", **changes: Any) -> Any:
    """From a warm start to where it rests."""
    snr, step = changes.pop("snr", _SNR), changes.pop("step", _STEP)
    options = {
        "dim": work.size(1000, 10_000, 50), "time": work.size(3.0, 3.0, 0.2), "record": 41,
        "runs": work.size(64, 256, 4) if engine == "chain" else 1,
        "initial": SpikedStatistics(0.4, 1.0), **changes,
    }  # fmt: skip
    return work.simulate(name, SpikedTensor(2, snr), OnlineSGD(step, rule=rule), engine, **options)


def _paths(work: Workspace, axis: Axes) -> list[Check]:
    checks, stretched = [], 1 - _BETA
    kinds = [(name, rule, 1.0, colour) for name, (rule, colour) in _simulated(work).items()]
    shorter = (r"momentum, step $\times(1-\beta)$", _RULES["momentum"][0], stretched, "fourth")
    kinds += work.size([shorter], [shorter], [])
    for name, rule, share, colour in kinds:
        key, end = f"paths-{colour}", work.size(3.0, 3.0, 0.2) * share
        chain = _matrix(work, f"{key}-chain", rule, step=share * _STEP, time=end)
        ode = _matrix(work, f"{key}-ode", rule, ODE(errors=False), step=share * _STEP, time=end)
        # Momentum's limit is plain SGD's in time t/(1 - beta).
        time = ode["time"] / (stretched if "momentum" in name else 1.0)
        moved = chain.assign_coords(time=time)
        band(axis, moved["m"], COLOURS[colour])
        axis.plot(time, ode["m"][0], color=COLOURS[colour], label=name,
                  ls="--" if share < 1 else "-")  # fmt: skip
        settled = float(ode["m"][0, -1])
        last = chain["m"].values[:, -1]
        checks.append(against_simulation(
            f"m at the end, {name.replace('$', '')}", "limit", settled, float(last.mean()),
            float(last.std(ddof=1) / len(last) ** 0.5), bias=10 / chain.attrs["dim"],
            why_bias="(10/d)",
        ))  # fmt: skip
        if share < 1:
            plain = work.simulate(
                f"{key}-plain", SpikedTensor(2, _SNR), OnlineSGD(_STEP), "ode",
                dim=chain.attrs["dim"], time=end / stretched, record=41,
                initial=SpikedStatistics(0.4, 1.0),
            )  # fmt: skip
            gap = float(np.abs(plain["m"].values[0] - ode["m"].values[0]).max())
            checks.append(equal("momentum at step (1 - beta) c is plain SGD at c, all times",
                                "the same limit", 0.0, gap, 1e-6))  # fmt: skip
    axis.set_xlabel(r"$t$ (momentum: $t/(1-\beta)$)")
    axis.set_ylabel(r"$m$")
    axis.set_title(rf"$\lambda={_SNR:g}$, $c={_STEP:g}$")
    axis.legend(fontsize=6)
    return checks


def _fixed_points(work: Workspace, axis: Axes) -> list[Check]:
    checks, snrs = [], np.linspace(0.2, 4, 200)
    for name, (rule, colour) in _RULES.items():
        axis.plot(snrs, [_rest(name, snr) for snr in snrs], color=COLOURS[colour], label=name)
        for snr in work.size((1.6, 3.0), (1.6, 2.5, 3.0), ()):
            chain = _matrix(work, f"rest-{colour}-{snr:g}", rule, snr=snr, record=2)
            last = chain["m"].values[:, -1]
            mean, error = float(last.mean()), float(last.std(ddof=1) / len(last) ** 0.5)
            axis.errorbar([snr], [mean], [last.std()], fmt="o", ms=3, color=COLOURS[colour])
            checks.append(against_simulation(
                f"m at rest, {name}, lambda = {snr:g}", "fixed point", _rest(name, snr), mean,
                error, bias=0.02 + 10 / chain.attrs["dim"], why_bias="(what is left at t, 10/d)",
            ))  # fmt: skip
        if name not in _simulated(work):
            continue
        found = effective_dynamics(SpikedTensor(2, _SNR), OnlineSGD(_STEP, rule=rule))
        best = max(float(x.statistics.m) for x in found.fixed_points(starts=48) if x.stable)
        checks.append(equal(f"m of the stable fixed point, {name}", "derived", _rest(name, _SNR),
                            best, 1e-6))  # fmt: skip
    axis.plot(snrs, snrs**0.5, ":", color=COLOURS["theory"], label=r"population: $\sqrt{\lambda}$")
    axis.set_xlabel(r"$\lambda$")
    axis.set_ylabel(r"$m_\star$")
    axis.set_title(f"$c={_STEP:g}$; chain ± s.d.")
    axis.legend(fontsize=6)
    return checks


def _thresholds(work: Workspace, axis: Axes) -> list[Check]:
    steps = np.geomspace(0.05, 10, work.size(60, 60, 3))
    for order, line in ((2, "-"), (3, "--")):
        for name, (_, colour) in _RULES.items():
            axis.loglog(steps, [_threshold(name, order, c) for c in steps], line,
                        color=COLOURS[colour], label=name if order == 2 else None)  # fmt: skip
    axis.set_xlabel(r"step $c$")
    axis.set_ylabel(r"$\lambda_c$")
    axis.set_title("$k=2$; dashed: 3")
    axis.legend(fontsize=6)
    checks = [equal("lambda_c of unit gradients, k = 2, c = 1", "derived", 8 ** (-1 / 3),
                    _threshold("unit gradients", 2, 1.0), 1e-4)]  # fmt: skip
    for order in work.size((3,), (3,), ()):
        edge = _threshold("unit gradients", order, 1.0)
        for ratio in (0.97, 1.03):
            limit = effective_dynamics(SpikedTensor(order, ratio * edge),
                                       OnlineSGD(1.0, rule=rules.normalise()))  # fmt: skip
            some = any(float(x.statistics.m) > 0.1 for x in limit.fixed_points(starts=48))
            checks.append(holds(f"unit gradients, k = {order}, at {ratio:g} lambda_c", "derived",
                                some == (ratio > 1), "a spike is found" if some else "no spike",
                                exact=True))  # fmt: skip
    return checks


def _finite(work: Workspace, axis: Axes) -> list[Check]:
    checks = []
    dims = work.size((20, 60, 200, 600), (20, 60, 200, 600, 2000), (20, 50))
    for name in work.size(("plain", "unit gradients"), ("plain", "unit gradients"), ("plain",)):
        rule, colour = _RULES[name]
        found = []
        for dim in dims:
            chain = _matrix(work, f"finite-{colour}-{dim}", rule, dim=dim, record=2,
                            runs=work.size(128, 2000, 4))  # fmt: skip
            last = np.abs(chain["m"].values[:, -1])
            found.append((last.mean(), last.std(ddof=1)))
        mean, spread = np.array(found).T
        axis.fill_between(dims, mean - spread, mean + spread, color=COLOURS[colour], alpha=0.25,
                          lw=0)  # fmt: skip
        axis.semilogx(dims, mean, "o-", ms=2.5, color=COLOURS[colour], label=f"{name}, chain")
        axis.axhline(_rest(name, _SNR), ls=":", color=COLOURS[colour])
        shown = f"{spread[0]:.2g} at d = {dims[0]}, {spread[-1]:.2g} at {dims[-1]}"
        narrower = spread[-1] < spread[0]
        checks.append(holds(f"{name}: |m| at rest spreads less with d", "–", narrower, shown))
        checks.append(against_simulation(
            f"{name}: |m| at rest, d = {dims[-1]}", "limit", _rest(name, _SNR), mean[-1],
            spread[-1] / work.size(128, 2000, 4) ** 0.5, bias=10 / dims[-1], why_bias="(10/d)",
        ))  # fmt: skip
    axis.set_xticks(dims, [str(dim) for dim in dims])
    axis.minorticks_off()
    axis.set_xlabel(r"$d$")
    axis.set_ylabel(r"$|m|$ at rest, mean ± s.d.")
    axis.set_title("dotted: limits")
    axis.legend(fontsize=6)
    return checks


# -- a single-index model --------------------------------------------------------------------------


def _floors(work: Workspace, axis: Axes) -> list[Check]:
    model = committee(1, 1, Polynomial([0.0, 1.0]), noise=1.0)
    checks, steps = [], np.geomspace(0.1, 5, 200)
    for name, (rule, colour) in _RULES.items():
        edge = 2 * (1 - _BETA) if name == "momentum" else 2
        kept = steps if name == "unit gradients" else steps[steps < edge]
        axis.loglog(kept, [_floor(name, c) for c in kept], color=COLOURS[colour], label=name)
        for step in work.size((0.3, 1.0), (0.3, 1.0), ()):
            sgd, dim = OnlineSGD(step, rule=rule), work.size(400, 2000, 40)
            chain = work.simulate(
                f"floor-{colour}-{step:g}", model, sgd, "chain", dim=dim, record=21,
                time=work.size(10.0, 10.0, 1.0), runs=work.size(64, 256, 4),
                initial=Statistics(jnp.zeros(0), [[1.0]], [[1.0]]),
            )  # fmt: skip
            late = distance(chain).values[:, 11:].mean(1)
            mean, error = float(late.mean()), float(late.std(ddof=1) / len(late) ** 0.5)
            axis.errorbar([step], [mean], [4 * error], fmt="o", ms=3, color=COLOURS[colour])
            checks.append(against_simulation(
                f"|w - w*|² at rest, {name}, c = {step:g}", "–", _floor(name, step), mean, error,
                bias=20 * _floor(name, step) / dim, why_bias="(20/d of it)",
            ))  # fmt: skip
    checks.append(holds("unit gradients rest lower at large steps, higher at small ones", "–",
                        _floor("unit gradients", 1.5) < _floor("plain", 1.5)
                        and _floor("unit gradients", 0.3) > _floor("plain", 0.3),
                        "at c = 1.5 and 0.3, by formula", exact=True))  # fmt: skip
    axis.set_ylim(0.03, 30)
    axis.set_xlabel(r"step $c$")
    axis.set_ylabel(r"$|w-w_\star|^2$ at rest")
    axis.set_title("linear link, noise 1")
    axis.legend(fontsize=6)
    return checks


def _learning(work: Workspace, axis: Axes) -> list[Check]:
    model, checks = committee(1, 1, "erf", noise=0.1), []
    for name, (rule, colour) in _simulated(work).items():
        options: dict[str, Any] = {
            "dim": work.size(400, 2000, 40), "time": work.size(8.0, 8.0, 0.5), "record": 41,
            "initial": Statistics(jnp.zeros(0), [[0.1]], [[1.0]]),
        }  # fmt: skip
        sgd = OnlineSGD(1.0, rule=rule)
        chain = work.simulate(f"erf-{colour}", model, sgd, "chain", runs=work.size(64, 256, 4),
                              **options)  # fmt: skip
        ode = work.simulate(f"erf-{colour}-ode", model, sgd, ODE(errors=False), **options)
        band(axis, distance(chain), COLOURS[colour])
        axis.plot(ode["time"], distance(ode)[0], color=COLOURS[colour], label=name)
        last = distance(chain).values[:, -1]
        theory = float(distance(ode)[0, -1])
        checks.append(against_simulation(
            f"erf link, |w - w*|² at the end, {name}", "limit", theory, float(last.mean()),
            float(last.std(ddof=1) / len(last) ** 0.5), bias=20 * theory / options["dim"],
            why_bias="(20/d of it)",
        ))  # fmt: skip
    axis.set_yscale("log")
    axis.set_xlabel(r"$t$")
    axis.set_ylabel(r"$|w-w_\star|^2$")
    axis.set_title("erf link, $c=1$, noise 0.1")
    axis.legend(fontsize=6)
    return checks
