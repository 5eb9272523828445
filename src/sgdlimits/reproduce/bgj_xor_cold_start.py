"""Ben Arous, Gheissari and Jagannath (2022), section 5: the cold start of the XOR mixture.

At any finite snr the drift of M vanishes on M = 0, so the limit d -> infinity of the papers' random
start never moves. At finite d the start is M = O(d^-1/2), which grows at a rate r(t) of the flow
linearised about the solution that is stuck at M = 0: exit takes log(d)/(2 r) + O(1), no constant
time. The statement is asymptotic only as far as r(t) is constant: it drifts slowly, because the
ridge shrinks v and W while the corrector feeds W alone.
"""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.analysis.exit_time import exit_time
from sgdlimits.expectations.rules import TruncatedGauss
from sgdlimits.limits.effective_dynamics import EffectiveDynamics, effective_dynamics
from sgdlimits.models.mixtures_zoo import xor_gmm
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.process.initial import initial
from sgdlimits.reproduce.checks import SIGMAS, Check, against_simulation, equal, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_SNR, _RIDGE = 10.0, 0.03
_LEVEL = 0.3
_QUICK = (200, 1200, 6400)
_TINY = (50, 100)
_FULL = (200, 800, 3200, 12_800, 102_400)
_ODE = {"rtol": 1e-3, "atol": 1e-6}  # exit times to 1e-2
_COLOURS = ("third", "simulation", "second", "fourth", "theory")


def cold_start(work: Workspace) -> tuple[Figure, list[Check]]:
    """max|M| against time, its exit time against log d, and the growth rate behind it."""
    width = work.size(4, 4, 2)
    model = xor_gmm(_SNR, _RIDGE, width)
    # Two Gauss nodes a side: drift to 1e-3, exit times as with three.
    rule = TruncatedGauss(width, 2)
    coarse = MultiIndexModel(
        data=model.data, network=model.network, loss=model.loss, ridge=_RIDGE, rule=rule
    )
    dynamics = effective_dynamics(coarse)
    dims, horizon = work.size((_QUICK, 25.0), (_FULL, 50.0), (_TINY, 25.0))
    runs, records = work.size(64, 256), work.size(301, 301, 61)
    figure, axes = new_figure(1, 3, width=PAGE, height=2.7)
    chains = [
        work.simulate(f"chain-{d}", model, dim=d, time=horizon, runs=runs, record=records)
        for d in dims
    ]
    times = np.linspace(0, horizon, records)
    starts = [initial(model, d, runs, work.seed) for d in dims]
    starts.append(_limit_of_starts(starts[-1]))
    flow = dynamics.solve(jax.tree.map(lambda *x: jnp.stack(x), *starts), times, **_ODE)
    odes = np.abs(np.asarray(flow.M)).max((-2, -1))  # time, dim, start
    exits = np.array([_exit(chain) for chain in chains])
    ode_exits = np.array([_first(times, odes[:, i]) for i in range(len(dims))])
    some = np.arange(0, records, records // 5)
    rates, shift = _linearised(dynamics, flow[some, -1])
    _panel_growth(axes[0, 0], dims, chains, times, odes)
    _panel_exit(axes[0, 1], np.array(dims), exits, ode_exits)
    _panel_rate(axes[0, 2], times[some], rates)
    checks = [
        equal(f"max|M| of the ODE from M = 0, all t, {runs} starts", "leaves M = 0 by T_0",
              0.0, float(odes[:, -1].max()), 1e-12)
    ]  # fmt: skip
    checks += _check_medians(dims, exits, ode_exits, shift, work.seed)
    return figure, checks + _check_slope(dims, exits, rates, times[some], work.seed)


def _largest(chain: xr.Dataset) -> xr.DataArray:
    return abs(chain["M"]).max(("neuron", "direction"))


def _exit(chain: xr.Dataset) -> np.ndarray:
    """First times of max|M| > level; infinite for the runs that did not get there."""
    exits = exit_time(chain, _LEVEL, _largest)
    started_above = _largest(chain).isel(time=0).values > _LEVEL
    times = np.where(exits["censored"], np.inf, exits["time"])
    return np.where(started_above, 0.0, times)


def _first(times: np.ndarray, paths: np.ndarray) -> np.ndarray:
    """First crossing of the level, column by column, linear between the times."""
    above = paths > _LEVEL
    i = np.maximum(above.argmax(0), 1)
    before, after = (np.take_along_axis(paths, j[None], 0)[0] for j in (i - 1, i))
    crossing = times[i - 1] + (_LEVEL - before) / (after - before) * (times[i] - times[i - 1])
    return np.where(above[0], 0.0, np.where(above.any(0), crossing, np.inf))


# -- theory ----------------------------------------------------------------------------------------


def _limit_of_starts(u: Statistics) -> Statistics:
    """The limit d -> infinity of the random start: M = 0 and Q = I."""
    return Statistics(u.v, jnp.zeros_like(u.M), jnp.broadcast_to(jnp.eye(u.v.shape[-1]), u.Q.shape))


def _linearised(dynamics: EffectiveDynamics, stuck: Statistics) -> tuple[np.ndarray, float]:
    """About the solution stuck at M = 0 (times, starts): growth rates of M, and effect of noise.

    The rate is the leading eigenvalue of dM'/dM. SGD's noise makes M leave earlier than the ODE
    does, by log(1 + nu)/(2 r) with nu the variance that noise adds to the leading direction, beside
    the initial one: the median of that over the starts.
    """

    def one(u: Statistics) -> tuple[jax.Array, jax.Array]:
        def drift(vector: jax.Array) -> jax.Array:
            moved = Statistics(u.v, vector.reshape(u.M.shape), u.Q)
            return dynamics.drift(moved).M.ravel()

        # Both columns of M have E[g gᵀ] (1/2 + 1/snr) on average; the corrector is E[g gᵀ]/snr.
        noise = dynamics.corrector(u).Q * _SNR * (1 / 2 + 1 / _SNR)
        return jax.jacfwd(drift)(jnp.zeros(u.M.size)), noise

    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), stuck)
    matrices, noises = (np.asarray(x) for x in jax.jit(jax.vmap(one))(flat))
    rates = np.real(np.linalg.eigvals(matrices)).max(-1).reshape(stuck.batch_shape)
    shifts = []
    starts = stuck.batch_shape[1]
    for matrix, noise in zip(matrices[:starts], noises[:starts], strict=True):
        values, vectors = np.linalg.eig(matrix.T)
        leading = np.argmax(np.real(values))
        rate, left = np.real(values[leading]), np.real(vectors[:, leading]).reshape(len(noise), -1)
        added = np.einsum("ik,ij,jk->", left, noise, left) / (2 * rate * np.sum(left * left))
        shifts.append(np.log1p(added) / (2 * rate))
    return rates, float(np.median(shifts))


