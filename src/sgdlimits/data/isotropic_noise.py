"""Standard normal noise without labels: what drives the gradient of a spiked tensor."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Key

from sgdlimits.data.base import AbstractDataLaw, Matrix


class IsotropicNoise(AbstractDataLaw):
    """X ~ N(0, I) beside one known direction of norm 1, and no label."""

    coefficients: Matrix = eqx.field(static=True, default=((0.0,),))
    gram: Matrix = eqx.field(static=True, default=((1.0,),))
    noiseless: tuple[bool, ...] = eqx.field(static=True, default=(False,))
    outputs: int = eqx.field(static=True, default=0)
    label_noises: int = eqx.field(static=True, default=0)
    labels_see_fields: bool = eqx.field(static=True, default=False)

    draws_classes: ClassVar = False

    @property
    def deviations(self) -> Float[Array, " classes"]:
        """1."""
        return jnp.ones(1)

    @property
    def weights(self) -> Float[Array, " classes"]:
        """1."""
        return jnp.ones(1)

    def label(
        self, c: Integer[Array, ""], f: Float[Array, " directions"], z: Float[Array, " noises"]
    ) -> Float[Array, " outputs"]:
        """None."""
        return jnp.zeros(0, f.dtype)

    def sample(
        self, key: Key[Array, ""], frame: Float[Array, "directions dim"], dtype: Any
    ) -> tuple[Float[Array, " dim"], Float[Array, " outputs"]]:
        """One sample."""
        return jax.random.normal(key, frame.shape[1:], dtype), jnp.zeros(0, dtype)
