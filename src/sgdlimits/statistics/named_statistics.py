"""Statistics of which nothing is known but their names: one class per list of names."""

import keyword
import re
import types
from functools import cache
from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.statistics.base import AbstractStatistics, Label, numeric
from sgdlimits.statistics.reserved import check_names

_INDEXED = re.compile(r"^([A-Za-z]+)_([A-Za-z0-9]+)$")


class NamedStatistics(AbstractStatistics):
    """Named scalars u_1, ..., u_k of any (equal) batch shape; classes come from ``statistics_of``.

    Their names are fields: ``u.m``; values are given by name, ``type(u)(m=0.1, q=1.0)``.
    """

    dims: ClassVar[dict[str, tuple[str, ...]]] = {}
    labels: ClassVar[dict[str, Label]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order in which the statistics were given."""
        return tuple(self.dims)

    @property
    def vector(self) -> Float[Array, "*batch statistics"]:
        """The scalars on one last axis."""
        values = [getattr(self, name) for name in self.dims]
        return jnp.stack(jnp.broadcast_arrays(*values), axis=-1)

    def with_vector(self, vector: Float[Array, "*batch statistics"]) -> Self:
        """Statistics of the same names with these values."""
        return type(self)(**{name: vector[..., i] for i, name in enumerate(self.dims)})


@cache
def statistics_of(names: tuple[str, ...]) -> type[NamedStatistics]:
    """The class of statistics with these names; equal names give the same class.

    Raises:
        ValueError: if a name is no identifier or has another meaning in results.
    """
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise ValueError(f"statistics: name {name!r}: expected an identifier such as 'm_1'.")
        if hasattr(NamedStatistics, name):
            raise ValueError(f"statistics: name {name!r} has another meaning; choose another.")
    check_names("statistics", names)
    fields: dict[str, Any] = {
        "__annotations__": dict.fromkeys(names, Float[Array, "*batch"]),
        "__module__": __name__,
        "__doc__": f"The statistics {', '.join(names)}.",
        "dims": {name: () for name in names},
        "labels": {name: Label(_symbol(name), f"statistic {name}") for name in names},
    }
    fields |= {name: eqx.field(converter=numeric(name)) for name in names}
    return types.new_class("NamedStatistics", (NamedStatistics,), {}, lambda ns: ns.update(fields))


def _symbol(name: str) -> str:
    """LaTeX of a name: single letters and their indices as such, words upright."""
    indexed = _INDEXED.match(name)
    if indexed:
        stem = indexed[1] if len(indexed[1]) == 1 else rf"\mathrm{{{indexed[1]}}}"
        return f"${stem}_{{{indexed[2]}}}$"
    return f"${name}$" if len(name) == 1 else rf"$\mathrm{{{name}}}$".replace("_", r"\_")
