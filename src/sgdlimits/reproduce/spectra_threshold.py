"""How many samples a Hessian or a gradient matrix needs to show k outliers, along training.

Ben Arous, Gheissari, Huang and Jagannath (2023) prove that k eigenvalues lead as snr and d grow at
many samples per dimension, and plot k separated ones (Fig. 2.3). At snr 10 the i-th of them
separates from the bulk when alpha = M/d exceeds a threshold that training raises.
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce import sharp_setting as setting
from sgdlimits.reproduce.checks import Check, against_simulation, equal, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.spectra.asymptotics.block_spectrum import BlockSpectrum, of_law
from sgdlimits.spectra.asymptotics.thresholds import outlier_thresholds
from sgdlimits.spectra.asymptotics.weight_law import WeightLaw
from sgdlimits.spectra.blocks import KINDS, Kind
from sgdlimits.statistics.overlaps import Statistics

_DIM = 1000  # of the paper
_SMALL = 120  # of the matrices with many samples per dimension
_ALPHAS: dict[Kind, tuple[float, ...]] = {
    "hessian": (1.0, 4.0, 30.0, 80.0),
    "gradient": (10.0, 200.0, 1500.0),
}
_TITLES = {"hessian": "Hessian", "gradient": "gradient matrix"}  # block 11
_GROUPS = {"1st": slice(0, 1), "2nd to 9th": slice(1, 9), "10th": slice(9, 10)}
_COLOURS = dict(
    zip(_GROUPS, (COLOURS["simulation"], COLOURS["second"], COLOURS["third"]), strict=True)
)
_ABOVE, _BELOW = 1.7, 0.6  # factors on a threshold that leave the transition's finite-size window
_GRID: dict[Kind, np.ndarray] = {
    "hessian": np.geomspace(0.5, 150, 12),
    "gradient": np.geomspace(2, 6000, 12),
}


def thresholds_along_training(work: Workspace) -> tuple[Figure, list[Check]]:
    """Thresholds along the limit and in runs of finite d, and the transition in matrices."""
    times = np.array([0, 1, 2, 4, 7, 10, 15, 20, 30, 40, 50.0])
    times = times if work.full else times[[0, 2, 4, 5, 7, 8, 10]]
    path = setting.limit(times)
    nodes = work.size(2**17, 2**19)
    needed = {kind: _along(path, len(times), kind, nodes) for kind in KINDS}
    chain = work.simulate(
        "chain", setting.model(), dim=_DIM, time=setting.END, runs=work.size(4, 16), record=2
    )
    ends = {kind: _of_runs(chain, kind, nodes) for kind in KINDS}
    last = setting.state(path, len(times) - 1)
    sampled = {
        kind: {alpha: _sampled(work, last, kind, alpha) for alpha in _ALPHAS[kind]}
        for kind in KINDS
    }
    laws = {kind: WeightLaw.create(setting.model(), last, kind=kind, nodes=nodes) for kind in KINDS}
    figure, axes = new_figure(1, 3, width=PAGE, height=2.7)
    for axis, kind in zip(axes[0], KINDS, strict=False):
        _panel_along(axis, times, needed[kind], ends[kind], _TITLES[kind])
    _panel_masses(axes[0, 2], laws, sampled)
    checks = _checks_of_thresholds(times, needed, ends)
    for kind in KINDS:
        for alpha, (values, masses) in sampled[kind].items():
            checks += _checks_of_matrices(
                kind, alpha, needed[kind][-1], of_law(laws[kind], alpha, _SMALL), values, masses
            )
    return figure, checks


# -- numbers ---------------------------------------------------------------------------------------


def _along(path: Statistics, count: int, kind: Kind, nodes: int) -> np.ndarray:
    """Thresholds (times, outliers) at the paper's dimension."""
    states = [setting.state(path, i) for i in range(count)]
    return np.array([_needed(u, kind, nodes) for u in states])


