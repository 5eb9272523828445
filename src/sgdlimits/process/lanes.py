"""Runs in batches of one fixed size, so that results do not depend on how they are batched.

A compiler may order the operations of a batch of 3 and of 200 differently, which changes last
bits and then, in chaotic or unstable dynamics, everything. A program compiled once for a fixed
number of runs (a lane) does the same arithmetic for run r whatever runs beside it.
"""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer, PyTree

LARGE = 256


def lanes(runs: np.ndarray, lane: int) -> Iterator[tuple[Integer[Array, " lane"], int]]:
    """Run numbers in full lanes, padded by repeating the last, with the number that count."""
    for start in range(0, len(runs), lane):
        part = runs[start : start + lane]
        padded = np.concatenate([part, np.repeat(part[-1:], lane - len(part))])
        yield jnp.asarray(padded), len(part)


def map_lanes(
    function: Callable[[Integer[Array, " lane"]], PyTree], runs: np.ndarray, lane: int
) -> PyTree:
    """Apply a function of a lane of run numbers to all runs; leaves gain a leading run axis."""
    parts = [
        jax.tree.map(lambda x, count=count: np.asarray(x)[:count], function(numbers))
        for numbers, count in lanes(runs, lane)
    ]
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)
