"""Spectra of four blocks at the start and after training: bulk, edges and outliers, predicted.

The setting of Ben Arous, Gheissari, Huang and Jagannath (2023), Section 2.1, at alpha = M/d = 8.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce import sharp_setting as setting
from sgdlimits.reproduce.checks import Check, against_simulation, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.spectra.asymptotics.block_spectrum import BlockSpectrum, asymptotic
from sgdlimits.spectra.blocks import KINDS, Kind

_ALPHA = 8.0
_BLOCKS = ((0, 0), (0, 1))
_NAMES = {
    ("hessian", (0, 0)): r"$H_{11}$",
    ("hessian", (0, 1)): r"$H_{12}$",
    ("gradient", (0, 0)): r"$G_{11}$",
    ("gradient", (0, 1)): r"$G_{12}$",
}
_MOST_DISTANCE = 0.03  # Kolmogorov distance; random numbers of samples per class add 1-2 %
# Edges are compared unless single samples make them (tail noise), or a signal is so close to its
# transition (n^(-1/3)) that it moves them.
_SHARP = 0.3
_APART = 4.0  # standard deviations


def bulk_and_outliers(work: Workspace) -> tuple[Figure, list[Check]]:
    """Histograms of one matrix each over the limiting densities."""
    dim, runs, nodes = work.size((500, 2, None), (1000, 8, None), (60, 2, 2**9))
    times = np.array([0.0, setting.END])
    path = setting.limit(times)
    figure, axes = new_figure(2, 4, width=PAGE, height=3.6)
    checks = []
    for row, time in enumerate(times):
        u = setting.state(path, row)
        column = 0
        for kind in KINDS:
            sampled = [
                setting.eigenpairs(u, dim, _ALPHA, _BLOCKS, kind, work.seed, run)
                for run in range(runs)
            ]
            for index, block in enumerate(_BLOCKS):
                spectrum = asymptotic(
                    setting.model(), u, block, kind=kind, alpha=_ALPHA, dim=dim, nodes=nodes
                )
                values = np.array([one[index][0] for one in sampled])
                title = f"{_NAMES[kind, block]}, $t={time:g}$"
                _panel(axes[row, column], spectrum, values[0], title)
                checks += _checks(kind, block, time, spectrum, values)
                column += 1
    axes[0, 0].set_ylabel("density")
    axes[1, 0].set_ylabel("density")
    axes[0, 0].legend(loc="upper right", handlelength=1.0)
    return figure, checks


def _panel(axis: Axes, spectrum: BlockSpectrum, values: np.ndarray, title: str) -> None:
    bulk, scale = spectrum.bulk, 1e3
    low, high = bulk.left.x, bulk.right.x
    inside = values[(values >= low) & (values <= high)]
    counts, edges = np.histogram(inside, bins=40, range=(low, high))
    heights = counts / len(values) / np.diff(edges)
    axis.stairs(heights / scale, edges * scale, fill=True, color=COLOURS["simulation"], alpha=0.5,
                label="one matrix")  # fmt: skip
    x = np.linspace(low, high, 600)[1:-1]
    axis.plot(x * scale, bulk.density(x) / scale, color="black", label="limit")
    outside = values[(values < low) | (values > high)]
    axis.set_yscale("log")
    floor = 0.3 * np.min(heights[heights > 0]) / scale
    top = 12 * bulk.density(x).max() / scale
    axis.set_ylim(floor, top)
    axis.plot(outside * scale, np.full(len(outside), 2 * floor), "o", ms=3, mew=0,
              color=COLOURS["simulation"])  # fmt: skip
    found = np.array([o.value for o in spectrum.outliers])
    axis.plot(found * scale, np.full(len(found), 5 * floor), "v", ms=4, color=COLOURS["second"],
              label="outliers, limit")  # fmt: skip
    axis.set_xlabel(r"$10^3\times$ eigenvalue")
    axis.set_title(title)


def _checks(
    kind: Kind, block: tuple[int, int], time: float, spectrum: BlockSpectrum, values: np.ndarray
) -> list[Check]:
    where = f"{'HG'[kind == 'gradient']}_{block[0] + 1}{block[1] + 1}, t = {time:g}"
    bulk = spectrum.bulk
    right = [o for o in spectrum.outliers if o.side == "right"]
    left = [o for o in spectrum.outliers if o.side == "left"]
    size = values.shape[1]
    inner = np.sort(values[:, len(left) : size - len(right)].ravel())
    x = np.linspace(bulk.left.x, bulk.right.x, 400)
    distance = np.abs(bulk.distribution(x) - np.searchsorted(inner, x) / len(inner)).max()
    checks = [
        holds(
            f"{where}: bulk follows the limit",
            "–",
            distance < _MOST_DISTANCE,
            f"Kolmogorov distance {distance:.4f}, allowed {_MOST_DISTANCE}; "
            f"{len(spectrum.outliers)} outliers",
        )
    ]
    checks += _checks_of_outliers(where, spectrum, values, right, left)
    edge = bulk.right if abs(bulk.right.x) > abs(bulk.left.x) else bulk.left
    side = "right" if edge is bulk.right else "left"
    index = size - 1 - len(right) if side == "right" else len(left)
    mean, deviation = spectrum.extreme(side)
    critical = spectrum.distance_to_transition(side) < (size - spectrum.space.rank) ** (-1 / 3)
    if edge.tail_noise < _SHARP and not critical:
        checks.append(against_simulation(
            f"{where}: outermost bulk eigenvalue (Tracy-Widom mean)", "–", mean,
            float(values[:, index].mean()), deviation / len(values) ** 0.5,
            bias=0.02 * abs(edge.x), why_bias="(2 % of the edge: weights' tails at M samples)",
        ))  # fmt: skip
    return checks


def _checks_of_outliers(where, spectrum, values, right, left) -> list[Check]:
    """Outliers that stand apart from each other and from the bulk, with predicted errors."""
    checks, size = [], values.shape[1]
    fixed = [spectrum.bulk.left.x, spectrum.bulk.right.x, *(o.value for o in spectrum.outliers)]
    for outlier in spectrum.outliers:
        deviation = spectrum.deviation(outlier)
        nearest = np.sort(np.abs(np.array(fixed) - outlier.value))[1]
        if outlier.mass < 0.45 or nearest < _APART * deviation:
            continue
        group, first = (right, size - 1) if outlier in right else (left, 0)
        place = sum(abs(o.value) > abs(outlier.value) for o in group)
        index = first - place if outlier in right else first + place
        checks.append(
            against_simulation(
                f"{where}: outlier, error predicted",
                "–",
                outlier.value,
                float(values[:, index].mean()),
                deviation / len(values) ** 0.5,
            )
        )
    return checks
