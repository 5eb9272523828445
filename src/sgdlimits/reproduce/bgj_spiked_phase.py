"""Ben Arous, Gheissari and Jagannath (2022), Proposition 3.2: fixed points over (snr, order, step).

The corrector makes the threshold: as the step c -> 0 it moves to snr 0, the saddle m_dagger falls
into m = 0, and m_star becomes the minimum lambda^(1/k) of the population loss.
"""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.closed_forms.spiked_tensor_phases import critical_snr, m_dagger, m_star, overlaps
from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.models.spiked_tensor import SpikedTensor
from sgdlimits.models.vector_model import SpikedStatistics
from sgdlimits.plots import COLOURS, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, equal, holds
from sgdlimits.reproduce.workspace import Workspace

_ORDERS = (2, 3, 4)
_STEPS = ((1.0, "simulation"), (0.3, "third"), (0.03, "second"))
#: Order, snr over its threshold, step, ridge.
_SEARCHED = (
    (2, 0.8, 1.0, 0.0), (2, 1.5, 1.0, 0.2), (3, 0.9, 1.0, 0.0), (3, 1.3, 0.5, 0.0),
    (3, 1.5, 1.0, 0.3), (4, 1.2, 1.0, 0.0), (4, 1.4, 0.7, 0.1), (5, 1.3, 1.0, 0.0),
)  # fmt: skip
_PAPER_THRESHOLDS = {3: 16 * math.sqrt(3) / 9, 4: 27 / 4}


