"""Batches on noiseless least squares: the largest stable step, speed, and the critical batch.

With D = |w - w*|² and a batch of B isotropic samples, exactly at every d,

    E D' / D = 1 - 2 step/d + (step/d)² (1 + (d + 1)/B),

so that SGD contracts up to step = 2 B d/(B + d + 1), which is 2 B until B is of order d, and at
best by B/(B + d + 1) a step: B = d + 1 is where larger batches stop to save steps.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.expectations.activations import Polynomial
from sgdlimits.limits.critical_step import critical_step
from sgdlimits.models.committees_zoo import committee
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.checks import SIGMAS, Check, against_simulation, equal, holds
from sgdlimits.reproduce.distances import distance
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_BATCHES = (1, 8, 64, 512)
_SHARES = (0.5, 1.1)  # of the largest stable step
_STEPS_A_RUN = 8
_SHADES = ("simulation", "second", "third", "fourth", "theory", "flow")


def _factor(step: Any, batch: Any, dim: int) -> Any:
    """E D'/D."""
    return 1 - 2 * step / dim + (step / dim) ** 2 * (1 + (dim + 1) / batch)


def _stable(batch: Any, dim: int) -> Any:
    """The largest stable step at this dimension."""
    return 2 * batch * dim / (batch + dim + 1)


def _model() -> Any:
    return committee(1, 1, Polynomial([0.0, 1.0]), noise=0.0)


def batches(work: Workspace) -> tuple[Figure, list[Check]]:
    """Contraction against the step, the largest stable step, and speed, against the batch."""
    figure, axes = new_figure(1, 3, width=PAGE, height=2.5)
    dim = work.size(100, 400, 30)
    found = _measure(work, dim)
    checks = [*_rates(axes[0, 0], found, dim), *_edges(axes[0, 1], found, dim)]
    return figure, [*checks, *_speed(axes[0, 2], found, dim), *_limits(work)]


def _measure(work: Workspace, dim: int) -> dict[tuple[int, float], tuple[float, float]]:
    """E of D after some steps over D before, with its standard error, by batch and step."""
    found = {}
    runs = work.size(256, 4000, 4)
    start = Statistics(jnp.zeros(0), [[0.0]], [[1.0]])
    for batch in work.size(_BATCHES, _BATCHES, _BATCHES[1:2]):
        for share in work.size(_SHARES, _SHARES, _SHARES[:1]):
            step = share * _stable(batch, dim)
            result = work.simulate(
                f"{batch}-{share:g}", _model(), OnlineSGD(step, batch=batch), "chain", dim=dim,
                time=_STEPS_A_RUN * step / dim, record=2, runs=runs, initial=start,
            )  # fmt: skip
            D = distance(result).values
            ratio = D[:, -1] / D[:, 0]
            found[batch, step] = float(ratio.mean()), float(ratio.std(ddof=1) / len(ratio) ** 0.5)
    return found


def _rates(axis: Axes, found: dict, dim: int) -> list[Check]:
    checks, grid = [], np.linspace(1e-3, 1.25, 200)
    shown = sorted({batch for batch, _ in found})
    for batch, colour in zip(shown, _SHADES, strict=False):
        edge = _stable(batch, dim)
        axis.plot(grid, dim / batch * np.log(_factor(grid * edge, batch, dim)),
                  color=COLOURS[colour], label=f"$B={batch}$")  # fmt: skip
        for (b, step), (mean, error) in found.items():
            if b != batch:
                continue
            low, high = (np.log(max(mean + s * error, 1e-300)) for s in (-SIGMAS, SIGMAS))
            scale = dim / batch / _STEPS_A_RUN
            axis.plot([step / edge] * 2, [scale * low, scale * high], color=COLOURS[colour], lw=4,
                      alpha=0.35)  # fmt: skip
            checks.append(against_simulation(
                f"E D after {_STEPS_A_RUN} steps, B = {batch}, {step / edge:.1f} of stable",
                "exact", float(_factor(step, batch, dim) ** _STEPS_A_RUN), mean, error,
            ))  # fmt: skip
    axis.axhline(0.0, color=COLOURS["flow"], lw=0.7)
    axis.set_ylim(-1.3, 0.7)
    axis.set_xlabel(r"$\gamma\,/\,\gamma_c(B)$")
    axis.set_ylabel(r"$\log(E D'/D)$ per sample, $\times d$")
    axis.legend(fontsize=6)
    return checks


