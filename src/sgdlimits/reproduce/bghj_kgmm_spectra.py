"""Ben Arous et al. (2023), Figures 2.1 to 2.3 and 9.1 to 9.4: curvature of k-GMM along training.

Matrices of test data throughout, of training data in 9.3 and 9.4. The means are e_{50 i} (e_{10 i}
in the quick form); the data law does not depend on where they are, so the simulation has them at
the first coordinates and the pictures relabel them.
"""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.bghj_settings import (
    ALPHA,
    CLASSES,
    HORIZON,
    Neurons,
    dimension,
    k_gmm_model,
    k_gmm_run,
    nodes,
    states,
)
from sgdlimits.reproduce.checks import Check, against_simulation, equal, holds
from sgdlimits.reproduce.curvature_panels import (
    NAMES,
    NODES,
    TIME_LABEL,
    panel_alignment,
    panel_eigenvalues,
    predicted,
    predicted_alignment,
    some,
)
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.spectra.asymptotics.block_spectrum import asymptotic
from sgdlimits.spectra.blocks import KINDS, Kind

_KINDS = KINDS


def figure_2_1(work: Workspace) -> tuple[Figure, list[Check]]:
    """Alignment of every x^c with E_k of its blocks, test data."""
    return _alignments(work, training=False)


def figure_9_3(work: Workspace) -> tuple[Figure, list[Check]]:
    """The same with matrices of the training data (the paper has the G-matrix on the left)."""
    return _alignments(work, training=True)


def _alignments(work: Workspace, training: bool) -> tuple[Figure, list[Check]]:
    data, d = k_gmm_run(work, training=training), dimension(work)
    model, path, times = k_gmm_model(), states(data), data["time"].values
    figure, axes = new_figure(1, 2, width=PAGE, height=2.7, sharey=True)
    checks = []
    for axis, kind in zip(axes[0], _KINDS, strict=True):
        index = some(times, 7)
        captured = np.array([
            predicted_alignment(
                model, path[i], kind, ALPHA, d, 0, CLASSES, nodes=nodes(work, NODES)
            )
            for i in index
        ])  # fmt: skip
        name = NAMES[kind]
        panel_alignment(
            axis, data[f"{kind}_alignment"], rf"$\rho(x^c, E_{{{CLASSES}}}({name[1:-1]}_{{cc}}))$",
            (times[index], captured),
        )  # fmt: skip
        checks += _check_alignment(work, data, kind, training)
    axes[0, 0].set_title(rf"$k={CLASSES}$, $d={d}$, $M={ALPHA}\,d$")
    axes[0, 1].set_title("training data" if training else "test data")
    return figure, checks


def _check_alignment(work: Workspace, data: xr.Dataset, kind: Kind, training: bool) -> list[Check]:
    """At the start and at the end: mean over the ten blocks against the mean prediction."""
    checks, model, path, d = [], k_gmm_model(), states(data), dimension(work)
    shown = work.size(CLASSES, CLASSES, 2)
    for slot, when, paper in ((0, "t = 0", "near 0"), (-1, "the end", "near 1")):
        rho = data[f"{kind}_alignment"].values[0, slot, :shown]
        theory = np.array([
            predicted_alignment(
                model, path[slot], kind, ALPHA, d, c, CLASSES, nodes=nodes(work, 2**13)
            )
            for c in range(shown)
        ])  # fmt: skip
        error = float((rho - theory).std(ddof=1) / shown**0.5)
        bias, why = (0.02, "for the size of d") if not training else (0.05, "for training data")
        checks.append(
            against_simulation(
                f"mean over c of rho(x^c, E_{CLASSES}) at {when}, {kind} matrix", paper,
                float(theory.mean()), float(rho.mean()), error, bias, why,
            )
        )  # fmt: skip
    start, end = data[f"{kind}_alignment"].values[0][[0, -1]]
    checks.append(
        holds(f"every block aligns, {kind} matrix", "increases to near 1 rapidly",
              bool((end > 0.75).all() and (end > start + 0.4).all()),
              f"end between {end.min():.3f} and {end.max():.3f}, above 0.75 and start + 0.4")
    )  # fmt: skip
    return checks


