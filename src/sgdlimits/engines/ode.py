"""The ballistic limit, from the same finite-dim initial statistics as the other engines."""

from collections.abc import Iterator
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer

from sgdlimits._tracing import dynamic
from sgdlimits.engines import lanes
from sgdlimits.engines.base import AbstractEngine, Plan, Problem, RunLane, optional_positive
from sgdlimits.engines.path import Advanced, Record
from sgdlimits.engines.sizes import trace
from sgdlimits.limits import flow
from sgdlimits.limits.vector_field import drift_vector
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

_STORED_TOGETHER = 64  # solutions are quick, files are not


class ODE(AbstractEngine):
    """The limit dim -> infinity, from starts at finite dim.

    Args:
        rtol, atol: tolerances of the adaptive solver per step; default: what the accuracy of the
            drift deserves.

    Raises:
        TypeError, ValueError: unless the tolerances are numbers above 0.
    """

    rtol: float | None = eqx.field(converter=optional_positive("rtol"), default=None)
    atol: float | None = eqx.field(converter=optional_positive("atol"), default=None)

    name: ClassVar = "ode"
    solves: ClassVar = True

    def plan(self, problem: Problem, runs: int) -> Plan:
        """By what the drift at one state holds; for big quadratures one run alone."""
        process = dynamic(problem.process)
        field = trace(_drift, process, process.template.vector)
        return Plan(lanes.of_solutions(field), work=1.0, part=_STORED_TOGETHER)

    def prepare(self, problem: Problem, lane: int) -> RunLane:
        """The solution at the recorded times after 0."""
        process, times = problem.process, problem.grid.times
        tolerances = self.tolerances(process)

        def run_lane(
            start: AbstractStatistics, numbers: Integer[Array, " lane"], advanced: Advanced
        ) -> Iterator[Record]:
            error = solution_error(process, start, times, tolerances)
            path = _solve(process, start, times, tolerances)
            bad = ~np.isfinite(path).all(-1)
            diverged = np.where(bad.any(0), times[bad.argmax(0)], np.nan)
            for index in range(1, len(times)):
                state = start.with_vector(jnp.asarray(path[index]))
                spread = None if error is None else start.with_vector(jnp.asarray(error[index]))
                yield Record(index, state, diverged, spread)
            advanced(path.shape[1])

        return run_lane

    def tolerances(self, process: Process) -> tuple[float, float]:
        """Relative and absolute."""
        rtol, atol = flow.default_tolerances(process.model)
        return rtol if self.rtol is None else self.rtol, atol if self.atol is None else self.atol


@eqx.filter_jit
def _drift(process: Process, y: Array) -> Array:
    return drift_vector(process, y)


def solution_error(
    process: Process,
    start: AbstractStatistics,
    times: np.ndarray,
    tolerances: tuple[float, float] | None = None,
) -> np.ndarray | None:
    """Standard error (times, runs, statistics) of the solution, if the drift is an estimate.

    From the spread of the solutions with each of the process's replicates; it counts the noise of
    the estimate, not its bias at finite dimension.
    """
    if not process.model.moments_are_estimates:
        return None
    tolerances = tolerances or flow.default_tolerances(process.model)
    paths = np.stack([_solve(each, start, times, tolerances) for each in process.replicates()])
    return paths.std(0, ddof=1) / len(paths) ** 0.5


def _solve(
    process: Process,
    start: AbstractStatistics,
    times: np.ndarray,
    tolerances: tuple[float, float],
) -> np.ndarray:
    return np.asarray(
        flow.solve_vectors(dynamic(process), start.vector, jnp.asarray(times), *tolerances)
    )
