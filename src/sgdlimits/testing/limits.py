"""The limit: moments of a step tend to drift and diffusion, which obey what they are made of."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits._tracing import dynamic
from sgdlimits.engines.base import Problem
from sgdlimits.engines.ode import ODE
from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.limits.flow import default_tolerances
from sgdlimits.limits.vector_field import drift_vector
from sgdlimits.process.process import Process
from sgdlimits.simulation.grid import Grid
from sgdlimits.simulation.simulate import simulate
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.overlaps import Parameters
from sgdlimits.testing.one_step import TENDING_DIMS, Fields, all_fields
from sgdlimits.testing.report import Row, difference
from sgdlimits.testing.subject import TIME, Subject

_ROUNDING = 1e-9
_NEXT_ORDER = 1.5  # how much dim * error may still grow, when it has all but converged
_BETWEEN_RULES = 5e-3  # errors of two sums over nodes
_SMALL = 1e-6
_ODE_DIM = 10_000


def limits(subject: Subject) -> list[Row]:
    """Everything about drift and diffusion that holds without drawing a sample."""
    subject = subject.in_the_limit
    process, rule = subject.process, subject.process.algorithm.rule
    if process.model.kernel == "tree" and not rule.simple:
        return []
    found = all_fields(process, subject)
    rows = [_parts(found)]
    if not rule.scalars:  # which count steps, whatever their size
        rows.append(_step(subject, found))
    if process.algorithm.batch > 1 and not rule.noisy:  # noise is not averaged
        rows.append(_batch(subject, found))
    if subject.has_moments:
        rows.append(_tending(subject, found))
    if process.has_jacobian and not process.model.moments_are_estimates:
        rows.append(_derivative(subject))
        if process.model.has_risk and process.model.kernel == "rows" and rule.simple:
            rows.append(_risk(subject, found))
    return [*rows, *_ode(subject)]


def _relative(found: Array | np.ndarray, expected: Array | np.ndarray) -> float:
    """Largest difference, in units of the largest number (or of 1, if that is larger)."""
    found, expected = np.asarray(found), np.asarray(expected)
    return float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))


def _parts(found: Fields) -> Row:
    away = _relative(found.drift, found.corrector - found.population)
    return difference("drift", "corrector - population drift", away, _ROUNDING)


def _step(subject: Subject, found: Fields) -> Row:
    process = subject.process
    halved = eqx.tree_at(lambda p: p.algorithm.step, process, float(process.algorithm.step) / 2)
    half = all_fields(halved, subject)
    away = max(
        _relative(2 * half.corrector, found.corrector),
        _relative(half.population, found.population),
    )
    return difference("corrector", "twice that at half the step", away, _ROUNDING)


@eqx.filter_jit
def _corrector(process: Process, points: AbstractStatistics, time: Float[Array, ""]) -> Array:
    return jax.lax.map(lambda u: process.corrector(u, time).vector, points)


def _batch(subject: Subject, found: Fields) -> Row:
    """A batch inflates as much as one sample does at a step that is shorter by its size."""
    process = subject.process
    algorithm = process.algorithm
    step = float(algorithm.step) / algorithm.batch
    single = Process(process.model, dataclasses.replace(algorithm, step=step, batch=1))
    alone = _corrector(dynamic(single), subject.points, jnp.asarray(TIME))
    away = _relative(found.corrector, alone)
    return difference("corrector of a batch", "one sample, step/batch", away, _ROUNDING)


def _tending(subject: Subject, found: Fields) -> Row:
    """How much more slowly than 1/dim the moments tend to the limit; 1 if exactly so."""
    assert found.mean is not None
    assert found.covariance is not None
    factor = np.asarray(found.factor)
    diffusion = factor @ np.swapaxes(factor, 1, 2)
    first, growth = len(found.mean[0]) - len(TENDING_DIMS), []
    errors = []
    for index, dim in enumerate(TENDING_DIMS):
        delta = float(subject.process.delta(dim))
        mean = np.asarray(found.mean)[:, first + index] / delta
        covariance = np.asarray(found.covariance)[:, first + index] * dim / delta
        errors.append(
            [
                np.abs(mean - np.asarray(found.drift)).max(),
                np.abs(covariance - diffusion).max(),
            ]
        )
    scale = [max(1.0, np.abs(x).max()) for x in (np.asarray(found.drift), diffusion)]
    for before, after, size in zip(errors[0], errors[-1], scale, strict=True):
        wanted = before * TENDING_DIMS[0] / TENDING_DIMS[-1]
        # Differences of numbers of order delta, divided by it, have lost digits.
        growth.append(max(0.0, after - 1e-8 * size) / max(wanted, 1e-12 * size))
    compared = f"drift and diffusion, dim {TENDING_DIMS[0]} to {TENDING_DIMS[-1]}"
    name = "moments' growth over 1/dim"
    return difference(name, compared, max(growth), _NEXT_ORDER)


@eqx.filter_jit
def _slopes(
    process: Process, y: Float[Array, " n"], along: Float[Array, " n"], time: Float[Array, ""]
) -> tuple[Array, Array]:
    """Derivative of the drift along a direction, and its difference quotient."""
    field = lambda y: drift_vector(process, y, time)  # noqa: E731
    ahead, behind = jax.lax.map(field, jnp.stack([y + _SMALL * along, y - _SMALL * along]))
    return jax.jvp(field, (y,), (along,))[1], (ahead - behind) / (2 * _SMALL)


def _derivative(subject: Subject) -> Row:
    """At the first point, which is inside the domain."""
    y = subject.points.vector[0]
    along = jnp.asarray(np.random.default_rng(subject.seed).standard_normal(len(y)))
    found, expected = _slopes(dynamic(subject.process), y, along, jnp.asarray(TIME))
    away = _relative(found, expected)
    return difference("derivative of the drift", "difference quotient", away, 1e-4)


@eqx.filter_jit
def _driven(
    process: Process,
    points: AbstractStatistics,
    frame: Float[Array, "r dim"],
    key: Key[Array, ""],
    time: Float[Array, ""],
) -> tuple[Array, Array, Array]:
    """Population drifts that the rule makes of grad(risk) alone, and of a ridge of 0 and of 1."""
    model: Any = process.model
    algorithm = process.algorithm
    a, b = algorithm.rule.rates(time)

    def at(inputs: tuple[AbstractStatistics, Array]) -> tuple[Array, Array, Array]:
        u, key = inputs
        start: PyTree = process.lift(key, u, frame)
        seen = lambda x: process.statistics(x, frame)  # noqa: E731
        gradient = jax.grad(lambda x: model.risk(seen(x)))(start)

        def rate(step: PyTree) -> Array:
            """Minus the statistics' rate of change as the parameters move along ``step``."""
            (h, G), R = model.rows_of(step), model.rows_of(start).W
            if algorithm.spherical:
                G = G - jnp.sum(G * R, axis=1, keepdims=True) * R
            moved = model.parameters_of(Parameters(algorithm.second_layer_rate * h, G))
            along = jax.jvp(lambda x: seen(x).vector, (start,), (moved,))[1]
            return -jnp.asarray(algorithm.factor(time)) * along

        return b * rate(gradient), a * rate(start), b * rate(start)

    return jax.lax.map(at, (points, jax.random.split(key, len(points.vector))))


