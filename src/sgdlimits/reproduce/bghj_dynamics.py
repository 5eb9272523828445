"""Ben Arous, Gheissari, Huang and Jagannath (2023), Fig. 2.3 right: overlaps of k-GMM in training.

k = 10 orthonormal means, d = 1000 (quick form: 500), snr 10, ridge 0.01, delta = 1/d, start
N(0, I/d), to t = 50. (The caption of Fig. 2.2 counts 50 d = 25000 steps, that is d = 500; the list
of parameters says d = 1000.) m_ab = <x^a, mu_b>; by symmetry the limit has four numbers, m_aa,
m_ab, R_aa and R_ab.
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.analysis.compare import compare
from sgdlimits.closed_forms.softmax_mixture_fixed_points import diagonal_overlap
from sgdlimits.expectations.rules import QuasiMonteCarlo
from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.models.mixtures_zoo import k_gmm
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, agree, equal, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_K, _SNR, _RIDGE = 10, 10.0, 0.01
_SNRS = (10.0, 40.0, 160.0, 640.0, np.inf)
_LONG = 3000.0  # 30 / ridge
_RECORDS = 51
_BIAS = 3.0  # over dim: what the limit leaves out
_LEVEL = 1e-3
_PLAIN = {"diagonal": "m_aa", "off": "m_ab", "rest": "R_perp_aa"}
_NAMES = {"diagonal": r"$m_{aa}$", "off": r"$m_{ab}$", "rest": r"$R^\perp_{aa}$"}


def dynamics(work: Workspace) -> tuple[Figure, list[Check]]:
    """One real run, all statistics over the limit, and the end points against snr."""
    dim, time = work.size((500, 20.0), (1000, 50.0), (40, 2.0))
    model = k_gmm(_K, snr=_SNR, ridge=_RIDGE)
    chain = work.simulate(
        "chain", model, dim=dim, time=time, runs=work.size(16, 256), record=_RECORDS
    )
    real = work.simulate(
        "sgd", model, engine="sgd", dim=dim, time=time, runs=work.size(16, 16), record=_RECORDS
    )
    times = np.linspace(0, time, _RECORDS)
    snrs, log2_nodes = work.size(_SNRS, _SNRS, (_SNR, 40.0, np.inf)), work.size(9, 9, 4)
    limit = _limit(_SNR, times, log2_nodes, dim)
    ends = {snr: _limit(snr, np.linspace(0, _LONG, _RECORDS), log2_nodes) for snr in snrs}
    figure, axes = new_figure(1, 3, width=PAGE, height=2.6)
    _panel_run(axes[0, 0], real, times, limit)
    _panel_statistics(axes[0, 1], chain, real, times, limit)
    axes[0, 1].set_title(rf"$k={_K}$, $d={dim}$, $\lambda={_SNR:g}$")
    _panel_ends(axes[0, 2], ends)
    checks = _check_chain(dim, chain, real, times, limit) + _check_paths(dim, chain, real, limit)
    return figure, checks + _check_ends(ends)


# -- theory ----------------------------------------------------------------------------------------


def _limit(
    snr: float, times: np.ndarray, log2_nodes: int, dim: float = np.inf
) -> dict[str, np.ndarray]:
    """The limit from M = 0, R = I: means over exchangeable entries, and their standard errors.

    With ``dim``, from the mean of the random start there, R = (1 - k/dim) I.
    The entries would be equal; their spread is the error of the quasi-Monte-Carlo expectations.
    """
    model = k_gmm(_K, snr=snr, ridge=_RIDGE)
    model = MultiIndexModel(
        data=model.data, network=model.network, loss=model.loss, ridge=_RIDGE,
        rule=QuasiMonteCarlo(_K, log2_nodes, 4),
    )  # fmt: skip
    start = Statistics(np.zeros(0), np.zeros((_K, _K)), (1 - _K / dim) * np.eye(_K))
    path = effective_dynamics(model).solve(start, times, rtol=1e-7, atol=1e-9)
    return _reduced(np.asarray(path.M), np.asarray(path.Q))


def _reduced(M: np.ndarray, Q: np.ndarray) -> dict[str, np.ndarray]:
    """Averages over exchangeable entries of the last two axes (orthonormal means)."""
    on, off = np.eye(_K, dtype=bool), ~np.eye(_K, dtype=bool)
    rest = np.diagonal(Q - M @ np.swapaxes(M, -1, -2), axis1=-2, axis2=-1)
    parts = {"diagonal": M[..., on], "off": M[..., off], "rest": rest}
    means = {name: x.mean(-1) for name, x in parts.items()}
    errors = {f"{name}_error": x.std(-1) / x.shape[-1] ** 0.5 for name, x in parts.items()}
    return means | errors


def _of(dataset: xr.Dataset) -> dict[str, np.ndarray]:
    return _reduced(dataset["M"].values, dataset["Q"].values)


# -- panels ----------------------------------------------------------------------------------------


def _panel_run(axis: Axes, real: xr.Dataset, times: np.ndarray, limit: dict) -> None:
    first = real["M"].values[0, :, 0, :]
    for b in range(_K - 1, -1, -1):
        axis.plot(real["time"], first[:, b], lw=0.7,
                  color=COLOURS["second" if b == 0 else "flow"],
                  label={0: "SGD, $b=1$", 1: r"SGD, $b\neq 1$"}.get(b))  # fmt: skip
    axis.plot(times, limit["diagonal"], "k--", label="ODE")
    axis.plot(times, limit["off"], "k--")
    axis.set_xlabel(r"$t$ = steps $/\, d$")
    axis.set_ylabel(r"$m_{1b} = \langle x^1, \mu_b\rangle$")
    axis.set_title("one run of SGD")
    axis.legend(loc="upper left")


def _panel_statistics(
    axis: Axes, chain: xr.Dataset, real: xr.Dataset, times: np.ndarray, limit: dict
) -> None:
    M, Q = chain["M"].values, chain["Q"].values
    on, off = np.eye(_K, dtype=bool), ~np.eye(_K, dtype=bool)
    rest = np.diagonal(Q - M @ np.swapaxes(M, -1, -2), axis1=-2, axis2=-1)
    means = _of(real)
    entries = {"diagonal": M[..., on], "off": M[..., off], "rest": rest}
    for (name, values), colour in zip(
        entries.items(), ("second", "simulation", "third"), strict=True
    ):
        low, high = np.quantile(values, (0.05, 0.95), axis=(0, -1))
        axis.fill_between(chain["time"], low, high, color=COLOURS[colour], alpha=0.3, lw=0,
                          label=f"{_NAMES[name]}, chain 5–95 %")  # fmt: skip
        axis.plot(times, limit[name], "k--", label="ODE" if name == "rest" else None)
        axis.plot(real["time"][::5], means[name].mean(0)[::5], ".", ms=4, color=COLOURS[colour],
                  label="SGD, mean" if name == "rest" else None)  # fmt: skip
    axis.set_ylim(top=1.9 * max(1.0, float(limit["diagonal"].max())))
    axis.set_xlabel(r"$t$")
    axis.set_ylabel("statistics")
    axis.legend(loc="upper left", labelspacing=0.2)


def _panel_ends(axis: Axes, ends: dict) -> None:
    inverse = [1 / snr for snr in ends]
    for name, colour in (("diagonal", "second"), ("rest", "third"), ("off", "simulation")):
        axis.plot(inverse, [end[name][-1] for end in ends.values()], "o-", ms=3, lw=0.8,
                  color=COLOURS[colour], label=f"{_NAMES[name]}, ODE")  # fmt: skip
    star = diagonal_overlap(_K, _RIDGE)
    for value, label in ((star, "zero noise, (5.19)"), (-star / (_K - 1), None), (0.0, None)):
        axis.plot(0, value, "x", color="black", ms=6, mew=1.5, zorder=5, label=label, ls="none")
    axis.set_xlabel(r"$1/\lambda$")
    axis.set_ylabel(r"value as $t\to\infty$")
    axis.set_title("end points")
    axis.legend(loc="center right")


# -- checks ----------------------------------------------------------------------------------------


def _check_chain(
    dim: int, chain: xr.Dataset, real: xr.Dataset, times: np.ndarray, limit: dict
) -> list[Check]:
    checks, of_chain, of_real = [], _of(chain), _of(real)
    for name, plain in _PLAIN.items():
        for index in (_RECORDS // 4, _RECORDS - 1):
            values, sgd = (x[name][:, index] for x in (of_chain, of_real))
            difference = sgd - values[: len(sgd)]  # the same starts
            where = f"{plain} at t = {times[index]:g}"
            checks.append(against_simulation(
                f"{where}: ODE against chain", "(5.5), corrected (5.6)", limit[name][index],
                values.mean(), values.std(ddof=1) / len(values) ** 0.5,
                bias=_BIAS / dim + 4 * limit[f"{name}_error"][index],
                why_bias="(1/d, and 4 s.e. of the quadrature)",
            ))  # fmt: skip
            checks.append(against_simulation(
                f"{where}: chain as theory, real SGD from the same starts as simulation", "–",
                values[: len(sgd)].mean(), sgd.mean(),
                difference.std(ddof=1) / len(sgd) ** 0.5,
            ))  # fmt: skip
    M = real["M"].values[:, -1]
    largest = (M.argmax(-1) == np.arange(_K)).mean()
    checks.append(
        holds(
            "each x^a ends with its own mean as the largest overlap",
            "yes (Fig. 2.3)",
            largest == 1.0,
            f"{largest:.0%} of the real runs' x^a",
        )
    )
    return checks


def _check_paths(dim: int, chain: xr.Dataset, real: xr.Dataset, limit: dict) -> list[Check]:
    """The averages over exchangeable entries at all times."""
    averages = [_averages(dataset, _of(dataset)) for dataset in (chain, real)]
    theory = {name: values[None] for name, values in limit.items()}
    ode = _averages(chain.isel(run=[0]), theory)
    for name, plain in _PLAIN.items():
        ode[f"{plain}_error"] = (("run", "time"), theory[f"{name}_error"])
    first = averages[0].isel(run=slice(real.sizes["run"]))
    return [
        agree("averages of m_aa, m_ab, R_perp_aa at all times: ODE against chain",
              "(5.5), corrected (5.6)",
              compare(averages[0], ode, level=_LEVEL, allowed=_BIAS / dim)),
        agree("averages at all times: chain as theory, real SGD from the same starts", "–",
              compare(averages[1], first, level=_LEVEL)),
    ]  # fmt: skip


def _averages(dataset: xr.Dataset, values: dict[str, np.ndarray]) -> xr.Dataset:
    """m_aa, m_ab and R_perp_aa (run, time) on the runs and times of a dataset."""
    variables = {plain: (("run", "time"), values[name]) for name, plain in _PLAIN.items()}
    coords = {"run": dataset["run"].values, "time": dataset["time"].values}
    return xr.Dataset(variables, coords, dataset.attrs)


def _check_ends(ends: dict) -> list[Check]:
    star = diagonal_overlap(_K, _RIDGE)
    zero = ends[np.inf]
    snrs = [snr for snr in ends if _SNR < snr < np.inf]
    inverse = np.array([1 / snr for snr in snrs])
    ladder = np.array([ends[snr]["diagonal"][-1] for snr in snrs])
    extrapolated = np.polyfit(inverse, ladder, len(snrs) - 1)[-1]
    at_snr = ends[_SNR]
    return [
        equal("m_bb of (5.19), k = 10, beta = 0.01: root, and the zero-noise ODE at t = 3000",
              "(5.19)", star, float(zero["diagonal"][-1]), 1e-6),
        equal("m_ab / m_bb of the zero-noise ODE", "-1/(k - 1)", -1 / (_K - 1),
              float(zero["off"][-1] / zero["diagonal"][-1]), 1e-8),
        equal("m_ab / m_bb of the ODE at snr 10", "–", -1 / (_K - 1),
              float(at_snr["off"][-1] / at_snr["diagonal"][-1]), 1e-6),
        equal("m_bb at snr 40, 160, 640, quadratic in 1/snr, extrapolated to 0", "O(1/snr)", star,
              float(extrapolated), 1e-4, exact=False),
    ]  # fmt: skip
