"""Loureiro (2023), slides: whether noise and width matter in escaping mediocrity.

Projected SGD on phase retrieval from random starts. The slides' time is ours / p. Their answer is
that noise does not matter and width does little. Measured here: noise shortens the mean exit time
by a time that does not depend on d (log(4/mu)/(2 mu) at p = 1), and at the best step for each width
the number of samples falls by a factor that tends to (12 + Delta)/(2 + Delta) like 1/log d.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.analysis.exit_time import drop_time
from sgdlimits.closed_forms.phase_retrieval_escape import (
    Mediocrity,
    fewest_steps,
    largest_step,
    optimal_step,
    width_gain,
)
from sgdlimits.models.committees_zoo import phase_retrieval
from sgdlimits.plots import COLOURS, PAGE, band, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, holds
from sgdlimits.reproduce.mediocrity_panels import same_risk
from sgdlimits.reproduce.workspace import Workspace

_NOISE, _DROP = 0.5, 0.05
_BIAS = 0.5  # of the mean, times d^-1/2: what formulas of leading order leave out


def does_noise_matter(work: Workspace) -> tuple[Figure, list[Check]]:
    """Risk of ODE, SDE and SGD at d = 3000, and mean exit times against the step."""
    figure, axes = new_figure(1, 2, width=PAGE, height=2.8)
    dim = work.size(3000, 3000, 100)
    same = _draw_paths(work, axes[0, 0], dim)
    steps = np.array(work.size((0.3, 0.5, 0.7), (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), (0.5,)))
    checks, rows = [same], []
    for share in steps:
        step = share * largest_step(_NOISE)
        theory = Mediocrity(step, _NOISE)
        quenched, noisy = theory.quenched_exit(dim, _DROP), theory.noisy_exit(dim, _DROP)
        mean, error, check = _mean_exit(work, f"exit-{share:g}", 1, step, dim, quenched,
                                        theory.overlap_rate)  # fmt: skip
        rows.append((quenched, noisy, mean, error))
        checks += [
            against_simulation(
                f"mean exit time, gamma = {step:.3g}, d = {dim}: with noise",
                f"noise does not matter: {quenched:.4g}", noisy, mean, error,
                bias=_BIAS * mean / dim**0.5, why_bias="(d^-1/2)",
            ),
            check,
        ]  # fmt: skip
    quenched, noisy, mean, error = np.array(rows).T
    checks.append(holds(
        "the ODE alone is too slow, at every step", "agrees",
        bool((quenched - mean > 4 * error).all()),
        "late by " + ", ".join(f"{late:.0f} %" for late in 100 * (quenched / mean - 1)),
    ))  # fmt: skip
    axis = axes[0, 1]
    fine = np.linspace(0.15, 0.9, 60) * largest_step(_NOISE)
    for name, style, label in (("quenched_exit", "--", "ODE, quenched"),
                               ("noisy_exit", "-", "with noise")):  # fmt: skip
        values = [getattr(Mediocrity(g, _NOISE), name)(dim, _DROP) for g in fine]
        axis.plot(fine, values, style, color=COLOURS["theory"], lw=1, label=label)
    axis.errorbar(steps * largest_step(_NOISE), mean, 2 * error, fmt="o", ms=4,
                  color=COLOURS["simulation"], label=r"SGD, mean $\pm$ 2 s.e.")  # fmt: skip
    axis.set_xlabel(r"$\gamma$")
    axis.set_ylabel(r"mean exit time $t_{\mathrm{ext}}$")
    axis.legend(loc="upper left")
    return figure, checks


def _draw_paths(work: Workspace, axis: Axes, dim: int) -> Check:
    step = optimal_step(_NOISE)
    sgd, model = OnlineSGD(step, spherical=True), phase_retrieval(1, _NOISE)
    runs = work.size(200, 1000)
    options = {"dim": dim, "time": 3.0, "runs": runs, "record": 151}
    chain, sde, ode = (
        work.simulate(f"path-{engine}", model, sgd, engine, **options)
        for engine in ("chain", "sde", "ode")
    )
    excess = {d.attrs["engine"]: d["risk"] - _NOISE / 2 for d in (chain, sde, ode)}
    band(axis, excess["chain"], COLOURS["simulation"], (0.1, 0.9), "SGD, 10–90 %")
    for engine, style, colour, label in (
        ("chain", "-", "simulation", "SGD, median"), ("sde", "--", "second", "SDE, median"),
        ("ode", "-", "theory", "ODE, median"),
    ):  # fmt: skip
        axis.plot(excess[engine]["time"], excess[engine].median("run"), style,
                  color=COLOURS[colour], label=label)  # fmt: skip
    axis.set_xlabel(r"$t = \nu\gamma/d$")
    axis.set_ylabel(r"$\mathcal{R} - \Delta/2$")
    axis.set_title(rf"$d={dim}$, $\gamma_{{\mathrm{{opt}}}}={step:.2g}$, random starts")
    axis.legend(loc="lower left")
    return same_risk(chain, sde)


def does_width_matter(work: Workspace) -> tuple[Figure, list[Check]]:
    """Samples to the exit at the best step for each width, and the gain against d."""
    figure, axes = new_figure(1, 2, width=PAGE, height=2.8)
    dim = work.size(2000, 2000, 100)
    widths = work.size((1, 2, 4, 8), (1, 2, 4, 8, 16), (1, 3))
    checks, rows = [], []
    for p in widths:
        step = optimal_step(_NOISE, p)
        theory = Mediocrity(step, _NOISE, p)
        quenched = theory.quenched_exit(dim, _DROP)
        mean, error, check = _mean_exit(work, f"width-{p}", p, step, dim, quenched,
                                        theory.overlap_rate)  # fmt: skip
        checks.append(check)
        noisy = theory.noisy_exit(dim, _DROP)
        rows.append([theory.steps(t, dim) / dim for t in (quenched, noisy, mean, error)])
        name = f"samples / d to the exit, p = {p}, best step, d = {dim}"
        late, early, measured, spread = rows[-1]
        if p <= 2:
            checks.append(against_simulation(
                name, f"annealed, {fewest_steps(dim, _DROP, _NOISE, p) / dim:.4g}", early, measured,
                spread, bias=_BIAS * measured / dim**0.5, why_bias="(d^-1/2)",
            ))  # fmt: skip
        else:
            # At the best step of wide networks the heuristic overstates what noise saves.
            checks.append(holds(
                name, f"annealed, {fewest_steps(dim, _DROP, _NOISE, p) / dim:.4g}",
                early < measured < late,
                f"{measured:.3f} ± {spread:.2g}, between the formula with noise, {early:.3f}, and "
                f"the quenched one without, {late:.3f}",
            ))  # fmt: skip
    quenched, noisy, mean, error = np.array(rows).T
    gain = mean[0] / mean[-1]
    checks.append(holds(
        f"gain in samples, p = 1 over p = {widths[-1]}", "(12 + D)/(2 + D) = 5 at p = inf",
        1.5 < gain < 8, f"{gain:.2f}; annealed {width_gain(dim, _DROP, _NOISE, widths[-1]):.2f}",
    ))  # fmt: skip
    axis = axes[0, 0]
    axis.plot(widths, [fewest_steps(dim, _DROP, _NOISE, p) / dim for p in widths], ":",
              color="grey", label="annealed")  # fmt: skip
    axis.plot(widths, quenched, "--", color=COLOURS["theory"], lw=1, label="quenched")
    axis.plot(widths, noisy, "-", color=COLOURS["theory"], lw=1, label="with noise")
    axis.errorbar(widths, mean, 2 * error, fmt="o", ms=4, color=COLOURS["simulation"],
                  label=r"SGD, mean $\pm$ 2 s.e.")  # fmt: skip
    axis.set_xscale("log", base=2)
    axis.set_xticks(widths, [str(p) for p in widths])
    axis.set_ylim(0, None)
    axis.set_xlabel(r"width $p$")
    axis.set_ylabel(r"samples to the exit $/\,d$")
    axis.set_title(rf"$d={dim}$, $\gamma=\gamma_{{\mathrm{{opt}}}}(p)$")
    axis.legend(loc="upper right")
    _draw_gain(axes[0, 1])
    return figure, checks


def _draw_gain(axis: Axes) -> None:
    dims = np.geomspace(1e3, 1e12, 40)
    for p, colour in ((2, "third"), (5, "simulation"), (20, "second"), (np.inf, "theory")):
        gains = [width_gain(int(d), _DROP, _NOISE, p) for d in dims]
        label = r"$p=\infty$" if p == np.inf else rf"$p={p}$"
        axis.semilogx(dims, gains, color=COLOURS[colour], label=label)
    limit = (12 + _NOISE) / (2 + _NOISE)
    axis.axhline(limit, ls=":", color="grey", label=r"$(12+\Delta)/(2+\Delta)$")
    axis.set_ylim(0, 1.6 * limit)
    axis.set_xlabel(r"$d$")
    axis.set_ylabel(r"gain in samples over $p=1$")
    axis.set_title("annealed formula")
    axis.legend(loc="upper right", ncols=2)


def _mean_exit(
    work: Workspace, name: str, p: int, step: float, dim: int, about: float, rate: float
) -> tuple[float, float, Check]:
    """Mean exit time of SGD (exact law) over random starts, its s.e., and that nearly all exit."""
    runs = work.size(1000, 4000)
    chain = work.simulate(
        name, phase_retrieval(p, _NOISE), OnlineSGD(step, spherical=True), dim=dim,
        time=about + 6 / rate, runs=runs, record=work.size(501, 501, 101),
    )  # fmt: skip
    exits = drop_time(chain, _DROP, floor=_NOISE / 2)
    censored = int(exits["censored"].sum())
    times = exits["time"].values[~exits["censored"].values]
    check = holds(f"runs without exit, {name}", "–", censored <= 0.01 * runs,
                  f"{censored} of {runs}; left out of the mean")  # fmt: skip
    return float(times.mean()), float(times.std(ddof=1) / len(times) ** 0.5), check
