"""How many samples a Hessian or a gradient matrix needs to show k outliers, along training.

Ben Arous, Gheissari, Huang and Jagannath (2023) prove that k eigenvalues lead as snr and d grow at
many samples per dimension, and plot k separated ones (Fig. 2.3). At snr 10 the i-th of them
separates from the bulk when alpha = M/d exceeds a threshold that training raises.
"""

from dataclasses import dataclass

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

_TITLES = {"hessian": "Hessian", "gradient": "gradient matrix"}  # block 11
_GROUPS = {"1st": slice(0, 1), "2nd to 9th": slice(1, 9), "10th": slice(9, 10)}
_COLOURS = dict(
    zip(_GROUPS, (COLOURS["simulation"], COLOURS["second"], COLOURS["third"]), strict=True)
)
_ABOVE, _BELOW = 1.7, 0.6  # factors on a threshold that leave the transition's finite-size window
_GRID: dict[Kind, tuple[float, float]] = {"hessian": (0.5, 150.0), "gradient": (2.0, 6000.0)}


@dataclass(frozen=True)
class _Sizes:
    """``dim`` is the paper's, ``small`` that of the matrices with many samples per dimension."""

    times: tuple[float, ...]
    alphas: dict[Kind, tuple[float, ...]]
    dim: int = 1000
    small: int = 120
    runs: int = 4
    nodes: int = 2**17
    grid: int = 12


_ALPHAS: dict[Kind, tuple[float, ...]] = {
    "hessian": (1.0, 4.0, 30.0, 80.0),
    "gradient": (10.0, 200.0, 1500.0),
}
_QUICK = _Sizes((0, 2, 7, 10, 20, 30, 50.0), _ALPHAS)
_FULL = _Sizes((0, 1, 2, 4, 7, 10, 15, 20, 30, 40, 50.0), _ALPHAS, runs=16, nodes=2**19)
_TINY = _Sizes(
    (0, 50.0), {"hessian": (1.0, 80.0), "gradient": (10.0,)}, dim=100, small=30, runs=2,
    nodes=2**15, grid=4,
)  # fmt: skip


def thresholds_along_training(work: Workspace) -> tuple[Figure, list[Check]]:
    """Thresholds along the limit and in runs of finite d, and the transition in matrices."""
    sizes = work.size(_QUICK, _FULL, _TINY)
    times = np.array(sizes.times)
    path = setting.limit(times)
    needed = {kind: _along(path, sizes, kind) for kind in KINDS}
    chain = work.simulate(
        "chain", setting.model(), dim=sizes.dim, time=setting.END, runs=sizes.runs, record=2
    )
    ends = {kind: _of_runs(chain, sizes, kind) for kind in KINDS}
    last = setting.state(path, len(times) - 1)
    sampled = {
        kind: {alpha: _sampled(work, sizes, last, kind, alpha) for alpha in sizes.alphas[kind]}
        for kind in KINDS
    }
    laws = {
        kind: WeightLaw.create(setting.model(), last, kind=kind, nodes=sizes.nodes)
        for kind in KINDS
    }
    figure, axes = new_figure(1, 3, width=PAGE, height=2.7)
    for axis, kind in zip(axes[0], KINDS, strict=False):
        _panel_along(axis, sizes, needed[kind], ends[kind], _TITLES[kind])
    _panel_masses(axes[0, 2], sizes, laws, sampled)
    checks = _checks_of_thresholds(sizes, needed, ends)
    for kind in KINDS:
        for alpha, (values, masses) in sampled[kind].items():
            spectrum = of_law(laws[kind], alpha, sizes.small)
            checks += _checks_of_matrices(
                kind, alpha, sizes.small, needed[kind][-1], spectrum, values, masses
            )
    return figure, checks


# -- numbers ---------------------------------------------------------------------------------------


def _along(path: Statistics, sizes: _Sizes, kind: Kind) -> np.ndarray:
    """Thresholds (times, outliers) at the paper's dimension."""
    states = [setting.state(path, i) for i in range(len(sizes.times))]
    return np.array([_needed(u, sizes, kind) for u in states])


def _of_runs(chain: xr.Dataset, sizes: _Sizes, kind: Kind) -> np.ndarray:
    """Thresholds (runs, outliers) at the end of runs of finite dimension."""
    ends = zip(chain["M"].values[:, -1], chain["Q"].values[:, -1], strict=True)
    return np.array([_needed(Statistics(np.zeros(0), M, Q), sizes, kind) for M, Q in ends])


def _needed(u: Statistics, sizes: _Sizes, kind: Kind) -> np.ndarray:
    needed = outlier_thresholds(setting.model(), u, kind=kind, dim=sizes.dim, nodes=sizes.nodes)
    return needed[: setting.CLASSES]


