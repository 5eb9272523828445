"""Plain SGD with a longer step: what momentum at fixed beta becomes in high dimension."""

from typing import Any

import equinox as eqx

from sgdlimits import _validate
from sgdlimits.algorithms.rules.base import AbstractRule, At, T


class Scaled(AbstractRule):
    """theta' = theta - delta factor gradient.

    Args:
        factor: of the step, above 0.
    """

    factor: float = eqx.field(converter=_validate.as_float)

    def __check_init__(self) -> None:
        _validate.positive("factor", self.factor)

    @property
    def plain_factor(self) -> Any:
        """The factor."""
        return self.factor

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """factor gradient."""
        return self.factor * gradient, {}  # type: ignore[operator]
