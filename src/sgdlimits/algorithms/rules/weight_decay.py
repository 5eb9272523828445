"""Decoupled weight decay."""

import equinox as eqx

from sgdlimits import _validate
from sgdlimits.algorithms.rules.base import AbstractRule, At, T


class weight_decay(AbstractRule):
    """theta' = (1 - delta rate) theta - delta gradient: a decay that no loss knows of.

    Alone it is the ridge of a model; after momentum or under a gradient that is clipped it is not
    (Loshchilov and Hutter 2019). Exact in the chain and in every limit.

    Args:
        rate: per unit of nominal time, at least 0.

    Raises:
        TypeError, ValueError: for a rate out of range.
    """

    rate: float = eqx.field(converter=_validate.as_float)

    def __check_init__(self) -> None:
        _validate.nonnegative("rate", self.rate)

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """gradient + rate theta."""
        return gradient + self.rate * at.parameters, {}
