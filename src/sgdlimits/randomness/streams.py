"""From one integer seed to one independent key per purpose and run.

The key of run r depends on the seed, the purpose and r alone. It is therefore the same whatever
other runs are simulated beside it, and two engines with one seed share their initial condition
while their noises are independent.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Integer, Key

from sgdlimits import _validate

Stream = Literal["initial", "lift", "sgd", "chain", "sde", "search", "test"]

# Numbers are part of the stored results' meaning: append, never renumber.
_NUMBER: dict[Stream, int] = {
    "initial": 0,
    "lift": 1,
    "sgd": 2,
    "chain": 3,
    "sde": 4,
    "search": 5,
    "test": 6,
}


def check_seed(seed: object) -> int:
    """Return ``seed`` as an int that names a stream, or raise."""
    return _validate.integer("seed", seed, 0, 2**63 - 1)


def stream_key(seed: int, stream: Stream) -> Key[Array, ""]:
    """Key of one purpose."""
    return jax.random.fold_in(jax.random.key(seed), _NUMBER[stream])


def run_keys(seed: int, stream: Stream, runs: Integer[Array, " runs"]) -> Key[Array, " runs"]:
    """One key per run number."""
    root = stream_key(seed, stream)
    return jax.vmap(lambda run: jax.random.fold_in(root, run))(jnp.asarray(runs))