def figure_2_2(work: Workspace) -> tuple[Figure, list[Check]]:
    """Entries of x^1 and of the k leading eigenvectors of its blocks, at the end."""
    d, spacing = dimension(work), dimension(work) // 20
    data = k_gmm_run(work, blocks=[(0, 0)], vectors=True)
    model, last = k_gmm_model(), states(data)[-1]
    place = _places(d, spacing)
    figure, axes = new_figure(1, 3, width=PAGE, height=2.7)
    axes[0, 0].plot(place, data["neurons"].values[0, -1, 0], ".", ms=2, color=COLOURS["simulation"])
    axes[0, 0].set_ylabel(r"entries of $x^1$")
    checks = []
    for axis, kind in zip(axes[0, 1:], _KINDS, strict=True):
        vectors = data[f"{kind}_vectors"].values[0, -1, 0]
        means = np.arange(CLASSES)
        signs = np.sign(vectors[np.arange(CLASSES), np.abs(vectors[:, :CLASSES]).argmax(1)])
        for rank in range(CLASSES - 1, -1, -1):
            axis.plot(place, signs[rank] * vectors[rank], ".", ms=2,
                      color=COLOURS["second" if rank == 0 else "flow"],
                      label={0: "largest", 1: "next nine"}.get(rank))  # fmt: skip
        axis.set_ylabel(f"entries of eigenvectors of {NAMES[kind][:-1]}_{{11}}$")
        axis.legend(loc="upper right", markerscale=3)
        spectrum = asymptotic(
            model, last, (0, 0), kind=kind, alpha=ALPHA, dim=d, nodes=nodes(work, 2**15)
        )
        overlap = spectrum.outliers[0].overlap(spectrum.direction(frame=0))
        checks.append(
            against_simulation(
                f"squared overlap of the top eigenvector with mu_1, {kind} matrix",
                "lives in Span(mu_1) up to O(1/snr)", overlap, float(vectors[0, 0] ** 2),
                0.0 + _overlap_error(overlap, d), 0.02, "for the size of d",
            )
        )  # fmt: skip
        inside = float((vectors[:, means] ** 2).sum() / CLASSES)
        checks.append(
            holds(f"the top eigenvector is the one along mu_1, {kind} matrix", "Theorem 2.5",
                  bool(np.argmax(np.abs(vectors[0, :CLASSES])) == 0 and vectors[0, 0] ** 2 > 0.5),
                  f"mean share of the k vectors in the span of the means {inside:.3f}")
        )  # fmt: skip
    for axis in axes[0]:
        axis.set_xlabel("coordinate")
    axes[0, 1].set_title(rf"$\mu_i=e_{{{spacing}i}}$, $d={d}$")
    return figure, checks


def _overlap_error(overlap: float, d: int) -> float:
    """Order of an overlap's fluctuation: the squared cosine of a vector with noise of size d."""
    return float(2 * np.sqrt(overlap * (1 - overlap) / d))


def _places(d: int, spacing: int) -> np.ndarray:
    """Where the first coordinates are shown: mu_i at spacing * i, the others where room is."""
    means = spacing * np.arange(1, CLASSES + 1)
    return np.concatenate([means, np.setdiff1d(np.arange(1, d + 1), means)])


def figure_2_3(work: Workspace) -> tuple[Figure, list[Check]]:
    """Eigenvalues of the first Hessian block, and overlaps of x^1 with the means."""
    return _separation(work, training=False)


def figure_9_4(work: Workspace) -> tuple[Figure, list[Check]]:
    """The same with the Hessian of the training data."""
    return _separation(work, training=True)


def _separation(work: Workspace, training: bool) -> tuple[Figure, list[Check]]:
    d = dimension(work)
    data = k_gmm_run(work, training=training, blocks=[(0, 0)], kinds=("hessian",), full=True)
    model, path, times = k_gmm_model(), states(data), data["time"].values
    index = some(times, 9)
    theory = predicted(model, path[index], times[index], "hessian", ALPHA, d, nodes(work, NODES))
    figure, axes = new_figure(1, 2, width=PAGE, height=2.9)
    values = data["hessian_spectrum"].values[0, :, 0, ::-1]
    rest = axes[0, 0].plot(times, values[:, CLASSES::4], lw=0.3, color=COLOURS["third"], alpha=0.6)
    rest[0].set_label("rest, every fourth")
    panel_eigenvalues(
        axes[0, 0], times, values[:, :CLASSES], rf"eigenvalues of {NAMES['hessian'][:-1]}_{{11}}$",
        theory,
    )  # fmt: skip
    axes[0, 0].set_title(f"{'training' if training else 'test'} data, $M={ALPHA}\\,d$")
    for b in range(CLASSES - 1, -1, -1):
        axes[0, 1].plot(times, path.M[:, 0, b], lw=0.8, label={0: "$b=1$", 1: r"$b\neq 1$"}.get(b),
                        color=COLOURS["second" if b == 0 else "simulation"])  # fmt: skip
    axes[0, 1].set_xlabel(TIME_LABEL)
    axes[0, 1].set_ylabel(r"$\langle x^1, \mu_b\rangle$")
    axes[0, 1].set_title(rf"$k={CLASSES}$, $d={d}$")
    axes[0, 1].legend(loc="upper left")
    return figure, _check_outliers(data, theory, index, training)


