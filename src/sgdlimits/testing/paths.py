"""Many short paths at once, of real vectors and of the chain: one compiled program each."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

#: Draws beside each other; their number is a multiple of it.
_TOGETHER = 256


@eqx.filter_jit
def real_paths(
    process: Process,
    points: AbstractStatistics,
    frame: Float[Array, "directions dim"],
    key: Key[Array, ""],
    time: Float[Array, ""],
    draws: int,
    steps: int,
    literal: bool,
) -> Float[Array, "points draws steps statistics"]:
    """Statistics after each of the real steps that start at ``time``, from lifted ``points``."""
    clock = time + jnp.arange(steps, dtype=float) * process.delta(float(frame.shape[1]))

    def one(inputs: tuple[AbstractStatistics, Array]) -> Array:
        u, key = inputs
        key_lift, key_step = jax.random.split(key)

        def body(state: PyTree, inputs: tuple[Array, Array]) -> tuple[PyTree, Array]:
            moved = process.step(state, frame, *inputs, literal=literal)
            return moved, process.statistics(moved, frame).vector

        start = process.lift(key_lift, u, frame)
        return jax.lax.scan(body, start, (jax.random.split(key_step, steps), clock))[1]

    each = jax.tree.map(lambda x: jnp.repeat(x, draws, axis=0), points)
    keys = jax.random.split(key, len(points.vector) * draws)
    path = jax.lax.map(one, (each, keys), batch_size=_TOGETHER)
    return path.reshape(-1, draws, *path.shape[1:])


@eqx.filter_jit
def chain_paths(
    process: Process,
    points: AbstractStatistics,
    dim: Float[Array, ""],
    constants: PyTree,
    key: Key[Array, ""],
    time: Float[Array, ""],
    draws: int,
    steps: int,
) -> Float[Array, "points draws steps statistics"]:
    """As ``real_paths``, of the exact chain."""
    clock = time + jnp.arange(steps, dtype=float) * process.delta(dim)

    def last(x: Array) -> Array:
        return jnp.moveaxis(x.reshape(steps, draws, *x.shape[1:]), 1, -1)

    step = jax.vmap(process.chain_step, in_axes=(-1, -1, None, None), out_axes=-1)

    def at(inputs: tuple[AbstractStatistics, Array]) -> Array:
        u, key = inputs
        noise = jax.tree.map(last, process.chain_noise(key, steps * draws, constants))
        state = process.chain_state(u)
        state = jax.tree.map(lambda x: jnp.broadcast_to(x[..., None], (*x.shape, draws)), state)

        def body(state: PyTree, inputs: tuple[Any, Array]) -> tuple[PyTree, Array]:
            noise, now = inputs
            state = step(state, noise, dim, now)
            seen = jax.vmap(process.chain_statistics, in_axes=-1)(state)
            return state, seen.vector

        path = jax.lax.scan(body, state, (noise, clock))[1]
        return jnp.moveaxis(path, 0, 1)

    return jax.lax.map(at, (points, jax.random.split(key, len(points.vector))))
