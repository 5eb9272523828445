"""The exact law of the summary statistics at finite dim, without the vectors."""

from collections.abc import Iterator
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Key, PyTree

from sgdlimits._tracing import dynamic
from sgdlimits.engines import lanes
from sgdlimits.engines.base import AbstractEngine, Plan, Problem, RunLane
from sgdlimits.engines.path import AbstractPath, Advanced, Record, run_path
from sgdlimits.engines.sizes import Trace, trace
from sgdlimits.process.process import Process
from sgdlimits.randomness.streams import run_keys
from sgdlimits.statistics.base import AbstractStatistics

_SHORT_BATCH = 4


class ChainPath(AbstractPath):
    """The process's Markov chain; one path step is one SGD step."""

    process: Process
    dim: Float[Array, ""]
    constants: PyTree

    def noise(self, key: Key[Array, ""], steps: int) -> PyTree:
        """All random numbers of a block of steps."""
        return self.process.chain_noise(key, steps, self.constants)

    def step(
        self, state: PyTree, noise: PyTree, time: Float[Array, ""], dt: Float[Array, ""]
    ) -> PyTree:
        """One exact step."""
        return self.process.chain_step(state, noise, self.dim, time)


class Chain(AbstractEngine):
    """The Markov chain of the statistics, with exactly the law that SGD gives them.

    It has no options.
    """

    name: ClassVar = "chain"
    exact_for: ClassVar = "every dim"
    cost: ClassVar = "O(1) per step, whatever dim"
    needs_chain: ClassVar = True
    steps_like_sgd: ClassVar = True

    def plan(self, problem: Problem, runs: int) -> Plan:
        """Steps are element by element for few neurons and one sample a step."""
        step = _trace_step(dynamic(problem.process), problem.dim)
        return Plan(lanes.of_steps(runs, step), work=float(problem.grid.steps[-1]))

    def prepare(self, problem: Problem, lane: int) -> RunLane:
        """The chain at the recorded steps after 0."""
        process, dim, steps = problem.process, problem.dim, problem.grid.steps
        path = ChainPath(dynamic(process), jnp.asarray(float(dim)), process.chain_constants(dim))
        delta = process.delta(dim)

        def run_lane(
            start: AbstractStatistics, numbers: Integer[Array, " lane"], advanced: Advanced
        ) -> Iterator[Record]:
            keys = run_keys(problem.seed, "chain", numbers)
            state = _to_state(path.process, start)
            for record in run_path(path, state, keys, steps, lambda step: step * delta, advanced):
                statistics = _to_statistics(path.process, record.statistics)
                yield record._replace(statistics=statistics)

        return run_lane


def _trace_step(process: Process, dim: int) -> Trace:
    state = jax.eval_shape(process.chain_state, process.template)
    constants = process.chain_constants(dim)
    noise = jax.eval_shape(lambda: process.chain_noise(jax.random.key(0), 1, constants))
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), noise)
    number = jax.ShapeDtypeStruct((), float)
    step = trace(_step, process, state, one, number, number)
    # Sums over a batch of more samples were seen to go by the lane.
    return step if process.algorithm.batch <= _SHORT_BATCH else step._replace(elementwise=False)


@eqx.filter_jit
def _step(process: Process, state: PyTree, noise: PyTree, dim: Array, time: Array) -> PyTree:
    return process.chain_step(state, noise, dim, time)


@eqx.filter_jit
def _to_state(process: Process, u: AbstractStatistics) -> PyTree:
    return jax.vmap(process.chain_state)(u)


@eqx.filter_jit
def _to_statistics(process: Process, state: PyTree) -> AbstractStatistics:
    return jax.vmap(process.chain_statistics)(state)
