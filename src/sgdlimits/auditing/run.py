"""The audit: whether statistics close, and which step size is critical."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array
from scipy import stats

from sgdlimits import _resources, _validate
from sgdlimits._logging import logger
from sgdlimits._progress import Bar, progress_bar
from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.auditing.closure import QUANTITIES, spreads
from sgdlimits.auditing.estimates import Estimates, estimate
from sgdlimits.auditing.points import Scene, fibre_points, random_fibres
from sgdlimits.auditing.powers import Power, fit_power
from sgdlimits.auditing.report import AuditReport, Condition, FormulaCheck
from sgdlimits.auditing.suggestions import Candidate, check_candidates, suggest
from sgdlimits.models.base import AbstractModel
from sgdlimits.process.process import Process
from sgdlimits.randomness.streams import check_seed
from sgdlimits.statistics.base import AbstractStatistics

_RESAMPLES, _RESAMPLE_SEED = 400, 1
_LOOKS = ((10, 1000), (20, 4000))  # points and samples, until something is found or would have been
_MATTERS = 0.05  # spread within fibres, relative to the drift
_SECOND_SEED = 1_000_003  # changes the bits of the seed, for new points and samples


def audit(
    model: AbstractModel[Any],
    sgd: OnlineSGD | None = None,
    *,
    dims: Sequence[int] = (50, 100, 200),
    scaling: float = 1.0,
    fibres: int = 3,
    points: int | None = None,
    samples: int | None = None,
    without: Sequence[str] = (),
    at: AbstractStatistics | None = None,
    candidates: Mapping[str, Candidate] | None = None,
    coordinates: bool = False,
    level: float = 0.01,
    seed: int = 0,
    progress: bool | None = None,
) -> AuditReport:
    """Test the conditions of Theorem 2.2 by Monte Carlo: closure, localizability, critical step.

    At each dimension, at random points of several fibres {x : u(x) = u}, sampled gradients give
    population drift A u, corrector delta L u and volatility delta J V Jᵀ by automatic
    differentiation. The statistics close if these depend on u alone: an F test of the spread
    between points against that from sampling, at the largest dimension, corrected for the number
    of fibres, statistics and quantities. A spread that is found but, over three dims or more,
    surely vanishes with n counts as closing. The points are such as runs visit: mixed and scaled
    random starts, moved by real SGD for a random time up to 1, then brought onto the fibre. What
    no run from ``initial`` brings about is not explored.

    Args:
        model: any model; of a built-in one the formulas are checked too.
        sgd: the algorithm; not a spherical one.
        dims: increasing dimensions, two or more.
        scaling: a of the audited step size delta = step / n^a.
        fibres: random fibres, unless ``at`` names some.
        points: points on each.
        samples: sampled gradients at each point, an even number. Without both: 10 and 1000, and
            where these find nothing but would miss spreads of 5 % of the drift, 20 and 4000; the
            two tests share the level. ``AuditReport.detectable`` says what would be missed.
        without: names of statistics to leave out: is the rest enough?
        at: statistics (one leading axis) that name the fibres.
        candidates: named functions of the parameters that might be missing, besides inner products
            of parameter vectors with each other and known directions, and sums of fourth powers.
        coordinates: let half of the points have components of order one along single coordinates,
            which matter for data that are not Gaussian.
        level: false-alarm rate of the whole test of closure.
        seed: of everything.
        progress: show a bar; default: when standard error is a terminal, and in a notebook.

    Returns:
        The report: verdicts, tables, dataset, picture.

    Raises:
        TypeError, ValueError: for bad input, or a fibre that cannot be reached.

    Source: Ben Arous, Gheissari and Jagannath (2022), Definition 2.1 (its last bound read as
    o(delta^-3)) and Theorem 2.2; Monte Carlo.
    """
    sgd = OnlineSGD() if sgd is None else sgd
    process = Process(model, sgd)
    _check(process)
    sizes = _check_dims(model, dims)
    scaling = _validate.positive("scaling", scaling)
    fibres, looks = _validate.integer("fibres", fibres, 1), _looks(points, samples)
    level, seed = _validate.probability("level", level), check_seed(seed)
    _validate.boolean("coordinates", coordinates)
    if progress is not None:
        _validate.boolean("progress", progress)
    check_candidates(candidates, model)
    for each in looks:
        _check_size(model, max(sizes), fibres, *each)
    chosen = _chosen(model, without)
    everything = np.array(model.template.names)
    names = tuple(everything[list(chosen)].tolist())

    def scene(dim: int) -> Scene:
        scaled = replace(sgd, step=float(sgd.step) * dim ** (1 - scaling))
        return Scene(Process(model, scaled), model.frame(dim), chosen, coordinates)

    if at is None:
        calm = scene(sizes[0])._replace(process=process)
        targets = random_fibres(calm, fibres, seed)
    else:
        targets = _targets(model, at, chosen)

    def look(
        number: int, points: int, samples: int, bar: Bar
    ) -> tuple[AuditReport, np.ndarray, Estimates]:
        estimates, last = [], np.empty(0)
        drawn = seed ^ (number * _SECOND_SEED)
        for dim in sizes:
            here = scene(dim)
            last = fibre_points(here._replace(process=process), targets, points, drawn)
            bar.phase(f"{points} points, {samples} gradients each, at dim {dim}")
            estimates.append(estimate(here, last, samples, drawn))
            bar(points * samples)
        grid = np.array(sizes, dtype=float)
        report = AuditReport(
            dataset=_dataset(estimates, names, sizes, targets, scaling, sgd, samples),
            names=names,
            level=level,
            scaling=scaling,
            spreads=spreads(estimates, grid, samples),
            powers=_powers(estimates, grid, samples),
            conditions=_conditions(estimates, grid, scaling),
            suggestions=[],
            exact=_against_formulas(model, scene, estimates, sizes, targets, samples, chosen),
            looks=len(looks),
        )
        return report, last, estimates[-1]

    total = float(len(sizes) * sum(points * samples for points, samples in looks))
    with progress_bar(progress, "audit", total) as bar:
        report, last, at_last = look(0, *looks[0], bar)
        for number, more in enumerate(looks[1:], 1):
            if not _undecided(report):
                break
            logger.info("audit: nothing found, and spreads of %g of the drift would be missed; "
                        "looking again", _MATTERS)  # fmt: skip
            report, last, at_last = look(number, *more, bar)
    missing = list(report.open_statistics)
    if not missing:
        return report
    here, columns = scene(sizes[-1]), [names.index(name) for name in missing]
    delta = float(here.delta)
    drift = (delta * at_last.second - at_last.first)[..., columns]
    advice = suggest(here, last, drift, missing, dict(candidates or {}), level)
    return replace(report, suggestions=advice)


# -- checks ----------------------------------------------------------------------------------------


def _check(process: Process) -> None:
    process.model.check_capability("audit")
    if process.algorithm.spherical:
        raise ValueError(
            "spherical=True: a step with a projection is no gradient step, which the audit "
            "takes apart; use spherical=False."
        )
    if not process.algorithm.rule.simple:
        raise ValueError(
            f"rule={process.algorithm.rule!r}: the audit takes steps apart that are linear in the "
            "mean gradient and carry nothing along; use rule=None."
        )
    if not process.autonomous:
        raise ValueError(
            f"schedule={process.algorithm.schedule!r}: the audit is of one step size; use a "
            "constant step."
        )


def _check_dims(model: AbstractModel, dims: Sequence[int]) -> list[int]:
    smallest = model.minimum_dim
    if np.ndim(dims) != 1:
        raise TypeError(f"dims={dims!r}: expected two or more increasing dimensions.")
    result = [_validate.integer("dims", dim, smallest) for dim in dims]
    if len(result) < 2 or any(b <= a for a, b in pairwise(result)):
        raise ValueError(f"dims={list(dims)!r}: expected two or more increasing dimensions.")
    return result


def _check_size(model: AbstractModel, dim: int, fibres: int, points: int, samples: int) -> None:
    """Raise ValueError if points and samples would not fit, or take for ever."""
    one = 8.0 * model.template.vector.size
    _resources.check_count("points", points, lambda points: points * fibres * (8.0 * dim + one))
    _resources.check_count("samples", samples, lambda samples: samples * (8.0 * dim + one))
    work = float(points) * samples * fibres
    _resources.check_steps(f"points={points}, samples={samples}", work, "lower them")


def _looks(points: int | None, samples: int | None) -> tuple[tuple[int, int], ...]:
    """Points and samples of one look after the other; those of the caller once."""
    if points is None and samples is None:
        return _LOOKS
    points = _LOOKS[0][0] if points is None else _validate.integer("points", points, 3)
    samples = _LOOKS[0][1] if samples is None else _validate.integer("samples", samples, 20)
    return ((points, 2 * (samples // 2)),)


def _undecided(report: AuditReport) -> bool:
    """Whether nothing was found, and spreads that matter would have been missed."""
    return report.closes and any(report.detectable(name) > _MATTERS for name in report.names)


def _chosen(model: AbstractModel, without: Sequence[str]) -> tuple[int, ...]:
    names = model.template.names
    without = _validate.listed("without", [without] if isinstance(without, str) else without)
    unknown = {name for name in without if name not in names}
    if unknown:
        raise ValueError(
            f"without={sorted(map(str, unknown))!r}: expected names among {', '.join(names)}."
        )
    chosen = tuple(i for i, name in enumerate(names) if name not in without)
    if not chosen:
        raise ValueError("without: leaves no statistic.")
    return chosen


def _targets(model: AbstractModel, at: AbstractStatistics, chosen: tuple[int, ...]) -> np.ndarray:
    if not isinstance(at, model.statistics_class):
        raise TypeError(f"at={at!r}: expected {model.statistics_class.__name__}.")
    if len(at.batch_shape) > 1:
        raise ValueError(f"at has batch shape {at.batch_shape}: expected at most one axis.")
    vector = np.asarray(at.vector)
    return np.atleast_2d(vector)[:, list(chosen)]


# -- what follows from the estimates ---------------------------------------------------------------


def _powers(estimates: list[Estimates], dims: np.ndarray, samples: int) -> dict[str, list[Power]]:
    """Exponents of the root mean square over fibres of each quantity, per unit of delta."""
    result = {}
    for quantity, field in zip(QUANTITIES, ("first", "second", "variance"), strict=True):
        values, errors = [], []
        for each in estimates:
            mean = getattr(each, field).mean(axis=1)  # over points
            within = getattr(each, f"{field}_within").mean(axis=1)
            points = getattr(each, field).shape[1]
            spread = getattr(each, field).var(axis=1, ddof=1) / points
            error2 = np.maximum(within / samples / points, spread)
            square = np.maximum((mean**2 - error2).mean(axis=0), 0)
            size = np.sqrt(square)
            error = np.sqrt((mean**2 * error2).mean(axis=0) / len(mean)) / np.maximum(size, 1e-300)
            floor = np.sqrt(error2.mean(axis=0) / len(mean))
            values.append(size)
            errors.append(np.maximum(error, np.where(size > 0, 0.0, floor)))
        table, error = np.array(values), np.array(errors)
        floor = np.array([np.sqrt(getattr(e, f"{field}_within").mean(axis=(0, 1)) / samples
                                  / e.first.shape[1]) for e in estimates])  # fmt: skip
        error = np.where(table > 0, np.maximum(error, 0.3 * floor), floor)
        result[quantity] = [
            fit_power(dims, table[:, i], error[:, i]) for i in range(table.shape[1])
        ]
    return result


def _conditions(estimates: list[Estimates], dims: np.ndarray, scaling: float) -> list[Condition]:
    """Definition 2.1: the largest over points, fibres and statistics, against powers of n."""

    def largest(field: str) -> tuple[np.ndarray, np.ndarray]:
        values = [np.abs(getattr(each, field)) for each in estimates]
        top = np.array([v.max() for v in values])
        error = np.array([_error_of_largest(v) for v in values])
        return np.where(top > 1e-9, top, 0.0), np.where(top > 1e-9, error, 0.0)

    def condition(name: str, field: str, allowed: float, strict: bool = False) -> Condition:
        power = fit_power(dims, *largest(field), seen_from=0)
        return Condition(name, power, allowed, strict, len(dims))

    return [
        condition("(1) largest ‖∇²u‖", "hessian", scaling / 2),
        condition("(1) largest ‖∇³u‖", "third", 0.0),
        condition("(2) largest ‖∇Φ‖²", "gradient2", 0.0),
        condition("(3) largest E⟨∇H,∇u⟩⁴", "fourth", 2 * scaling),
        condition("(3) largest E⟨∇²u, ∇H⊗∇H − V⟩²", "fluctuation", 3 * scaling, strict=True),
    ]


def _error_of_largest(values: np.ndarray) -> float:
    """Of a maximum over (fibres, points, ...), by drawing the points of each fibre again."""
    fibres, points = values.shape[:2]
    of_point = values.reshape(fibres, points, -1).max(-1)
    rng = np.random.default_rng(_RESAMPLE_SEED)
    again = rng.integers(points, size=(_RESAMPLES, fibres, points))
    return float(of_point[np.arange(fibres)[:, None], again].max((1, 2)).std())


def _against_formulas(
    model: AbstractModel, scene, estimates: list[Estimates], dims: list[int],
    targets: np.ndarray, samples: int, chosen: tuple[int, ...],
) -> dict[str, FormulaCheck] | None:  # fmt: skip
    """z-scores against the model's population drift and its exact one-step mean at each dim."""
    if not model.has_one_step_moments or len(chosen) != len(model.template.names):
        return None
    states = model.template.with_vector(jnp.asarray(targets))
    drift, mean = [], []
    for dim, each in zip(dims, estimates, strict=True):
        process, points = scene(dim).process, each.first.shape[1]
        delta = float(process.delta(dim))
        exact, step = (np.asarray(x) for x in _formulas(
            dynamic(process), states, jnp.asarray(float(dim))
        ))  # fmt: skip
        error = np.sqrt(each.first_within.mean(axis=1) / samples / points)
        drift.append(_z(each.first.mean(axis=1) - exact, error, exact))
        step = step / delta
        within = each.first_within - 2 * delta * each.mixed_within + delta**2 * each.second_within
        error = np.sqrt(np.maximum(within, 0).mean(axis=1) / samples / points)
        mean.append(_z(each.increment.mean(axis=1) - step, error, step))
    return {
        "population drift": _comparison(np.array(drift)),
        "mean of one step (drift and corrector)": _comparison(np.array(mean)),
    }


