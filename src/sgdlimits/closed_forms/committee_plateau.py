"""The excess risk that constant steps leave: noise of the labels times step over width."""

from collections.abc import Callable

import numpy as np

from sgdlimits import _validate
from sgdlimits.formulas import formula

_NODES = 200


@formula("asymptotic", "first order in step/width about the teacher")
def plateau_excess(
    step: float,
    noise: float,
    norms: np.ndarray | list[float],
    derivative: Callable[[np.ndarray], np.ndarray],
    second_layer: np.ndarray | list[float] | None = None,
) -> float:
    """(step noise/(4 p^2)) sum_i a_i^2 E[sigma'(s_i)^2], s_i ~ N(0, Q_ii).

    Excess risk at a fixed point that represents the teacher, for f = (1/p) sum a_i sigma(s_i), in
    the limit of small step: the next term is O(step/p) relatively (12 % at step 1, p = 2, erf).

    Status: asymptotic.

    Args:
        step: gamma.
        noise: Delta.
        norms: Q_ii, shape (p,), at the fixed point.
        derivative: sigma', applied to arrays; smooth but for a kink at 0.
        second_layer: a, shape (p,); default ones.

    Raises:
        ValueError: if shapes disagree or a norm is negative.
    """
    step, noise = _validate.positive("step", step), _validate.nonnegative("noise", noise)
    q = np.atleast_1d(_validate.reals("norms", norms))
    a = np.ones(len(q)) if second_layer is None else _validate.finite("second_layer", second_layer)
    if q.ndim != 1 or (q < 0).any() or not np.isfinite(q).all():
        raise ValueError(f"norms={norms!r}: expected a list of numbers that are at least 0.")
    if a.shape != q.shape:
        raise ValueError(f"second_layer has shape {a.shape}: expected that of norms, {q.shape}.")
    # Both sides of 0 apart: a kink of sigma there costs nothing.
    x, weights = np.polynomial.legendre.leggauss(_NODES)
    z = 6.0 * (x + 1)
    weights = 6.0 * weights * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    z, weights = np.concatenate([z, -z]), np.concatenate([weights, weights])
    squares = np.array([weights @ np.square(derivative(np.sqrt(one) * z)) for one in q])
    return float(step * noise / (4 * len(q) ** 2) * (a * a) @ squares)
