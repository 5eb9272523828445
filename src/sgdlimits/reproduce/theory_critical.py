"""Ben Arous, Gheissari and Jagannath (2022), section 2.1: one scaling of the step is critical.

Spiked matrix, m = 0, delta = c n^-a. In time t = steps * delta the limit of r2 is
dr2 = -8 r2^2 + 8 (c n^(1-a)) r2: at a > 1 the corrector vanishes (population dynamics, r2 -> 0),
at a = 1 it stays (r2 -> c), at a < 1 it grows without bound.
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.analysis.compare import compare
from sgdlimits.auditing.picture import scan
from sgdlimits.auditing.run import audit
from sgdlimits.models.spiked_tensor import SpikedTensor
from sgdlimits.models.vector_model import SpikedStatistics
from sgdlimits.plots import COLOURS, PAGE, band, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, agree, holds
from sgdlimits.reproduce.workspace import Workspace

_SNR = 0.2
_START = 1.5
_TIME = 1.5
_NO_STEP = 1e-9  # the corrector is proportional to the step
_SCALINGS = {1.5: "third", 1.0: "simulation", 0.75: "second"}
_WORDS = {1.5: "subcritical", 1.0: "critical", 0.75: "too large"}


def critical(work: Workspace) -> tuple[Figure, list[Check]]:
    """Paths of r2, its end against n, and the audit's scan."""
    dims = work.size((100, 200, 400, 800), (100, 200, 400, 800, 1600, 3200), (100, 200))
    model, runs, records = SpikedTensor(snr=_SNR), work.size(64, 256), work.size(31, 31, 11)
    results: dict[tuple[float, int], xr.Dataset] = {}
    for a in _SCALINGS:
        for dim in dims:
            results[a, dim] = work.simulate(
                f"chain-{a:g}-{dim}", model, OnlineSGD(step=dim ** (1 - a)), dim=dim,
                time=_TIME, runs=runs, initial=SpikedStatistics(0.0, _START), record=records,
            )  # fmt: skip
    audited = work.size((25, 50, 100), (25, 50, 100), (20, 40))
    report = audit(model, dims=audited, points=work.size(6, 6), samples=work.size(400, 2000, 40),
                   seed=work.seed)  # fmt: skip
    figure, axes = new_figure(1, 3, width=PAGE, height=2.5)
    _paths(axes[0, 0], results, dims[-1])
    _ends(axes[0, 1], results, dims)
    scan(axes[0, 2], report)
    checks = _checks(results, dims) + _check_paths(work, results, dims[-1])
    power = report.critical
    checks.append(
        holds("audit: critical scaling a", "1", power.low - 0.15 <= 1 <= power.high + 0.15,
              f"a = {power}; resolution 0.15")
    )  # fmt: skip
    return figure, checks


def exact(times: np.ndarray | float, step: float) -> np.ndarray | float:
    """r2 of the limit with corrector 8 step r2, from r2 = 1.5 and m = 0: a logistic equation."""
    if step == 0:
        return 1 / (1 / _START + 8 * times)
    return step / (1 + (step / _START - 1) * np.exp(-8 * step * times))


def _paths(axis: Axes, results: dict, dim: int) -> None:
    for a, colour in _SCALINGS.items():
        ds = results[a, dim]
        band(axis, ds["r2"], COLOURS[colour])
        axis.plot(ds["time"], exact(ds["time"].values, dim ** (1 - a)), color=COLOURS[colour],
                  label=rf"$\delta = n^{{-{a:g}}}$, {_WORDS[a]}")  # fmt: skip
    times = results[1.0, dim]["time"].values
    axis.plot(times, exact(times, 0.0), "k--", label="without corrector")
    axis.set(xlabel=r"$t$ = steps $\cdot\,\delta$", ylabel=r"$r_\perp^2$", ylim=(0, 10.5))
    axis.set_title(rf"$n={dim}$, bands: chain")
    axis.legend(loc="upper left")


