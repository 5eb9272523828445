"""Summary statistics: the few numbers that the high-dimensional process is seen through."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from sgdlimits import _x64
from sgdlimits.statistics.reserved import check_names

_MOST_SHOWN = 16


class Label(NamedTuple):
    """How one statistic is shown: its symbol in the papers (LaTeX) and a sentence."""

    symbol: str
    meaning: str


def is_traced(tree: Any) -> bool:
    """Whether any array of ``tree`` is a placeholder inside a JAX transformation."""
    return any(isinstance(x, Tracer) for x in jax.tree.leaves(tree))


def numeric(name: str) -> Callable[[Any], Array]:
    """Converter of a field to a floating-point array; refuses what is not numbers, by name."""

    def convert(value: Any) -> Array:
        _x64.require()
        try:
            if isinstance(value, str | bytes):  # NumPy would take it for the name of a type
                raise TypeError
            array = jnp.asarray(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name}={value!r}: expected a number or an array of them.") from error
        if not any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.floating, jnp.integer)):
            raise TypeError(f"{name}={value!r}: expected real numbers, got {array.dtype}.")
        return array.astype(float)

    return convert


class AbstractStatistics(eqx.Module):
    """Named statistics, any number of leading batch axes (runs, times).

    A concrete class declares, for every field, the dimensions beyond the batch axes.

    Raises:
        ValueError: where a class is defined with fields or dimensions that results call something
            else.
    """

    dims: ClassVar[dict[str, tuple[str, ...]]]
    labels: ClassVar[dict[str, Label]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dims = cls.__dict__.get("dims", {})
        check_names(f"{cls.__name__}.dims", [*dims, *(x for each in dims.values() for x in each)])

    def __check_init__(self) -> None:
        for name, dims in self.dims.items():
            shape = jnp.shape(getattr(self, name))
            if len(shape) < len(dims):
                raise TypeError(
                    f"{name} has shape {shape}: expected axes {', '.join(dims)} at least."
                )

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of the independent scalars, in the order of ``vector``."""

    @property
    @abstractmethod
    def vector(self) -> Float[Array, "*batch statistics"]:
        """The independent scalars on one last axis."""

    @abstractmethod
    def with_vector(self, vector: Float[Array, "*batch statistics"]) -> Self:
        """The statistics of this shape whose independent scalars are ``vector``."""

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the leading axes; every field must agree on it."""
        shapes = set()
        for name, dims in self.dims.items():
            shape = jnp.shape(getattr(self, name))
            shapes.add(shape[: len(shape) - len(dims)])
        if len(shapes) != 1:
            raise ValueError(
                f"{type(self).__name__}: fields disagree on the batch axes {sorted(shapes)}; "
                "give every field the same leading shape."
            )
        return shapes.pop()

    def __repr__(self) -> str:
        """Values where they fit on a line or two, as one would write them."""
        fields = {name: getattr(self, name) for name in self.dims}
        if any(isinstance(x, Tracer) or np.size(x) > _MOST_SHOWN for x in fields.values()):
            return super().__repr__()
        text = (f"{name}={np.asarray(x).round(6).tolist()}" for name, x in fields.items())
        return f"{type(self).__name__}({', '.join(text)})"

    def __getitem__(self, index) -> Self:
        """Index the leading batch axes of every field at once."""
        return jax.tree.map(lambda x: x[index], self)
