"""Two time scales: with a fast second layer the Hermite components are learned one by one.

Berthier, Montanari and Zhou (2023), "Learning time-scales in two-layers neural networks". Neurons
f = (1/p) sum a_i sigma(s_i) on the sphere with overlaps s_i, target phi(s*); dim -> infinity, then
small step. In the paper the width comes before the fast second layer: p ratio -> infinity. At a
finite width a neuron also sees itself, sigma_j^2 (1 - s_i^(2j)) a_i/p, which pulls its a_i to 0 at
rate 1/(p ratio), and neurons come to overlap; with ``width`` both are followed exactly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import integrate

from sgdlimits import _resources, _validate
from sgdlimits.expectations import hermite_series
from sgdlimits.formulas import formula


@dataclass(frozen=True)
class LearnedComponents:
    """A solution of the two-time-scale equations.

    Attributes:
        times: t/width with our t, shape (times,).
        second_layer: a_i, shape (times, neurons).
        overlaps: s_i, shape (times, neurons).
        residuals: r_j = phi_j - sigma_j mean(a s^j), shape (times, degrees).
        learned: per degree the first time at which |r_j| is half of |phi_j|; inf if never, NaN if
            phi_j = 0.
        beside: excess risk of what the neurons output beside functions of the teacher's field,
            shape (times,); 0 at infinite width.
    """

    times: np.ndarray
    second_layer: np.ndarray
    overlaps: np.ndarray
    residuals: np.ndarray
    learned: np.ndarray
    beside: np.ndarray

    @property
    def risk(self) -> np.ndarray:
        """Excess risk sum_j r_j^2 / 2 and what is beside, shape (times,)."""
        return (self.residuals**2).sum(1) / 2 + self.beside


@formula("asymptotic", "Berthier, Montanari and Zhou (2023)")
def two_time_scales(
    student: Sequence[float],
    teacher: Sequence[float],
    ratio: float,
    *,
    second_layer: Sequence[float] | np.ndarray,
    overlaps: Sequence[float] | np.ndarray | None = None,
    width: int | None = None,
    time: float = 1.0,
    record: int = 400,
    rtol: float = 1e-9,
) -> LearnedComponents:
    """The path of second layer a and overlaps s on the sphere, component by component.

    da_i/dt = (1/ratio) sum_j sigma_j s_i^j r_j and ds_i/dt = a_i (1 - s_i^2) sum_j j sigma_j
    s_i^(j-1) r_j, with r_j = phi_j - sigma_j mean(a s^j).

    The second layer must be the fast one: ratio -> 0. Then component j is learned at
    t_0 = ratio log(2)/sigma_0^2, t_1 = (sqrt(ratio)/(sigma_1 phi_1)) [log(1/ratio)/4 + O(1)], and
    t_j of order ratio^(1/(2j)). In ``simulate`` it is ``OnlineSGD(second_layer_rate=1/ratio,
    spherical=True)`` at time width * t.

    Status: asymptotic; dim -> infinity, then step -> 0. Exact there if ``width`` is given; without,
    it leaves out that a neuron sees itself, right as width * ratio/time -> infinity only.

    Args:
        student: sigma_j, normalised Hermite coefficients from degree 0.
        teacher: phi_j, likewise.
        ratio: epsilon, step of the first over step of the second layer.
        second_layer: a_i at the start, one per neuron. Neurons with the same a_i stay together, and
            n different ones are needed to fit n components.
        overlaps: s_i at the start; default 0, the limit of a random start.
        width: p, a multiple of the number of neurons given, each of which stands for as many; their
            parts outside of the teacher's direction are orthogonal at the start. Default: infinite.
        time: horizon, in units of t/width.
        record: number of recorded times, equally spaced in log(t).
        rtol: relative tolerance of the solver.

    Raises:
        ValueError: for bad numbers or lengths that disagree.
        RuntimeError: if the equations cannot be solved to the tolerance.
    """
    sigma = np.array(hermite_series.coefficients("student", student))
    phi = np.array(hermite_series.coefficients("teacher", teacher))
    ratio, time = _validate.positive("ratio", ratio), _validate.positive("time", time)
    record = _validate.integer("record", record, 2)
    rtol = _validate.positive("rtol", rtol)
    _resources.check_count("record", record, lambda record: 400.0 * record)
    degrees = np.arange(max(len(sigma), len(phi)))
    sigma = np.pad(sigma, (0, len(degrees) - len(sigma)))
    phi = np.pad(phi, (0, len(degrees) - len(phi)))
    a0 = np.atleast_1d(_validate.reals("second_layer", second_layer))
    s0 = np.zeros_like(a0) if overlaps is None else _validate.reals("overlaps", overlaps)
    if a0.ndim != 1 or a0.size == 0 or s0.shape != a0.shape or not np.isfinite([a0, s0]).all():
        raise ValueError(
            f"second_layer, overlaps: shapes {a0.shape}, {s0.shape}; expected finite numbers, one "
            "of each per neuron."
        )
    if (np.abs(s0) > 1).any():
        raise ValueError(f"overlaps={overlaps!r}: expected numbers between -1 and 1.")
    n = len(a0)
    each = None if width is None else _validate.integer("width", width, n) // n
    if width is not None and each is not None and each * n != width:
        raise ValueError(f"width={width!r}: expected a multiple of the {n} neurons given.")
    pairs = np.outer(s0, s0).ravel() if each else np.zeros(0)

    def residuals(a: np.ndarray, s: np.ndarray) -> np.ndarray:
        return phi - sigma * (a * s ** degrees[:, None]).mean(1)

    def field(_: float, state: np.ndarray) -> np.ndarray:
        if each is not None:
            return _finite_width(state, n, each, sigma, phi, ratio)
        a, s = state[:n], state[n:]
        powers = s ** degrees[:, None]
        weighted = sigma * (phi - sigma * (powers * a).mean(1))
        slope = (degrees[1:] * weighted[1:]) @ powers[:-1]
        return np.concatenate([weighted @ powers / ratio, a * (1 - s * s) * slope])

    def half(j: int):
        return lambda t, state: (
            abs(residuals(state[:n], state[n : 2 * n])[j]) - abs(phi[j]) / 2 if phi[j] else 1.0
        )

    times = np.geomspace(min(1e-3 * ratio, 1e-3 * time), time, record - 1)
    solution = integrate.solve_ivp(
        field, (0, time), np.concatenate([a0, s0, pairs]), method="LSODA", rtol=rtol, atol=1e-12,
        events=[half(j) for j in range(len(degrees))],
        t_eval=np.concatenate([[0.0], times[:-1], [time]]),
        first_step=1e-6 * min(ratio, time),
    )  # fmt: skip
    if not solution.success or not np.isfinite(solution.y).all():
        raise RuntimeError(f"two_time_scales: {solution.message}")
    a, s = solution.y[:n].T, solution.y[n : 2 * n].T
    first = [events[0] if len(events) else math.inf for events in solution.t_events]
    begun = np.abs(residuals(a0, s0)) <= np.abs(phi) / 2
    first = np.where(begun, 0.0, first)
    remaining = np.array([residuals(*both) for both in zip(a, s, strict=True)])
    beside = np.zeros(len(a))
    if each is not None:
        c = solution.y[2 * n :].T.reshape(-1, n, n)
        kernel = np.polynomial.polynomial.polyval(c, sigma**2)
        own = (sigma**2).sum() - np.einsum("tii->ti", kernel)
        square = np.einsum("ti,tij,tj->t", a, kernel, a) / n**2
        square = square + (a**2 * own).sum(1) / (n * n * each)
        beside = (square - ((phi - remaining) ** 2).sum(1)) / 2
    learned = np.where(phi == 0, np.nan, first)
    return LearnedComponents(solution.t, a, s, remaining, learned, beside)


def _finite_width(
    state: np.ndarray, n: int, each: int, sigma: np.ndarray, phi: np.ndarray, ratio: float
) -> np.ndarray:
    """d(a, s, c)/dt of n groups of ``each`` equal neurons; c: overlaps of distinct neurons, (n, n).

    Gradient flow on the sphere, w_i' = a_i [k*'(s_i)(w* - s_i w_i) - (1/p) sum_l a_l k'(Q_il)(w_l -
    Q_il w_i)], k(x) = sum sigma_j^2 x^j and k* = sum sigma_j phi_j x^j.
    """
    a, s, c = state[:n], state[n : 2 * n], state[2 * n :].reshape(n, n)
    poly = np.polynomial.polynomial
    square, mixed = sigma**2, sigma * phi
    # Sums over the neurons of a group, in means over all: one of the neuron's own group is itself.
    kernel, slope = poly.polyval(c, square), poly.polyval(c, poly.polyder(square))
    weights = np.broadcast_to(a / n, (n, n))
    others = weights - np.diag(a / (n * each))
    own = a / (n * each) * square.sum()
    da = (poly.polyval(s, mixed) - (others * kernel).sum(1) - own) / ratio
    pull = poly.polyval(s, poly.polyder(mixed))
    push = others * slope
    ds = a * (pull * (1 - s * s) - push @ s + (push * c).sum(1) * s)
    # d/dt of <w_i, w_j> by the motion of i. The sum over l meets w_j itself once, of product 1 with
    # w_j instead of c, and w_i never.
    meets = push @ c + a / (n * each) * slope * (1 - np.diag(c))
    back = (push * c).sum(1)[:, None] * c
    moved = a[:, None] * (pull[:, None] * (s - s[:, None] * c) - meets + back)
    return np.concatenate([da, ds, (moved + moved.T).ravel()])