def _risk(subject: Subject, found: Fields) -> Row:
    """The population drift is the gradient of risk + (ridge/2)|parameters|^2, for some ridge."""
    process, frame = subject.process, subject.process.frame(subject.dim)
    key = jax.random.key(subject.seed)
    f = np.asarray(found.population)
    driven, decay, radial = (
        np.asarray(x)
        for x in _driven(dynamic(process), subject.points, frame, key, jnp.asarray(TIME))
    )
    rest = f - driven - decay
    size = np.sum(radial * radial)
    # Normalised rows feel no ridge.
    ridge = float(np.sum(rest * radial) / size) if size > _ROUNDING else 0.0
    away = _relative(driven + decay + ridge * radial, f)
    compared = f"population drift, ridge {ridge:.3g}"
    return difference("gradient of the risk", compared, away, _BETWEEN_RULES)


def _ode(subject: Subject) -> list[Row]:
    """The engine is ``solve``, and leaves every point along the drift."""
    process, points = subject.process, subject.points
    steps, delta = 50, float(process.delta(_ODE_DIM))
    grid = Grid.create(2 * steps * delta, delta, 3)
    # As many as the engine solves together: one compiled program for both.
    lane = ODE().plan(Problem(process, _ODE_DIM, 0, grid, points), subject.count).lane
    points = points[np.arange(lane) % subject.count]
    dataset = simulate(
        process.model, process.algorithm, ODE(), dim=_ODE_DIM, time=2 * steps * delta,
        runs=lane, initial=points, record=3,
    )  # fmt: skip
    names = points.dims
    found = type(points)(**{name: jnp.asarray(dataset[name].values) for name in names})
    path = np.moveaxis(np.asarray(found.vector), 1, 0)
    eff = effective_dynamics(process.model, process.algorithm)
    solved = np.asarray(eff.solve(points, dataset["time"].values).vector)
    rough = max(default_tolerances(process))
    drift = np.asarray(all_fields(process, subject, 0.0).drift)
    drift = drift[np.arange(lane) % subject.count]
    leaving = (4 * path[1] - 3 * path[0] - path[2]) / (2 * steps * delta)
    limit = 2e-3 + 10 * rough / (steps * delta)
    return [
        difference("ODE engine", "solve", _relative(path, solved), 100 * rough),
        difference("ODE engine's first steps", "drift", _relative(leaving, drift), limit),
    ]
