"""Clipping and normalising the gradients of samples."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits.algorithms.rules.base import AbstractRule, At, T


class clip(AbstractRule):
    """Each sample's gradient is scaled so that |g||X|/sqrt(dim) <= threshold; then their mean.

    g Xᵀ is the gradient in the first layer; the second layer's gradient is scaled alike. A model's
    ridge is no sample's gradient, and stays as it is. Exact in the chain; in the limit
    |X|²/dim is its mean.

    Args:
        threshold: above 0.

    Raises:
        TypeError, ValueError: for a threshold out of range.
    """

    threshold: float = eqx.field(converter=_validate.as_float)

    scales_samples: ClassVar = True
    stage: ClassVar = 1

    def __check_init__(self) -> None:
        _validate.positive("threshold", self.threshold)

    def gain(self, size: Float[Array, ""]) -> Float[Array, ""]:
        """min(1, threshold/size)."""
        small = size <= self.threshold
        return jnp.where(small, 1.0, self.threshold / jnp.where(small, 1.0, size))

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """The mean of the scaled gradients."""
        return gradient, {}


class normalise(AbstractRule):
    """Each sample's gradient is divided by |g||X|/sqrt(dim), where that is not 0; then their mean.

    With one sample a step every step has length delta sqrt(dim), whatever the loss. As for
    ``clip``, the second layer's gradient is scaled alike, and a ridge is not.
    """

    scales_samples: ClassVar = True
    jumps: ClassVar = True
    stage: ClassVar = 1

    def gain(self, size: Float[Array, ""]) -> Float[Array, ""]:
        """1/size."""
        some = size > 0
        return jnp.where(some, 1 / jnp.where(some, size, 1.0), 0.0)

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """The mean of the scaled gradients."""
        return gradient, {}
