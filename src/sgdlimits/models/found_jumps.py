"""Where the gradient of one sample jumps as a preactivation moves: found by looking, not declared.

Along a few lines, on each of which one preactivation moves and everything else is random, every
cell of a grid is halved, over and over, always keeping the half in which the gradient changes more.
A jump that stays in place whatever else is there, such as that of a ReLU's slope, belongs to the
activation; one that moves, such as a hinge's margin or a kink behind a bias, does not.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from sgdlimits.data.base import AbstractDataLaw

_LINES = 6  # of every neuron
_REACH, _CELLS = 12.0, 240
_OFFSET = 0.0123456  # keeps round numbers off the grid
_HALVINGS = 46  # to the last digits
_JUMP = 1e-5  # of the size around
_TAIL = 1e-12  # of the largest size, where that is larger
_SPREAD = 1.5  # of what is random
_MOST_NEURONS = 12  # are looked at

Network = Callable[[Array, Array], Array]
Loss = Callable[[Array, Array], Array]
Labels = tuple[tuple[float, ...], ...]


class Jumps(NamedTuple):
    """Of one sample's gradient: preactivations where it jumps, and whether it jumps elsewhere."""

    fixed: tuple[float, ...] = ()
    moving: bool = False


def found_jumps(
    network: Network, loss: Loss, law: AbstractDataLaw, width: int, layer: int
) -> Jumps:
    """Of loss(network(v, s), label) and this law's labels; known from the first call on."""
    labels = _labels(law, _LINES * min(width, _MOST_NEURONS))
    try:
        return _cached(network, loss, labels, width, layer)
    except TypeError:  # holds arrays, so that it cannot be looked up
        return _look(network, loss, labels, width, layer)


@lru_cache(maxsize=256)
def _cached(network: Network, loss: Loss, labels: Labels, width: int, layer: int) -> Jumps:
    return _look(network, loss, labels, width, layer)


def _look(network: Network, loss: Loss, labels: Labels, width: int, layer: int) -> Jumps:
    neurons = np.tile(np.arange(min(width, _MOST_NEURONS)), _LINES)
    rng = np.random.default_rng(0)
    s = _SPREAD * rng.standard_normal((len(neurons), width))
    v = _SPREAD * rng.standard_normal((len(neurons), layer))

    def gradient(v: Array, s: Array, label: Array) -> Array:
        of = lambda v, s: jnp.reshape(loss(network(v, s), label), ())  # noqa: E731
        return jnp.concatenate(jax.grad(of, argnums=(0, 1))(v, s))

    with jax.ensure_compile_time_eval():
        lines = (jnp.asarray(neurons), jnp.asarray(v), jnp.asarray(s), jnp.asarray(labels))
        found = _along_lines(gradient, *lines)
    at, jumps = (np.asarray(x) for x in found)
    points = [np.unique(np.round(x[jump], 6)) for x, jump in zip(at, jumps, strict=True)]
    values, counts = np.unique(np.concatenate(points), return_counts=True)
    fixed = tuple(float(x) + 0.0 for x in values[counts > 1])
    return Jumps(fixed, bool((counts == 1).any()))


def _labels(law: AbstractDataLaw, count: int) -> Labels:
    """Of every class in turn; where labels are functions, signs and random numbers."""
    if law.labels_see_fields:
        rng = np.random.default_rng(1)
        numbers = rng.standard_normal((count, law.outputs))
        numbers[::2] = np.where(numbers[::2] > 0, 1.0, -1.0)
        return tuple(tuple(row) for row in numbers.tolist())
    nothing = jnp.zeros(law.directions), jnp.zeros(law.label_noises)
    with jax.ensure_compile_time_eval():
        each = [law.label(jnp.asarray(c), *nothing) for c in range(len(law.coefficients))]
        rows = [tuple(np.asarray(label).tolist()) for label in each]
    return tuple(rows[i % len(rows)] for i in range(count))


def _along_lines(
    gradient: Callable[[Array, Array, Array], Array],
    neurons: Array,
    v: Float[Array, "lines layer"],
    s: Float[Array, "lines width"],
    labels: Float[Array, "lines outputs"],
) -> tuple[Float[Array, "lines cells"], Bool[Array, "lines cells"]]:
    """(where, whether it is a jump) of the largest change in every cell of every line."""

    def line(neuron: Array, v: Array, s: Array, label: Array) -> tuple[Array, Array]:
        def at(t: Array) -> Array:
            value = jax.vmap(lambda t: gradient(v, s.at[neuron].set(t), label))(t)
            return jnp.where(jnp.isfinite(value), value, 0.0)

        edges = jnp.linspace(-_REACH, _REACH, _CELLS + 1) + _OFFSET
        values = at(edges)
        size = jnp.abs(values)
        padded = jnp.pad(size, ((3, 3), (0, 0)), mode="edge")
        around = jnp.max(jnp.stack([padded[k : k + len(size)] for k in range(7)]), axis=0)
        around = jnp.maximum(around[:-1], around[1:])
        around = jnp.maximum(around, _TAIL * jnp.max(size, axis=0) + 1e-300)

        def change(one: Array, other: Array) -> Array:
            return jnp.max(jnp.abs(other - one) / around, axis=1)

        def halve(_: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
            low, high, f_low, f_high = state
            middle = (low + high) / 2
            f = at(middle)
            left = change(f_low, f) >= change(f, f_high)
            return (
                jnp.where(left, low, middle),
                jnp.where(left, middle, high),
                jnp.where(left[:, None], f_low, f),
                jnp.where(left[:, None], f, f_high),
            )

        start = edges[:-1], edges[1:], values[:-1], values[1:]
        low, high, f_low, f_high = jax.lax.fori_loop(0, _HALVINGS, halve, start)
        return (low + high) / 2, change(f_low, f_high) > _JUMP

    return jax.jit(jax.vmap(line))(neurons, v, s, labels)
