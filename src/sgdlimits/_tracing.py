"""Make a module's numbers inputs of a compiled program instead of constants in it."""

from typing import TypeVar

import jax
import jax.numpy as jnp

from sgdlimits import _x64

T = TypeVar("T")


def dynamic(tree: T, dtype: str = "float64") -> T:
    """Replace Python floats in ``tree`` by arrays.

    Compiled functions treat Python numbers as constants and would be compiled anew for every value
    of the snr or the step; as arrays one program serves a whole sweep.

    Raises:
        RuntimeError: if double precision was switched off.
    """
    _x64.require()
    return jax.tree.map(lambda x: jnp.asarray(x, dtype) if isinstance(x, float) else x, tree)
