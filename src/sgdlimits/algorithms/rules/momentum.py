"""Momentum: a running sum of gradients, of fixed length or of one that grows with dim."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from sgdlimits import _validate
from sgdlimits.algorithms.rules.base import AbstractRule, At, Memory, T
from sgdlimits.algorithms.rules.scaled import Scaled
from sgdlimits.algorithms.schedules import check_schedule

_VELOCITY = Memory("velocity", copies=False, meaning="the velocity of momentum")


class Momentum(AbstractRule):
    """V' = beta V + gradient, theta' = theta - delta V'; build one with ``momentum``."""

    beta: float = eqx.field(converter=_validate.as_float)
    nesterov: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        if not _validate.nonnegative("beta", self.beta) < 1:
            raise ValueError(f"beta={self.beta!r}: expected a number from 0 to below 1.")
        _validate.boolean("nesterov", self.nesterov)

    @property
    def memory(self) -> tuple[Memory, ...]:
        """V."""
        return (_VELOCITY,)

    def in_the_limit(self) -> AbstractRule:
        """Plain steps that are 1/(1 - beta) times as long."""
        return Scaled(1 / (1 - self.beta))

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """V', or gradient + beta V'."""
        velocity: Any = self.beta * at.memory["velocity"] + gradient
        ahead = gradient + self.beta * velocity if self.nesterov else velocity
        return ahead, {"velocity": velocity}


class DecayingMomentum(AbstractRule):
    """V' = V - decay delta V + delta gradient, theta' = theta - delta V'; see ``momentum``."""

    decay: float | Callable[[Any], Any] = eqx.field(
        converter=lambda decay: decay if callable(decay) else _validate.as_float(decay)
    )
    nesterov: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        if callable(self.decay):
            check_schedule(self.decay, "decay")
        else:
            _validate.nonnegative("decay", self.decay)
        _validate.boolean("nesterov", self.nesterov)

    @property
    def constant(self) -> bool:
        """Unless the decay is a function of time."""
        return not callable(self.decay)

    @property
    def memory(self) -> tuple[Memory, ...]:
        """V."""
        return (_VELOCITY,)

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """V', or delta gradient + (1 - decay delta) V'."""
        decay = self.decay
        if callable(decay):
            decay = jnp.asarray(decay(at.time), jnp.asarray(at.delta).dtype)
        kept = 1 - decay * at.delta
        velocity: Any = kept * at.memory["velocity"] + at.delta * gradient
        ahead = at.delta * gradient + kept * velocity if self.nesterov else velocity
        return ahead, {"velocity": velocity}


def momentum(
    *,
    decay: float | Callable[[Any], Any] | None = None,
    beta: float | None = None,
    nesterov: bool = False,
) -> AbstractRule:
    """Momentum with a velocity V of the parameters' shape that starts at 0; one of the two forms.

    ``beta``: V' = beta V + gradient, theta' = theta - delta V'. Chain and real vectors are exact;
    as dim -> infinity the statistics are those of plain SGD at step/(1 - beta), drift and corrector
    alike, which is what ``ode`` and ``sde`` solve: they have no velocity.

    ``decay``: V' = V - decay delta V + delta gradient, theta' = theta - delta V', which is
    1 - beta = decay delta: a limit of its own, in which V moves as fast as theta. Exact in the
    chain, asymptotic in the limits.

    Args:
        decay: per unit of nominal time, at least 0; or a function of nominal time in JAX.
        beta: from 0 to below 1.
        nesterov: step along the gradient and the velocity to come (Sutskever et al. 2013).

    Raises:
        TypeError, ValueError: unless exactly one of ``decay`` and ``beta`` is given, in range.
    """
    if (decay is None) == (beta is None):
        raise ValueError(f"decay={decay!r}, beta={beta!r}: expected exactly one of them.")
    if beta is not None:
        return Momentum(beta, nesterov)
    assert decay is not None
    return DecayingMomentum(decay, nesterov)
