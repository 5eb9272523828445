"""How far solutions are off because their drift is known only up to an error."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from sgdlimits._tracing import dynamic
from sgdlimits.engines.path import Uncertainty
from sgdlimits.limits import flow
from sgdlimits.limits.adequate import say_along
from sgdlimits.limits.path_error import moments_of, path_errors
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

_LOOSE = (1e-6, 1e-8)  # an error is wanted to a digit or two
_MONTE_CARLO = "standard error of {} from the Monte Carlo estimate of the moments"
BY_RULE = "estimated error of {}: of the drift's expectations, carried along the path"
_UNKNOWN = "error of {}: unknown, the rule for the drift's expectations has no error estimate"


class SolutionError(NamedTuple):
    """Errors (times, runs) of the statistics, and what they are of a statistic that {} names."""

    statistics: AbstractStatistics
    meaning: str

    def at(self, index: int) -> Uncertainty:
        """At one of the times."""
        return Uncertainty(self.statistics[index], self.meaning)


class Solved(NamedTuple):
    """Solutions of the ODE at some times, (times, runs, statistics)."""

    times: np.ndarray
    paths: np.ndarray


def _too_many(process: Process) -> bool:
    """Whether to carry errors along a path would take a Jacobian of many blocks."""
    many = process.model.coupled_blocks() is not None
    return many and not process.drift_is_exact


def by_rule(process: Process) -> bool:
    """Whether errors are those of a rule for expectations, which are known along a path."""
    model = process.model
    if _too_many(process):
        return False
    return model.knows_errors and not (model.moments_are_estimates or process.drift_is_exact)


def solution_error(
    process: Process,
    start: AbstractStatistics,
    times: np.ndarray,
    tolerances: tuple[float, float] | None = None,
    solved: Solved | None = None,
) -> SolutionError | None:
    """Of the ODE from every start; None where the drift is exact.

    A Monte Carlo estimate: from the spread of the solutions with each of its replicates, which
    counts the noise of the estimate, not its bias at finite dimension. Rules for expectations: to
    first order, along the path.

    Args:
        process, start, times: of the solutions.
        tolerances: for the replicates; default what their drift deserves.
        solved: the solutions, if they are known at ``moments_of(times)``.
    """
    if process.model.moments_are_estimates:
        tolerances = tolerances or flow.default_tolerances(process)
        each = [paths_of(x, start, times, tolerances) for x in process.replicates()]
        values = np.std(each, axis=0, ddof=1) / len(each) ** 0.5
        return SolutionError(start.with_vector(jnp.asarray(values)), _MONTE_CARLO)
    if not process.model.knows_errors or _too_many(process):
        unknown = jnp.full((len(times), *start.vector.shape), jnp.nan)
        return SolutionError(start.with_vector(unknown), _UNKNOWN)
    if not by_rule(process):
        return None
    if solved is None:
        moments = moments_of(times)
        solved = Solved(moments, paths_of(process, start, moments, _LOOSE))
    values = path_errors(process, *solved, times)
    return SolutionError(start.with_vector(jnp.asarray(values)), BY_RULE)


def adequate_error(
    process: Process, start: AbstractStatistics, times: np.ndarray, enough: float
) -> SolutionError | None:
    """``solution_error`` for what keeps its rule: it says where that is not accurate enough.

    ``enough``: relative error of expectations that is small beside what else is neglected.

    Warns:
        InaccurateWarning: if expectations along the ODE's solutions are not.
    """
    if not by_rule(process):
        return solution_error(process, start, times)
    moments = moments_of(times)
    solved = Solved(moments, paths_of(process, start, moments, _LOOSE))
    say_along(process, start, solved.paths, enough)
    return solution_error(process, start, times, solved=solved)


def paths_of(
    process: Process,
    start: AbstractStatistics,
    times: np.ndarray,
    tolerances: tuple[float, float],
) -> np.ndarray:
    """Solutions of the ODE (times, runs, statistics)."""
    path = flow.solve_vectors(dynamic(process), start.vector, jnp.asarray(times), *tolerances)
    return np.asarray(path)
