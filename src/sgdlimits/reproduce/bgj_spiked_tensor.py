"""Ben Arous, Gheissari and Jagannath (2022), section 3 for k >= 3: barriers and the snr threshold.

Some warm starts fail: the saddle m_dagger separates them. At snr = Lambda n^((k-2)/2) the limit of
sqrt(n) m is not the printed Ornstein-Uhlenbeck process: its drift grows like u^(k-1), so that the
path always escapes in the end, and Lambda = 1 is no threshold.
"""

import warnings

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from sgdlimits.closed_forms.spiked_tensor_phases import m_dagger, m_star
from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.models.spiked_tensor import SpikedTensor
from sgdlimits.models.vector_model import SpikedStatistics
from sgdlimits.plots import COLOURS, new_figure, phase_portrait
from sgdlimits.reproduce.checks import Check, against_simulation, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.simulation.result import DivergenceWarning
from sgdlimits.simulation.sample_diffusion import sample_diffusion

_CASES = ((3, 4.0), (4, 8.0))  # order, snr above its threshold
_DIMS = ((200, "second"), (2000, "simulation"))
# order, Lambda, level of sqrt(n)|m|, dimensions of the chain
_THRESHOLD_CASES = ((3, 0.3, "simulation"), (4, 0.1, "third"))
_ESCAPED, _HORIZON, _RECORDS = 12.0, 3.0, 301
_LIMIT_DIM = 10**12  # where n^-1 corrections are below rounding of the sampled law


def warm_starts_and_threshold(work: Workspace) -> tuple[Figure, list[Check]]:
    """(a, b) trajectories from warm starts, (c) success against start, (d) escape at threshold."""
    figure, axes = new_figure(2, 2, height=5.4)
    checks = []
    for axis, (order, snr) in zip(axes[0], _CASES, strict=True):
        _panel_trajectories(work, axis, order, snr)
    checks += _panel_success(work, axes[1, 0])
    checks += _panel_threshold(work, axes[1, 1])
    return figure, checks


# -- warm starts -----------------------------------------------------------------------------------


def _panel_trajectories(work: Workspace, axis: Axes, order: int, snr: float) -> None:
    model = SpikedTensor(order, snr)
    dynamics = effective_dynamics(model)
    phase_portrait(axis, dynamics, ("m", -0.3, 1.3), ("r2", 0.2, 1.8))
    starts = SpikedStatistics(np.tile([0.1, 0.25, 0.45, 0.7], 3), np.repeat([0.4, 1.0, 1.6], 4))
    chain = work.simulate(
        f"trajectories-{order}", model, dim=work.size(20_000, 20_000, 500), time=1.0, runs=12,
        initial=starts, record=work.size(2001, 2001, 101),
    )  # fmt: skip
    found = chain["m"].isel(time=-1).values > m_dagger(order, snr)
    for run, success in enumerate(found):
        colour = COLOURS["simulation" if success else "second"]
        axis.plot(chain["m"][run], chain["r2"][run], lw=0.9, color=colour)
        axis.plot(chain["m"][run, 0], chain["r2"][run, 0], ".", ms=4, color=colour)
    axis.set_title(rf"$k={order}$, $\lambda={snr:g}$: starts that find $v$, or not")


def _panel_success(work: Workspace, axis: Axes) -> list[Check]:
    """Fraction of runs that end at m_star, against the distance of the start to the saddle."""
    order, snr = _CASES[0]
    model = SpikedTensor(order, snr)
    saddle = SpikedStatistics(m_dagger(order, snr), 1.0)
    offsets = np.linspace(-3, 3, 13)  # in units of n^-1/2
    checks, predicted = [], _success_probability(model, saddle, offsets)
    runs, dims = work.size(256, 2048), work.size(_DIMS, _DIMS, _DIMS[:1])
    for dim, colour in dims:
        starts = float(saddle.m) + offsets / dim**0.5
        initial = SpikedStatistics(np.repeat(starts, runs), np.ones(runs * len(starts)))
        chain = work.simulate(
            f"success-{dim}", model, dim=dim, time=2.5, runs=runs * len(starts),
            initial=initial, record=2,
        )  # fmt: skip
        middle = (m_dagger(order, snr) + m_star(order, snr)) / 2
        ends = (chain["m"].isel(time=-1).values > middle).reshape(len(starts), runs)
        fraction = ends.mean(1)
        error = np.sqrt(np.maximum(fraction * (1 - fraction), 0.25 / runs) / runs)
        axis.errorbar(offsets, fraction, yerr=2 * error, fmt="o", ms=3, color=COLOURS[colour],
                      label=f"chain, $n={dim}$")  # fmt: skip
        index = len(offsets) // 2
        checks.append(
            against_simulation(
                f"success from m_dagger, k = {order}, n = {dim}", "some warm starts fail",
                0.5, fraction[index], error[index], bias=2 / dim**0.5, why_bias="(n^-1/2)",
            )
        )  # fmt: skip
        if dim == dims[-1][0]:
            worst = int(np.argmax(np.abs(fraction - predicted)))
            checks.append(
                against_simulation(
                    f"success at sqrt(n)(m - m_dagger) = {offsets[worst]:g} (worst of 13), "
                    f"n = {dim}", "–", predicted[worst], fraction[worst], error[worst],
                    bias=2 / dim**0.5, why_bias="(n^-1/2)",
                )
            )  # fmt: skip
    fine = np.linspace(offsets[0], offsets[-1], 200)
    axis.plot(fine, _success_probability(model, saddle, fine), color="black",
              label="unstable OU at the saddle")  # fmt: skip
    axis.set_xlabel(r"$\sqrt{n}\,(m_0 - m_\dagger)$")
    axis.set_ylabel(r"fraction that reaches $m_\star$")
    axis.set_title(rf"$k={order}$, $\lambda={snr:g}$, $r_\perp^2(0)=1$")
    axis.legend(loc="upper left")
    return checks


