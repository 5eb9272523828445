"""Heavy label noise: clipped against plain SGD on least squares, y = w*.x + s z exp(h z²/2).

The noise has the tail of a power 1/h: no variance for h >= 1/2, where plain SGD has no limit. With
e the error of a sample, normal + noise, and D = |w - w*|², clipping at c makes

    dD/dt = -2 D P(|e| < c) + step E min(e², c²),

because the mean of a clipped e times its normal part is D times the mean slope of the clip.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp
from scipy.special import ndtr

from sgdlimits.algorithms import rules
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.data.teacher import Teacher
from sgdlimits.engines.ode import ODE
from sgdlimits.models.losses import squared
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.models.network import Network
from sgdlimits.plots import COLOURS, PAGE, band, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, equal, holds
from sgdlimits.reproduce.distances import distance
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_STEP, _TIME, _THRESHOLD = 0.5, 10.0, 1.0
_SCALE, _NO_VARIANCE, _HEAVY = 0.5, 0.6, 0.3
_SIGMA2 = _SCALE**2 * (1 - 2 * _HEAVY) ** -1.5  # of the heavy noise that has a variance
_THRESHOLDS = (0.05, 0.2, 0.5, 1.0, 2.0, 8.0)


class _Heavy(eqx.Module):
    """f + scale z exp(power z²/2)."""

    scale: float
    power: float

    def __call__(self, f, z):
        return f + self.scale * z * jnp.exp(self.power * z * z / 2)


def _linear(v, s):
    return s[0]


def _model(scale: float, power: float) -> MultiIndexModel:
    return MultiIndexModel(
        data=Teacher(_Heavy(scale, power), gram=((1.0,),)),
        network=Network(_linear, width=1, layer=0),
        loss=squared,
    )  # fmt: skip


#: Noises of panel (b), of one variance.
_NOISES = {"heavy": (_SCALE, _HEAVY), "Gaussian": (_SIGMA2**0.5, 0.0)}


def clipping(work: Workspace) -> tuple[Figure, list[Check]]:
    """Paths without a variance of the noise; where training is, against the threshold."""
    figure, axes = new_figure(1, 2, width=PAGE, height=2.7)
    return figure, [*_paths(work, axes[0, 0]), *_thresholds(work, axes[0, 1])]


def _run(work: Workspace, name: str, noise: tuple[float, float], rule: Any, engine: Any = "chain"):
    return work.simulate(
        name, _model(*noise), OnlineSGD(_STEP, rule=rule), engine, dim=work.size(400, 2000, 40),
        time=work.size(_TIME, _TIME, 1.0), record=41,
        runs=work.size(64, 256, 4) if engine == "chain" else 1,
        initial=Statistics(jnp.zeros(0), [[0.0]], [[0.0]]),
    )  # fmt: skip


def _paths(work: Workspace, axis: Axes) -> list[Check]:
    noise = (_SCALE, _NO_VARIANCE)
    plain = distance(_run(work, "plain", noise, None))
    clipped = _run(work, "clipped", noise, rules.clip(_THRESHOLD))
    ode = _run(work, "clipped-ode", noise, rules.clip(_THRESHOLD), ODE(errors=False))
    axis.semilogy(plain["time"], plain[:3].T, color=COLOURS["second"], lw=0.6)
    axis.plot([], [], color=COLOURS["second"], lw=0.6, label="plain, three runs")
    band(axis, distance(clipped), label=f"clipped at {_THRESHOLD:g}, 90 % of runs")
    axis.plot(ode["time"], distance(ode)[0], color=COLOURS["theory"], label="limit")
    axis.set_xlabel(r"$t$")
    axis.set_ylabel(r"$D=|w-w_\star|^2$")
    axis.legend()
    times, by_formula = ode["time"].values, _solve(noise, _THRESHOLD, ode["time"].values)
    end = distance(clipped).values[:, -1]
    high = np.quantile(plain.values[:, -1], 0.9)
    return [
        equal(f"D of the limit by nodes and by the formula, t = {times[-1]:g}", "derived",
              float(by_formula[-1]), float(distance(ode)[0, -1]), 2e-3),
        against_simulation("no variance, clipped: D at the end", "–", float(by_formula[-1]),
                           float(end.mean()), float(end.std(ddof=1) / len(end) ** 0.5),
                           5 * float(by_formula[-1]) / clipped.attrs["dim"], "(5/d of it)"),
        holds("no variance, plain: a tenth of the runs is far above the clipped ones", "–",
              high > 5 * np.quantile(end, 0.9),
              f"90 % quantiles of D: {high:.2g} and {np.quantile(end, 0.9):.2g}"),
    ]  # fmt: skip


def _thresholds(work: Workspace, axis: Axes) -> list[Check]:
    checks, time = [], work.size(_TIME, _TIME, 1.0)
    grid = np.geomspace(_THRESHOLDS[0], 2 * _THRESHOLDS[-1], work.size(25, 60, 4))
    for (name, noise), colour in zip(_NOISES.items(), ("simulation", "third"), strict=True):
        theory = [float(_solve(noise, c, np.array([0.0, time]))[-1]) for c in grid]
        axis.loglog(grid, theory, color=COLOURS[colour], label=f"{name}: limit, chain ±4 s.e.")
        for threshold in work.size(_THRESHOLDS, _THRESHOLDS, ()):
            result = _run(work, f"{name}-{threshold:g}", noise, rules.clip(threshold))
            end = distance(result).values[:, -1]
            mean, error = float(end.mean()), float(end.std(ddof=1) / len(end) ** 0.5)
            axis.errorbar([threshold], [mean], [4 * error], fmt="o", ms=2.5, color=COLOURS[colour])
            value = float(_solve(noise, threshold, np.array([0.0, time]))[-1])
            checks.append(against_simulation(
                f"{name} noise, threshold {threshold:g}: D at the end", "–", value, mean, error,
                bias=5 * value / result.attrs["dim"], why_bias="(5/d of it)",
            ))  # fmt: skip
        if name == "heavy":
            best = min(theory)
            checks.append(holds("heavy noise: the best threshold against none", "–",
                                best < 0.5 * _plain(time),
                                f"D = {best:.3g} against {_plain(time):.3g}"))  # fmt: skip
    axis.axhline(_plain(time), ls=":", color=COLOURS["second"], label="plain, either noise")
    axis.set_xlabel(r"threshold $c$")
    axis.set_ylabel(rf"$D$ at $t={time:g}$")
    axis.legend()
    return checks


def _plain(time: float) -> float:
    """D of plain SGD at noise of this variance: dD/dt = -2 D + step (D + sigma²) from 1."""
    rest = _STEP * _SIGMA2 / (2 - _STEP)
    return rest + (1 - rest) * float(np.exp(-(2 - _STEP) * time))


def _solve(noise: tuple[float, float], threshold: float, times: np.ndarray) -> np.ndarray:
    """D of the clipped limit from 1."""
    field = _field(noise, threshold)
    return solve_ivp(field, (0.0, times[-1]), [1.0], t_eval=times, rtol=1e-8, atol=1e-10).y[0]


def _field(noise: tuple[float, float], threshold: float) -> Callable[[float, np.ndarray], Any]:
    """dD/dt, with the mean over the label noise by the trapezoidal rule."""
    z = np.linspace(-9, 9, 1801)
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    mean = noise[0] * z * np.exp(noise[1] * z**2 / 2)

    def density(x: np.ndarray) -> np.ndarray:
        return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)

    def field(t: float, D: np.ndarray) -> np.ndarray:
        root = np.sqrt(np.maximum(D, 1e-300))
        low, high = (-threshold - mean) / root, (threshold - mean) / root
        inside = ndtr(high) - ndtr(low)
        # E[(mean + root x)²; low < x < high]
        square = (mean**2 + D) * inside + 2 * mean * root * (density(low) - density(high))
        finite = [np.where(density(x) > 0, x * density(x), 0.0) for x in (low, high)]
        square = square + D * (finite[0] - finite[1])
        kept = square + threshold**2 * (1 - inside)
        return -2 * D * (weight @ inside) + _STEP * (weight @ kept)

    return field
