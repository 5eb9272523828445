"""Real SGD: vectors in R^dim, fresh samples for every step.

Samples are drawn for a block of steps at once, which costs a third of drawing them one by one.
Every step has a key of its own all the same: what it sees does not depend on blocks.
"""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer, Key, PyTree

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.engines import lanes
from sgdlimits.engines.base import AbstractEngine, Memory, Plan, Problem, RunLane
from sgdlimits.engines.path import NEVER, Advanced, Record, times_of
from sgdlimits.engines.sizes import count
from sgdlimits.process.process import Process
from sgdlimits.randomness.streams import stream_key
from sgdlimits.statistics.base import AbstractStatistics

_MOST_STEPS = 256  # of a block: how often a person can interrupt
_BLOCK_NUMBERS = 2**18  # drawn at once: about what stays in cache
_PART_NUMBERS = 2**30  # moved between two files of a stored ensemble: some ten seconds


class SGD(AbstractEngine):
    """Real vectors, fresh samples for every step.

    Args:
        dtype: "float64" or "float32", of the vectors.
        literal: draw samples as the paper writes them and differentiate the loss, instead of an
            equal law that is cheaper.

    Raises:
        TypeError, ValueError: for another ``dtype``, or a ``literal`` that is not True or False.
    """

    dtype: str = "float64"
    literal: bool = False

    name: ClassVar = "sgd"
    exact_for: ClassVar = "every dim"
    cost: ClassVar = "O(dim) per step"
    has_real_vectors: ClassVar = True
    steps_like_sgd: ClassVar = True

    def __check_init__(self) -> None:
        _validate.one_of("dtype", self.dtype, ("float64", "float32"))
        _validate.boolean("literal", self.literal)

    @property
    def precision(self) -> str:
        """Of the vectors."""
        return self.dtype

    def plan(self, problem: Problem, runs: int) -> Plan:
        """By the numbers that a run holds."""
        process, dim, steps = problem.process, problem.dim, float(problem.grid.steps[-1])
        if isinstance(problem.initial, process.statistics_class):
            process.check_state(problem.initial)
            process.model.check_vectors(problem.initial, dim)
        numbers = process.model.literal_sample_size(dim) if self.literal else _size(process, dim)
        lane = lanes.of_vectors(numbers)
        # State, samples, gradients.
        need = Memory(
            f"{'literal=True' if self.literal else f'engine={self.name!r}'} at dim={dim}",
            48.0 * lane * numbers,
            "lower dim, or use engine='chain'",
        )
        stored = min(lanes.LARGE // lane, int(_PART_NUMBERS / (steps * numbers * lane)))
        return Plan(lane, work=steps, part=lane * max(1, stored), memory=need)

    def prepare(self, problem: Problem, lane: int) -> RunLane:
        """Statistics and real parameters at the recorded steps, the start included."""
        setting = _Setting.create(self, problem, lane)
        steps, delta = problem.grid.steps, float(problem.process.delta(problem.dim))

        def run_lane(
            start: AbstractStatistics, numbers: Integer[Array, " lane"], advanced: Advanced
        ) -> Iterator[Record]:
            runs = _Runs(setting, start, numbers)

            def record(slot: int, statistics: AbstractStatistics) -> Record:
                diverged = times_of(runs.diverged, int(steps[slot]), lambda step: step * delta)
                parameters = jax.vmap(setting.process.parameters)(runs.state)
                return Record(slot, statistics, diverged, parameters=parameters)

            yield record(0, start)
            for slot in range(1, len(steps)):
                for done in runs.advance(int(steps[slot - 1]), int(steps[slot])):
                    advanced(lane * done)
                yield record(slot, runs.statistics(int(steps[slot])))

        return run_lane


def _size(process: Process, dim: int) -> int:
    """Numbers in the real state of one run."""
    key = jax.random.key(0)
    return count(jax.eval_shape(lambda: process.lift(key, process.template, process.frame(dim))))


class _Setting(NamedTuple):
    """What all lanes of a simulation share."""

    process: Process  # in the vectors' precision
    frame: Float[Array, "directions dim"]
    exact: tuple[Process, Float[Array, "directions dim"]]  # both in double precision, for starts
    delta: Float[Array, ""]  # in double precision, for the clock
    literal: bool
    own_start: bool  # the model's random start, which has vectors of its own
    start_root: Key[Array, ""]
    root: Key[Array, ""]
    block: int  # steps whose samples are drawn together

    @classmethod
    def create(cls, engine: SGD, problem: Problem, lane: int) -> "_Setting":
        process, seed = problem.process, problem.seed
        own_start = problem.initial is None and process.model.starts_from_parameters
        frame = process.frame(problem.dim)
        setting = cls(
            process=dynamic(process, engine.dtype),
            frame=frame.astype(engine.dtype),
            exact=(dynamic(process), frame),
            delta=jnp.asarray(float(process.delta(problem.dim))),
            literal=engine.literal,
            own_start=own_start,
            # The keys behind the given states, so that their statistics are those of the vectors.
            start_root=stream_key(seed, "initial" if own_start else "lift"),
            root=stream_key(seed, "sgd"),
            block=1,
        )
        keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), lane))
        one = eqx.filter_eval_shape(
            _draw, setting.process, setting.frame, keys, jnp.arange(1), setting.literal
        )
        fitting = np.clip(_BLOCK_NUMBERS // max(1, count(one)), 1, _MOST_STEPS)
        return setting._replace(block=2 ** int(np.log2(fitting)))


class _Runs:
    """A lane of runs, as they are now."""

    def __init__(self, setting: _Setting, start: AbstractStatistics, numbers: Array):
        self.setting = setting
        self.state, self.keys, self.diverged = _begin(
            *setting.exact, start, numbers, (setting.start_root, setting.root),
            setting.own_start, setting.frame.dtype.name,
        )  # fmt: skip
        self.first, self.samples = -1, None  # of the block of steps that was drawn last

    def advance(self, now: int, last: int) -> Iterator[int]:
        """Do the steps from ``now`` to ``last``; yield how many were done at once."""
        process, frame, literal = self.setting.process, self.setting.frame, self.setting.literal
        size = self.setting.block
        while now < last:
            first = now // size * size
            end = min(last, first + size)
            self.diverged.block_until_ready()  # no more than one block is under way
            if first != self.first:
                self.samples = None  # before there are others
                steps = jnp.arange(first, first + size)
                self.first, self.samples = first, _draw(process, frame, self.keys, steps, literal)
            self.state, self.diverged = _advance(
                process, self.state, self.diverged, frame, self.samples,
                jnp.asarray([first, now, end]), self.setting.delta, literal,
            )  # fmt: skip
            yield end - now
            now = end

    def statistics(self, step: int) -> AbstractStatistics:
        """Of the vectors, in double precision."""
        statistics, self.diverged = _statistics(
            self.setting.process, self.state, self.setting.frame, self.diverged, jnp.asarray(step)
        )
        return jax.tree.map(lambda x: np.asarray(x, dtype=float), statistics)


@eqx.filter_jit
def _begin(
    process: Process,
    frame: Float[Array, "directions dim"],
    start: AbstractStatistics,
    numbers: Integer[Array, " lane"],
    roots: tuple[Key[Array, ""], Key[Array, ""]],
    own_start: bool,
    dtype: str,
) -> tuple[PyTree, Key[Array, " lane"], Integer[Array, " lane"]]:
    """Real state at the start, keys of the samples, steps of divergence."""
    first, keys = (_keys(root, numbers) for root in roots)
    if own_start:
        state = jax.vmap(lambda key: process.random_start(key, frame))(first)
    else:
        state = jax.vmap(lambda key, u: process.lift(key, u, frame))(first, start)
    state = jax.tree.map(lambda x: x.astype(dtype), state)
    return state, keys, jnp.full(numbers.shape, NEVER)


def _keys(root: Key[Array, ""], numbers: Integer[Array, " lane"]) -> Key[Array, " lane"]:
    """``run_keys`` under a key that all runs share."""
    return jax.vmap(lambda run: jax.random.fold_in(root, run))(numbers)


@eqx.filter_jit
def _draw(
    process: Process,
    frame: Float[Array, "directions dim"],
    keys: Key[Array, " lane"],
    steps: Integer[Array, " steps"],
    literal: bool,
) -> PyTree:
    """Samples of the steps of all runs, axes (steps, lane, ...); literal ones are still keys."""

    def draw(step: Array, key: Key[Array, ""]) -> PyTree:
        key = jax.random.fold_in(key, step)
        return key if literal else process.draw(key, frame, frame.dtype)

    return jax.vmap(lambda step: jax.vmap(lambda key: draw(step, key))(keys))(steps)


@eqx.filter_jit
def _advance(
    process: Process,
    state: PyTree,
    diverged: Integer[Array, " lane"],
    frame: Float[Array, "directions dim"],
    samples: PyTree,
    bounds: Integer[Array, "3"],
    delta: Float[Array, ""],
    literal: bool,
) -> tuple[PyTree, Integer[Array, " lane"]]:
    """State and steps of divergence after some steps of a block.

    ``bounds``: the block's first step, the first one to do, and the one after the last to do.
    """
    first, now, end = bounds

    def one_run(state: PyTree, sample: PyTree, time: Array) -> PyTree:
        if literal:
            return process.step(state, frame, sample, time, literal=True)
        return process.step_on(state, frame, sample, time)

    def body(step: Array, carry: tuple) -> tuple:
        state, diverged = carry
        at = lambda x: jax.lax.dynamic_index_in_dim(x, step - first, keepdims=False)  # noqa: E731
        state = _over_runs(one_run)(state, jax.tree.map(at, samples), step.astype(float) * delta)
        bad = ~_looks_finite(state) & (diverged == NEVER)
        return state, jnp.where(bad, step + 1, diverged)

    return jax.lax.fori_loop(now, end, body, (state, diverged))


def _over_runs(function):
    """``function`` of the leading axis; a run alone is not made a batch of one, which is slower."""

    def mapped(state: PyTree, sample: PyTree, time: Array) -> PyTree:
        if jax.tree.leaves(state)[0].shape[0] > 1:
            return jax.vmap(function, in_axes=(0, 0, None))(state, sample, time)
        state, sample = jax.tree.map(lambda x: x[0], (state, sample))
        return jax.tree.map(lambda x: x[None], function(state, sample, time))

    return mapped


def _looks_finite(state: PyTree) -> Bool[Array, " lane"]:
    """Per run, from one entry of every row: an overflow reaches all entries of a row at once."""
    entries = [
        (x[..., 0] if x.ndim > 1 else x).reshape(x.shape[0], -1).sum(1)
        for x in jax.tree.leaves(state)
        if x.size
    ]
    return jnp.isfinite(jnp.asarray(sum(entries)))


@eqx.filter_jit
def _statistics(
    process: Process,
    state: PyTree,
    frame: Float[Array, "directions dim"],
    diverged: Integer[Array, " lane"],
    now: Integer[Array, ""],
) -> tuple[AbstractStatistics, Integer[Array, " lane"]]:
    """Statistics of real states; squares overflow before the vectors do."""
    statistics = jax.vmap(lambda state: process.statistics(state, frame))(state)
    bad = ~jnp.isfinite(statistics.vector.sum(-1)) & (diverged == NEVER)
    return statistics, jnp.where(bad, now, diverged)
