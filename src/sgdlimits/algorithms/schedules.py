"""Factors of the step as functions of nominal time; any function t -> factor in JAX will do.

Nominal time t = steps * step / dim does not know the schedule: at factor s(t) the statistics move
by s(t) (-f + s(t) g) per unit of it.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import sgdlimits._x64  # noqa: F401
from sgdlimits import _validate

#: Nominal time -> factor of the step.
Schedule = Callable[[Any], Any]


class AbstractSchedule(eqx.Module):
    """A schedule that knows until when it changes."""

    #: How ``plot`` draws it.
    picture: ClassVar[str] = "draw_schedule"

    @property
    def span(self) -> float | None:
        """Nominal time that shows it; None: it does not know."""
        return None

    @abstractmethod
    def __call__(self, time: Any) -> Array:
        """The factor at ``time``."""


class Power(AbstractSchedule):
    """(1 + t/scale)^-exponent; build one with ``power``."""

    exponent: float
    scale: float

    @property
    def span(self) -> float:
        """Nominal time that shows it."""
        return 5.0 * float(self.scale)

    def __call__(self, time: Any) -> Array:
        """The factor at ``time``."""
        t, scale, exponent = _numbers(time, self.scale, self.exponent)
        return (1 + t / scale) ** -exponent


class Cosine(AbstractSchedule):
    """Half a cosine from 1 to ``final``; build one with ``cosine``."""

    time: float
    final: float

    @property
    def span(self) -> float:
        """Nominal time that shows it."""
        return 1.2 * float(self.time)

    def __call__(self, time: Any) -> Array:
        """The factor at ``time``."""
        t, end, final = _numbers(time, self.time, self.final)
        share = jnp.clip(t / end, 0.0, 1.0)
        return final + (1 - final) * (1 + jnp.cos(math.pi * share)) / 2


class Warmup(AbstractSchedule):
    """Linear from ``start`` to 1, then 1; build one with ``warmup``."""

    time: float
    start: float

    @property
    def span(self) -> float:
        """Nominal time that shows it."""
        return 2.0 * float(self.time)

    def __call__(self, time: Any) -> Array:
        """The factor at ``time``."""
        t, end, start = _numbers(time, self.time, self.start)
        return start + (1 - start) * jnp.clip(t / end, 0.0, 1.0)


class Piecewise(AbstractSchedule):
    """Constant between given times; build one with ``piecewise``."""

    times: Float[np.ndarray, " jumps"]
    values: Float[np.ndarray, " pieces"]

    @property
    def span(self) -> float:
        """Nominal time that shows it."""
        return 1.25 * float(self.times[-1]) if len(self.times) else 1.0

    def __call__(self, time: Any) -> Array:
        """The factor at ``time``; at a jump the value after it."""
        index = jnp.sum(jnp.asarray(time, float) >= jnp.asarray(self.times), axis=-1)
        return jnp.asarray(self.values)[index]


class Linear(AbstractSchedule):
    """Straight lines between given values; build one with ``linear``."""

    times: Float[np.ndarray | Array, " knots"]
    values: Float[np.ndarray | Array, " knots"]

    @property
    def span(self) -> float:
        """Nominal time that shows it."""
        return float(self.times[-1]) or 1.0

    def __call__(self, time: Any) -> Array:
        """The factor at ``time``; before and after the knots the first and the last value."""
        return jnp.interp(jnp.asarray(time, float), jnp.asarray(self.times), self.values)


class FromOptax(AbstractSchedule):
    """A schedule of step counts read at t/duration; build one with ``from_optax``."""

    schedule: Callable[[Any], Any] = eqx.field(static=True)
    duration: float

    def __call__(self, time: Any) -> Array:
        """The factor at ``time``."""
        t, duration = _numbers(time, self.duration)
        return jnp.asarray(self.schedule(t / duration), float)


def _numbers(*values: Any) -> list[Array]:
    """In double precision, whatever the vectors of a simulation are kept in."""
    return [jnp.asarray(value, float) for value in values]


def power(exponent: float, scale: float = 1.0) -> Power:
    """The factor (1 + t/scale)^-exponent: step sizes that decay like a power of time.

    Args:
        exponent: at least 0.
        scale: nominal time at which the decay sets in.

    Raises:
        TypeError, ValueError: for numbers out of range.
    """
    return Power(_validate.nonnegative("exponent", exponent), _validate.positive("scale", scale))


def cosine(time: float, final: float = 0.0) -> Cosine:
    """The factor falls from 1 to ``final`` along half a cosine until ``time``, and stays there.

    Raises:
        TypeError, ValueError: for numbers out of range.
    """
    return Cosine(_validate.positive("time", time), _validate.nonnegative("final", final))


def warmup(time: float, start: float = 0.0) -> Warmup:
    """The factor grows linearly from ``start`` to 1 until ``time``, and stays there.

    Raises:
        TypeError, ValueError: for numbers out of range.
    """
    return Warmup(_validate.positive("time", time), _validate.nonnegative("start", start))


def piecewise(times: Sequence[float], values: Sequence[float]) -> Piecewise:
    """The factor is values[i] until times[i], and values[-1] from the last of them on.

    Args:
        times: increasing nominal times of the jumps.
        values: one more than times, each at least 0.

    Raises:
        TypeError, ValueError: for lists that do not fit.
    """
    jumps = [_validate.nonnegative("times", time) for time in _validate.listed("times", times)]
    levels = [_validate.nonnegative("values", x) for x in _validate.listed("values", values)]
    if len(levels) != len(jumps) + 1:
        raise ValueError(
            f"values={list(values)!r}: expected one more than the {len(jumps)} times, one a piece."
        )
    if any(b <= a for a, b in pairwise(jumps)):
        raise ValueError(f"times={list(times)!r}: expected increasing times.")
    return Piecewise(np.array(jumps), np.array(levels))


def linear(times: Sequence[float], values: Sequence[float]) -> Linear:
    """The factor is values[i] at times[i], straight between them, and constant outside of them.

    Args:
        times: increasing nominal times.
        values: as many, each at least 0.

    Raises:
        TypeError, ValueError: for lists that do not fit.
    """
    knots = [_validate.nonnegative("times", time) for time in _validate.listed("times", times)]
    levels = [_validate.nonnegative("values", x) for x in _validate.listed("values", values)]
    if len(levels) != len(knots) or not knots:
        raise ValueError(
            f"values={list(values)!r}: expected as many as the {len(knots)} times, at least one."
        )
    if any(b <= a for a, b in pairwise(knots)):
        raise ValueError(f"times={list(times)!r}: expected increasing times.")
    return Linear(np.array(knots), np.array(levels))


def from_optax(schedule: Callable[[Any], Any], duration: float) -> FromOptax:
    """A schedule of optax, which counts steps, as a function of nominal time.

    Args:
        schedule: count -> factor; its values multiply the step.
        duration: nominal time of one count, such as step/dim, so that count = t/duration.

    Raises:
        TypeError, ValueError: if ``schedule`` is no function or ``duration`` is not above 0.
    """
    if not callable(schedule):
        raise TypeError(f"schedule={schedule!r}: expected a function of a count.")
    return FromOptax(schedule, _validate.positive("duration", duration))


def check_schedule(schedule: Any, name: str = "schedule") -> None:
    """Raise unless ``schedule`` maps a time to one finite factor that is not negative.

    Raises:
        TypeError, ValueError: naming the argument.
    """
    if not callable(schedule):
        hint = "; for a constant factor change step" if isinstance(schedule, int | float) else ""
        raise TypeError(f"{name}={schedule!r}: expected a function t -> factor{hint}.")
    try:
        shape = jax.eval_shape(schedule, jax.ShapeDtypeStruct((), float)).shape
        value = jnp.asarray(schedule(jnp.zeros(())))
        # What depends on a number that is differentiated has no value yet.
        first = 0.0 if _validate.is_placeholder(value) else float(value)
    except Exception as error:
        raise ValueError(
            f"{name}={schedule!r}: failed at t = 0 (it must be traceable by JAX): {error}"
        ) from error
    if shape != () or not math.isfinite(first) or first < 0:
        raise ValueError(
            f"{name}={schedule!r}: gives {first!r} of shape {shape} at t = 0, expected one "
            "finite factor that is at least 0."
        )


#: For configuration files.
BY_NAME: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (power, cosine, warmup, piecewise)
}
