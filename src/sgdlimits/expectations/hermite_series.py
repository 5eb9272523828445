"""Functions given by their coefficients in the Hermite polynomials orthonormal under N(0, 1)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.polynomial import hermite_e

from sgdlimits import _validate


def coefficients(name: str, values: Sequence[float]) -> tuple[float, ...]:
    """``values`` as floats without trailing zeros, or raise, by name."""
    try:
        array = np.atleast_1d(_validate.reals(name, values))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name}={values!r}: expected Hermite coefficients, a list of numbers from degree 0."
        ) from error
    if array.ndim != 1 or not np.isfinite(array).all() or not array.any():
        raise ValueError(f"{name}={values!r}: expected finite numbers, not all 0.")
    return tuple(float(x) for x in np.trim_zeros(array, "b"))


def evaluate(series: Sequence[float], x: Any, derivative: int = 0) -> Any:
    """sum_j c_j h_j(x), or a derivative of it, of the shape of ``x``; E[h_j(z)^2] = 1."""
    _validate.integer("derivative", derivative, 0)
    plain = [c / math.sqrt(math.factorial(j)) for j, c in enumerate(series)]
    if derivative:
        plain = hermite_e.hermeder(plain, derivative)
    return hermite_e.hermeval(np.asarray(x, dtype=float), plain)


def products(student: Sequence[float], teacher: Sequence[float]) -> np.ndarray:
    """c_j c*_j for j up to the lower of the two degrees: the series of E[sigma(s) sigma*(s*)]."""
    common = min(len(student), len(teacher))
    return np.array(student[:common]) * np.array(teacher[:common])


def information_exponent(student: Sequence[float], teacher: Sequence[float]) -> int:
    """The least j >= 1 with c_j c*_j != 0.

    Raises:
        ValueError: if there is none.
    """
    nonzero = np.flatnonzero(products(student, teacher)[1:])
    if not len(nonzero):
        raise ValueError(
            f"student={tuple(student)!r}, teacher={tuple(teacher)!r}: expected a common Hermite "
            "component of degree 1 or more."
        )
    return int(nonzero[0]) + 1
