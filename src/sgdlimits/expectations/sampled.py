"""Look at a JAX function from NumPy, inside of traces too."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from sgdlimits.expectations.breaks import Sampled

_SIZES = (64, 4096)


def sampled(function: Callable[[jax.Array], jax.Array]) -> Sampled:
    """``function`` on NumPy vectors of any length, the last axis, compiled for two lengths."""
    compiled = jax.jit(function)

    def at(x: np.ndarray) -> np.ndarray:
        size = next((size for size in _SIZES if len(x) <= size), len(x))
        padded = np.pad(np.asarray(x, float), (0, size - len(x)), constant_values=0.5)
        with jax.ensure_compile_time_eval():
            return np.asarray(compiled(jnp.asarray(padded)))[..., : len(x)]

    return at
