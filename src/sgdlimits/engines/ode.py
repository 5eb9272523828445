"""The ballistic limit, from the same finite-dim initial statistics as the other engines."""

from collections.abc import Iterator
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.engines import lanes
from sgdlimits.engines.base import AbstractEngine, Plan, Problem, RunLane, optional_positive
from sgdlimits.engines.mean_steps import mean_steps
from sgdlimits.engines.path import Advanced, Record
from sgdlimits.engines.sizes import trace
from sgdlimits.engines.solution_error import (
    SolutionError,
    Solved,
    by_rule,
    solution_error,
)
from sgdlimits.limits import flow
from sgdlimits.limits.path_error import moments_of
from sgdlimits.limits.vector_field import drift_vector
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

_STORED_TOGETHER = 64  # solutions are quick, files are not


class ODE(AbstractEngine):
    """The limit dim -> infinity, from starts at finite dim.

    Args:
        rtol, atol: tolerances of the adaptive solver per step; default: what the accuracy of the
            drift deserves.
        errors: whether results hold ``<name>_error`` where the drift is not exact.
        per_step: iterate the mean of one step at this dim, u' = u + E[increment | u], instead of
            solving a differential equation: the limit of batches and steps that both grow like
            dim, where single steps move the statistics by order one and their noise averages out.
            With the (1 - 1/batch) E[gradient] E[gradient]ᵀ that smaller batches may neglect.

    Raises:
        TypeError, ValueError: unless the tolerances are numbers above 0, and ``errors`` and
            ``per_step`` True or False.
    """

    rtol: float | None = eqx.field(converter=optional_positive("rtol"), default=None)
    atol: float | None = eqx.field(converter=optional_positive("atol"), default=None)
    errors: bool = True
    per_step: bool = False

    name: ClassVar = "ode"
    exact_for: ClassVar = "dim → ∞"
    cost: ClassVar = "adaptive steps, whatever dim"
    needs_limit: ClassVar = True
    solves: ClassVar = True

    def __check_init__(self) -> None:
        _validate.boolean("errors", self.errors)
        _validate.boolean("per_step", self.per_step)

    def check(self, process: Process, dim: object) -> int:
        """There are means of one step, where these are iterated."""
        if self.per_step:
            process.check_one_step_moments()
        return super().check(process, dim)

    def view(self, process: Process) -> Process:
        """Without memory that forgets within few steps, unless single steps are taken."""
        return process if self.per_step else process.in_the_limit()

    def plan(self, problem: Problem, runs: int) -> Plan:
        """By what the drift at one state holds; for big quadratures one run alone."""
        process = dynamic(problem.process)
        field = trace(_drift, process, process.template.vector)
        return Plan(lanes.of_solutions(field), work=1.0, part=_STORED_TOGETHER)

    def prepare(self, problem: Problem, lane: int) -> RunLane:
        """The solution at the recorded times after 0."""
        if self.per_step:
            return mean_steps(problem, self.errors)
        process, times = problem.process, problem.grid.times
        along = self.errors and by_rule(process)
        solved_at = np.union1d(times, moments_of(times)) if along else times
        recorded = np.searchsorted(solved_at, times)

        def run_lane(
            start: AbstractStatistics, numbers: Integer[Array, " lane"], advanced: Advanced
        ) -> Iterator[Record]:
            solved = flow.solve_adequately(process, start, solved_at, (self.rtol, self.atol))
            path = np.empty((len(times), *start.vector.shape))
            for each in solved:
                path[:, each.runs] = each.paths[recorded]
            error = self._error(start, times, solved_at, solved) if self.errors else None
            bad = ~np.isfinite(path).all(-1)
            diverged = np.where(bad.any(0), times[bad.argmax(0)], np.nan)
            for index in range(1, len(times)):
                state = start.with_vector(jnp.asarray(path[index]))
                yield Record(index, state, diverged, None if error is None else error.at(index))
            advanced(path.shape[1])

        return run_lane

    def _error(
        self,
        start: AbstractStatistics,
        times: np.ndarray,
        solved_at: np.ndarray,
        solved: list[flow.Solutions],
    ) -> SolutionError | None:
        """Of all runs, each by the expectations that it was solved with."""
        values, found = np.empty((len(times), *start.vector.shape)), None
        for each in solved:
            at = Solved(solved_at, each.paths)
            tolerances = flow.tolerances_for(each.process, (self.rtol, self.atol))
            found = solution_error(each.process, start[each.runs], times, tolerances, at)
            if found is None:
                return None
            values[:, each.runs] = found.statistics.vector
        return found and found._replace(statistics=start.with_vector(jnp.asarray(values)))


@eqx.filter_jit
def _drift(process: Process, y: Array) -> Array:
    return drift_vector(process, y)
