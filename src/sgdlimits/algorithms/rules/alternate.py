"""Second layer first."""

from typing import ClassVar

from sgdlimits.algorithms.rules.base import AbstractRule, At, T
from sgdlimits.algorithms.rules.plain import Plain


class alternate(AbstractRule):
    """The second layer takes its step first; the first layer's gradient is taken with the new one.

    On the same samples. Exact in the chain. At fixed ``second_layer_rate`` the second layer moves
    by O(1/dim) in a step, so that the limit is plain SGD's, which is what ``ode`` and ``sde``
    solve; with a rate of order dim it moves by O(1), and only chain and real vectors know it.
    """

    alternates: ClassVar = True

    def in_the_limit(self) -> AbstractRule:
        """Plain SGD."""
        return Plain()

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """The gradient."""
        return gradient, {}