def _ends(axis: Axes, results: dict, dims: tuple[int, ...]) -> None:
    grid = np.geomspace(dims[0], dims[-1], 50)
    for a, colour in _SCALINGS.items():
        ends = [results[a, dim]["r2"][:, -1] for dim in dims]
        axis.errorbar(dims, [float(e.mean()) for e in ends],
                      [4 * float(e.std(ddof=1)) / len(e) ** 0.5 for e in ends], fmt="o", ms=3.5,
                      color=COLOURS[colour])  # fmt: skip
        theory = np.array([float(exact(_TIME, n ** (1 - a))) for n in grid])
        axis.plot(grid, theory, color=COLOURS[colour])
    axis.axhline(float(exact(_TIME, 0.0)), color="black", ls="--", lw=1)
    axis.set(xscale="log", yscale="log", xlabel="$n$", ylabel=rf"$r_\perp^2$ at $t={_TIME:g}$")
    axis.set_xticks(dims, [str(d) for d in dims])
    axis.minorticks_off()


def _check_paths(work: Workspace, results: dict, dim: int) -> list[Check]:
    """r2 at all times: the ODE with the corrector at every step size, and the one without."""
    checks = []
    for a, word in _WORDS.items():
        chain, step = results[a, dim], dim ** (1 - a)
        times = chain["time"].values  # whole steps of this size
        with_it, without = (
            compare(
                chain,
                work.simulate(
                    f"ode-{a:g}-{dim}-{name}", SpikedTensor(snr=_SNR), OnlineSGD(step=c), "ode",
                    dim=dim, time=times[-1], initial=SpikedStatistics(0.0, _START), record=times,
                ),
                statistics=["r2"], level=1e-3, allowed=_bias(step, dim, float(chain["r2"].max())),
            )
            for name, c in (("corrected", step), ("population", _NO_STEP))
        )  # fmt: skip
        checks.append(agree(f"{word}, n = {dim}: r2 at all times, ODE with corrector", "(3.1)",
                            with_it))  # fmt: skip
        checks.append(holds(
            f"{word}, n = {dim}: r2 at all times, ODE without corrector is "
            + (f"as good up to c = {step:.2g}" if a > 1 else "rejected"), "section 2.1",
            without.distance < step if a > 1 else not without.agrees,
            f"sup-distance {without.distance:.2g}, with it {with_it.distance:.2g}",
        ))  # fmt: skip
    return checks


def _bias(step: float, dim: int, size: float) -> float:
    """What the limit neglects of r2: O(delta), and m^2 = O(1/n)."""
    return (10 * step / dim + 2 * _SNR / dim) * max(1.0, size)


def _checks(results: dict, dims: tuple[int, ...]) -> list[Check]:
    checks = []
    for a, word in _WORDS.items():
        for dim in (dims[0], dims[-1]):
            step = dim ** (1 - a)
            end = results[a, dim]["r2"].values[:, -1]
            theory = float(exact(_TIME, step))
            checks.append(against_simulation(
                f"{word}, n = {dim}: r2 at t = {_TIME:g}", "(3.1) at step c = n^(1-a)", theory,
                end.mean(), end.std(ddof=1) / len(end) ** 0.5,
                bias=_bias(step, dim, theory),
                why_bias="(O(delta), and m^2 = O(1/n))",
            ))  # fmt: skip
    none = float(exact(_TIME, 0.0))
    for a, (sign, words) in {1.5: (-1, "shrinks"), 0.75: (1, "grows")}.items():
        gaps = [
            abs(float(results[a, dim]["r2"][:, -1].mean()) - none) for dim in (dims[0], dims[-1])
        ]
        checks.append(
            holds(f"{_WORDS[a]}: distance from population dynamics {words} with n", "section 2.1",
                  sign * (gaps[1] - gaps[0]) > 0, f"{gaps[0]:.3g} -> {gaps[1]:.3g}")
        )  # fmt: skip
    return checks