def phase_diagram(work: Workspace) -> tuple[Figure, list[Check]]:
    """Branches of fixed points for orders 2, 3, 4, and the threshold over orders."""
    figure, axes = new_figure(2, 2, height=5.0)
    for axis, order in zip(axes.flat, _ORDERS, strict=False):
        _panel_branches(axis, order)
    _panel_threshold(axes[1, 1])
    checks = [*_check_thresholds(), *_check_small_step(), *_check_search(work)]
    checks += _check_endpoints(work, axes)
    handles, labels = axes[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure, checks


def _panel_branches(axis: Axes, order: int) -> None:
    top = 2.0 * critical_snr(order)
    for step, colour in _STEPS:
        # Close to the fold the branches are vertical: space the snr accordingly.
        threshold = critical_snr(order, step)
        snrs = threshold + (top - threshold) * np.linspace(1e-6, 1, 300) ** 3
        branches = np.array([overlaps(order, snr, step) for snr in snrs])
        signs = (1, -1) if order % 2 == 0 else (1,)
        for sign in signs:
            axis.plot(snrs, sign * branches[:, 1], color=COLOURS[colour],
                      label=rf"$m_\star$, $c={step:g}$" if sign == 1 else None)  # fmt: skip
            axis.plot(snrs, sign * branches[:, 0], "--", color=COLOURS[colour],
                      label=rf"$m_\dagger$, $c={step:g}$" if sign == 1 else None)  # fmt: skip
    snrs = np.linspace(1e-3, top, 300)
    axis.plot(snrs, snrs ** (1 / order), ":", color="black", label=r"$c\to 0$: $\lambda^{1/k}$")
    if order == 2:
        axis.plot([0, 1], [0, 0], color=COLOURS["simulation"])
        axis.plot([1, top], [0, 0], "--", color=COLOURS["simulation"])
    else:
        axis.plot([0, top], [0, 0], color=COLOURS["simulation"])
    axis.set_xlabel(r"$\lambda$")
    axis.set_ylabel(r"fixed points, $m$")
    axis.set_title(rf"$k={order}$ (solid: stable, dashed: not)")


def _panel_threshold(axis: Axes) -> None:
    orders = np.arange(2, 11)
    for step, colour in _STEPS:
        values = [critical_snr(int(k), step) for k in orders]
        axis.semilogy(orders, values, "o-", ms=3, color=COLOURS[colour], label=f"$c={step:g}$")
    axis.set_xlabel(r"order $k$")
    axis.set_ylabel(r"$\lambda_c(k, c)$")
    axis.set_title("Threshold: vanishes with the step")


def _check_thresholds() -> list[Check]:
    checks = [equal("lambda_c(2)", "1", 1.0, critical_snr(2), 1e-15)]
    for order, value in _PAPER_THRESHOLDS.items():
        checks.append(
            equal(f"lambda_c({order})", "(D.4), not printed", value, critical_snr(order), 1e-12)
        )
    for order in (3, 4, 5, 6):  # the fold, found without the formula
        m2 = np.linspace(0.01, 8, 400_000)
        smallest = float(np.min((m2 + 1) ** (order - 1) / m2 ** ((order - 2) / 2)))
        checks.append(
            equal(f"lambda_c({order}) as smallest snr with a fixed point", "–",
                  critical_snr(order), smallest, 1e-6)
        )  # fmt: skip
    return checks


def _check_small_step() -> list[Check]:
    """Remark 1: the barrier to recovery from warm starts vanishes with the step."""
    checks = []
    for order, snr in ((3, 4.0), (4, 8.0)):
        step = 1e-4
        asymptote = (step ** (order - 1) / snr) ** (1 / (order - 2))
        checks.append(
            equal(f"m_dagger / (c^(k-1)/lambda)^(1/(k-2)), k = {order}, c = {step:g}",
                  "m_dagger -> 0 as c -> 0", 1.0, m_dagger(order, snr, step) / asymptote, 2e-3)
        )  # fmt: skip
        checks.append(
            equal(f"m_star as c -> 0, k = {order}", "gradient flow", snr ** (1 / order),
                  m_star(order, snr, 1e-7), 1e-5)
        )  # fmt: skip
    return checks


def _check_search(work: Workspace) -> list[Check]:
    """The generic solver, which knows only the drift, finds the same points."""
    checks = []
    for order, ratio, step, ridge in work.size(_SEARCHED, _SEARCHED, _SEARCHED[:1]):
        model = SpikedTensor(order, ratio * critical_snr(order, step), ridge)
        dynamics = effective_dynamics(model, OnlineSGD(step))
        known, found = dynamics.fixed_points("formula"), dynamics.fixed_points("search")
        agree = len(known) == len(found) and all(
            np.allclose(a.statistics.vector, b.statistics.vector, atol=1e-7)
            and a.stable == b.stable
            for a, b in zip(known, found, strict=True)
        )
        checks.append(
            holds(f"search = formula: k = {order}, lambda = {ratio:g} lambda_c, c = {step:g}, "
                  f"alpha = {ridge:g}",
                  "-", agree, f"{len(known)} points, {sum(p.stable for p in known)} stable",
                  exact=True)
        )  # fmt: skip
    odd = effective_dynamics(SpikedTensor(3, 4.0)).fixed_points()
    checks.append(
        holds("k = 3: fixed points with m < 0", "two pairs, ±m (holds for even k)",
              all(float(p.statistics.m) >= 0 for p in odd), "none exist", exact=True)
    )  # fmt: skip
    return checks


def _check_endpoints(work: Workspace, axes: np.ndarray) -> list[Check]:
    """Where the exact chain settles, drawn over the branches."""
    checks = []
    dim, runs = work.size(20_000, 200_000, 500), work.size(16, 16, 4)
    for axis, order in list(zip(axes.flat, _ORDERS, strict=False))[: work.size(3, 3, 1)]:
        for step, colour in _STEPS[:2]:
            snr = 1.5 * critical_snr(order)
            star = m_star(order, snr, step)
            chain = work.simulate(
                f"chain-{order}-{step:g}", SpikedTensor(order, snr), OnlineSGD(step), dim=dim,
                time=3.0, runs=runs, initial=SpikedStatistics(1.1 * star, step), record=4,
            )  # fmt: skip
            final = chain["m"].isel(time=-1).values
            axis.plot(snr, final.mean(), "D", ms=4, mfc="none", color=COLOURS[colour],
                      label=rf"chain, $c={step:g}$")  # fmt: skip
            checks.append(
                against_simulation(
                    f"m at rest, k = {order}, lambda = {snr:.4g}, c = {step:g}", "m_star", star,
                    final.mean(), final.std(ddof=1) / final.size**0.5,
                    bias=20 / dim, why_bias=f"(1/n, n = {dim})",
                )
            )  # fmt: skip
    return checks
