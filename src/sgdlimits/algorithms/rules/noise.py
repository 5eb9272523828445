"""Noise that is added to the gradient."""

from typing import ClassVar

import equinox as eqx

from sgdlimits import _validate
from sgdlimits.algorithms.rules.base import AbstractRule, At, T


class noise(AbstractRule):
    """theta' = theta - delta (gradient + std xi), xi standard normal in every coordinate.

    The noise of private SGD (Abadi et al. 2016) after ``clip``, one draw a step whatever the batch.
    Every row gains step std² per unit of nominal time outside of the directions. Exact in the
    chain.

    Args:
        std: standard deviation of every coordinate of the noise, where those of g X are of order
            one; at least 0.

    Raises:
        TypeError, ValueError: for a deviation out of range.
    """

    std: float = eqx.field(converter=_validate.as_float)

    noisy: ClassVar = True

    def __check_init__(self) -> None:
        _validate.nonnegative("std", self.std)

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """gradient + std xi."""
        return gradient + self.std * at.noise, {}
