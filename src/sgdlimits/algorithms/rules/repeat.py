"""The same sample twice."""

from typing import Any, ClassVar

import equinox as eqx

from sgdlimits import _validate
from sgdlimits.algorithms.rules.base import AbstractRule, At, T


class repeat(AbstractRule):
    """Each sample's gradient is taken after a step of eta/dim on the same sample, then undone.

    theta' = theta - delta grad l(theta - (eta/dim) grad l(theta, X), X), the step inside in the
    first layer alone: its preactivations s become s - eta g(s)|X|²/dim. Extragradient, with
    eta < 0 sharpness-aware minimisation of single samples, and what a sample that is seen twice
    does to the first order (Dandi et al. 2024). Exact in the chain.

    Args:
        eta: of either sign.

    Raises:
        TypeError, ValueError: for no number.
    """

    eta: float = eqx.field(converter=_validate.as_float)

    stage: ClassVar = 0

    def __check_init__(self) -> None:
        _validate.number("eta", self.eta)

    @property
    def lookahead(self) -> Any:
        """eta."""
        return self.eta

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """The mean of these gradients."""
        return gradient, {}
