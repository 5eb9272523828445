"""AdaGrad-norm: one step size, divided by the root of all squared gradients so far."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from sgdlimits import _validate
from sgdlimits.algorithms.rules.base import AbstractRule, At, Scalar, T

_NAME = "accumulated_square"


class adagrad_norm(AbstractRule):
    """theta' = theta - (delta/b) gradient, b² gains |g|²|X|²/dim² in every step, before it is used.

    |g||X| is the norm of the mean gradient in the first layer, without a model's ridge. Results
    hold b² as ``accumulated_square``. Exact in the chain; in the limit
    d(b²)/d(steps/dim) = E|g|²|X|²/dim (Ward, Wu and Bottou 2019).

    Args:
        initial: b at the start, above 0.

    Raises:
        TypeError, ValueError: for a start out of range.
    """

    initial: float = eqx.field(converter=_validate.as_float, default=1.0)

    stage: ClassVar = 2

    def __check_init__(self) -> None:
        _validate.positive("initial", self.initial)

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """b²."""
        meaning = "b², the sum of squared gradients behind the step size"
        return (Scalar(_NAME, self.initial**2, r"$b^2$", meaning),)

    def accumulate(self, scalars: dict[str, Any], square: Array) -> dict[str, Any]:
        """b² + square."""
        return {_NAME: scalars[_NAME] + square}

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """gradient/b."""
        return gradient / jnp.sqrt(at.scalars[_NAME]), {}  # type: ignore[operator]
