"""Loureiro (2023), slides, after Berthier, Montanari and Zhou (2023): two time scales.

When the second layer is much faster than the first, Hermite components of the target are learned
one after the other: component j after a time that falls like a power of the ratio eps of the steps.
Time is the papers' t, ours / p. The slide's "gamma_a = eps gamma" has it the other way round: the
second layer must be the fast one, gamma_a = gamma/eps.
"""

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.closed_forms.two_time_scales import two_time_scales
from sgdlimits.expectations.activations import Hermite
from sgdlimits.limits.mean_field import MeanField, MeanFieldStatistics
from sgdlimits.models.committees_zoo import committee
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.checks import Check, equal, holds
from sgdlimits.reproduce.workspace import Workspace

_STUDENT = (0.6, 0.8, 0.7, 0.6)
_TEACHER = (0.8, 1.0, 0.9, 0.7)
_NEURONS = 60
_RATIOS = (1e-2, 1e-4, 1e-6)
_CHECK_RATIO = 0.02
_TIME = r"$t = \nu\gamma/(pd)$"


def time_scales(work: Workspace) -> tuple[Figure, list[Check]]:
    """Risk in steps, the order of the components, and when each is learned against eps."""
    figure, axes = new_figure(1, 3, width=PAGE, height=2.6)
    rng = np.random.default_rng(work.seed)
    layer = rng.standard_normal(_NEURONS)
    layer -= layer.mean()  # so that nothing of component 0 is known at the start
    ratios = np.geomspace(1e-3, *work.size((1e-7, 5), (1e-9, 9), (1e-5, 3)))
    paths = {e: two_time_scales(_STUDENT, _TEACHER, e, second_layer=layer, time=8.0)
             for e in {*_RATIOS, *ratios}}  # fmt: skip
    _draw_risks(axes[0, 0], paths)
    _draw_components(axes[0, 1], paths[_RATIOS[1]])
    learned = np.array([paths[e].learned for e in ratios])
    _draw_times(axes[0, 2], ratios, learned)
    checks = _check_times(ratios, learned)
    return figure, [*checks, _check_engine(work, layer, axes[0, 0])]


def _draw_risks(axis: Axes, paths) -> None:
    for ratio, colour in zip(_RATIOS, ("second", "simulation", "third"), strict=True):
        path = paths[ratio]
        exponent = round(np.log10(ratio))
        axis.semilogx(path.times[1:], path.risk[1:], color=COLOURS[colour],
                      label=rf"$\varepsilon=10^{{{exponent}}}$")  # fmt: skip
    # What is left when components 0 ... j are known.
    steps = np.cumsum(np.square(_TEACHER)[::-1])[::-1] / 2
    for level in steps:
        axis.axhline(level, color="grey", ls=":", lw=0.7)
    axis.set_xlabel(_TIME)
    axis.set_ylabel(r"$\mathcal{R}$")


def _draw_components(axis: Axes, path) -> None:
    for j, colour in enumerate(("theory", "second", "simulation", "third")):
        axis.semilogx(path.times[1:], path.residuals[1:, j] / _TEACHER[j], color=COLOURS[colour],
                      label=rf"$j={j}$")  # fmt: skip
    axis.set_xlabel(_TIME)
    axis.set_ylabel(r"residual $r_j/\varphi_j$")
    axis.set_title(rf"$\varepsilon=10^{{{round(np.log10(_RATIOS[1]))}}}$")
    axis.legend(loc="lower left")


def _draw_times(axis: Axes, ratios: np.ndarray, learned: np.ndarray) -> None:
    for j, colour in enumerate(("theory", "second", "simulation", "third")):
        axis.loglog(ratios, learned[:, j], "o-", ms=3, lw=0.8, color=COLOURS[colour],
                    label=rf"$j={j}$")  # fmt: skip
    axis.loglog(ratios, ratios * np.log(2) / _STUDENT[0] ** 2, "k--", lw=0.7)
    guide = learned[0, 2] * (ratios / ratios[0]) ** 0.25
    axis.loglog(ratios, guide, "--", color=COLOURS["simulation"], lw=0.7,
                label=r"$\varepsilon^{1/4}$")  # fmt: skip
    axis.set_xlabel(r"$\varepsilon = \gamma/\gamma_a$")
    axis.set_ylabel(r"$t$ at which $r_j$ has halved")
    axis.legend(loc="lower right", ncols=2)


def _check_times(ratios: np.ndarray, learned: np.ndarray) -> list[Check]:
    first = learned[:, 0] / (ratios * np.log(2) / _STUDENT[0] ** 2)
    # t_1 sigma_1 phi_1/sqrt(eps) - log(1/eps)/4 tends to a constant.
    constant = learned[:, 1] * _STUDENT[1] * _TEACHER[1] / np.sqrt(ratios) - np.log(1 / ratios) / 4
    slope = float(np.polyfit(np.log(ratios), np.log(learned[:, 2]), 1)[0])
    ordered = bool((np.diff(learned, axis=1) > 0).all())
    return [
        holds("components are learned in order", "0, 1, 2, 3", ordered, "at every eps"),
        holds("t_0 over eps log(2)/sigma_0^2 at the smallest eps", "1", abs(first[-1] - 1) < 0.02,
              f"{first[-1]:.4f}, within 2 %"),
        holds("t_1 sigma_1 phi_1/sqrt(eps) - log(1/eps)/4 tends to a constant", "O(1)",
              abs(constant[-1] - constant[-2]) < 0.05,
              "at the two smallest eps: " + ", ".join(f"{x:.3f}" for x in constant[-2:])),
        holds("exponent of t_2 in eps", "1/4", abs(slope - 0.25) < 0.03,
              f"fitted {slope:.3f}, within 0.03"),
    ]  # fmt: skip


def _check_engine(work: Workspace, layer: np.ndarray, axis: Axes) -> Check:
    """The mean-field engine on the sphere, without what vanishes as p -> infinity, is the same."""
    model = committee(
        _NEURONS, 1, Hermite(_STUDENT), Hermite(_TEACHER), noise=0.0, train_second_layer=True,
        second_layer=layer,
    )  # fmt: skip
    start = MeanFieldStatistics(
        jnp.asarray(layer), jnp.full((_NEURONS, 1), 1e-6), jnp.full(_NEURONS, 1 - 1e-12)
    )
    last = 1.0
    times = np.concatenate([[0.0], np.geomspace(2e-3, last, 60)])
    data = work.simulate(
        "engine", model, OnlineSGD(0.01, spherical=True, second_layer_rate=1 / _CHECK_RATIO),
        "mean_field", dim=10**6, time=last * _NEURONS, initial=start,
        record=times * _NEURONS, mean_field=MeanField(noise=False, self_term=False),
    )  # fmt: skip
    path = two_time_scales(_STUDENT, _TEACHER, _CHECK_RATIO, second_layer=layer,
                           overlaps=np.full(_NEURONS, 1e-6), time=last)  # fmt: skip
    expected = np.interp(data["time"].values / _NEURONS, path.times, path.risk)
    axis.semilogx(data["time"][1:] / _NEURONS, data["risk"].values[0, 1:], "k--", lw=0.9,
                  label=rf"engine, $\varepsilon={_CHECK_RATIO}$")  # fmt: skip
    axis.legend(loc="lower left")
    worst = float(np.abs(data["risk"].values[0] - expected).max())
    return equal("risk at t <= 1 by the mean-field engine, eps = 0.02: largest difference", "–",
                 0.0, worst, 5e-3)  # fmt: skip