# -- panels ----------------------------------------------------------------------------------------


def _panel_growth(axis: Axes, dims, chains, times: np.ndarray, odes: np.ndarray) -> None:
    for i, (dim, chain) in enumerate(zip(dims, chains, strict=True)):
        colour = COLOURS[_COLOURS[i]]
        low, middle, high = _largest(chain).quantile((0.25, 0.5, 0.75), "run").values
        axis.fill_between(chain["time"], low, high, color=colour, alpha=0.2, lw=0)
        axis.plot(chain["time"], middle, color=colour, label=f"$d={dim}$")
        axis.plot(times, np.median(odes[:, i], axis=1), "--", color="black", lw=0.8,
                  label="ODE" if i == len(dims) - 1 else None)  # fmt: skip
    axis.axhline(_LEVEL, color=COLOURS["flow"], lw=0.8, zorder=0)
    axis.set_yscale("log")
    axis.set_ylim(0.5 * float(_largest(chains[-1]).isel(time=0).median()), 3)
    axis.set_xlabel(r"$t$ = steps $/\, d$")
    axis.set_ylabel(r"$\max_{i}\,|m_i^{\mu}|,\,|m_i^{\nu}|$")
    axis.set_title("median, quartiles")
    axis.legend(loc="lower right", handlelength=1.4, labelspacing=0.25)


