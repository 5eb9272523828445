"""Plain SGD: against the gradient."""

from typing import Any, ClassVar

from sgdlimits.algorithms.rules.base import AbstractRule, T


class Plain(AbstractRule):
    """theta' = theta - delta gradient."""

    plain: ClassVar = True
    leaves_steps: ClassVar = True

    def update(self, parameters: T, gradient: T, delta: Any, time: Any) -> T:
        """One step down the gradient."""
        return parameters - delta * gradient  # type: ignore[operator]
