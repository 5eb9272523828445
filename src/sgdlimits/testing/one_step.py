"""One step is the judge: mean and covariance of increments against the formulas."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import stats

from sgdlimits._tracing import dynamic
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.testing.controls import FORGETS_FLUCTUATIONS, longer_step, verdict
from sgdlimits.testing.report import Row
from sgdlimits.testing.statistics import (
    POWER,
    Means,
    draws_for_z,
    means,
    moments_in_order,
    sizes,
    with_products,
    z_limit,
    z_of,
    z_power,
)
from sgdlimits.testing.subject import TIME, Subject

#: So large that a chain's step has the moments of the limit, to 1e-6.
LARGE_DIM = 1_000_000
_NEXT_ORDER = 2e-5  # what the chain may differ from its limit there
_MOST_BLOCKS = 8

#: blocks -> increments (points, draws, statistics).
Draw = Callable[[int], np.ndarray]


class Moments(NamedTuple):
    """Of increments, at every point; without covariance where it is not known."""

    mean: np.ndarray
    covariance: np.ndarray | None
    bias: float = 0.0  # of either, relative to the largest increments and products


def one_step(subject: Subject) -> list[Row]:
    """Literal, default and chain steps against the moments; chain steps against the limit."""
    rows = []
    dims = [subject.dim]
    # Moments of normalised steps are sums over nodes, for short steps.
    if subject.literal_dim != subject.dim and not subject.process.algorithm.spherical:
        dims.append(subject.literal_dim)
    if subject.has_moments:
        rows += _real_steps(subject)
    if subject.has_moments and subject.has_chain:
        rows += [_chain_steps(subject, dim) for dim in dims]
    known = subject.has_own_limit and not subject.process.model.moments_are_estimates
    if subject.has_chain and known:
        rows.append(_chain_in_the_limit(subject))
    if subject.process.model.kernel == "tree" and subject.process.algorithm.rule.simple:
        rows.append(_estimates(subject))
    return rows


def _real_steps(subject: Subject) -> list[Row]:
    rows = []
    for literal, dim in ((False, subject.dim), (True, subject.literal_dim)):
        if dim != subject.dim and subject.process.algorithm.spherical:
            continue  # laws are compared there
        name = "literal steps" if literal else "default steps"
        right, wrong = (
            moments(process, subject, dim)
            for process in (subject.process, longer_step(subject.process))
        )
        rows.append(
            _judge(
                name,
                f"moments, dim {dim}",
                lambda blocks, dim=dim, literal=literal: subject.increments(dim, literal, blocks),
                right,
                wrong,
                subject.rate,
                subject.most_blocks(dim, literal),
            )
        )
    return rows


def _chain_steps(subject: Subject, dim: int) -> Row:
    def draw(blocks: int) -> np.ndarray:
        return subject.chain(dim, blocks)[:, :, 0] - subject.states

    right = moments(subject.process, subject, dim)
    found = _Found.of(draw(1), right)
    words, failed = _without_fluctuations(subject, dim, right)
    return found.row("chain steps", f"moments, dim {dim}", right, subject.rate, words, failed)


def _without_fluctuations(subject: Subject, dim: int, right: Moments) -> tuple[str, bool]:
    """What the chain whose outside part has no fluctuations does in the same comparison."""
    control = FORGETS_FLUCTUATIONS
    if not control.applies(subject.process.chain_constants(dim)):
        return "", False

    def scores(blocks: int) -> tuple[float, float, int]:
        increments = subject.chain(dim, blocks, control)[:, :, 0] - subject.states
        return _Found.of(increments, right).score(right, subject.rate)

    worst, limit, count = scores(1)
    more = draws_for_z(worst, count, limit)
    if 1 < more <= _MOST_BLOCKS:
        worst, limit, _ = scores(int(np.ceil(more)))
    power = POWER if more <= _MOST_BLOCKS else 0.0
    return verdict(control.name, worst > limit, worst, power)


def _chain_in_the_limit(subject: Subject) -> Row:
    """Drift and diffusion are those of the chain in a huge dimension, whatever the algorithm."""
    right, wrong = (
        _limit_moments(process, subject)
        for process in (subject.process, longer_step(subject.process))
    )
    return _judge(
        "chain in a huge dim",
        "drift, diffusion",
        lambda blocks: subject.chain(LARGE_DIM, blocks)[:, :, 0] - subject.states,
        right,
        wrong,
        subject.rate,
        _MOST_BLOCKS,
    )


def _estimates(subject: Subject) -> Row:
    """Drifts that are estimates, within their own errors: t-scores, at the estimates' dimension."""
    process, model = subject.process, subject.process.model
    points: int = model.monte_carlo.points  # type: ignore[attr-defined]
    dim: int = model.monte_carlo.dim  # type: ignore[attr-defined]
    if points < 2:
        return Row("drift", "real steps", 0.0, 0.0, True, note="one fibre point has no spread")
    found = fields(dynamic(process), subject.points, jnp.zeros(0), jnp.asarray(TIME))
    error = np.asarray(drift_errors(dynamic(process), subject.points, jnp.asarray(TIME)))
    delta = float(process.delta(dim))
    worst, limit = 0.0, z_limit(error.size, subject.rate)
    for i, sample in enumerate(subject.increments(dim, False, 1)):
        seen = means(sample / delta)
        spread = np.hypot(seen.error, error[i]) + 1e-9 * (np.abs(seen.value) + 1e-9)
        t = np.abs(seen.value - np.asarray(found.drift)[i]) / spread
        worst = max(worst, float(_normal_score(t, points - 1).max()))
    return Row("drift", f"real steps, dim {dim}", worst, limit, worst <= limit, "z")