def _of_runs(chain: xr.Dataset, kind: Kind, nodes: int) -> np.ndarray:
    """Thresholds (runs, outliers) at the end of runs of finite dimension."""
    ends = zip(chain["M"].values[:, -1], chain["Q"].values[:, -1], strict=True)
    return np.array([_needed(Statistics(np.zeros(0), M, Q), kind, nodes) for M, Q in ends])


def _needed(u: Statistics, kind: Kind, nodes: int) -> np.ndarray:
    needed = outlier_thresholds(setting.model(), u, kind=kind, dim=_DIM, nodes=nodes)
    return needed[: setting.CLASSES]


def _sampled(
    work: Workspace, u: Statistics, kind: Kind, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """The k largest eigenvalues of matrices, decreasing, and their masses (matrices, k)."""
    runs = work.size(4, 16)
    pairs = [
        setting.eigenpairs(u, _SMALL, alpha, ((0, 0),), kind, work.seed, run)[0]
        for run in range(runs)
    ]
    values, masses = (
        np.array(part)[:, ::-1][:, : setting.CLASSES] for part in zip(*pairs, strict=True)
    )
    return values, masses


def _predicted(spectrum: BlockSpectrum) -> np.ndarray:
    """Masses of the vectors of the k largest eigenvalues; 0 for those in the bulk."""
    found = [o.mass for o in spectrum.outliers if o.side == "right"][: setting.CLASSES]
    return np.concatenate([found, np.zeros(setting.CLASSES - len(found))])


def _in_bulk(spectrum: BlockSpectrum) -> float:
    """Mean mass of the 2nd to k-th vectors if they belong to the bulk: its measure on all of V."""
    basis = np.eye(spectrum.space.rank)
    first, last = (sum(spectrum.captured(e, k) for e in basis) for k in (1, setting.CLASSES))
    return (last - first) / (setting.CLASSES - 1)


# -- panels ----------------------------------------------------------------------------------------


def _panel_along(axis: Axes, times: np.ndarray, needed: np.ndarray, ends: np.ndarray, title: str):
    for name, group in _GROUPS.items():
        values = needed[:, group]
        axis.plot(times, values.mean(1), color=_COLOURS[name], label=f"{name} outlier")
        axis.fill_between(
            times, values.min(1), values.max(1), color=_COLOURS[name], alpha=0.3, lw=0
        )
        runs = ends[:, group].mean(1)
        axis.errorbar(
            times[-1], runs.mean(), runs.std(ddof=1), fmt="o", ms=3, color=_COLOURS[name], capsize=2
        )
    axis.plot([], [], "ko", ms=3, label=f"chain, $d={_DIM}$")
    axis.set_yscale("log")
    axis.set_ylim(
        needed.min() / 2, needed.max() * 10 ** (0.6 * np.log10(needed.max() / needed.min()))
    )
    axis.set_xlabel(r"$t$ = steps $/\, d$")
    axis.set_ylabel(r"needed $\alpha = M/d$")
    axis.set_title(title)
    axis.legend(loc="upper left", labelspacing=0.2)


def _panel_masses(axis: Axes, laws: dict, sampled: dict) -> None:
    for kind, line in zip(KINDS, ("-", "--"), strict=True):
        spectra = [of_law(laws[kind], alpha, _SMALL) for alpha in _GRID[kind]]
        curves = np.array([_predicted(spectrum) for spectrum in spectra])
        hidden = [i for i, curve in enumerate(curves) if not curve[1:].any()]
        dissolved = [_in_bulk(spectra[i]) for i in hidden]
        axis.plot(_GRID[kind][hidden], dissolved, ":", color=_COLOURS["2nd to 9th"])
        for name, group in list(_GROUPS.items())[:2]:
            axis.plot(_GRID[kind], curves[:, group].mean(1), line, color=_COLOURS[name])
            points = [masses[:, group].mean() for _, masses in sampled[kind].values()]
            axis.plot(list(sampled[kind]), points, "os"[kind == "gradient"], ms=4,
                      color=_COLOURS[name])  # fmt: skip
    for style, label in (("k-", "Hessian"), ("k--", "gradient matrix"), ("k:", "in the bulk")):
        axis.plot([], [], style, label=label)
    axis.plot([], [], "ko", ms=4, label=f"matrices, $d={_SMALL}$")
    axis.set_xscale("log")
    axis.set_ylim(-0.03, 1.6)
    axis.set_yticks(np.linspace(0, 1, 6))
    axis.set_xlabel(r"$\alpha = M/d$")
    axis.set_ylabel(r"eigenvector's mass in $V$")
    axis.set_title(rf"at $t={setting.END:g}$")
    axis.legend(loc="upper left", labelspacing=0.2)


# -- checks ----------------------------------------------------------------------------------------


def _checks_of_thresholds(times: np.ndarray, needed: dict, ends: dict) -> list[Check]:
    checks = []
    for kind in KINDS:
        for name, group in _GROUPS.items():
            runs = ends[kind][:, group].mean(1)
            theory = float(needed[kind][-1, group].mean())
            checks.append(against_simulation(
                f"{_TITLES[kind]}, t = {times[-1]:g}: alpha for the {name} outlier; "
                f"limit against statistics of the chain at d = {_DIM}",
                "k separated at all times (Fig. 2.3), no alpha given", theory, runs.mean(),
                runs.std(ddof=1) / len(runs) ** 0.5, bias=2 / _DIM**0.5 * theory,
                why_bias="(statistics O(d^-1/2) off the limit)",
            ))  # fmt: skip
    hessian, gradient = (needed[kind][-1] for kind in KINDS)
    checks.append(equal("Hessian: alpha that shows all k = 10 outliers at t = 50, to 1", "–", 16.0,
                        float(hessian[9]), 1.0))  # fmt: skip
    checks.append(
        holds(
            "gradient matrix: a second outlier needs more than 500 samples per dimension "
            "at every t after 2",
            "–",
            bool((needed["gradient"][times > 2, 1] > 500).all()),
            f"smallest {needed['gradient'][times > 2, 1].min():.0f}, at t = 50 {gradient[1]:.0f}",
        )
    )
    return checks


def _checks_of_matrices(
    kind: Kind,
    alpha: float,
    needed: np.ndarray,
    spectrum: BlockSpectrum,
    values: np.ndarray,
    masses: np.ndarray,
) -> list[Check]:
    where = f"{_TITLES[kind]}, d = {_SMALL}, alpha = {alpha:g}"
    top, root = spectrum.outliers[0], len(values) ** 0.5
    checks = [
        against_simulation(
            f"{where}: largest eigenvalue, error predicted", "–", top.value,
            float(values[:, 0].mean()), spectrum.deviation(top) / root,
        )
    ]  # fmt: skip
    predicted = _predicted(spectrum)
    for name, group in _GROUPS.items():
        if alpha > _ABOVE * needed[group].max():
            of_group = masses[:, group].mean(1)
            checks.append(against_simulation(
                f"{where}: mass in V, {name} eigenvector", "–", float(predicted[group].mean()),
                of_group.mean(), of_group.std(ddof=1) / root, bias=0.5 * _SMALL**-0.5,
                why_bias="(0.5 d^-1/2)",
            ))  # fmt: skip
    if alpha < _BELOW * needed[1:].min():
        of_group = masses[:, 1:].mean(1)
        checks.append(against_simulation(
            f"{where}: mass in V of the 2nd to 10th, not separated: the bulk's measure", "–",
            _in_bulk(spectrum), of_group.mean(), of_group.std(ddof=1) / root,
            bias=_SMALL**-0.5, why_bias="(d^-1/2: the edge is smeared)",
        ))  # fmt: skip
    return checks
