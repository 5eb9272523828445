"""Mean exit times of one-dimensional diffusions: linear drift by formula, any drift by an ODE."""

import math
from collections.abc import Callable

import numpy as np
from scipy import integrate, special

from sgdlimits import _validate
from sgdlimits.formulas import formula

_NO_NOISE = 1e-12  # relative: rounding


@formula("exact", "Kolmogorov backward equation, linear drift")
def mean_exit_time(rate: float, variance: float, level: float, start: float = 0.0) -> float:
    """Mean first time at which |y| reaches ``level``, from y = ``start``.

    u(x) = (2/s^2) int_|x|^L e^(-k y^2) int_0^y e^(k z^2) dz dy with k = rate/variance, s^2 =
    variance; equal to (L^2 F(-k L^2) - x^2 F(-k x^2))/s^2 with F = 2F2(1, 1; 3/2, 2; .).

    Status: exact.

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


@formula("exact", "Kolmogorov backward equation, solved to rtol")
def mean_passage_time(
    drift: Callable[[float], float],
    variance: Callable[[float], float],
    level: float,
    start: float,
    wall: float = 0.0,
    rtol: float = 1e-9,
) -> float:
    """Mean first time at ``level`` of dy = drift(y) dt + sqrt(variance(y)) dB, reflected at a wall.

    u(start) for u'' variance/2 + u' drift = -1, u'(wall) = 0, u(level) = 0, solved as an initial
    value problem for u' from the wall on (stable where the drift leads to the level). A process
    whose law is even in y, such as one that leaves y = 0 to either side, has its wall at 0.
    Numerically exact to about ``rtol``.

    Status: exact; to about rtol.

    Args:
        drift, variance: functions of one number in [wall, level]; the variance positive inside.
        level: where the process stops.
        start: where it starts, wall <= start <= level.
        wall: where it is reflected.
        rtol: relative tolerance.

    Returns:
        The mean; inf if noise and drift vanish at the level.

    Raises:
        ValueError: if wall < level or wall <= start <= level is violated.
        RuntimeError: if the ODE cannot be solved (variance not positive, times beyond floating
            point).
    """
    level, start = _validate.number("level", level), _validate.number("start", start)
    wall = _validate.number("wall", wall)
    if not wall < level:
        raise ValueError(f"wall={wall!r}: expected it below level={level!r}.")
    if not wall <= start <= level:
        raise ValueError(f"start={start!r}: expected wall={wall!r} <= start <= level={level!r}.")
    if start == level:
        return 0.0
    if variance(level) <= _NO_NOISE * max(variance(y) for y in np.linspace(wall, level, 9)):
        if drift(level) > _NO_NOISE:
            raise RuntimeError(f"mean_passage_time: no noise at level={level!r}; not covered.")
        return np.inf  # neither noise nor drift carries it there

    def field(y: float, state: np.ndarray) -> list[float]:  # state: -u', and its integral
        return [2 * (1 - drift(y) * state[0]) / variance(y), state[0]]

    def jacobian(y: float, state: np.ndarray) -> list[list[float]]:
        return [[-2 * drift(y) / variance(y), 0.0], [1.0, 0.0]]

    solution = integrate.solve_ivp(
        field, (wall, level), [0.0, 0.0], method="LSODA", jac=jacobian, rtol=rtol, atol=1e-300,
        first_step=1e-9 * (level - wall), t_eval=[start, level] if start > wall else [level],
    )  # fmt: skip
    if not solution.success or not np.isfinite(solution.y).all():
        raise RuntimeError(f"mean_passage_time: {solution.message}")
    before = solution.y[1, 0] if start > wall else 0.0
    return float(solution.y[1, -1] - before)