def _normal_score(t: np.ndarray, dof: int) -> np.ndarray:
    return stats.norm.isf(stats.t.sf(t, dof))


# -- one comparison --------------------------------------------------------------------------------


class _Found(NamedTuple):
    """Means of increments and of their products, point by point."""

    value: np.ndarray
    error: np.ndarray
    skew: np.ndarray
    trusted: np.ndarray
    size: np.ndarray
    overall: np.ndarray

    @classmethod
    def of(cls, increments: np.ndarray, right: Moments) -> "_Found":
        each = []
        for sample, mean in zip(increments, right.mean, strict=True):
            sample = np.nan_to_num(sample, nan=1e100, posinf=1e100, neginf=-1e100)
            values = with_products(sample, mean)
            values = values if right.covariance is not None else values[:, : sample.shape[1]]
            each.append((*means(values), *sizes(values, sample.shape[1])))
        return cls(*(np.array(x) for x in zip(*each, strict=True)))

    def expected(self, right: Moments) -> np.ndarray:
        if right.covariance is None:
            return right.mean
        pairs = zip(right.mean, right.covariance, strict=True)
        return np.array([moments_in_order(*pair) for pair in pairs])

    def z(self, right: Moments) -> np.ndarray:
        found = Means(self.value, self.error, self.skew, self.trusted)
        bias = right.bias * self.overall
        z = np.abs(z_of(found, self.expected(right), self.size, bias))
        return np.where(self.trusted, np.nan_to_num(z, nan=np.inf), 0.0)

    def score(self, right: Moments, rate: float) -> tuple[float, float, int]:
        """Worst |z|, its limit, number of comparisons."""
        count = max(1, int(self.trusted.sum()))
        return float(self.z(right).max()), z_limit(count, rate), count

    def power(self, right: Moments, wrong: Moments, limit: float) -> float:
        """Probability that the wrong moments are seen in one comparison at least."""
        shift = np.abs(self.expected(right) - self.expected(wrong))
        z = np.where(self.trusted & (self.error > 0), shift / np.maximum(self.error, 1e-300), 0.0)
        return z_power(float(z.max()), limit)

    def row(
        self, name: str, compared: str, right: Moments, rate: float, control: str, failed: bool
    ) -> Row:
        worst, limit, _ = self.score(right, rate)
        left_out = int((~self.trusted).sum())
        note = "" if right.covariance is not None else "means only: covariances to O(1/dim)"
        if left_out:
            note = f"{left_out} of {self.trusted.size} moments left out, whose tails are too heavy"
        return Row(name, compared, worst, limit, worst <= limit, "z", control, failed, note)


