"""How many numbers a computation holds at once."""

from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import numpy as np


def count(tree: Any) -> int:
    """Numbers in a tree of arrays or shapes."""
    return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))


def largest_array(function: Callable[..., Any], *arguments: Any) -> int:
    """Numbers in the largest array that a function makes on its way, by tracing it."""
    return _largest(eqx.filter_make_jaxpr(function)(*arguments)[0].jaxpr)


def _largest(jaxpr: Any) -> int:
    made = (x.aval.shape for equation in jaxpr.eqns for x in equation.outvars)
    inside = (
        _largest(inner)
        for equation in jaxpr.eqns
        for parameter in equation.params.values()
        for inner in _jaxprs(parameter)
    )
    return max([1, *(int(np.prod(shape)) for shape in made), *inside])


def _jaxprs(parameter: Any) -> Iterator[Any]:
    """Programs that an operation runs: branches, bodies of loops, compiled functions."""
    for one in parameter if isinstance(parameter, list | tuple) else (parameter,):
        one = getattr(one, "jaxpr", one)
        if hasattr(one, "eqns"):
            yield one
