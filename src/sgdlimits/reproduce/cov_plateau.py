"""Plateaus of erf committees under power-law spectra, against the number of distinct eigenvalues.

Two students learn two orthogonal teachers. Eigenvalues are j^-a, j = 1, ..., L, with mean 1, each
on d/L dimensions. All start from one nearly symmetric state; a plateau is left where the excess
risk falls below half of what it is where it falls least.
"""

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.data.spectrum import Spectrum
from sgdlimits.models.committees_zoo import committee
from sgdlimits.plots import COLOURS, PAGE, band, new_figure
from sgdlimits.reproduce.checks import Check, equal, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.block_overlaps import BlockStatistics
from sgdlimits.statistics.overlaps import Statistics

_STEP, _APART = 1.0, 1e-3
_LEAST = 1e-14  # of risks, below which there is rounding alone
_EXPONENTS = {0.5: "simulation", 1.0: "second", 1.5: "third"}


def plateaus(work: Workspace) -> tuple[Figure, list[Check]]:
    """Risk against time for several L; height and end of the plateau against L."""
    figure, axes = new_figure(1, 3, width=PAGE, height=2.4)
    counts = work.size((1, 2, 4, 8, 16), (1, 2, 4, 8, 16, 32, 64, 128), (1, 2))
    time = work.size(600.0, 3000.0, 4.0)
    checks: list[Check] = []
    exponents = dict(list(_EXPONENTS.items())[: work.size(3, 3, 1)])
    ends = {}
    for exponent, colour in exponents.items():
        found = [_plateau(*_curve(work, exponent, count, time)) for count in counts]
        ends[exponent] = np.array(found)
        heights, lengths = np.array(found).T
        style = {"marker": "o", "ms": 2.5, "color": COLOURS[colour], "label": f"$a={exponent:g}$"}
        axes[0, 1].plot(counts, lengths, **style)
        axes[0, 2].plot(counts, heights, **style)
    _paths(work, axes[0, 0], counts, time)
    for axis, name in ((axes[0, 1], "end of the plateau, $t$"), (axes[0, 2], "its height")):
        axis.set(xlabel="$L$, distinct eigenvalues", ylabel=name, xscale="log")
        axis.set_xticks(counts[::2], [str(x) for x in counts[::2]])
        axis.minorticks_off()
        axis.legend()
        axis.set_ylim(0, 1.2 * axis.get_ylim()[1])
    checks.append(_isotropic(work, time))
    checks += _verdicts(ends, counts)
    checks.append(_simulated(work, axes[0, 0], time))
    axes[0, 0].legend(title="$L$, $a=1$")
    return figure, checks


def _model(exponent: float, count: int):
    spectrum = Spectrum.power_law(exponent, count, mean=1.0)
    return committee(2, 2, "erf", noise=0.0, second_layer=[2.0, 2.0],
                     teacher_second_layer=[2.0, 2.0], covariance=spectrum)  # fmt: skip


def _start(count: int) -> BlockStatistics:
    """Little of the teachers, more of the first in the first student."""
    share = np.full((count, 1, 1), 1 / count)
    M = share * (0.01 + _APART * np.array([[1.0, -1.0], [-1.0, 1.0]]))
    return BlockStatistics(jnp.zeros(0), M, share * (0.25 * np.eye(2) + 0.01))


def _curve(
    work: Workspace, exponent: float, count: int, time: float
) -> tuple[np.ndarray, np.ndarray]:
    result = work.simulate(
        f"ode-{exponent:g}-{count}", _model(exponent, count), OnlineSGD(_STEP), "ode",
        dim=1000, time=time, runs=1, initial=_start(count), record=601,
    )  # fmt: skip
    return result["time"].values, result["risk"].values[0]


def _plateau(times: np.ndarray, risk: np.ndarray) -> tuple[float, float]:
    """Height where log risk falls least in log time, and when half of that is reached."""
    grid = np.geomspace(times[1], times[-1], 400)
    curve = np.log(np.maximum(np.interp(grid, times, risk), _LEAST))
    slope = np.gradient(curve, np.log(grid))
    inside = (grid > 3) & (curve > np.log(0.02 * risk[0]))
    flat = int(np.where(inside, slope, -np.inf).argmax())
    height = float(np.exp(curve[flat]))
    below = (grid > grid[flat]) & (curve < np.log(height / 2))
    return height, float(grid[below.argmax()]) if below.any() else float("nan")


