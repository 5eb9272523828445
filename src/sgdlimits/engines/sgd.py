"""Real SGD: vectors in R^dim, one fresh sample per step."""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Key, PyTree

from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.engines.path import NEVER, Advanced, Record, times_of
from sgdlimits.models.base import AbstractModel
from sgdlimits.statistics.base import AbstractStatistics

_MOST_STEPS_PER_CALL = 256  # how often a person can interrupt


@eqx.filter_jit
def _advance(
    model: AbstractModel,
    sgd: OnlineSGD,
    parameters: PyTree,
    frame: Float[Array, "directions dim"],
    keys: Key[Array, " lane"],
    diverged: Integer[Array, " lane"],
    first: Integer[Array, ""],
    last: Integer[Array, ""],
    literal: bool,
) -> tuple[PyTree, Integer[Array, " lane"]]:
    def one_run(parameters: PyTree, key: Array, step: Array) -> PyTree:
        key = jax.random.fold_in(key, step)
        return model.sgd_step(parameters, frame, key, sgd, literal=literal)

    def body(step: Array, state: tuple) -> tuple:
        parameters, diverged = state
        parameters = jax.vmap(one_run, in_axes=(0, 0, None))(parameters, keys, step)
        bad = ~_looks_finite(parameters) & (diverged == NEVER)
        return parameters, jnp.where(bad, step + 1, diverged)

    return jax.lax.fori_loop(first, last, body, (parameters, diverged))


def _looks_finite(parameters: PyTree) -> Array:
    """Per run, from one entry of every row: an overflow reaches all entries of a row at once."""
    entries = [
        (x[..., 0] if x.ndim > 1 else x).reshape(x.shape[0], -1).sum(1)
        for x in jax.tree.leaves(parameters)
        if x.size
    ]
    return jnp.isfinite(jnp.asarray(sum(entries)))


@eqx.filter_jit
def _statistics(
    model: AbstractModel, parameters: PyTree, frame: Float[Array, "directions dim"]
) -> AbstractStatistics:
    return jax.vmap(lambda parameters: model.statistics(parameters, frame))(parameters)


@eqx.filter_jit
def _lift(model: AbstractModel, keys: Key[Array, " lane"], start: AbstractStatistics, frame: Array):
    return jax.vmap(lambda key, u: model.lift(key, u, frame))(keys, start)


@eqx.filter_jit
def _start(model: AbstractModel, keys: Key[Array, " lane"], frame: Array):
    return jax.vmap(lambda key: model.initial_parameters(key, frame))(keys)


def run_sgd(
    model: AbstractModel,
    sgd: OnlineSGD,
    dim: int,
    start: AbstractStatistics,
    lift_keys: Key[Array, " lane"],
    keys: Key[Array, " lane"],
    steps: np.ndarray,
    advanced: Advanced,
    *,
    dtype: str,
    literal: bool,
    initial_keys: Key[Array, " lane"] | None = None,
) -> Iterator[Record]:
    """Yield the statistics of real parameters at the recorded steps after 0.

    Runs start from ``start`` lifted, or with ``initial_keys`` from the model's own random start.
    """

    def clock(step: np.ndarray) -> np.ndarray:
        return step * delta

    delta = sgd.delta(dim)
    frame = model.frame(dim)
    if initial_keys is None:
        parameters = _lift(dynamic(model), lift_keys, start, frame)
    else:
        parameters = _start(dynamic(model), initial_keys, frame)
    parameters, frame = jax.tree.map(lambda x: x.astype(dtype), (parameters, frame))
    model, sgd = dynamic(model, dtype), dynamic(sgd, dtype)
    diverged = jnp.full(len(keys), NEVER)
    yield Record(0, start, times_of(diverged, 0, clock), parameters=parameters)
    for index in range(1, len(steps)):
        for first in range(int(steps[index - 1]), int(steps[index]), _MOST_STEPS_PER_CALL):
            last = min(first + _MOST_STEPS_PER_CALL, int(steps[index]))
            parameters, diverged = _advance(
                model, sgd, parameters, frame, keys, diverged,
                jnp.asarray(first), jnp.asarray(last), literal,
            )  # fmt: skip
            diverged.block_until_ready()
            advanced(len(keys) * (last - first))
        statistics = _statistics(model, parameters, frame)
        # Squares overflow before the vectors do.
        bad = ~jnp.isfinite(statistics.vector.sum(-1)) & (diverged == NEVER)
        diverged = jnp.where(bad, int(steps[index]), diverged)
        yield Record(
            index,
            jax.tree.map(lambda x: np.asarray(x, dtype=float), statistics),
            times_of(diverged, int(steps[index]), clock),
            parameters=parameters,
        )