def _judge(
    name: str,
    compared: str,
    draw: Draw,
    right: Moments,
    wrong: Moments,
    rate: float,
    most_blocks: int,
) -> Row:
    """Increments against moments, with as many draws as it takes to tell the wrong from them."""
    blocks = 1
    while True:
        found = _Found.of(draw(blocks), right)
        _, limit, _ = found.score(right, rate)
        power = found.power(right, wrong, limit)
        if power >= POWER or 2 * blocks > most_blocks:
            break
        blocks *= 2
    worst = float(found.z(wrong).max())
    words, failed = verdict("step 10 % longer", worst > limit, worst, power)
    return found.row(name, compared, right, rate, words, failed)


# -- formulas --------------------------------------------------------------------------------------


class Fields(NamedTuple):
    """All formulas at every point, from one compiled program."""

    population: Float[Array, "points statistics"]
    corrector: Float[Array, "points statistics"]
    drift: Float[Array, "points statistics"]
    factor: Float[Array, "points statistics noises"]
    mean: Float[Array, "points dims statistics"] | None
    covariance: Float[Array, "points dims statistics statistics"] | None


@eqx.filter_jit
def fields(
    process: Process,
    points: AbstractStatistics,
    dims: Float[Array, " dims"],
    time: Float[Array, ""],
) -> Fields:
    """Drift, its parts, diffusion and, where ``dims`` are given, moments of a step."""

    def at(u: AbstractStatistics) -> Fields:
        mean = covariance = None
        if len(dims):
            mean, covariance = jax.lax.map(
                lambda dim: tuple(process.one_step_moments(u, dim, time)), dims
            )
        return Fields(
            process.population_drift(u, time).vector,
            process.corrector(u, time).vector,
            process.drift(u, time).vector,
            process.diffusion_factor(u, time),
            mean,
            covariance,
        )

    return jax.lax.map(at, points)


@eqx.filter_jit
def drift_errors(process: Process, points: AbstractStatistics, time: Float[Array, ""]) -> Array:
    """Estimated errors of the drift."""
    return jax.lax.map(lambda u: process.drift_error(u, time).vector, points)


#: Where moments are asked for beside the dimensions of the paths: they tend to the limit.
TENDING_DIMS = (200, 2_000, 20_000)


def all_fields(process: Process, subject: Subject, time: float = TIME) -> Fields:
    """The formulas of ``process`` at the subject's points, and at all dimensions in use."""
    dims = [subject.literal_dim, subject.dim, *TENDING_DIMS] if subject.has_moments else []
    given = jnp.asarray(dims, float)
    return subject.keep(
        ("fields", float(process.algorithm.step), time),
        lambda: fields(dynamic(process), subject.points, given, jnp.asarray(time)),
    )


def moments(process: Process, subject: Subject, dim: int) -> Moments:
    """Of one step."""
    found = all_fields(process, subject)
    assert found.mean is not None
    assert found.covariance is not None
    index = 0 if dim == subject.literal_dim else 1
    mean, covariance = np.asarray(found.mean)[:, index], np.asarray(found.covariance)[:, index]
    return Moments(mean, covariance if subject.has_covariances else None)


def _limit_moments(process: Process, subject: Subject) -> Moments:
    """What drift and diffusion make of one step in a huge dimension."""
    found = all_fields(process, subject)
    delta = float(process.delta(LARGE_DIM))
    factor = np.asarray(found.factor)
    square = factor @ np.swapaxes(factor, 1, 2)
    return Moments(delta * np.asarray(found.drift), delta / LARGE_DIM * square, _NEXT_ORDER)