def _paths(work: Workspace, axis: Axes, counts: tuple[int, ...], time: float) -> None:
    for i, count in enumerate(counts[::2]):
        times, risk = _curve(work, list(_EXPONENTS)[work.size(1, 1, 0)], count, time)
        axis.loglog(times[1:], risk[1:], color=str(0.7 * i / len(counts[::2])), label=str(count))
    axis.set(xlabel="$t$ = samples$/d$", ylabel=r"$\epsilon_g$")
    axis.set_ylim(bottom=1e-8)


def _isotropic(work: Workspace, time: float) -> Check:
    """L = 1 is the known committee without a covariance."""
    model = committee(2, 2, "erf", noise=0.0, second_layer=[2.0, 2.0],
                      teacher_second_layer=[2.0, 2.0])  # fmt: skip
    u = _start(1)
    result = work.simulate(
        "ode-isotropic", model, OnlineSGD(_STEP), "ode", dim=1000, time=time, runs=1,
        initial=Statistics(u.v, u.M[0], u.Q[0]), record=601,
    )  # fmt: skip
    exponent = next(iter(_EXPONENTS))
    known, risk = result["risk"].values[0], _curve(work, exponent, 1, time)[1]
    far = float(np.abs(known - risk).max())
    return equal("L = 1 is the isotropic committee: largest distance of the risks", "equal",
                 0.0, far, 1e-5)  # fmt: skip


def _verdicts(ends: dict[float, np.ndarray], counts: tuple[int, ...]) -> list[Check]:
    checks = []
    for exponent, found in ends.items():
        heights, lengths = found.T
        said = ", ".join(_at(x) for x in lengths)
        checks.append(holds(
            f"a = {exponent:g}: the more eigenvalues, the sooner the plateau ends", "it shrinks",
            bool((np.diff(lengths) < 0).all()), f"for L = 1 to {counts[-1]}: at {said}",
        ))  # fmt: skip
        spread = float(np.ptp(heights) / heights[0])
        checks.append(holds(
            f"a = {exponent:g}: its height does not depend on them", "–", spread < 0.05,
            f"within {100 * spread:.1f} % of {heights[0]:.3g}",
        ))  # fmt: skip
    if len(ends) > 1:
        last = [found[-1, 1] for found in ends.values()]
        checks.append(holds(
            f"L = {counts[-1]}: the steeper the power law, the sooner it ends", "it shrinks",
            bool((np.diff(last) < 0).all()), ", ".join(_at(x) for x in last),
        ))  # fmt: skip
    return checks


def _at(time: float) -> str:
    return f"{time:.0f}" if np.isfinite(time) else "not yet"


def _simulated(work: Workspace, axis: Axes, time: float) -> Check:
    """The exact chain with four eigenvalues, until the plateau is reached."""
    dim, runs, until = work.size(1000, 4000, 40), work.size(8, 32, 2), min(time, 30.0)
    exponent, count = list(_EXPONENTS)[work.size(1, 1, 0)], work.size(4, 4, 2)
    options = {"dim": dim, "time": until, "initial": _start(count)}
    model, sgd = _model(exponent, count), OnlineSGD(_STEP)
    record = np.concatenate([[0.0], np.geomspace(until / 200, until, 25)])
    real = work.simulate("chain", model, sgd, "chain", runs=runs, record=record, **options)["risk"]
    options["record"] = real["time"].values  # those of whole steps
    ode = work.simulate("ode-chain", model, sgd, "ode", runs=1, **options)["risk"][0].values
    band(axis, real[:, 1:])
    axis.plot(real["time"][1:], real[:, 1:].mean("run"), "o", ms=2, color=COLOURS["simulation"])
    mean, error = real.mean("run").values, real.std("run", ddof=1).values / runs**0.5
    away = np.abs(mean - ode)
    allowed = 4 * error + 10 / dim * ode
    return holds(
        f"d = {dim}, L = {count}: the chain follows the ODE into the plateau", "theory = SGD",
        bool((away <= allowed).all()),
        f"largest distance {100 * float((away / ode).max()):.1f} %, allowed 4 s.e. + 10/d of it",
    )  # fmt: skip
