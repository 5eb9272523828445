"""Refuse bad input by name, with the value and what is allowed, before any work starts."""

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

import numpy as np


def number(name: str, value: object) -> float:
    """Return ``value`` as a finite float.

    Raises:
        TypeError: if it is not a real number.
        ValueError: if it is NaN or infinite.
    """
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
    if result <= 0:
        raise ValueError(f"{name}={value!r}: expected a number above 0.")
    return result


def nonnegative(name: str, value: object) -> float:
    """Return ``value`` as a finite float that is at least zero, or raise."""
    result = number(name, value)
    if result < 0:
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
        raise ValueError(f"{name}={value!r}: expected one of {', '.join(map(repr, allowed))}.")
    return value


def gram(name: str, value: Any, size: int | None = None) -> tuple[tuple[float, ...], ...]:
    """Return ``value`` as a nested tuple if it is the Gram matrix of independent vectors.

    Raises:
        TypeError: if it is no array of numbers.
        ValueError: unless it is square (of ``size`` rows, if given), symmetric and positive
            definite.
    """
    try:
        matrix = np.atleast_2d(np.asarray(value, dtype=float))
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}={value!r}: expected a symmetric matrix of numbers.") from error
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
