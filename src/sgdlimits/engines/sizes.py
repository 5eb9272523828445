"""What a computation is like, by tracing it: how much it holds, and of what kind it is."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

# A compiler may order sums of more terms by the sizes of arrays; shorter ones it writes out.
_SHORT_SUM = 8


class Trace(NamedTuple):
    """What a function does on its way."""

    largest: int  # numbers in the largest array that it makes
    elementwise: bool  # no long sums, products of matrices or decompositions


def count(tree: Any) -> int:
    """Numbers in a tree of arrays or shapes."""
    return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))


def trace(function: Callable[..., Any], *arguments: Any) -> Trace:
    """Of a function at arguments, or at their shapes. Quick if it is compiled and was seen before.

    Nothing is computed.
    """
    equations = list(_equations(eqx.filter_make_jaxpr(function)(*arguments)[0].jaxpr))
    sizes = [int(np.prod(x.aval.shape)) for equation in equations for x in equation.outvars]
    return Trace(max(sizes, default=1), not any(map(_mixes, equations)))


def _mixes(equation: Any) -> bool:
    """Whether an operation mixes many numbers."""
    name = equation.primitive.name
    terms: Any = equation.invars[0].aval if equation.invars else None
    if name == "dot_general":
        (axes, _), _ = equation.params["dimension_numbers"]
        return any(terms.shape[axis] > 1 for axis in axes)
    if name.startswith(("reduce_", "cum")) and "axes" in equation.params:
        return int(np.prod([terms.shape[axis] for axis in equation.params["axes"]])) > _SHORT_SUM
    return name in dir(jax.lax.linalg) or name in ("conv_general_dilated", "sort")


def _equations(program: Any) -> Iterator[Any]:
    """All operations of a traced program, those inside of loops and branches too."""
    for equation in program.eqns:
        yield equation
        for parameter in equation.params.values():
            for inner in _programs(parameter):
                yield from _equations(inner)


def _programs(parameter: Any) -> Iterator[Any]:
    """What an operation runs: branches, bodies of loops, compiled functions."""
    for one in parameter if isinstance(parameter, list | tuple) else (parameter,):
        one = getattr(one, "jaxpr", one)
        if hasattr(one, "eqns"):
            yield one