def _z(difference: np.ndarray, error: np.ndarray, exact: np.ndarray) -> np.ndarray:
    rounding = 1e-6 * (1e-3 + np.abs(exact))
    return np.where(np.abs(difference) < rounding, 0.0, difference / np.maximum(error, rounding))


def _comparison(z: np.ndarray) -> FormulaCheck:
    largest = float(np.abs(z).max())
    p = min(1.0, 2 * float(stats.norm.sf(largest)) * z.size)
    return FormulaCheck(largest, int(z.size), p)


@eqx.filter_jit
def _formulas(process: Process, states: AbstractStatistics, dim: Array) -> tuple[Array, Array]:
    """Population drift and exact mean of one step, at every state."""

    def at(u: AbstractStatistics) -> tuple[Array, Array]:
        return process.population_drift(u).vector, process.one_step_moments(u, dim).mean

    return jax.vmap(at)(states)


# -- dataset ---------------------------------------------------------------------------------------


def _dataset(
    estimates: list[Estimates],
    names: tuple[str, ...],
    dims: list[int],
    targets: np.ndarray,
    scaling: float,
    sgd: OnlineSGD,
    samples: int,
) -> xr.Dataset:
    delta = np.array([float(sgd.step) / dim**scaling for dim in dims])[:, None, None, None]
    stack = lambda field: np.stack([getattr(each, field) for each in estimates])  # noqa: E731
    error = lambda field: np.sqrt(stack(f"{field}_within") / samples)  # noqa: E731
    first, second = stack("first"), stack("second")
    within = (
        stack("first_within")
        - 2 * delta * stack("mixed_within")
        + delta**2 * stack("second_within")
    )
    each = ("dim", "fibre", "point", "statistic")
    data = {
        "population_drift": (each, first),
        "population_drift_error": (each, error("first")),
        "corrector": (each, delta * second),
        "corrector_error": (each, delta * error("second")),
        "drift": (each, delta * second - first),
        "drift_error": (each, np.sqrt(np.maximum(within, 0) / samples)),
        "volatility": ((*each, "other_statistic"), delta[..., None] * stack("covariance")),
        "volatility_error": (each, delta * error("variance")),
        "gradient_squared": (each[:3], stack("gradient2")),
        "noise_fourth_moment": (each, stack("fourth")),
        "second_order_variance": (each, stack("fluctuation")),
        "hessian_norm": (each, stack("hessian")),
        "third_derivative_norm": (each, stack("third")),
        "target": (("fibre", "statistic"), targets),
    }
    coords = {"dim": dims, "statistic": list(names), "other_statistic": list(names)}
    attrs = {"scaling": scaling, "step": float(sgd.step), "samples": samples,
             "time_units": "steps * delta"}  # fmt: skip
    return xr.Dataset(data, coords, attrs)