def _check_outliers(
    data: xr.Dataset, theory: xr.Dataset, index: np.ndarray, training: bool
) -> list[Check]:
    """Largest eigenvalue at every predicted time, and how many are separated."""
    values = data["hessian_spectrum"].values[0, :, 0, ::-1][index]
    expected, deviation = (theory[name].values[:, 0] for name in ("value", "deviation"))
    checks = []
    for slot, when in ((0, "t = 0"), (-1, "the end")):
        # At t = 0 the ten are nearly degenerate and repel each other: their mean is compared.
        top = slice(0, CLASSES) if slot == 0 else slice(0, 1)
        spread = theory["deviation"].values[slot, top]
        error = float(np.sqrt((spread**2).sum()) / len(spread))
        theirs, ours = theory["value"].values[slot, top].mean(), values[slot, top].mean()
        bias, why = (0.01 * theirs, "for the size of d") if not training else (0.0, "")
        if training:
            bias, why = 0.1 * theirs, "because parameters depend on training data"
        what = "mean of the ten outliers" if slot == 0 else "largest eigenvalue"
        checks.append(
            against_simulation(f"{what} at {when}", "a curve", float(theirs), float(ours), error,
                               float(bias), why)
        )  # fmt: skip
    # Bulk eigenvalues fluctuate about the edge: counted is what exceeds the middle of the gap.
    middle = (theory["edge"].values[:, 1] + theory["value"].values[:, CLASSES - 1]) / 2
    counted = (values > middle[:, None]).sum(1)
    checks.append(
        holds("ten eigenvalues are separated, at all times", "the leading k are",
              bool((counted == CLASSES).all() and (theory["separated"] == CLASSES).all()),
              f"counted {counted.min()} to {counted.max()}, predicted "
              f"{theory['separated'].values.min()} to {theory['separated'].values.max()}")
    )  # fmt: skip
    ratio = values[-1, 0] / values[-1, 1], values[0, 0] / values[0, 1]
    checks.append(
        holds("the largest eigenvalue leaves the other nine", "soon after initialisation",
              bool(ratio[0] > 1.5 > ratio[1]),
              f"ratio of the first two {ratio[1]:.2f} at t = 0, {ratio[0]:.2f} at the end")
    )  # fmt: skip
    z = (values[1:, 0] - expected[1:]) / deviation[1:]
    checks.append(
        holds("z-scores of the largest eigenvalue along training", "–",
              bool(np.abs(z).max() < (5 if not training else np.inf)),
              f"between {z.min():.1f} and {z.max():.1f}" + (", within 5" if not training else
              "; reported, since the prediction is for test data"))
    )  # fmt: skip
    return checks


