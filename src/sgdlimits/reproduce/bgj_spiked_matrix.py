"""Ben Arous, Gheissari and Jagannath (2022), Fig. 1: the spiked matrix at n = 1500."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.analysis.compare import compare
from sgdlimits.analysis.escape import escape_law
from sgdlimits.closed_forms.spiked_tensor_phases import critical_snr, m_star
from sgdlimits.limits.effective_dynamics import EffectiveDynamics, effective_dynamics
from sgdlimits.models.spiked_tensor import SpikedTensor
from sgdlimits.models.vector_model import SpikedStatistics
from sgdlimits.plots import COLOURS, band, new_figure, phase_portrait
from sgdlimits.reproduce.checks import Check, against_simulation, agree, equal, holds
from sgdlimits.reproduce.workspace import Workspace

_TIME = 10.0
_BELOW, _ABOVE = 0.8, 1.2
_SHOWN = 5
_SADDLE = SpikedStatistics(0.0, 1.0)


def figure_1(work: Workspace) -> tuple[Figure, list[Check]]:
    """Panels (a)-(d) of the figure, with the law of the diffusive limit as a band."""
    figure, axes = new_figure(2, 2, height=5.0)
    dim = work.size(1500, 1500, 100)
    checks = [equal("threshold lambda_c(2) at c = 1", "1", 1.0, critical_snr(2), 1e-15)]
    for row, snr in enumerate((_BELOW, _ABOVE)):
        model = SpikedTensor(order=2, snr=snr)
        dynamics = effective_dynamics(model, OnlineSGD())
        chain = work.simulate(
            f"chain-{snr}", model, dim=dim, time=_TIME, runs=work.size(1024, 8192), record=401
        )
        real = work.simulate(
            f"sgd-{snr}", model, engine="sgd", dim=dim, time=_TIME, runs=work.size(16, 64, _SHOWN),
            record=401,
        )  # fmt: skip
        _panel_overlap(axes[row, 0], dynamics, chain, real)
        _panel_plane(axes[row, 1], dynamics, real)
        checks += _check_both_engines(snr, chain, real)
        checks += _check_stable(work, dynamics) if snr < 1 else _check_unstable(dynamics, chain)
    handles, labels = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure, checks


def _panel_overlap(
    axis: Axes, dynamics: EffectiveDynamics, chain: xr.Dataset, real: xr.Dataset
) -> None:
    snr = float(dynamics.model.snr)  # type: ignore[attr-defined]
    times, dim = chain["time"].values, chain.attrs["dim"]
    _, covariance = dynamics.rescale("m").gaussian(_SADDLE, times, np.diag([1.0, 0.0]))
    width = 1.645 * np.sqrt(np.asarray(covariance)[:, 0, 0] / dim)  # 5 % to 95 %
    band(axis, chain["m"], label="exact chain, 5–95 %")
    for run in range(_SHOWN):
        axis.plot(real["time"], real["m"][run], lw=0.5, color=COLOURS["second"],
                  label="SGD" if run == 0 else None)  # fmt: skip
    linear = width < 0.35
    name = "stable" if snr < 1 else "unstable"
    for sign in (-1, 1):
        axis.plot(times[linear], sign * width[linear], "--", color=COLOURS["theory"],
                  label="OU limit, 5–95 %" if sign == 1 else None)  # fmt: skip
    if snr > 1:
        for sign in (-1, 1):
            axis.axhline(sign * m_star(2, snr), color=COLOURS["theory"], lw=0.8, ls=":",
                         label=r"$\pm m_\star$" if sign == 1 else None)  # fmt: skip
        axis.set_ylim(-0.62, 0.62)
    axis.set_xlabel(r"$t$ = steps $/\, n$")
    axis.set_ylabel(r"$m$")
    axis.set_title(rf"$\lambda={snr}$, $n={dim}$: {name} OU")


def _panel_plane(axis: Axes, dynamics: EffectiveDynamics, real: xr.Dataset) -> None:
    phase_portrait(axis, dynamics, ("m", -0.7, 0.7), ("r2", 0.5, 1.5))
    for run in range(_SHOWN):
        axis.plot(real["m"][run], real["r2"][run], lw=0.5, color=COLOURS["second"])
    axis.set_title("SGD over the ODE flow")


def _check_both_engines(snr: float, chain: xr.Dataset, real: xr.Dataset) -> list[Check]:
    """The exact chain stands in for SGD: same law of the squared overlap at the end."""
    ends = [(dataset["m"].isel(time=-1) ** 2).values for dataset in (chain, real)]
    errors = [x.std(ddof=1) / x.size**0.5 for x in ends]
    return [
        against_simulation(
            f"E m² at t = {_TIME:g}, lambda = {snr}: chain as theory, SGD as simulation", "–",
            ends[0].mean(), ends[1].mean(), float(np.hypot(*errors)),
        ),
        agree(
            f"mean of r_perp^2 at all times, lambda = {snr}: SGD against the chain", "–",
            compare(real, chain, statistics=["r2"], level=1e-3),
        ),
    ]  # fmt: skip


def _check_stable(work: Workspace, dynamics: EffectiveDynamics) -> list[Check]:
    process = dynamics.linearise(_SADDLE)
    theory = float(process.stationary_covariance()[0, 0])
    # Large enough that the neglected m^2 beside 1 - lambda is below the sampling error.
    dim = work.size(10_000, 10_000, 500)
    chain = work.simulate(
        "chain-large", dynamics.model, dim=dim, time=6.0, runs=work.size(1024, 4096), record=2
    )
    squares = dim * chain["m"].isel(time=-1).values ** 2
    return [
        holds("(0, 1) for lambda < 1", "stable", process.stable, "eigenvalues of A negative",
              exact=True),
        equal("stationary variance 1/(1 - lambda) of sqrt(n) m", "OU, stable", 5.0, theory, 1e-10),
        against_simulation(
            f"variance of sqrt(n) m at t = 6, n = {dim}", "5 (from the OU limit)", theory,
            squares.mean(), squares.std(ddof=1) / squares.size**0.5,
            bias=3 * theory**2 / (1 - _BELOW) / dim, why_bias="(m² beside 1 - lambda)",
        ),
    ]  # fmt: skip


def _check_unstable(dynamics: EffectiveDynamics, chain: xr.Dataset) -> list[Check]:
    star, dim = m_star(2, _ABOVE), chain.attrs["dim"]
    law = escape_law(dynamics, _SADDLE, "m", star / 2, dim)
    reached = (abs(chain["m"]) >= star / 2).any("time").values
    theory = float(law.cdf(_TIME))
    process = dynamics.linearise(SpikedStatistics(star, 1.0))
    spread = float(process.stationary_covariance()[0, 0]) / dim
    final = abs(chain["m"].isel(time=-1)).values
    arrived = final[final > star / 2]
    return [
        holds("(0, 1) for lambda > 1", "unstable", not dynamics.linearise(_SADDLE).stable,
              "leading eigenvalue of A positive", exact=True),
        equal("m_star = sqrt(lambda - 1)", f"{0.2**0.5:.6g}", 0.2**0.5, star, 1e-12),
        against_simulation(
            f"fraction with |m| > m_star/2 before t = {_TIME:g}", "–", theory, reached.mean(),
            float(np.sqrt(theory * (1 - theory) / reached.size)), bias=1.5 / dim**0.5,
            why_bias="(n^-1/2)",
        ),
        against_simulation(
            "final |m| of the runs that escaped", f"{star:.4g}", star,
            arrived.mean(), arrived.std(ddof=1) / arrived.size**0.5,
            bias=3 * spread / star, why_bias="(curvature at m_star, 1/n)",
        ),
    ]  # fmt: skip
