"""Statistics of a model beside those of what an algorithm carries along: one class per list."""

import types
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.statistics.base import AbstractStatistics, Label, numeric


class Extra(NamedTuple):
    """One more field: its name, dimensions beyond the batch axes, and how it is shown."""

    name: str
    dims: tuple[str, ...]
    symmetric: bool
    label: Label


class Remembered(AbstractStatistics):
    """The fields of ``base_class``, and extra ones; classes come from ``remembered``."""

    base_class: ClassVar[type[AbstractStatistics]]
    extras: ClassVar[tuple[Extra, ...]]
    dims: ClassVar[dict[str, tuple[str, ...]]] = {}
    labels: ClassVar[dict[str, Label]] = {}

    @property
    def base(self) -> Any:
        """The model's own statistics."""
        return self.base_class(**{name: getattr(self, name) for name in self.base_class.dims})

    def with_base(self, base: AbstractStatistics) -> Self:
        """With other statistics of the model."""
        extra = {extra.name: getattr(self, extra.name) for extra in self.extras}
        return type(self)(**{name: getattr(base, name) for name in base.dims}, **extra)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the model, then ``M_velocity_11`` and the like, counted from 1."""
        return (*self.base.names, *(name for extra in self.extras for name in self._names(extra)))

    def _shape(self, extra: Extra) -> tuple[int, ...]:
        shape = jnp.shape(getattr(self, extra.name))
        return shape[len(shape) - len(extra.dims) :]

    def _places(self, extra: Extra) -> tuple[np.ndarray, ...]:
        shape = self._shape(extra)
        if not shape:
            return ()
        places = np.indices(shape).reshape(len(shape), -1)
        return tuple(places[:, places[-2] <= places[-1]] if extra.symmetric else places)

    def _names(self, extra: Extra) -> list[str]:
        if not extra.dims:
            return [extra.name]
        each = zip(*self._places(extra), strict=True)
        block = int(extra.dims[0] == "block")
        return [
            f"{extra.name}_{''.join(str(i + 1) for i in place[block:])}"
            + "".join(f"_block{j + 1}" for j in place[:block])
            for place in each
        ]

    @property
    def vector(self) -> Float[Array, "*batch statistics"]:
        """The model's, then the extra fields; of symmetric ones the upper triangle."""
        parts = [self.base.vector]
        for extra in self.extras:
            value = getattr(self, extra.name)
            parts.append(value[(..., *self._places(extra))] if extra.dims else value[..., None])
        return jnp.concatenate(parts, axis=-1)

    def with_vector(self, vector: Float[Array, "*batch statistics"]) -> Self:
        """The statistics of this shape with the given vector."""
        first = len(self.base.names)
        fields = {}
        base = self.base.with_vector(vector[..., :first])
        for extra in self.extras:
            shape, places = self._shape(extra), self._places(extra)
            if not extra.dims:
                fields[extra.name] = vector[..., first]
                first += 1
                continue
            count = len(places[0])
            part = vector[..., first : first + count]
            first += count
            position = np.zeros(shape, dtype=int)
            position[places] = np.arange(count)
            if extra.symmetric:
                position[(*places[:-2], places[-1], places[-2])] = np.arange(count)
            fields[extra.name] = part[..., position]
        return type(self)(**{name: getattr(base, name) for name in base.dims}, **fields)


@cache
def remembered(
    base: type[AbstractStatistics], extras: tuple[Extra, ...]
) -> type[AbstractStatistics]:
    """The class with these extra fields; ``base`` itself without any."""
    if not extras:
        return base
    fields: dict[str, Any] = {
        "__annotations__": dict.fromkeys([*base.dims, *(x.name for x in extras)], Array),
        "__module__": __name__,
        "__doc__": f"{base.__name__} beside {', '.join(x.name for x in extras)}.",
        "base_class": base,
        "extras": extras,
        "dims": base.dims | {x.name: x.dims for x in extras},
        "labels": base.labels | {x.name: x.label for x in extras},
    }
    fields |= {name: eqx.field(converter=numeric(name)) for name in fields["dims"]}
    name = f"{base.__name__}WithMemory"
    return types.new_class(name, (Remembered,), {}, lambda namespace: namespace.update(fields))
