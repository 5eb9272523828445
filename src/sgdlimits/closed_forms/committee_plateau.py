"""Plateaus of committees: how long neurons stay alike, and what risk constant steps leave.

On the symmetric plateau of erf committees every neuron is w = R (F_1 + ... + F_k), with R^2 =
1/(k (2k-1)) and q = |w|^2 = 1/(2k-1), for any number p of neurons, as step/p -> 0. Small deviations
that sum to zero over the neurons move by H/p with H = E[sigma''(w.x) e x xT], e the error. Across
the teacher's mean direction, inside its span, H = (1/k) E[sigma''(w.x) sigma''(F_1.x)] = (2/(pi k))
R/(2(1+q) - R^2)^(3/2), as E[sigma'' e] = 0 there: neurons specialise at this rate. Outside of the
teacher's span H = 0: such differences die out slower than any exponential.
"""

import math
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


@formula("asymptotic", "linearisation at the plateau; at width k that of Saad and Solla (1995)")
def plateau_rate(width: int, teacher_width: int | None = None) -> float:
    """2/(pi p sqrt(2k-1) (2k+1)^(3/2)): the rate at which neurons specialise on the plateau.

    Per unit of t = steps * step / dim, of erf committees f = (1/p) sum_i sigma(s_i) that learn
    (1/k) sum_r sigma(s*_r) with orthonormal F_r, as step/p -> 0. In time t/p, which is that of the
    papers on committees, it does not depend on the width.

    Status: asymptotic.

    Args:
        width: p, at least 2.
        teacher_width: k, at least 2: there is no such plateau below. Default: p.

    Raises:
        TypeError, ValueError: for numbers out of range.
    """
    p = _validate.integer("width", width, 2)
    k = p if teacher_width is None else _validate.integer("teacher_width", teacher_width, 2)
    return 2 / (math.pi * p * math.sqrt(2 * k - 1) * (2 * k + 1) ** 1.5)


@formula(
    "asymptotic", "growth at the rate of the plateau from 1/sqrt(dim); leading order in log dim"
)
def plateau_length(
    width: int, teacher_width: int | None = None, *, dim: int, level: float = 1.0
) -> float:
    """log(level sqrt(dim)) / plateau_rate: how long erf committees stay on the symmetric plateau.

    Time t = steps * step / dim in which differences of the neurons' overlaps grow from 1/sqrt(dim),
    as in a random start, to ``level``. Leading order in log dim: what happens before the plateau,
    and the slow loss of differences outside of the teacher's span, add a multiple of 1/rate, here
    left out. (Random starts at p = k = 2, step 0.01: 310 and 472 at dim 1e3 and 1e5, against 210
    and 350.) ``escape_law`` has the constant for a given model, step and saddle.

    Status: asymptotic, for step/width -> 0.

    Args:
        width: p, at least 2.
        teacher_width: k, at least 2; default p.
        dim: dimension of the inputs.
        level: difference at which the plateau is over, above 1/sqrt(dim).

    Raises:
        TypeError, ValueError: for numbers out of range.

    Example:
        >>> import sgdlimits as sl
        >>> round(sl.plateau_length(2, dim=1000))
        210
    """
    rate = plateau_rate(width, teacher_width)
    dim = _validate.integer("dim", dim, 2)
    level = _validate.positive("level", level)
    if level * math.sqrt(dim) <= 1:
        raise ValueError(f"level={level!r}: expected more than 1/sqrt(dim) = {dim**-0.5:.3g}.")
    return math.log(level * math.sqrt(dim)) / rate