def _success_probability(
    model: SpikedTensor, saddle: SpikedStatistics, offsets: np.ndarray
) -> np.ndarray:
    """P(y -> +infinity) = Phi(y0 sqrt(2 rate / variance)) for the growing mode y of the saddle."""
    rate, left, variance = effective_dynamics(model).linearise(saddle).leading_mode()
    return stats.norm.cdf(left[0] * offsets * np.sqrt(2 * rate / variance))


# -- the scaling of the snr at which SGD just finds the spike --------------------------------------


def _panel_threshold(work: Workspace, axis: Axes) -> list[Check]:
    checks = []
    dims = work.size((1000, 10_000), (1000, 10_000), (100, 400))
    for order, strength, colour in _THRESHOLD_CASES[work.size(0, 0, 1) :]:
        paths = _limit_paths(work, order, strength)
        limit = _survival(paths, 1)
        axis.plot(*limit, color=COLOURS[colour],
                  label=rf"limit, $k={order}$, $\Lambda={strength:g}$")  # fmt: skip
        for dim, marker in zip(dims, "os", strict=True):
            chain = _chain_paths(work, order, strength, dim)
            times, alive = _survival(chain, dim)
            axis.plot(times[::10], alive[::10], marker, ms=3, mfc="none", color=COLOURS[colour],
                      label=f"chain, $n={dim}$" if order == 4 else None)  # fmt: skip
            escaped = 1 - alive[-1]
            sizes = chain.sizes["run"], paths.sizes["run"]
            error = np.sqrt(escaped * (1 - escaped) * (1 / sizes[0] + 1 / sizes[1]))
            checks.append(
                against_simulation(
                    f"escaped sqrt(n)|m| > {_ESCAPED:g} by t = {_HORIZON:g}, k = {order}, "
                    f"Lambda = {strength:g}, n = {dim}", "0.000 (printed OU process)",
                    1 - limit[1][-1], escaped, error, bias=3 / dim**0.5, why_bias="(n^-1/2)",
                )
            )  # fmt: skip
        checks.append(_check_printed(order, strength, 1 - limit[1][-1]))
    axis.axhline(1.0, color=COLOURS["flow"], ls="--", label="printed OU: none escapes")
    axis.set_ylim(0.4, 1.05)
    axis.set_xlabel(r"$t$")
    axis.set_ylabel(rf"fraction with $\sqrt{{n}}\,|m| < {_ESCAPED:g}$ so far")
    axis.set_title(r"$\lambda_n=\Lambda\, n^{(k-2)/2}$, random start")
    axis.legend(fontsize=6, loc="lower left")
    return checks


def _limit_paths(work: Workspace, order: int, strength: float) -> xr.Dataset:
    """Paths of du = 2u(k Lambda u^(k-2) - k w^(k-1)) dt + noise, magnified from the drift."""
    model = SpikedTensor.at_gradient_threshold(order, strength, _LIMIT_DIM)
    dynamics = effective_dynamics(model).rescale("m", dim=_LIMIT_DIM)
    paths = work.size(4096, 4096)
    start = np.random.default_rng(work.seed).standard_normal(paths)
    with warnings.catch_warnings():
        # The limit explodes in finite time: divergence is the escape that is being counted.
        warnings.simplefilter("ignore", DivergenceWarning)
        return sample_diffusion(
            dynamics, initial=SpikedStatistics(start, np.ones(paths)), time=_HORIZON, runs=paths,
            seed=work.seed, record=_RECORDS, dt=work.size(5e-4, 5e-4, 5e-3), progress=work.progress,
        )  # fmt: skip


def _chain_paths(work: Workspace, order: int, strength: float, dim: int) -> xr.Dataset:
    model = SpikedTensor.at_gradient_threshold(order, strength, dim)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        return work.simulate(
            f"threshold-{order}-{dim}", model, dim=dim, time=_HORIZON,
            runs=work.size(1024, 4096), record=_RECORDS,
        )  # fmt: skip


def _survival(paths: xr.Dataset, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Fraction of runs that stayed below the level so far; a run that diverged has escaped."""
    below = abs(paths["m"].values) * dim**0.5 < _ESCAPED  # NaN compares as False
    return paths["time"].values, np.logical_and.accumulate(below, axis=1).mean(0)


def _check_printed(order: int, strength: float, escaped: float) -> Check:
    """The printed process is a stable OU for Lambda < 1: bound its chance to be seen outside."""
    variance = 1 / (1 - strength)  # 4k / (2 * 2k (1 - Lambda)), above the initial variance 1
    tail = 2 * stats.norm.sf(_ESCAPED / variance**0.5)
    return holds(
        f"printed OU process excluded, k = {order}, Lambda = {strength:g}", "not OU for k ≥ 3",
        bool(tail < 1e-9 < escaped),
        f"P(outside at a time) {tail:.1e}, corrected limit {escaped:.3f}",
    )  # fmt: skip
