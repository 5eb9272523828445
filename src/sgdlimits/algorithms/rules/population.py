"""Steps whose size the population decides: what such a rule is told."""

from typing import ClassVar, NamedTuple

from jaxtyping import Array, Float

from sgdlimits.algorithms.rules.base import AbstractRule, At, T


class Population(NamedTuple):
    """What is known of the population loss at the state that a step starts from.

    Plain SGD at ``step`` changes the risk by (-descent step + noise step²)/dim in a step, to
    leading order in 1/dim.
    """

    risk: Float[Array, ""]
    least: Float[Array, ""]  # of all parameters; NaN where there is no formula
    descent: Float[Array, ""]
    noise: Float[Array, ""]
    square: Float[Array, ""]  # E|mean gradient of the batch|²/dim


class AbstractPopulationRule(AbstractRule):
    """Plain SGD whose ``step`` is a function of the population loss before the step.

    The ``step`` of ``OnlineSGD`` then only sets the clock, t = steps * step / dim; a schedule
    multiplies what is found.
    """

    asks_population: ClassVar = True

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """The gradient."""
        return gradient, {}
