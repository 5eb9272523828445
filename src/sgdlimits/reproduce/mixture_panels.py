"""What the figures of the binary and XOR mixtures share."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sgdlimits.limits.fixed_points import FixedPoint
from sgdlimits.limits.ornstein_uhlenbeck import OrnsteinUhlenbeck
from sgdlimits.plots import COLOURS
from sgdlimits.statistics.overlaps import Statistics


def statistics(dataset: xr.Dataset) -> Statistics:
    """The recorded statistics, axes (run, time)."""
    return Statistics(*(np.asarray(dataset[name]) for name in ("v", "M", "Q")))


def near(dataset: xr.Dataset, components: list[FixedPoint], radius: float) -> np.ndarray:
    """Whether (run, time) is within ``radius`` of one of the components, in (v, M)."""
    u = statistics(dataset)
    return np.min([component.distance(u) for component in components], axis=0) <= radius


def panel_fraction(axis: Axes, dataset: xr.Dataset, reached: np.ndarray, **style) -> None:
    """Fraction of runs against time, with its binomial standard error as a band."""
    fraction = reached.mean(0)
    error = np.sqrt(fraction * (1 - fraction) / len(reached))
    times = dataset["time"]
    (line,) = axis.plot(times, fraction, **style)
    axis.fill_between(
        times, fraction - error, fraction + error, color=line.get_color(), alpha=0.25, lw=0
    )
    axis.set_xlabel(r"$t$ = steps $/\, N$")
    axis.set_ylabel("fraction at the optimum")


def ring(axis: Axes, radius: float, quadrants: tuple[tuple[int, int], ...], label: str) -> None:
    """Quarter circles in the quadrants with the given signs."""
    angle = np.linspace(0, np.pi / 2, 50)
    for index, (a, b) in enumerate(quadrants):
        axis.plot(a * radius * np.cos(angle), b * radius * np.sin(angle),
                  color=COLOURS["theory"], lw=1, label=label if index == 0 else None)  # fmt: skip


def magnified(dataset: xr.Dataset, centre: Statistics, dim: int) -> np.ndarray:
    """sqrt(N)(u - centre), axes (run, time, statistics)."""
    return np.sqrt(dim) * (np.asarray(statistics(dataset).vector) - np.asarray(centre.vector))


def panel_band(
    axis: Axes, dataset: xr.Dataset, paths: np.ndarray, variance: np.ndarray, shown: int = 5
) -> None:
    """Paths of one magnified statistic, their 5-95 % band, and that of the limit."""
    times = dataset["time"].values
    low, high = np.quantile(paths, [0.05, 0.95], axis=0)
    axis.fill_between(times, low, high, color=COLOURS["simulation"], alpha=0.25, lw=0,
                      label="exact chain, 5–95 %")  # fmt: skip
    for run in range(shown):
        axis.plot(times, paths[run], lw=0.5, color=COLOURS["simulation"],
                  label="chain, single runs" if run == 0 else None)  # fmt: skip
    for sign in (-1, 1):
        axis.plot(times, sign * 1.645 * np.sqrt(variance), "--", color=COLOURS["theory"],
                  label="OU limit, 5–95 %" if sign == 1 else None)  # fmt: skip
    axis.set_xlabel(r"$t$ = steps $/\, N$")


def panel_cloud(axis: Axes, points: np.ndarray, covariance: np.ndarray) -> None:
    """A cloud in the plane and the ellipse of two standard deviations of the limit."""
    axis.plot(*points.T, ".", ms=1.5, color=COLOURS["simulation"], alpha=0.5, label="exact chain")
    values, vectors = np.linalg.eigh(covariance)
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    ellipse = vectors @ (2 * np.sqrt(np.maximum(values, 0))[:, None] * circle)
    axis.plot(*ellipse, color=COLOURS["theory"], lw=1, label="OU limit, 2 s.d.")


def covariance_at(process: OrnsteinUhlenbeck, time: float) -> np.ndarray:
    """Covariance at ``time`` from a sharp start."""
    return process.covariance([time])[0]


def variance_error(samples: np.ndarray) -> tuple[float, float]:
    """Mean square about 0 and its standard error."""
    squares = samples**2
    return float(squares.mean()), float(squares.std(ddof=1) / squares.size**0.5)