def figure_9_1(work: Workspace) -> tuple[Figure, list[Check]]:
    """Coordinates of x^1 and x^2 at initialisation and at the end."""
    d, spacing = dimension(work), dimension(work) // 20
    data = work.simulate(
        "sgd", k_gmm_model(), engine="sgd", dim=d, time=HORIZON, record=2,
        observe=[Neurons()],
    )  # fmt: skip
    place, rows = _places(d, spacing), data["neurons"].values[0]
    figure, axes = new_figure(2, 2, width=PAGE, height=4.0, sharex=True)
    for slot, when in enumerate(("$t=0$", rf"$t={HORIZON:g}$")):
        for row in range(2):
            axis = axes[slot, row]
            axis.plot(place[CLASSES:], rows[slot, row, CLASSES:], ".", ms=2,
                      color=COLOURS["flow"], label="other coordinates")  # fmt: skip
            axis.plot(place[:CLASSES], rows[slot, row, :CLASSES], "o", ms=3,
                      color=COLOURS["simulation"], label=r"along the means")  # fmt: skip
            axis.plot(place[row], rows[slot, row, row], "o", ms=4, color=COLOURS["second"],
                      label=r"along $\mu_c$")  # fmt: skip
            axis.set_ylabel(rf"$x^{row + 1}$")
            axis.set_title(when)
    for axis in axes[1]:
        axis.set_xlabel("coordinate")
    axes[1, 0].legend(loc="center right")
    checks = []
    for row in range(2):
        own, others = rows[1, row, row], np.delete(rows[1, row, :CLASSES], row)
        rest = rows[1, row, CLASSES:]
        checks.append(
            holds(f"x^{row + 1} correlates with its mean, anticorrelates with the others",
                  "Theorems 2.4 and 2.5",
                  bool(own > 1 and (others < 0).all() and own > 6 * np.abs(rest).max()),
                  f"own {own:.2f}, others {others.min():.2f} to {others.max():.2f}, "
                  f"largest elsewhere {np.abs(rest).max():.2f}")
        )  # fmt: skip
        start = rows[0, row]
        checks.append(
            holds(f"x^{row + 1} is random at t = 0", "random vector",
                  bool(abs((start**2).sum() - 1) < 5 * np.sqrt(2 / d)
                       and np.abs(start).max() < 5.5 / np.sqrt(d)),
                  f"squared norm {(start**2).sum():.3f}, 1 within 5 s.d.")
        )  # fmt: skip
    return figure, checks


def figure_9_2(work: Workspace) -> tuple[Figure, list[Check]]:
    """The whole spectrum of the first Hessian block at four times."""
    d = dimension(work)
    data = k_gmm_run(work, blocks=[(0, 0)], kinds=("hessian",), full=True)
    model, path, times = k_gmm_model(), states(data), data["time"].values
    figure, axes = new_figure(1, 4, width=PAGE, height=2.6, sharey=True)
    checks = []
    slots = [0, int(np.argmin(np.abs(times - 5))), int(np.argmin(np.abs(times - 15))), -1]
    for axis, slot in zip(axes[0], slots, strict=True):
        values = data["hessian_spectrum"].values[0, slot, 0]
        spectrum = asymptotic(
            model, path[slot], (0, 0), alpha=ALPHA, dim=d, nodes=nodes(work, 2**14)
        )
        bulk, outliers = spectrum.bulk, spectrum.outliers
        axis.hist(values, bins=60, density=True, color=COLOURS["simulation"], alpha=0.6,
                  label="SGD")  # fmt: skip
        x = np.linspace(bulk.left.x, bulk.right.x, 200)[1:-1]
        axis.plot(x, bulk.density(x), "k-", lw=1, label="prediction")
        for number, outlier in enumerate(outliers):
            axis.axvline(outlier.value, ymax=0.12, color=COLOURS["second"], lw=0.8,
                         label="outliers" if number == 0 else None)  # fmt: skip
        axis.set_yscale("log")
        axis.set_ylim(bottom=0.3)
        axis.set_xlabel("eigenvalue")
        axis.set_title(rf"$t={times[slot]:.3g}$")
        # V has 2k dimensions, k of them outliers; the other k move the distribution by k/d at most.
        inner = values[(values <= bulk.right.x) & (values >= bulk.left.x)]
        grid = np.linspace(bulk.left.x, bulk.right.x, 400)
        law = np.interp(inner, grid, bulk.distribution(grid))
        rank = (np.arange(len(inner)) + 0.5) / len(inner)
        checks.append(
            equal(f"distance of the bulk's distribution functions, t = {times[slot]:.3g}", "–",
                  0.0, float(np.abs(law - rank).max()), 12.0 / d, exact=False)
        )  # fmt: skip
    axes[0, 0].set_ylabel("density")
    axes[0, 0].legend(loc="upper right")
    first, last = (data["hessian_spectrum"].values[0, s, 0, ::-1] for s in (0, -1))
    gaps = [x[:CLASSES] / x[CLASSES] for x in (first, last)]
    checks.append(
        holds("two components at t = 0, three at the end", "top one, next nine, bulk",
              bool(gaps[0][-1] > 1.2 and gaps[0][0] < 1.5 * gaps[0][-1] and
                   gaps[1][0] > 1.5 * gaps[1][1]),
              f"relative to the 11th: 1st {gaps[0][0]:.2f}, 10th {gaps[0][-1]:.2f} at t = 0; 1st "
              f"{gaps[1][0]:.2f}, 2nd {gaps[1][1]:.2f}, 10th {gaps[1][-1]:.2f} at the end")
    )  # fmt: skip
    return figure, checks