def _sampled(
    work: Workspace, sizes: _Sizes, u: Statistics, kind: Kind, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """The k largest eigenvalues of matrices, decreasing, and their masses (matrices, k)."""
    pairs = [
        setting.eigenpairs(u, sizes.small, alpha, ((0, 0),), kind, work.seed, run)[0]
        for run in range(sizes.runs)
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


def _panel_along(axis: Axes, sizes: _Sizes, needed: np.ndarray, ends: np.ndarray, title: str):
    times = sizes.times
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
    axis.plot([], [], "ko", ms=3, label=f"chain, $d={sizes.dim}$")
    axis.set_yscale("log")
    axis.set_ylim(
        needed.min() / 2, needed.max() * 10 ** (0.6 * np.log10(needed.max() / needed.min()))
    )
    axis.set_xlabel(r"$t$ = steps $/\, d$")
    axis.set_ylabel(r"needed $\alpha = M/d$")
    axis.set_title(title)
    axis.legend(loc="upper left", labelspacing=0.2)


def _panel_masses(axis: Axes, sizes: _Sizes, laws: dict, sampled: dict) -> None:
    for kind, line in zip(KINDS, ("-", "--"), strict=True):
        grid = np.geomspace(*_GRID[kind], sizes.grid)
        spectra = [of_law(laws[kind], alpha, sizes.small) for alpha in grid]
        curves = np.array([_predicted(spectrum) for spectrum in spectra])
        hidden = [i for i, curve in enumerate(curves) if not curve[1:].any()]
        dissolved = [_in_bulk(spectra[i]) for i in hidden]
        axis.plot(grid[hidden], dissolved, ":", color=_COLOURS["2nd to 9th"])
        for name, group in list(_GROUPS.items())[:2]:
            axis.plot(grid, curves[:, group].mean(1), line, color=_COLOURS[name])
            points = [masses[:, group].mean() for _, masses in sampled[kind].values()]
            axis.plot(list(sampled[kind]), points, "os"[kind == "gradient"], ms=4,
                      color=_COLOURS[name])  # fmt: skip
    for style, label in (("k-", "Hessian"), ("k--", "gradient matrix"), ("k:", "in the bulk")):
        axis.plot([], [], style, label=label)
    axis.plot([], [], "ko", ms=4, label=f"matrices, $d={sizes.small}$")
    axis.set_xscale("log")
    axis.set_ylim(-0.03, 1.6)
    axis.set_yticks(np.linspace(0, 1, 6))
    axis.set_xlabel(r"$\alpha = M/d$")
    axis.set_ylabel(r"eigenvector's mass in $V$")
    axis.set_title(rf"at $t={setting.END:g}$")
    axis.legend(loc="upper left", labelspacing=0.2)


# -- checks ----------------------------------------------------------------------------------------


def _checks_of_thresholds(sizes: _Sizes, needed: dict, ends: dict) -> list[Check]:
    checks, times = [], np.array(sizes.times)
    for kind in KINDS:
        for name, group in _GROUPS.items():
            runs = ends[kind][:, group].mean(1)
            theory = float(needed[kind][-1, group].mean())
            checks.append(against_simulation(
                f"{_TITLES[kind]}, t = {times[-1]:g}: alpha for the {name} outlier; "
                f"limit against statistics of the chain at d = {sizes.dim}",
                "k separated at all times (Fig. 2.3), no alpha given", theory, runs.mean(),
                runs.std(ddof=1) / len(runs) ** 0.5, bias=2 / sizes.dim**0.5 * theory,
                why_bias="(statistics O(d^-1/2) off the limit)",
            ))  # fmt: skip
    hessian, gradient = (needed[kind][-1] for kind in KINDS)
    checks.append(equal("Hessian: alpha that shows all k = 10 outliers at t = 50, to 1", "–", 16.0,
                        float(hessian[9]), 1.0, exact=False))  # fmt: skip
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
    dim: int,
    needed: np.ndarray,
    spectrum: BlockSpectrum,
    values: np.ndarray,
    masses: np.ndarray,
) -> list[Check]:
    where = f"{_TITLES[kind]}, d = {dim}, alpha = {alpha:g}"
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
                of_group.mean(), of_group.std(ddof=1) / root, bias=0.5 * dim**-0.5,
                why_bias="(0.5 d^-1/2)",
            ))  # fmt: skip
    if alpha < _BELOW * needed[1:].min():
        of_group = masses[:, 1:].mean(1)
        checks.append(against_simulation(
            f"{where}: mass in V of the 2nd to 10th, not separated: the bulk's measure", "–",
            _in_bulk(spectrum), of_group.mean(), of_group.std(ddof=1) / root,
            bias=dim**-0.5, why_bias="(d^-1/2: the edge is smeared)",
        ))  # fmt: skip
    return checks
