"""Networks that see the data through a few preactivations, and losses on their output."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits import _validate

#: output = function(v, s): second layer v (layer,), preactivations s = W X (width,).
NetworkFunction = Callable[[Array, Array], Array]
#: scalar = loss(output, label).
Loss = Callable[[Array, Array], Array]


class Network(eqx.Module):
    """A network of ``width`` first-layer neurons and a finite-dimensional rest ``v``.

    Args:
        function: (v, s) -> output, written for one sample in JAX: v has shape (layer,), s = W X
            has shape (width,).
        width: number p of neurons.
        layer: length of v; default the width. 0 for networks without a second layer.
        kinks: preactivations at which the activation is not smooth, (0.0,) for ReLU. Models look
            for jumps of the slope themselves; what they cannot see they are told here.

    Raises:
        TypeError, ValueError: for a function that cannot be called, or numbers out of range.
    """

    function: NetworkFunction = eqx.field(static=True)
    width: int = eqx.field(static=True)
    layer: int = eqx.field(static=True)
    kinks: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        function: NetworkFunction,
        *,
        width: int,
        layer: int | None = None,
        kinks: tuple[float, ...] = (),
    ):
        if not callable(function):
            raise TypeError(f"function={function!r}: expected a function (v, s) -> output.")
        self.function = function
        self.width = _validate.integer("width", width, 1)
        self.layer = self.width if layer is None else _validate.integer("layer", layer, 0)
        self.kinks = tuple(_validate.number("kinks", x) for x in _validate.listed("kinks", kinks))


def two_layer_relu(v: Float[Array, " width"], s: Float[Array, " width"]) -> Float[Array, ""]:
    """v . relu(s)."""
    return jnp.sum(v * jnp.maximum(s, 0))


def linear(v: Float[Array, " none"], s: Float[Array, " width"]) -> Float[Array, " width"]:
    """The preactivations themselves."""
    return s
