"""Refuse bad input by name, with the value and what is allowed, before any work starts."""

import difflib
import functools
import inspect
import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, TypeVar, cast

import numpy as np
from jax.core import Tracer

from sgdlimits import _resources

_F = TypeVar("_F", bound=Callable[..., Any])


def is_placeholder(value: object) -> bool:
    """Whether ``value`` stands for one number inside a JAX transformation, where none is known."""
    return isinstance(value, Tracer) and value.shape == ()


def number(name: str, value: object) -> float:
    """Return ``value`` as a finite float; a placeholder of ``jax.grad`` or ``jit`` as it is.

    Raises:
        TypeError: if it is not a real number.
        ValueError: if it is NaN or infinite.
    """
    if is_placeholder(value):
        return value  # pyright: ignore[reportReturnType]
    if hasattr(value, "shape") and getattr(value, "shape", None) == ():
        value = value.item()  # type: ignore[attr-defined]
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}={value!r}: expected a real number, got {type(value).__name__}.")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise ValueError(f"{name}={value!r}: expected a finite number.")
    return result


def as_float(value: Any) -> Any:
    """A whole number as a float, so that 2 and 2.0 are one parameter; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        return value
    try:
        return float(value)
    except OverflowError:
        return value


def positive(name: str, value: object) -> float:
    """Return ``value`` as a finite float above zero, or raise."""
    result = number(name, value)
    if not is_placeholder(result) and result <= 0:
        raise ValueError(f"{name}={value!r}: expected a number above 0.")
    return result


def nonnegative(name: str, value: object) -> float:
    """Return ``value`` as a finite float that is at least zero, or raise."""
    result = number(name, value)
    if not is_placeholder(result) and result < 0:
        raise ValueError(f"{name}={value!r}: expected a number that is at least 0.")
    return result


def integer(name: str, value: object, minimum: int, maximum: int | None = None) -> int:
    """Return ``value`` as an int in ``[minimum, maximum]``, or raise."""
    if hasattr(value, "shape") and getattr(value, "shape", None) == ():
        value = value.item()  # type: ignore[attr-defined]
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}={value!r}: expected an integer, got {type(value).__name__}.")
    result = int(value)
    if result < minimum or (maximum is not None and result > maximum):
        allowed = f"at least {minimum}" if maximum is None else f"between {minimum} and {maximum}"
        raise ValueError(f"{name}={value!r}: expected an integer that is {allowed}.")
    return result


def boolean(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False, or raise."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: expected True or False, got {type(value).__name__}.")
    return value


def one_of(name: str, value: object, allowed: Collection[str]) -> str:
    """Return ``value`` if it is among ``allowed``, or raise with the list."""
    if not isinstance(value, str) or value not in allowed:
        close = difflib.get_close_matches(str(value).casefold(), allowed, 1)
        hint = f"; did you mean {close[0]!r}?" if close and isinstance(value, str) else "."
        expected = ", ".join(map(repr, allowed))
        raise ValueError(f"{name}={value!r}: expected one of {expected}{hint}")
    return value


def listed(name: str, value: Any) -> list[Any]:
    """Return the items of ``value``, or raise TypeError for what has none, or for text."""
    if isinstance(value, str | bytes | dict) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name}={value!r}: expected a list, got {type(value).__name__}.")
    if isinstance(value, np.ndarray) and value.ndim == 0:
        raise TypeError(f"{name}={value!r}: expected a list, got one number.")
    return list(value)


def reals(name: str, value: Any) -> np.ndarray:
    """Return ``value`` as an array of floats; NaN and infinity pass.

    Raises:
        TypeError: for text, complex numbers, truth values, or anything else that is not numbers.
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:  # rows of several lengths
        raise TypeError(
            f"{name}={value!r}: expected real numbers, in rows of one length."
        ) from error
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name}={value!r}: expected real numbers, got {_kind(value, array)}.")
    return array.astype(float)


def finite(name: str, value: Any) -> np.ndarray:
    """``reals``, or ValueError where one is not finite."""
    array = reals(name, value)
    if not np.isfinite(array).all():
        raise ValueError(f"{name}={value!r}: expected finite numbers.")
    return array


def between(name: str, value: Any, low: float, high: float) -> np.ndarray:
    """``reals``, or ValueError where one is NaN or outside of ``[low, high]``."""
    array = reals(name, value)
    if not ((array >= low) & (array <= high)).all():
        above = "" if low == -math.inf else f" that are at least {low:g}"
        allowed = f" between {low:g} and {high:g}" if high < math.inf else above
        raise ValueError(f"{name}={value!r}: expected numbers{allowed}, not NaN.")
    return array


def _kind(value: object, array: np.ndarray) -> str:
    return type(value).__name__ if array.ndim == 0 or array.dtype == object else str(array.dtype)


@contextmanager
def renamed(inner: str, name: str) -> Iterator[None]:
    """Errors that name ``inner`` name what the caller wrote instead."""
    try:
        yield
    except (TypeError, ValueError) as error:
        text = str(error)
        if not text.startswith(inner):
            raise
        raise type(error)(name + text.removeprefix(inner)) from error


def probability(name: str, value: object) -> float:
    """Return ``value`` as a float strictly between 0 and 1, or raise."""
    result = positive(name, value)
    if result >= 1:
        raise ValueError(f"{name}={value!r}: expected a probability below 1.")
    return result


def check_words(
    where: str, given: Collection[str], known: Collection[str], hints: dict[str, str]
) -> None:
    """Raise TypeError for an argument that there is not, with what it is called here."""
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = hints.get(name) or (f"did you mean {close[0]}?" if close else "")
            expected = hint or f"expected {', '.join(known)}"
            raise TypeError(f"{name}: {where} has no such argument; {expected}")


def with_words(hints: dict[str, str]) -> Callable[[_F], _F]:
    """Decorator: ``check_words`` of a function's keyword arguments."""

    def decorate(function: _F) -> _F:
        known = list(inspect.signature(function).parameters)

        @functools.wraps(function)
        def checked(*arguments: Any, **words: Any) -> Any:
            check_words(function.__name__, words, known, hints)
            return function(*arguments, **words)

        return cast(_F, checked)

    return decorate


def gram(name: str, value: Any, size: int | None = None) -> tuple[tuple[float, ...], ...]:
    """Return ``value`` as a nested tuple if it is the Gram matrix of independent vectors.

    Raises:
        TypeError: if it is no array of numbers.
        ValueError: unless it is square (of ``size`` rows, if given), symmetric and positive
            definite.
    """
    matrix = np.atleast_2d(reals(name, value))
    if len(matrix) > _resources.MOST_ROWS:
        raise ValueError(f"{name} has {len(matrix)} rows: expected at most {_resources.MOST_ROWS}.")
    size = len(matrix) if size is None else size
    if (
        matrix.shape != (size, size)
        or not np.isfinite(matrix).all()
        or not np.allclose(matrix, matrix.T)
    ):
        raise ValueError(
            f"{name} has shape {matrix.shape}: expected a finite, symmetric {size} x {size} matrix."
        )
    smallest = np.linalg.eigvalsh(matrix)[0]
    if smallest <= 1e-10 * np.trace(matrix):
        raise ValueError(
            f"{name}: smallest eigenvalue {smallest:.3g}; expected the Gram matrix of linearly "
            "independent vectors."
        )
    return tuple(tuple(float(x) for x in row) for row in matrix)
