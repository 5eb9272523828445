"""Momentum whose coefficients change with time, beside a step along the gradient itself."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from sgdlimits import _validate
from sgdlimits.algorithms.rules.base import AbstractRule, At, Memory, T
from sgdlimits.algorithms.schedules import check_schedule

_Coefficient = float | Callable[[Any], Any]


def _coefficient(value: Any) -> Any:
    return value if callable(value) else _validate.as_float(value)


class adjusted_momentum(AbstractRule):
    """V' = (1 - decay delta) V + delta g, theta' = theta - delta (direct g + pull V').

    Dimension-adjusted momentum, with g the gradient: ``decay`` = c/(s + t) forgets over a time that
    grows with the time passed, ``pull`` weighs the velocity, ``direct`` the gradient beside it
    (Ferbach et al. 2025, whose y, gamma_2 and gamma_3 are V/delta, delta direct and delta² pull).
    With ``decay`` alone, ``direct`` 0 and ``pull`` 1 it is ``momentum(decay=...)``. No step forgets
    more than all of V.
    Exact in the chain, asymptotic in the limits, in which V moves as fast as theta.

    Args:
        decay: per unit of nominal time, at least 0; or a function of nominal time in JAX, as are
            the others.
        direct: weight of the gradient, at least 0.
        pull: weight of the velocity, at least 0.

    Raises:
        TypeError, ValueError: for coefficients out of range, or functions that fail at t = 0.
    """

    decay: _Coefficient = eqx.field(converter=_coefficient)
    direct: _Coefficient = eqx.field(converter=_coefficient, default=1.0)
    pull: _Coefficient = eqx.field(converter=_coefficient, default=1.0)

    def __check_init__(self) -> None:
        for name in ("decay", "direct", "pull"):
            value = getattr(self, name)
            if callable(value):
                check_schedule(value, name)
            else:
                _validate.nonnegative(name, value)

    @property
    def constant(self) -> bool:
        """Unless a coefficient is a function of time."""
        return not any(callable(x) for x in (self.decay, self.direct, self.pull))

    @property
    def memory(self) -> tuple[Memory, ...]:
        """V."""
        return (Memory("velocity", copies=False, meaning="the velocity of momentum"),)

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """direct gradient + pull V'."""
        kind = jnp.asarray(at.delta).dtype

        def now(value: Any) -> Any:
            return jnp.asarray(value(at.time), kind) if callable(value) else value

        kept = 1 - jnp.minimum(now(self.decay) * at.delta, 1.0)
        velocity: Any = kept * at.memory["velocity"] + at.delta * gradient
        return now(self.direct) * gradient + now(self.pull) * velocity, {"velocity": velocity}
