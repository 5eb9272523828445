"""A simulation against a theory: sup-distance over time, with a simultaneous confidence band."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from sgdlimits import _validate
from sgdlimits.statistics.reserved import ERROR, is_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RESAMPLES = 2000
_FEW = 20  # runs below which multipliers span too few directions to know the largest of many |t|
_SEED = 20220609  # of the multipliers; the band is a function of the datasets alone


class Rate(NamedTuple):
    """Fitted power of dim of the typical sup-distance, with a 95 % interval; expected -1/2."""

    exponent: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """How far a simulation is from a theory.

    Attributes:
        dataset: dims (statistic, time): ``difference`` of the means (simulation - theory), its
            ``standard_error``, ``low`` and ``high`` of the simultaneous band; and over ``run``
            the ``sup_distance`` of single runs from the theory.
        paired: whether runs were compared with the theory's runs of the same number.
        level: probability that the band misses the true difference anywhere.
        allowed: what theory may differ by, besides noise.
        dim: of the simulation.
    """

    dataset: xr.Dataset
    paired: bool
    level: float
    allowed: float
    dim: int

    @property
    def distance(self) -> float:
        """Sup over statistics and times of |mean of the simulation - mean of the theory|."""
        return float(np.abs(self.dataset["difference"]).max())

    @property
    def distance_band(self) -> tuple[float, float]:
        """Interval of the true sup-distance of the means, at the simultaneous level."""
        low, high = self.dataset["low"], self.dataset["high"]
        away = np.maximum(np.maximum(low, -high), 0)
        return float(away.max()), float(np.maximum(np.abs(low), np.abs(high)).max())

    @property
    def single_run(self) -> float:
        """Median over runs of the sup-distance between one run and the theory: ~ dim^-1/2."""
        return float(self.dataset["sup_distance"].median())

    @property
    def scaled(self) -> float:
        """``single_run`` times sqrt(dim): of order one where the expected rate holds."""
        return self.single_run * self.dim**0.5

    @property
    def size(self) -> float:
        """Largest absolute value of the theory's means."""
        return float(self.dataset.attrs["size"])

    @property
    def agrees(self) -> bool:
        """Whether the band nowhere leaves [-allowed, allowed] altogether."""
        return self.distance_band[0] <= self.allowed

    def summary(self) -> str:
        """In a sentence."""
        low, high = self.distance_band
        pairs = "paired by seed" if self.paired else "unpaired"
        verdict = "agree" if self.agrees else "DIFFER"
        if self.agrees and high > max(self.size, self.allowed):
            verdict = "cannot tell (the band is wider than the statistics; more runs)"
        return (
            f"{verdict}: sup-distance of the means {self.distance:.3g}, between {low:.3g} and "
            f"{high:.3g} ({1 - self.level:.0%} band, {pairs}, allowed {self.allowed:g}); a single "
            f"run {self.single_run:.3g} = {self.scaled:.3g} / sqrt({self.dim})."
        )

    def __repr__(self) -> str:
        """The summary."""
        return f"Comparison: {self.summary()}"

    def plot(self) -> "Figure":
        """Difference of the means over time with its band, one panel for up to six statistics."""
        from sgdlimits.plots import COLOURS, PAGE, new_figure, style

        names = self.dataset["statistic"].values[:6]
        with style():
            columns = min(3, len(names))
            figure, axes = new_figure(-(-len(names) // columns), columns, width=PAGE)
            for axis, name in zip(axes.flat, names, strict=False):
                one = self.dataset.sel(statistic=name)
                axis.fill_between(
                    one["time"],
                    one["low"],
                    one["high"],
                    lw=0,
                    alpha=0.25,
                    color=COLOURS["simulation"],
                    label="simultaneous band",
                )
                axis.plot(one["time"], one["difference"], color=COLOURS["simulation"],
                          label="simulation − theory")  # fmt: skip
                axis.axhline(0, color="black", ls="--", lw=0.8)
                if self.allowed:
                    axis.axhspan(-self.allowed, self.allowed, color=COLOURS["flow"], alpha=0.3,
                                 lw=0, label="allowed")  # fmt: skip
                axis.set(xlabel="$t$", ylabel=str(name))
            for axis in axes.flat[len(names) :]:
                axis.set_visible(False)
            axes[0, 0].legend(loc="best")
        return figure


def compare(
    simulation: xr.Dataset,
    theory: xr.Dataset,
    *,
    level: float = 0.01,
    allowed: float = 0.0,
    statistics: Sequence[str] | None = None,
) -> Comparison:
    """Compare two results of ``simulate`` on the same times.

    Runs with the same seed start alike whatever the engine; where both hold the same runs they are
    subtracted pair by pair, which takes the spread of the starts out. Otherwise means are
    compared. The band is simultaneous over statistics and times, by Gaussian multipliers of the
    runs (Student's t in the tails of its critical value). A theory whose drift is not exact
    (``<name>_error``) widens it: that error is common to all runs.

    Args:
        simulation: the ensemble; two or more runs.
        theory: another result: the limit from the same starts, or one solution for all, or an
            ensemble of another engine.
        level: probability that the band misses.
        allowed: by how much the means may differ at finite dim; O(1/dim) for the ODE.
        statistics: names of variables; default all that both have.

    Returns:
        The comparison.

    Raises:
        TypeError, ValueError: if the times differ, nothing is shared, or runs diverged.
    """
    level = _validate.positive("level", level)
    if level >= 1:
        raise ValueError(f"level={level!r}: expected a probability below 1.")
    allowed = _validate.nonnegative("allowed", allowed)
    for name, dataset in (("simulation", simulation), ("theory", theory)):
        if (
            not isinstance(dataset, xr.Dataset)
            or "time" not in dataset
            or "run" not in dataset.dims
        ):
            raise TypeError(f"{name}={dataset!r}: expected a result of simulate.")
    models = [x.attrs.get("model") for x in (simulation, theory)]
    if None not in models and models[0] != models[1]:
        raise ValueError(
            f"theory: it is of another model than the simulation, {models[1]} and {models[0]}."
        )
    times = simulation["time"].values
    if len(times) != theory.sizes["time"] or not np.allclose(times, theory["time"].values):
        raise ValueError("theory: recorded at other times than the simulation; use one record.")
    shared = _shared(simulation, theory, statistics)
    labels, ours = _stack(simulation, shared)
    _, theirs = _stack(theory, shared)
    for name, values in (("simulation", ours), ("theory", theirs)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: some runs diverged (NaN); compare up to an earlier time.")
    if len(ours) < 2:
        raise ValueError("simulation: one run has no standard error; expected two or more.")
    paired = _same_runs(simulation, theory)
    estimated = _theory_error(theory, shared)
    samples = [ours - theirs] if paired or len(theirs) == 1 else [ours, -theirs]
    difference, band, error = _band(samples, level, estimated)
    reference = theirs if paired or len(theirs) == 1 else theirs.mean(0, keepdims=True)
    sup = np.abs(ours - reference).max(axis=(1, 2))
    over = ("statistic", "time")
    dataset = xr.Dataset(
        {
            "difference": (over, difference.T),
            "standard_error": (over, error.T),
            "low": (over, (difference - band).T),
            "high": (over, (difference + band).T),
            "sup_distance": ("run", sup),
        },
        {"statistic": labels, "time": times, "run": simulation["run"].values},
        {
            "paired": int(paired),
            "level": level,
            "allowed": allowed,
            "size": float(np.abs(theirs.mean(0)).max()),
        },
    )
    dim = simulation.attrs.get("dim")
    dim = int(dim) if isinstance(dim, int | np.integer) else 1  # limits have none
    return Comparison(dataset, paired, level, allowed, dim)


def convergence_rate(comparisons: Sequence[Comparison]) -> Rate:
    """Power of dim of the median sup-distance of single runs, over comparisons at several dims.

    A line through log(distance) against log(dim); the interval from the standard errors of the
    medians (1.25 times those of means, of the logarithms).

    Raises:
        TypeError: for anything but results of ``compare``.
        ValueError: with fewer than two dims.
    """
    comparisons = _validate.listed("comparisons", comparisons)
    if not all(isinstance(c, Comparison) for c in comparisons):
        raise TypeError(f"comparisons={comparisons!r}: expected results of compare.")
    dims = np.array([c.dim for c in comparisons], dtype=float)
    if len(np.unique(dims)) < 2:
        raise ValueError(f"comparisons: dims {dims.tolist()}, expected two different ones or more.")
    logs = [np.log(c.dataset["sup_distance"].values) for c in comparisons]
    y = np.array([np.median(each) for each in logs])
    variance = np.array([(1.2533 * each.std(ddof=1)) ** 2 / len(each) for each in logs])
    x, weight = np.log(dims), 1 / variance
    centre = np.average(x, weights=weight)
    spread = np.sum(weight * (x - centre) ** 2)
    slope = float(np.sum(weight * (x - centre) * y) / spread)
    half = float(stats.norm.isf(0.025) / spread**0.5)
    return Rate(slope, slope - half, slope + half)


def _shared(one: xr.Dataset, other: xr.Dataset, names: Sequence[str] | None) -> list[str]:
    usable = [str(n) for n in one.data_vars
              if n in other and {"run", "time"} <= set(one[n].dims)
              and not is_error(n)]  # fmt: skip
    listed = [names] if isinstance(names, str) else names
    wanted = usable if listed is None else _validate.listed("statistics", listed)
    unknown = {name for name in wanted if name not in usable}
    if unknown or not wanted:
        raise ValueError(f"statistics={wanted!r}: expected names among {', '.join(usable)}.")
    for name in wanted:
        ours, theirs = (
            {dim: size for dim, size in x[name].sizes.items() if dim not in ("run", "time")}
            for x in (one, other)
        )
        if ours != theirs:
            raise ValueError(
                f"theory: {name} has dims {theirs}, and in the simulation {ours}; they are results "
                "of different models."
            )
    return wanted


def _stack(dataset: xr.Dataset, names: list[str]) -> tuple[list[str], np.ndarray]:
    """Labels, and values (run, time, statistic)."""
    labels, parts = [], []
    for name in names:
        variable = dataset[name].transpose("run", "time", ...)
        shape = variable.shape[2:]
        parts.append(variable.values.reshape(*variable.shape[:2], -1))
        labels += [name + (f"[{', '.join(map(str, i))}]" if i else "") for i in np.ndindex(*shape)]
    return labels, np.concatenate(parts, axis=2)


def _same_runs(one: xr.Dataset, other: xr.Dataset) -> bool:
    """Whether the two hold the same runs of one seed, at one dim."""
    same = all(one.attrs.get(key) == other.attrs.get(key) for key in ("seed", "dim"))
    return same and np.array_equal(one["run"].values, other["run"].values)


def _theory_error(theory: xr.Dataset, names: list[str]) -> np.ndarray | float:
    """Error (time, statistic) of a theory whose drift is not exact, its mean over runs.

    Variables without one of their own, such as the risk, count as exact.
    """
    exact = {f"{name}{ERROR}": 0 * theory[name] for name in names if f"{name}{ERROR}" not in theory}
    if len(exact) == len(names):
        return 0.0
    _, errors = _stack(theory.assign(exact), [f"{name}{ERROR}" for name in names])
    return errors.mean(axis=0)


def _band(
    samples: list[np.ndarray], level: float, estimated: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of the sum of independent samples, half-width of its band, standard error.

    Each sample is (runs, time, statistic). The critical value is the (1 - level) quantile of the
    largest |t| over times and statistics under Gaussian multipliers, stretched from the normal to
    Student's law of the smaller sample (those with one run are constants). With fewer than 20 runs
    it is Student's quantile at the level shared by all cells (Bonferroni): wider, never too narrow.
    ``estimated`` is a standard error common to all runs.
    """
    rng = np.random.default_rng(_SEED)
    mean = np.sum([s.mean(0) for s in samples], axis=0)
    noisy = [s for s in samples if len(s) > 1]
    variance = np.sum([s.var(0, ddof=1) / len(s) for s in noisy], axis=0)
    error = np.sqrt(variance)
    scale = np.where(error > 0, error, np.inf)
    total = np.zeros((_RESAMPLES, error.size))
    for s in noisy:
        flat = (s - s.mean(0)).reshape(len(s), -1)
        weights = rng.standard_normal((_RESAMPLES, len(s))) / (len(s) * (len(s) - 1)) ** 0.5
        total += weights @ flat
    largest = np.abs(total / scale.reshape(-1)).max(axis=1)
    critical = float(np.quantile(largest, 1 - level))
    freedom = min(len(s) for s in noisy) - 1
    critical = float(stats.t.isf(stats.norm.sf(critical), freedom))
    if freedom + 1 < _FEW:
        cells = max(int((error > 0).sum()), 1)
        critical = max(critical, float(stats.t.isf(level / 2 / cells, freedom)))
    error = np.sqrt(error**2 + estimated**2)
    return mean, critical * error + 1e-12 * (1 + np.abs(mean)), error