def _edges(axis: Axes, found: dict, dim: int) -> list[Check]:
    grid = np.geomspace(1, 2000, 200)
    axis.loglog(grid, _stable(grid, dim), color=COLOURS["theory"], label=f"exact, $d={dim}$")
    axis.loglog(grid, 2 * grid, ":", color=COLOURS["second"], label=r"$d\to\infty$: $2B$")
    axis.axvline(dim + 1, color=COLOURS["flow"], lw=0.7)
    for batch in sorted({batch for batch, _ in found}):
        low, high, *_ = _edge(found, batch, dim)
        axis.plot([batch] * 2, [low, high], color=COLOURS["simulation"], lw=4, alpha=0.4,
                  label="chain, ±4 s.e." if (batch == min(found)[0]) else None)  # fmt: skip
    axis.set_xlabel("batch $B$")
    axis.set_ylabel(r"$\gamma_c$")
    axis.set_ylim(1, 5 * dim)
    axis.legend()
    return [
        holds(f"the largest stable step, B = {batch}", "2 B d/(B + d + 1)",
              low <= _stable(batch, dim) <= high,
              f"{_stable(batch, dim):.4g}, chain within [{low:.4g}, {high:.4g}]")
        for batch in sorted({batch for batch, _ in found})
        for low, high in [_edge(found, batch, dim)]
    ]  # fmt: skip


def _edge(found: dict, batch: int, dim: int) -> tuple[float, float]:
    """Where E D'/D = 1, from the curvature in the step that the chain shows."""
    step, (mean, error) = max((s, x) for (b, s), x in found.items() if b == batch)

    def edge(ratio: float) -> float:
        # E D'/D = 1 - 2 x + c x² at x = step/d; its slope at 0 is a mean of samples' |X|²/d.
        x = step / dim
        return dim * 2 * x * x / (ratio ** (1 / _STEPS_A_RUN) - 1 + 2 * x)

    ends = [edge(max(mean + s * error, 1e-12)) for s in (SIGMAS, -SIGMAS)]
    return min(ends), max(ends)


def _speed(axis: Axes, found: dict, dim: int) -> list[Check]:
    grid = np.geomspace(1, 2000, 200)
    best = -np.log(1 - grid / (grid + dim + 1))
    axis.loglog(grid, 1 / best, color=COLOURS["theory"], label="steps")
    axis.loglog(grid, grid / best, color=COLOURS["third"], label="samples")
    axis.axvline(dim + 1, color=COLOURS["flow"], lw=0.7)
    checks = []
    for batch in sorted({batch for batch, _ in found}):
        step = min(s for b, s in found if b == batch)  # half of the stable one is the best
        mean, error = found[batch, step]
        low, high = (
            -_STEPS_A_RUN / np.log(max(mean + s * error, 1e-300)) for s in (-SIGMAS, SIGMAS)
        )
        for scale, colour in ((1, "theory"), (batch, "third")):
            axis.plot([batch] * 2, [scale * low, scale * high], color=COLOURS[colour], lw=4,
                      alpha=0.35)  # fmt: skip
    per_sample = [b / -np.log(1 - b / (b + dim + 1)) for b in (1, dim + 1, 10 * dim)]
    checks.append(holds(
        "the critical batch is d + 1", "–",
        per_sample[1] < 1.5 * per_sample[0] and per_sample[2] > 3 * per_sample[0],
        "samples for a factor e at B = 1, d + 1, 10 d: "
        + ", ".join(f"{x / dim:.2f} d" for x in per_sample), exact=True,
    ))  # fmt: skip
    axis.set_xlabel("batch $B$")
    axis.set_ylabel("for a factor $e$ of $D$")
    axis.legend()
    return checks


def _limits(work: Workspace) -> list[Check]:
    """The package's own search, as dim -> infinity: 2 B."""
    return [
        equal(f"critical_step as d -> infinity, B = {batch}", "2 B", 2.0 * batch,
              critical_step(_model(), OnlineSGD(0.3 * batch, batch=batch)), 1e-2 * batch)
        for batch in work.size((1, 16), (1, 16, 256), ())
    ]  # fmt: skip
