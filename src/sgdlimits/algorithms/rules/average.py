"""An average of the parameters, beside them."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from sgdlimits import _validate
from sgdlimits.algorithms.rules.base import AbstractRule, At, Memory, T
from sgdlimits.algorithms.schedules import check_schedule


class average(AbstractRule):
    """A' = A + rate delta (theta - A), from A = theta at the start; theta is left alone.

    A number for ``rate`` makes an exponential average over a nominal time of 1/rate. A function of
    nominal time makes others: (a + 1)/(t + s) is the average over all times with weight
    (time + s)^a, so that 1/(t + s) is the plain mean, in which the start counts for a time s, and
    larger a are averages of the tail. No step mixes in more than all of theta: rate delta counts as
    at most 1. Results hold it as ``M_average`` and ``Q_average``, beside the parameters that it
    averages. Exact in the chain.

    Args:
        rate: per unit of nominal time, at least 0; or a function of nominal time in JAX.

    Raises:
        TypeError, ValueError: for a rate out of range, or a function that fails at t = 0.
    """

    rate: float | Callable[[Any], Any] = eqx.field(
        converter=lambda rate: rate if callable(rate) else _validate.as_float(rate)
    )

    leaves_steps: ClassVar = True

    def __check_init__(self) -> None:
        if callable(self.rate):
            check_schedule(self.rate, "rate")
        else:
            _validate.nonnegative("rate", self.rate)

    @property
    def constant(self) -> bool:
        """Unless the rate is a function of time."""
        return not callable(self.rate)

    @property
    def memory(self) -> tuple[Memory, ...]:
        """A."""
        return (Memory("average", copies=True, meaning="the average of the parameters"),)

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """The gradient."""
        kept = at.memory["average"]
        rate = self.rate
        if callable(rate):
            rate = jnp.asarray(rate(at.time), jnp.asarray(at.delta).dtype)
        share = jnp.minimum(rate * at.delta, 1.0)
        return gradient, {"average": kept + share * (at.parameters - kept)}
