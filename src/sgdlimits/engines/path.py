"""What the engines share: a lane of runs advanced from record to record."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer, Key, PyTree

#: Told how many run-steps were done since the last call.
Advanced = Callable[[float], None]
#: Time of a step, given the number of steps; piecewise linear.
Clock = Callable[[np.ndarray], np.ndarray]
NEVER = -1  # step of a divergence that has not happened


class Recorded(NamedTuple):
    """Recorded steps of SGD, increasing, with 0 and the last step among them, and their times."""

    steps: np.ndarray
    times: np.ndarray


class Uncertainty(NamedTuple):
    """Errors of statistics, and in words what they are, with {} for a statistic's name."""

    statistics: Any
    meaning: str


class Record(NamedTuple):
    """State of a lane at one recorded time: statistics, the runs on the leading axis.

    ``diverged`` is the time from which a run's statistics were not finite; NaN if they still are.
    ``error`` is there where the drift is not exact.
    """

    slot: int  # among the recorded times
    statistics: Any
    diverged: np.ndarray
    error: Uncertainty | None = None
    parameters: Any = None  # real vectors, for engines that have them


class AbstractPath(eqx.Module):
    """Statistics of one run, driven by random numbers drawn in blocks of steps.

    Blocks are numbered; the numbers of block b depend on the run's key and b alone. A path whose
    steps are SGD's own (the chain) therefore does not depend on where it is recorded.
    """

    @abstractmethod
    def noise(self, key: Key[Array, ""], steps: int) -> PyTree:
        """Random numbers of ``steps`` steps of one run, leading axis of that length."""

    @abstractmethod
    def step(
        self, state: PyTree, noise: PyTree, time: Float[Array, ""], dt: Float[Array, ""]
    ) -> PyTree:
        """One step of one run: when it starts, and its duration."""


# Long enough that calling the compiled block costs little beside it, short enough for the cache.
BLOCK = 128
_DRAWN_TOGETHER = 16  # runs; the smallest lane that grows with their number
_MOST_BLOCKS_AHEAD = 16  # how far the caller may run ahead of the computation


@eqx.filter_jit
def _advance_block(
    path: AbstractPath,
    state: PyTree,
    diverged: Integer[Array, " lane"],
    keys: Key[Array, " lane"],
    block: Integer[Array, ""],
    times: Float[Array, " steps"],
    durations: Float[Array, " steps"],
) -> tuple[PyTree, Integer[Array, " lane"], PyTree]:
    """State after the block, steps of divergence so far, state after each step of the block."""
    # Runs are the last axis throughout: the body of the loop is then a few long vector operations.
    noise = _draw(path, keys, block)
    step = jax.vmap(path.step, in_axes=(-1, -1, None, None), out_axes=-1)

    def body(state: PyTree, inputs: tuple) -> tuple[PyTree, PyTree]:
        state = step(state, *inputs)
        return state, state

    last, after = jax.lax.scan(body, state, (noise, times, durations))

    def mark(diverged: Array) -> Array:
        bad = ~jax.vmap(_finite)(after)
        first_bad = block * BLOCK + jnp.argmax(bad, axis=0) + 1
        return jnp.where(bad.any(0) & (diverged == NEVER), first_bad, diverged)

    # What is not finite stays so: the end of the block tells whether to look for the step at all.
    healthy = jnp.all(_finite(last))
    return last, jax.lax.cond(healthy, lambda diverged: diverged, mark, diverged), after


def _draw(path: AbstractPath, keys: Key[Array, " lane"], block: Integer[Array, ""]) -> PyTree:
    """The block's random numbers, the runs on the last axis.

    In groups of fixed size: labels may be products of matrices, whose bits depend on sizes.
    """

    def one_group(keys: Key[Array, " group"]) -> PyTree:
        draw = lambda key: path.noise(jax.random.fold_in(key, block), BLOCK)  # noqa: E731
        return jax.vmap(draw, out_axes=-1)(keys)

    def together(x: Array) -> Array:
        """From (groups, ..., group) to (..., lane)."""
        return jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:-1], lane)

    lane = keys.shape[0]
    groups = jax.lax.map(one_group, keys.reshape(-1, min(lane, _DRAWN_TOGETHER)))
    return jax.tree.map(together, groups)


def _finite(state: PyTree) -> Bool[Array, " lane"]:
    """Whether every number of each run is finite."""
    return jnp.isfinite(
        jnp.asarray(sum(x.reshape(-1, x.shape[-1]).sum(0) for x in jax.tree.leaves(state)))
    )


def run_path(
    path: AbstractPath,
    start: PyTree,
    keys: Key[Array, " lane"],
    steps: np.ndarray,
    clock: Clock,
    advanced: Advanced,
) -> Iterator[Record]:
    """Yield the lane at each of the recorded ``steps`` after the first (which is 0).

    ``start`` and the yielded statistics have the runs on the leading axis.
    """
    lane, total = len(keys), int(steps[-1])
    state = jax.tree.map(lambda x: jnp.moveaxis(x, 0, -1), start)
    diverged = jnp.full(lane, NEVER, dtype=int)
    index = 1
    for block in range(-(-total // BLOCK)):
        first = block * BLOCK
        last = first + BLOCK
        times = clock(np.arange(first, last + 1))
        state, diverged, after = _advance_block(
            path, state, diverged, keys, jnp.asarray(block),
            jnp.asarray(times[:-1]), jnp.asarray(np.diff(times)),
        )  # fmt: skip
        if block % _MOST_BLOCKS_AHEAD == 0:
            diverged.block_until_ready()
        advanced(lane * (min(last, total) - first))
        for step in steps[index : np.searchsorted(steps, last, side="right")].tolist():
            values = jax.tree.map(lambda x, i=step - first - 1: np.asarray(x)[i], after)
            yield Record(index, _runs_first(values), times_of(diverged, step, clock))
            index += 1


def times_of(diverged: Integer[Array, " lane"], now: int, clock: Clock) -> np.ndarray:
    """Steps of divergence up to ``now``, as times; NaN for none."""
    steps = np.asarray(diverged)
    return np.where((steps == NEVER) | (steps > now), np.nan, clock(np.maximum(steps, 0)))


def _runs_first(state: PyTree) -> PyTree:
    return jax.tree.map(lambda x: np.moveaxis(x, -1, 0), state)
