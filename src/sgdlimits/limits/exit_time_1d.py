"""Mean exit time of the one-dimensional process dy = rate*y dt + sqrt(variance) dB."""

import math

import numpy as np
from scipy import integrate, special

from sgdlimits import _validate


def mean_exit_time(rate: float, variance: float, level: float, start: float = 0.0) -> float:
    """Mean first time at which |y| reaches ``level``, from y = ``start``.

    u(x) = (2/s^2) int_|x|^L e^(-k y^2) int_0^y e^(k z^2) dz dy with k = rate/variance, s^2 =
    variance; equal to (L^2 F(-k L^2) - x^2 F(-k x^2))/s^2 with F = 2F2(1, 1; 3/2, 2; .). Exact.

    Args:
        rate: growth rate; positive for an unstable process.
        variance: noise variance per unit time.
        level: distance to reach.
        start: where y starts, |start| <= level.

    Returns:
        The mean time; inf where it exceeds the range of floating point (deep stable wells).

    Raises:
        ValueError: if variance or level is not positive, or |start| > level.
    """
    rate = _validate.number("rate", rate)
    variance = _validate.positive("variance", variance)
    level = _validate.positive("level", level)
    distance = abs(_validate.number("start", start))
    if distance > level:
        raise ValueError(f"start={start!r}: expected |start| <= level={level!r}.")
    if distance == level:
        return 0.0
    k = rate / variance
    if -k * level**2 > 600:
        return math.inf
    root = math.sqrt(abs(k))

    def inner(y: float) -> float:
        if root * y < 1e-6:
            return y
        if k > 0:
            return float(special.dawsn(root * y)) / root
        return math.exp(-k * y * y) * 0.5 * math.sqrt(math.pi) * math.erf(root * y) / root

    # The integrand turns at y ~ 1/root: tell the quadrature.
    turns = [y for y in (1 / root, 5 / root) if distance < y < level] if root > 0 else None
    value, _ = integrate.quad(
        inner, distance, level, points=turns, epsabs=0, epsrel=1e-11, limit=500
    )
    return 2 / variance * float(np.asarray(value))