def _panel_exit(axis: Axes, dims: np.ndarray, exits: np.ndarray, ode_exits: np.ndarray) -> None:
    low, high = np.quantile(exits, (0.25, 0.75), axis=1, method="inverted_cdf")
    middle = np.median(exits, axis=1)
    axis.fill_between(dims, low, high, color=COLOURS["simulation"], alpha=0.2, lw=0,
                      label="chain, quartiles")  # fmt: skip
    error = 2 * _bootstrap(exits, 0).std(0)
    axis.errorbar(dims, middle, yerr=error, fmt="o", ms=4, color=COLOURS["simulation"],
                  label="median ± 2 s.e.")  # fmt: skip
    slope, constant = _line(dims, middle)
    axis.semilogx(dims, slope * np.log(dims) + constant, color=COLOURS["simulation"], lw=0.8,
                  label=rf"{constant:.1f} + {slope:.2f} $\log d$".replace("-", "−"))  # fmt: skip
    axis.plot(dims, np.median(ode_exits, axis=1), "kx--", lw=0.8, ms=4,
              label="ODE, same starts")  # fmt: skip
    axis.set_xticks(dims, [f"{d:g}" if d < 1e4 else f"{d / 1000:.3g}k" for d in dims])
    axis.minorticks_off()
    axis.set_ylim(0, 1.7 * high.max())
    axis.set_xlabel(r"$d$")
    axis.set_ylabel(f"exit time at {_LEVEL:g}, steps$\\,/\\,d$")
    axis.legend(loc="upper left", labelspacing=0.25)


def _panel_rate(axis: Axes, times: np.ndarray, rates: np.ndarray) -> None:
    low, middle, high = np.quantile(rates, (0.25, 0.5, 0.75), axis=1)
    axis.fill_between(times, low, high, color=COLOURS["flow"], alpha=0.5, lw=0,
                      label="starts, quartiles")  # fmt: skip
    axis.plot(times, middle, color="black", label="median")
    axis.set_ylim(0, 1.5 * high.max())
    axis.set_xlabel(r"$t$")
    axis.set_ylabel(r"growth rate $r(t)$ of $M$ at $M=0$")
    axis.set_title("linearised at $M=0$")
    axis.legend(loc="upper right")


# -- checks ----------------------------------------------------------------------------------------


def _bootstrap(exits: np.ndarray, seed: int) -> np.ndarray:
    """Medians of resampled runs, the same runs at every dimension (they share starts)."""
    runs = exits.shape[1]
    index = np.random.default_rng(seed).integers(0, runs, (500, runs))
    return np.median(exits[:, index], axis=2).T


def _line(dims, medians: np.ndarray) -> np.ndarray:
    return np.polyfit(np.log(dims), medians, 1)


def _check_medians(dims, exits, ode_exits, shift: float, seed: int) -> list[Check]:
    checks = []
    runs = exits.shape[1]
    medians = _bootstrap(np.concatenate([exits, ode_exits]), seed)
    errors = (medians[:, : len(dims)] - medians[:, len(dims) :]).std(0)
    for i, dim in enumerate(dims):
        checks.append(against_simulation(
            f"median exit time at d = {dim}, same {runs} starts: ODE as theory",
            "free of d", float(np.median(ode_exits[i])), float(np.median(exits[i])),
            float(errors[i]), bias=shift, why_bias="(noise, log(1 + nu)/2r)",
        ))  # fmt: skip
        censored = int(np.isinf(exits[i]).sum())
        checks.append(holds(
            f"runs that have not left by the end at d = {dim}", "–",
            censored < 0.25 * runs,
            f"{censored} of {runs}, counted as late; the median needs fewer than half",
        ))  # fmt: skip
    return checks


def _check_slope(dims, exits, rates, times: np.ndarray, seed: int) -> list[Check]:
    slope = float(_line(dims, np.median(exits, axis=1))[0])
    samples = [_line(dims, medians)[0] for medians in _bootstrap(exits, seed)]
    error = float(np.std(samples))
    until = times <= np.median(exits[-1])  # rates met before the exit
    inverse = 1 / (2 * np.median(rates, axis=1)[until])
    return [
        holds("exit time grows with d", "T_0 free of d", slope > SIGMAS * error,
              f"slope in log d is {slope / error:.0f} s.e. above 0"),
        against_simulation(
            "slope of the median exit time in log d: 1/(2 r)", "0", float(inverse.mean()),
            slope, error, bias=float(np.ptp(inverse)) / 2, why_bias="(r(t) drifts)",
        ),
    ]  # fmt: skip
