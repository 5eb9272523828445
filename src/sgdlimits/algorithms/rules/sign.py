"""The sign of every coordinate of the gradient."""

from typing import Any, ClassVar

import jax.numpy as jnp

from sgdlimits.algorithms.rules.base import AbstractRule, At, T


class sign(AbstractRule):
    """theta' = theta - delta sign(gradient), coordinate by coordinate (Bernstein et al. 2018).

    Not invariant under rotations: there is no chain. Real vectors are exact, for parameters and
    directions that spread over all coordinates; the frame of a simulation does. The limit holds for
    these, for one sample a step and no ridge (asymptotic): with X Gaussian, sign(g X) is
    sqrt(2/pi) sign(g) X beside what is independent of the fields, and has norm² dim.
    """

    by_coordinate: ClassVar = True
    jumps: ClassVar = True

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """sign(gradient)."""
        value: Any = jnp.sign(gradient)  # type: ignore[arg-type]
        return value, {}
