"""An average of the parameters, beside them."""

import equinox as eqx

from sgdlimits import _validate
from sgdlimits.algorithms.rules.base import AbstractRule, At, Memory, T


class average(AbstractRule):
    """A' = A + rate delta (theta - A), from A = theta at the start; theta is left alone.

    An exponential average over a nominal time of 1/rate. Results hold it as ``M_average`` and
    ``Q_average``, beside the parameters that it averages. Exact in the chain.

    Args:
        rate: per unit of nominal time, at least 0.

    Raises:
        TypeError, ValueError: for a rate out of range.
    """

    rate: float = eqx.field(converter=_validate.as_float)

    def __check_init__(self) -> None:
        _validate.nonnegative("rate", self.rate)

    @property
    def memory(self) -> tuple[Memory, ...]:
        """A."""
        return (Memory("average", copies=True, meaning="the average of the parameters"),)

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """The gradient."""
        kept = at.memory["average"]
        return gradient, {"average": kept + self.rate * at.delta * (at.parameters - kept)}
