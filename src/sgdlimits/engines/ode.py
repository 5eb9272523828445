"""The ballistic limit, from the same finite-dim initial statistics as the other engines."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.engines.path import Advanced, Record
from sgdlimits.limits import flow
from sgdlimits.models.base import AbstractModel
from sgdlimits.statistics.base import AbstractStatistics


def run_ode(
    model: AbstractModel,
    sgd: OnlineSGD,
    start: AbstractStatistics,
    times: np.ndarray,
    advanced: Advanced,
) -> Iterator[Record]:
    """Yield the solution at ``times`` after 0; the runs are the leading axis."""
    error = solution_error(model, sgd, start, times)
    path = _solve(model, sgd, start, times)
    bad = ~np.isfinite(path).all(-1)
    diverged = np.where(bad.any(0), times[bad.argmax(0)], np.nan)
    for index in range(1, len(times)):
        state = start.with_vector(jnp.asarray(path[index]))
        spread = None if error is None else start.with_vector(jnp.asarray(error[index]))
        yield Record(index, state, diverged, spread)
    advanced(path.shape[1])


def solution_error(
    model: AbstractModel, sgd: OnlineSGD, start: AbstractStatistics, times: np.ndarray
) -> np.ndarray | None:
    """Standard error (times, runs, statistics) of the solution, if the drift is an estimate.

    From the spread of the solutions with each of the model's replicates; it counts the noise of
    the estimate, not its bias at finite dimension.
    """
    if not model.moments_are_estimates:
        return None
    paths = np.stack([_solve(each, sgd, start, times) for each in model.replicates()])
    return paths.std(0, ddof=1) / len(paths) ** 0.5


def _solve(
    model: AbstractModel, sgd: OnlineSGD, start: AbstractStatistics, times: np.ndarray
) -> np.ndarray:
    path = flow.solve_vectors(
        dynamic(model), dynamic(sgd), start.vector, jnp.asarray(times),
        *flow.default_tolerances(model),
    )  # fmt: skip
    return np.asarray(path)
