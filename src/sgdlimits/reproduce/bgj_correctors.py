"""Ben Arous, Gheissari and Jagannath (2022), Theorem 2.2: what the corrector does, and when.

At the critical step delta = c/d the noise of SGD changes the limit itself: du = (-f + g) dt with
g proportional to c. For c -> 0 (subcritical) the limit is gradient flow on the population loss,
du = -f dt. Same time axis t = steps * delta throughout.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.analysis.compare import compare
from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.models.base import Model
from sgdlimits.models.mixtures_zoo import binary_gmm
from sgdlimits.models.spiked_tensor import SpikedTensor
from sgdlimits.models.vector_model import SpikedStatistics
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.checks import SIGMAS, Check, against_simulation, agree, equal, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.overlaps import Statistics

_NONE = 1e-9  # step at which the corrector is nothing; the population drift does not depend on it
_CRITICAL, _SUBCRITICAL = 1.0, 0.05
_STEPS = (_SUBCRITICAL, 0.5, _CRITICAL, 1.5)
_RECORDS = 41
_BIAS = 5.0  # the mean of SGD may differ from the ODE by this many times c/d
_PATH_BIAS = 20.0  # and where a path bends, by this many
_LEVEL = 1e-4  # of the simultaneous bands

#: A quantity of the arrays that a function gives by name.
Quantity = Callable[[Callable[[str], np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class _Case:
    """A model, where it starts, and the two quantities shown."""

    name: str
    title: str
    model: Model
    start: AbstractStatistics
    time: float
    corrected: Quantity
    corrected_name: tuple[str, str]  # plain, and as a symbol
    alignment: Quantity
    alignment_name: tuple[str, str]

    @property
    def quantities(self) -> tuple[tuple[Quantity, tuple[str, str]], ...]:
        """Both, with their names."""
        return (
            (self.corrected, self.corrected_name), (self.alignment, self.alignment_name)
        )  # fmt: skip


def _cases() -> tuple[_Case, ...]:
    return (
        _Case(
            "spiked", r"spiked matrix, $\lambda=2$", SpikedTensor(order=2, snr=2.0),
            SpikedStatistics(0.3, 1.5), 2.0,
            lambda get: get("r2"), ("r_perp^2", r"$r_\perp^2$"),
            lambda get: get("m") / np.sqrt(get("m") ** 2 + get("r2")), ("m/|x|", r"$m\,/\,|x|$"),
        ),
        _Case(
            "binary", r"binary GMM, $\lambda=1$", binary_gmm(snr=1.0, ridge=0.1),
            Statistics([1.0, -1.0], np.zeros((2, 1)), np.eye(2)), 10.0,
            lambda get: get("Q")[..., 0, 0] - get("M")[..., 0, 0] ** 2,
            ("R_perp_11", r"$R^\perp_{11}$"),
            lambda get: get("M")[..., 0, 0] / np.sqrt(get("Q")[..., 0, 0]),
            ("m_1/|W_1|", r"$m_1\,/\,|W_1|$"),
        ),
    )  # fmt: skip


def correctors(work: Workspace) -> tuple[Figure, list[Check]]:
    """Both models: with and without corrector against SGD, and what remains of it at the end."""
    cases, dim = _cases(), work.size(1000, 1000, 50)
    steps = work.size(_STEPS, _STEPS, (_SUBCRITICAL, _CRITICAL))
    figure, axes = new_figure(len(cases), 3, width=PAGE, height=4.4)
    checks: list[Check] = []
    for row, case in zip(axes, cases, strict=True):
        chains = {
            step: work.simulate(
                f"chain-{case.name}-{step}", case.model, OnlineSGD(step=step), dim=dim,
                time=case.time, runs=work.size(64 if step < 0.1 else 256, 1024),
                initial=case.start, record=_RECORDS,
            )
            for step in steps
        }  # fmt: skip
        real = work.simulate(
            f"sgd-{case.name}", case.model, OnlineSGD(step=_CRITICAL), "sgd", dim=dim,
            time=case.time, runs=work.size(16, 64), initial=case.start, record=_RECORDS,
        )  # fmt: skip
        for axis, (quantity, (_, symbol)) in zip(row[:2], case.quantities, strict=True):
            _panel_time(axis, case, quantity, chains, real)
            axis.set_ylabel(symbol)
        row[1].set_title(case.title)
        _panel_end(row[2], case, chains, work.size(16, 16, 3))
        checks += _check_critical(case, chains[_CRITICAL], real)
        checks += _check_paths(work, case, chains)
        checks += _check_subcritical(case, chains[_SUBCRITICAL])
    checks += _check_spiked_ends()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure, checks


def _ode(case: _Case, step: float, quantity: Quantity, stretch: float = 1) -> np.ndarray:
    """Along the limit, at the recorded times (times ``stretch``)."""
    times = stretch * np.linspace(0, case.time, _RECORDS)
    path = effective_dynamics(case.model, OnlineSGD(step=step)).solve(
        case.start, times, rtol=1e-8, atol=1e-10
    )
    return quantity(lambda name: np.asarray(getattr(path, name)))


def _of(dataset: xr.Dataset, quantity: Quantity) -> np.ndarray:
    return quantity(lambda name: dataset[name].values)


# -- panels ----------------------------------------------------------------------------------------


def _panel_time(
    axis: Axes, case: _Case, quantity: Quantity, chains: dict[float, xr.Dataset], real: xr.Dataset
) -> None:
    times = np.linspace(0, case.time, _RECORDS)
    for step, colour, width in ((_CRITICAL, "simulation", 0), (_SUBCRITICAL, "third", 2)):
        low, high = np.quantile(_of(chains[step], quantity), (0.05, 0.95), axis=0)
        axis.fill_between(chains[step]["time"], low, high, color=COLOURS[colour], alpha=0.35,
                          lw=width, label=f"SGD, $c={step:g}$, 5–95 % (exact chain)")  # fmt: skip
    for run in range(3):
        axis.plot(real["time"], _of(real, quantity)[run], color=COLOURS["simulation"], lw=0.5,
                  label="SGD, $c=1$, real vectors" if run == 0 else None)  # fmt: skip
    for step, style, label in (
        (_CRITICAL, "-", r"ODE with corrector, $-f+g$, $c=1$"),
        (_SUBCRITICAL, ":", rf"ODE with corrector, $c={_SUBCRITICAL:g}$"),
        (_NONE, "--", r"ODE without, $-f$"),
    ):
        axis.plot(times, _ode(case, step, quantity), style, color="black", label=label)
    axis.set_xlabel(r"$t$ = steps $\cdot\, \delta$")
    axis.set_ylim(bottom=0)


def _panel_end(axis: Axes, case: _Case, chains: dict[float, xr.Dataset], count: int) -> None:
    steps = np.linspace(0.02, max(_STEPS), count)
    values = [_ode(case, step, case.alignment)[-1] for step in steps]
    axis.plot(steps, values, color="black", label="ODE with corrector")
    axis.axhline(_ode(case, _NONE, case.alignment)[-1], ls="--", color="black",
                 label="ODE without")  # fmt: skip
    for step, chain in chains.items():
        last = _of(chain, case.alignment)[:, -1]
        axis.errorbar(step, last.mean(), yerr=2 * last.std() / last.size**0.5, fmt="o", ms=4,
                      color=COLOURS["simulation"])  # fmt: skip
    axis.set_ylim(0.4, 1.05)
    axis.set_xlabel(r"$c = \delta d$")
    axis.set_ylabel(f"{case.alignment_name[1]} at $t={case.time:g}$")


# -- checks ----------------------------------------------------------------------------------------


def _mean(dataset: xr.Dataset, quantity: Quantity) -> tuple[float, float]:
    last = _of(dataset, quantity)[:, -1]
    return float(last.mean()), float(last.std(ddof=1) / last.size**0.5)


def _check_critical(case: _Case, chain: xr.Dataset, real: xr.Dataset) -> list[Check]:
    """At c = 1: the ODE with corrector holds, the one without is rejected."""
    checks, dim = [], chain.attrs["dim"]
    for quantity, (plain, _) in case.quantities:
        name = f"{case.name}: {plain} at t = {case.time:g}, c = 1"
        with_it, without = (_ode(case, s, quantity)[-1] for s in (_CRITICAL, _NONE))
        mean, error = _mean(chain, quantity)
        checks.append(against_simulation(
            f"{name}, ODE with corrector against chain", "-f + g", float(with_it), mean, error,
            bias=_BIAS / dim, why_bias="(1/d)",
        ))  # fmt: skip
        sgd, sgd_error = _mean(real, quantity)
        checks.append(against_simulation(
            f"{name}, chain as theory, real SGD as simulation", "–", mean, sgd,
            float(np.hypot(error, sgd_error)),
        ))  # fmt: skip
        distance = abs(without - sgd)
        checks.append(holds(
            f"{name}, ODE without corrector is rejected by real SGD", "g is needed",
            distance > 2 * SIGMAS * sgd_error,
            f"{without:.4g} against {sgd:.4g}: {distance / sgd_error:.0f} s.e.",
        ))  # fmt: skip
    return checks


def _check_paths(work: Workspace, case: _Case, chains: dict[float, xr.Dataset]) -> list[Check]:
    """All statistics at all times: with the corrector at every step size, without it at none."""
    checks = []
    for step, chain in chains.items():
        times, dim = chain["time"].values, chain.attrs["dim"]  # whole steps of this size
        limits = {
            which: work.simulate(
                f"ode-{case.name}-{step}-{which}", case.model, OnlineSGD(step=which), "ode",
                dim=dim, time=times[-1], initial=case.start, record=times,
            )
            for which in (step, _NONE)
        }  # fmt: skip
        allowed = _PATH_BIAS * step / dim
        with_it, without = (
            compare(chain, limits[which], level=_LEVEL, allowed=allowed) for which in (step, _NONE)
        )
        where = f"{case.name}: all statistics at all times, c = {step:g}"
        checks.append(agree(f"{where}, ODE with corrector against chain", "-f + g", with_it))
        checks.append(holds(
            f"{where}, ODE without corrector is rejected", "g is needed", not without.agrees,
            f"sup-distance {without.distance:.2g}, allowed {without.allowed:.2g}",
        ))  # fmt: skip
    return checks


def _check_subcritical(case: _Case, chain: xr.Dataset) -> list[Check]:
    """At c = 0.05: both hold, within the size of the step."""
    checks, expected = [], _BIAS * _SUBCRITICAL / chain.attrs["dim"]
    for quantity, (plain, _) in case.quantities:
        mean, error = _mean(chain, quantity)
        for step, label, bias, why in (
            (_SUBCRITICAL, "ODE with corrector", expected, "(c/d)"),
            (_NONE, "ODE without", _SUBCRITICAL, "(c)"),
        ):
            checks.append(against_simulation(
                f"{case.name}: {plain} at t = {case.time:g}, c = {_SUBCRITICAL:g}, {label}",
                "–" if step == _SUBCRITICAL else "g vanishes",
                float(_ode(case, step, quantity)[-1]), mean, error, bias, why,
            ))  # fmt: skip
    return checks


def _check_spiked_ends() -> list[Check]:
    """Where the spiked matrix ends: m^2 = lambda - c and r^2 = c."""
    case = _cases()[0]
    snr = float(case.model.snr)  # type: ignore[attr-defined]
    return [
        equal(f"spiked: alignment in the end, c = {step:g}: sqrt(1 - c/lambda)",
              "m_star = sqrt(lambda - c)", (1 - step / snr) ** 0.5,
              float(_ode(case, step, case.alignment, stretch=10)[-1]), 1e-6)
        for step in (_NONE, _SUBCRITICAL, _CRITICAL)
    ]  # fmt: skip
