"""The deterministic map u' = u + E[increment | u], step by step."""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from sgdlimits._tracing import dynamic
from sgdlimits.engines.base import Problem, RunLane
from sgdlimits.engines.path import Advanced, Record, Uncertainty
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

_UNKNOWN = "error of {}: unknown, means of one step have no error estimate"


def mean_steps(problem: Problem, errors: bool) -> RunLane:
    """What iterates lanes of runs; errors are 0 where expectations are formulas, else unknown."""
    process, grid = problem.process, problem.grid
    unknown = errors and not process.drift_is_exact

    def run_lane(
        start: AbstractStatistics, numbers: Integer[Array, " lane"], advanced: Advanced
    ) -> Iterator[Record]:
        y, diverged = start.vector, np.full(len(start.vector), np.nan)
        for index in range(1, len(grid.times)):
            first, last = (jnp.asarray(int(step)) for step in grid.steps[index - 1 : index + 1])
            y = _advance(dynamic(process), y, jnp.asarray(float(problem.dim)), first, last)
            bad = ~np.isfinite(np.asarray(y)).all(-1) & np.isnan(diverged)
            diverged = np.where(bad, grid.times[index], diverged)
            state = start.with_vector(y)
            error = Uncertainty(start.with_vector(jnp.full_like(y, jnp.nan)), _UNKNOWN)
            yield Record(index, state, diverged, error if unknown else None)
        advanced(len(y))

    return run_lane


@eqx.filter_jit
def _advance(
    process: Process, y: Float[Array, "lane statistics"], dim: Array, first: Array, last: Array
) -> Float[Array, "lane statistics"]:
    """From one step to another."""
    delta = process.delta(dim)

    def one(y: Array) -> Array:
        def step(number: Array, y: Array) -> Array:
            u = process.template.with_vector(y)
            return y + process.one_step_moments(u, dim, number * delta).mean

        return jax.lax.fori_loop(first, last, step, y)

    return jax.vmap(one)(y)
