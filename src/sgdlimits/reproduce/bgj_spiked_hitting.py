"""Ben Arous, Gheissari and Jagannath (2022), after Proposition 3.3: n log n steps, with constants.

From a random start at snr lambda > c = 1 the overlap is an unstable Ornstein-Uhlenbeck process of
rate 4 (lambda - 1) until it is of order one: steps = n log n / (8 (lambda - 1)) + O(n).
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from sgdlimits.analysis.escape import EscapeLaw, escape_law
from sgdlimits.analysis.exit_time import exit_time
from sgdlimits.closed_forms.spiked_tensor_phases import m_star
from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.models.spiked_tensor import SpikedTensor
from sgdlimits.models.vector_model import SpikedStatistics
from sgdlimits.plots import COLOURS, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, holds
from sgdlimits.reproduce.workspace import Workspace

_SNR = 2.0
_LEVEL = m_star(2, _SNR) / 2
_RATE = 4 * (_SNR - 1)
# (dimension, runs). A run of n = 10^6 takes 10^6 log(10^6)/8 = 1.7e6 steps.
_QUICK = ((100, 2048), (1000, 2048), (10_000, 1024), (100_000, 64), (1_000_000, 16))
_FULL = ((100, 16384), (1000, 16384), (10_000, 8192), (100_000, 2048), (1_000_000, 1024))
_TINY = ((1000, 64), (2000, 64))
_LAW_SHOWN = (1000, 10_000)
_FALSE_ALARM = 1e-4
_MISSED = 5e-4  # of the runs, by the law, have not hit at the horizon: too few to move the mean


def hitting_times(work: Workspace) -> tuple[Figure, list[Check]]:
    """Mean number of steps against n log n, and the law of the hitting time."""
    model = SpikedTensor(order=2, snr=_SNR)
    dynamics = effective_dynamics(model)
    figure, axes = new_figure(1, 2, height=2.9)
    checks, means, errors, laws = [], [], [], []
    sizes, records = work.size(_QUICK, _FULL, _TINY), work.size(2001, 2001, 201)
    tested = work.size((10_000, 1000), (10_000, 1000), (2000, 10))
    for dim, runs in sizes:
        law = escape_law(dynamics, SpikedStatistics(0.0, 1.0), "m", _LEVEL, dim)
        horizon = float(law.quantile(1 - _MISSED))
        chain = work.simulate(
            f"chain-{dim}", model, dim=dim, time=horizon, runs=runs, record=records
        )
        hits = exit_time(chain, _LEVEL, "|m|")
        times = hits["time"].values[~hits["censored"].values]
        means.append(times.mean())
        errors.append(times.std(ddof=1) / times.size**0.5)
        laws.append(law)
        checks += _checks_at(law, times, int(hits["censored"].sum()), *tested)
        if dim in _LAW_SHOWN:
            _draw_law(axes[0, 1], law, times)
    _panel_scaling(axes[0, 0], np.array([n for n, _ in sizes]), means, errors, laws)
    axes[0, 1].set_xlabel(r"hitting time of $|m| = m_\star/2$, steps$\,/\,n$")
    axes[0, 1].set_ylabel("density over runs")
    axes[0, 1].legend()
    checks.append(_check_slope(sizes, np.array(means), np.array(errors)))
    return figure, checks


def _checks_at(
    law: EscapeLaw, times: np.ndarray, censored: int, least_dim: int, least_runs: int
) -> list[Check]:
    """Mean, and from so large a dimension and so many runs on the law."""
    mean, error = times.mean(), times.std(ddof=1) / times.size**0.5
    n = law.dim
    checks = [
        against_simulation(
            f"mean hitting time at n = {n}, steps/n", "O(log n)", law.mean, mean, error,
            bias=0.5 / n**0.5, why_bias="(n^-1/2)",
        )
    ]  # fmt: skip
    if times.size >= least_runs and n >= least_dim:
        p_value = float(stats.kstest(times, law.cdf).pvalue)
        checks.append(
            holds(f"law of the hitting time at n = {n} ({times.size} runs)", "–",
                  p_value > _FALSE_ALARM,
                  f"Kolmogorov–Smirnov p = {p_value:.2g}, allowed > {_FALSE_ALARM:g}")
        )  # fmt: skip
    total = times.size + censored
    expected = _MISSED * total
    checks.append(
        holds(f"runs that never hit at n = {n}", "–", censored <= expected + 4 * expected**0.5 + 2,
              f"{censored} of {total}; the law expects {expected:.2g}")
    )  # fmt: skip
    return checks


def _check_slope(sizes, means: np.ndarray, errors: np.ndarray) -> Check:
    """Slope of the mean time in log n: the constant of n log n."""
    log_n = np.log([n for n, _ in sizes])
    use = log_n >= np.log(1000)  # below, the corrections n^-1/2 are visible
    x = log_n[use] - np.average(log_n[use], weights=errors[use] ** -2.0)
    weight = errors[use] ** -2.0
    slope = np.sum(weight * x * means[use]) / np.sum(weight * x * x)
    return against_simulation(
        "steps / (n log n), slope over n", "n log n", 1 / (2 * _RATE), float(slope),
        float(np.sum(weight * x * x) ** -0.5), bias=2e-3, why_bias="(n^-1/2 at n = 1000)",
    )  # fmt: skip


def _panel_scaling(axis: Axes, dims: np.ndarray, means, errors, laws) -> None:
    axis.errorbar(
        dims, means, yerr=2 * np.array(errors), fmt="o", ms=4, color=COLOURS["simulation"],
        label="exact chain, mean ± 2 s.e.",
    )  # fmt: skip
    axis.semilogx(dims, [law.mean for law in laws], color="black", label="theory, mean")
    low, high = ([float(law.quantile(q)) for law in laws] for q in (0.05, 0.95))
    axis.fill_between(dims, low, high, color=COLOURS["flow"], alpha=0.4, lw=0,
                      label="theory, 5–95 % of runs")  # fmt: skip
    axis.semilogx(dims, np.log(dims) / (2 * _RATE), ":", color=COLOURS["second"],
                  label=r"$\log n\,/\,8(\lambda-1)$")  # fmt: skip
    axis.set_xlabel(r"$n$")
    axis.set_ylabel(r"hitting time, steps$\,/\,n$")
    axis.set_title(rf"$\lambda={_SNR:g}$, from a random start")
    axis.legend()


def _draw_law(axis: Axes, law: EscapeLaw, times: np.ndarray) -> None:
    colour = COLOURS["simulation" if law.dim == _LAW_SHOWN[0] else "second"]
    axis.hist(times, bins=60, density=True, color=colour, alpha=0.35,
              label=f"chain, $n={law.dim}$")  # fmt: skip
    grid = np.linspace(times.min(), times.max(), 400)
    axis.plot(grid, np.gradient(law.cdf(grid), grid), color=colour, label="theory")
