"""All that can be checked of a model under an algorithm, in one call."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.models.base import AbstractModel
from sgdlimits.process.initial import initial
from sgdlimits.process.process import Process
from sgdlimits.randomness.streams import check_seed
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.overlaps import Statistics
from sgdlimits.testing.laws import laws
from sgdlimits.testing.limits import limits
from sgdlimits.testing.memory import with_memory
from sgdlimits.testing.one_step import one_step
from sgdlimits.testing.report import Report
from sgdlimits.testing.seeds import seeds
from sgdlimits.testing.states import states
from sgdlimits.testing.subject import Subject

#: Of the checks; each gives the rows of what the model has.
GROUPS = {"states": states, "one step": one_step, "laws": laws, "limits": limits, "seeds": seeds}

_DEGREES = 20  # left outside of the span by default: enough for a fitted chi-square
_DRAWS = 2**14


def check(
    model: AbstractModel,
    sgd: OnlineSGD | None = None,
    *,
    points: AbstractStatistics | None = None,
    dim: int | None = None,
    draws: int = _DRAWS,
    seed: int = 0,
    throw: bool = True,
) -> Report:
    """Whether model, data law and algorithm fit together: real steps, chain, moments, limits.

    Real steps are what the loss, the data law and the rule say; everything else is compared with
    them: mean and covariance of a step, the exact chain after one and several steps, drift and
    diffusion. Besides: lifts and bad states, what the limit is made of, seeds of all engines. What
    a model does not have is left out. Statistical comparisons have negative controls: the same
    comparison with something subtly wrong must fail.

    Args:
        model: any model.
        sgd: the algorithm, with its rule and schedule; default ``OnlineSGD()``.
        points: states to look at, on one leading axis; default: random ones of order one.
        dim: dimension of most comparisons; default the smallest possible and 20 more.
        draws: at each state, and 8 times as many where a control needs them.
        seed: of the states and all draws.
        throw: raise if a comparison fails.

    Returns:
        A ``Report`` that prints as a table; ``passed`` says whether every comparison holds.

    Raises:
        AssertionError: with the table, if a comparison fails and ``throw``.
        TypeError, ValueError: for arguments that do not fit.
    """
    subject = subject_of(model, sgd, points=points, dim=dim, draws=draws, seed=seed)
    rows = tuple(row for group in GROUPS.values() for row in group(subject))
    report = Report(f"{type(model).__name__} at dim {subject.dim}, {subject.count} states", rows)
    if throw and not report.passed:
        raise AssertionError(f"\n{report}")
    return report


def subject_of(
    model: AbstractModel,
    sgd: OnlineSGD | None = None,
    *,
    points: AbstractStatistics | None = None,
    dim: int | None = None,
    draws: int = _DRAWS,
    seed: int = 0,
) -> Subject:
    """What ``check`` looks at, its arguments checked."""
    process = Process(model, OnlineSGD() if sgd is None else sgd)
    model.check_capability("testing.check")
    draws = _validate.integer("draws", draws, 256) // 256 * 256
    seed = check_seed(seed)
    chosen = _default_dim(process) if dim is None else dim
    chosen = _validate.integer("dim", chosen, process.minimum_dim + 1)
    states: Any = random_points(process, chosen, seed) if points is None else points
    if type(states) is process.model.statistics_class:
        states = with_memory(process, states, seed)
    process.check_state(states)
    if len(states.batch_shape) != 1:
        raise ValueError(f"points has batch shape {states.batch_shape}: expected one axis.")
    return Subject(process, states, chosen, draws, seed)


def _default_dim(process: Process) -> int:
    model: Any = process.model
    return process.minimum_dim + _DEGREES if model.kernel == "rows" else model.monte_carlo.dim


def random_points(process: Process, dim: int, seed: int) -> AbstractStatistics:
    """Two generic states of order one, one with little beside the directions, a random start."""
    rng = np.random.default_rng(seed)
    searched = process.model.search_points(rng, 6, float(process.algorithm.step))
    start = process.base(initial(process.model, dim, 1, seed, process.algorithm))
    chosen = np.concatenate([np.asarray(searched.vector)[[2, 4, 1]], np.asarray(start.vector)])
    points = process.model.template.with_vector(jnp.asarray(chosen))
    model: Any = process.model
    if model.kernel != "rows":
        return process.begin(points)
    if any(model.data.noiseless):
        points = _off_walls(model, points, rng)
    # The generic ones off singular matrices, near which derivatives are as large as one likes.
    off = jnp.asarray([0.1, 0.1, 0.0, 0.0])
    return with_memory(process, _moderate(dynamic(process), points, off), seed)


def _off_walls(
    model: AbstractModel, points: AbstractStatistics, rng: np.random.Generator
) -> AbstractStatistics:
    """Beside the walls that classes without noise have."""
    vectors = np.array(points.vector)
    for i, u in enumerate(points[i] for i in range(len(vectors))):
        near = np.asarray(model.neighbours(u, rng, 16, 0.3).vector)
        vectors[i] = near[0] if len(near) else vectors[i]
    return points.with_vector(jnp.asarray(vectors))


@eqx.filter_jit
def _moderate(
    process: Process, points: AbstractStatistics, off: Float[Array, " points"]
) -> AbstractStatistics:
    """Rows shrunk to norms of at most 1, with a multiple of 1 added to Q, as the algorithm has."""
    model: Any = process.model

    def one(u: AbstractStatistics, off: Array) -> AbstractStatistics:
        now = model.overlaps(u)
        scale = 1 / jnp.sqrt(jnp.maximum(1.0, jnp.max(jnp.diagonal(now.Q))))
        Q = scale**2 * now.Q + off * jnp.eye(len(now.Q))
        return model.of_overlaps(Statistics(jnp.clip(now.v, -1.5, 1.5), scale * now.M, Q))

    return process.base(process.constrained(process.begin(jax.vmap(one)(points, off))))
