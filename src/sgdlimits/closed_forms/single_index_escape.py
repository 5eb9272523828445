"""Escape of a single-index model on the sphere, by its information exponent.

One neuron f = sigma(s), target y = sigma*(s*) + sqrt(noise) z, m = w.w*, both activations given by
normalised Hermite coefficients. Time is t = steps * step / dim.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import integrate

from sgdlimits import _validate
from sgdlimits.closed_forms.exit_time_1d import mean_passage_time
from sgdlimits.expectations import hermite_series
from sgdlimits.formulas import formula

_EDGE = -0.999  # where an overlap of odd exponent is reflected: its noise vanishes at -1

_ROUNDING = 1e-9  # of overlaps on the sphere


@dataclass(frozen=True)
class SingleIndexSphere:
    """dm/dt = (1 - m^2) sum_j j c_j c*_j m^(j-1) - (step/2) m V(m).

    V(m) = E[sigma'(s)^2 (y - sigma(s))^2]; (s, s*) have correlation m. Expectations of polynomials,
    exact by Gauss-Hermite quadrature. Asymptotic (dim -> infinity).

    Args:
        student: c, coefficients of sigma in the orthonormal Hermite polynomials, from degree 0.
        teacher: c*, those of sigma*.
        step: gamma.
        noise: Delta, variance of the label noise.

    Raises:
        TypeError, ValueError: for bad numbers, or without a common component of degree >= 1.
    """

    student: tuple[float, ...]
    teacher: tuple[float, ...]
    step: float
    noise: float = 0.0

    def __init__(
        self,
        student: Sequence[float],
        teacher: Sequence[float],
        step: float,
        noise: float = 0.0,
    ):
        """Check and keep the arguments."""
        keep = object.__setattr__
        keep(self, "student", hermite_series.coefficients("student", student))
        keep(self, "teacher", hermite_series.coefficients("teacher", teacher))
        keep(self, "step", _validate.positive("step", step))
        keep(self, "noise", _validate.nonnegative("noise", noise))
        hermite_series.information_exponent(self.student, self.teacher)

    # -- the process -------------------------------------------------------------------------------

    @property
    @formula("exact", "Ben Arous, Gheissari and Jagannath (2021)")
    def information_exponent(self) -> int:
        """kappa, the least j >= 1 with c_j c*_j != 0.

        Status: exact; a definition.
        """
        return hermite_series.information_exponent(self.student, self.teacher)

    @formula("asymptotic", "Ben Arous, Gheissari and Jagannath (2021)")
    def population_drift(self, m: Any) -> Any:
        """(1 - m^2) sum_j j c_j c*_j m^(j-1): dm/dt of gradient flow, of the shape of ``m``.

        Status: asymptotic.
        """
        m = _validate.between("m", m, -1 - _ROUNDING, 1 + _ROUNDING)
        both = hermite_series.products(self.student, self.teacher)
        return (1 - m * m) * np.polynomial.polynomial.polyval(m, both[1:] * np.arange(1, len(both)))

    @formula("asymptotic", "Gaussian moments of one step")
    def drift(self, m: Any) -> Any:
        """b(m), with what the noise of the samples takes from the overlap.

        Status: asymptotic.
        """
        m = _validate.between("m", m, -1 - _ROUNDING, 1 + _ROUNDING)
        return self.population_drift(m) - self.step / 2 * m * self.gradient_power(m)

    @formula("exact", "Gauss-Hermite quadrature of polynomials")
    def gradient_power(self, m: Any) -> Any:
        """V(m) = E[sigma'(s)^2 (y - sigma(s))^2], of the shape of ``m``.

        Status: exact.
        """
        return self._expectation(m, lambda out, slope, r, m: slope**2 * (r**2 + self.noise))

    @formula("asymptotic", "Gaussian moments of one step")
    def variance(self, m: Any) -> Any:
        """dim times the variance of m per unit time, of the shape of ``m``.

        step Var[sigma' e (s* - m s) - (step/2) m (sigma' e)^2], e = y - sigma(s): the second term
        is the change of norm that the projection undoes, and vanishes at m = 0 only.

        Status: asymptotic.
        """
        noise = self.noise

        def square(out, slope, r, m):
            half = self.step * m / 2
            second = slope**2 * out**2 * (r**2 + noise)
            third = slope**3 * out * (r**3 + 3 * r * noise)
            fourth = slope**4 * (r**4 + 6 * r**2 * noise + 3 * noise**2)
            return second - 2 * half * third + half**2 * fourth

        return self.step * (self._expectation(m, square) - self.drift(m) ** 2)

    def _expectation(self, m: Any, function) -> Any:
        """E[function(s* - m s, sigma'(s), sigma*(s*) - sigma(s), m)], of the shape of ``m``."""
        m = _validate.between("m", m, -1 - _ROUNDING, 1 + _ROUNDING)
        # At most the fourth power of sigma' times the residual: degree 8 D in each variable.
        nodes = 4 * max(len(self.student), len(self.teacher))
        x, w = np.polynomial.hermite_e.hermegauss(nodes)
        w = w / w.sum()
        s, free = np.meshgrid(x, x, indexing="ij")
        slope = hermite_series.evaluate(self.student, s, 1)
        output = hermite_series.evaluate(self.student, s)
        each = []
        for one in m.ravel():
            out = math.sqrt(max(0.0, 1 - one * one)) * free
            residual = hermite_series.evaluate(self.teacher, one * s + out) - output
            each.append(w @ function(out, slope, residual, one) @ w)
        return np.array(each).reshape(m.shape)

    # -- escape ------------------------------------------------------------------------------------

    @property
    @formula("asymptotic", "linearised drift")
    def rate(self) -> float:
        """Growth rate of m at 0 for exponent 2: 2 c_2 c*_2 - step V(0)/2; else -step V(0)/2.

        Status: asymptotic.
        """
        both = hermite_series.products(self.student, self.teacher)
        growth = 2 * both[2] if self.information_exponent == 2 else 0.0
        return float(growth - self.step / 2 * self.gradient_power(0.0))

    @formula("asymptotic", "zero of the drift")
    def largest_step(self, overlap: float | None = None) -> float:
        """The step up to which an overlap grows: 2 kappa c_k c*_k |m|^(kappa - 2)/V(0).

        Status: asymptotic.

        Args:
            overlap: |m|, needed for exponents of 3 and more; there the step must shrink with dim,
                as dim^-(kappa - 2)/2 from a random start. Exponent 1: inf, growth from 0 is sure.

        Returns:
            The step; 0 if c_k c*_k is negative and kappa even (m = 0 attracts).

        Raises:
            ValueError: if an exponent of 3 or more is given no overlap.
        """
        k = self.information_exponent
        if k == 1:
            return math.inf
        both = float(hermite_series.products(self.student, self.teacher)[k])
        if k > 2 and overlap is None:
            raise ValueError(f"overlap: exponent {k} needs the overlap at the start.")
        m = 1.0 if overlap is None else abs(_validate.number("overlap", overlap))
        both = abs(both) if k % 2 else max(both, 0.0)
        return 2 * k * both * m ** (k - 2) / float(self.gradient_power(0.0))

    @formula("asymptotic", "integral of the drift")
    def ode_time(self, start: float, level: float) -> float:
        """Time of the ODE from overlap ``start`` to ``level``; inf if it stops before.

        In units of steps * step / dim, as all times here.

        Status: asymptotic.

        Raises:
            TypeError, ValueError: unless both are between -1 and 1.
        """
        start, level = _validate.number("start", start), _validate.number("level", level)
        if not max(abs(start), abs(level)) < 1:
            raise ValueError(
                f"start={start!r}, level={level!r}: expected overlaps below 1 in size."
            )
        if start == level:
            return 0.0
        way = np.linspace(start, level, 2001)
        if (self.drift(way) * np.sign(level - start) <= 0).any():
            return math.inf
        # In log|m|, where the drift at small overlaps is a power.
        if start * level > 0:
            sign = math.copysign(1.0, level)
            return _quad(
                lambda x: math.exp(x) * sign / float(self.drift(sign * math.exp(x))),
                math.log(abs(start)), math.log(abs(level)),
            )  # fmt: skip
        return _quad(lambda m: 1 / float(self.drift(m)), start, level)

    @formula("asymptotic", "matching the linear diffusion to the ODE")
    def escape_time(self, dim: int, level: float, start: float | None = None) -> float:
        """Mean time to |m| = ``level`` from a random start, to leading order and its constant.

        - exponent 1: int_0^level dm/b(m); dim steps, up to a constant.
        - exponent 2: (1/rate) [log(level) + log(dim)/2 + (gamma_E + log 2)/2 - log(1 + D/(2
          rate))/2] + int_0^level (1/b - 1/(rate m)) dm with D = ``variance(0)``: m(0) ~ N(0, 1/dim)
          and what SGD's noise adds to it. dim log dim steps.
        - exponent 3 and more: |m0|^(2 - kappa)/(kappa (kappa - 2) |c_k c*_k|), the time of gradient
          flow to leave the start; dim^(kappa - 1) steps at the ``largest_step``. Heuristic: the
          noise of SGD changes the constant, see ``noisy_time``.

        Status: asymptotic.

        Args:
            dim: dimension.
            level: the overlap to reach, between 0 and 1.
            start: m0, of exponents 3 and more; default dim^-1/2.

        Returns:
            Time in units of steps * step / dim; inf if m = 0 is not left.

        Raises:
            TypeError, ValueError: unless dim >= 2 and 0 < level < 1.
        """
        dim = _validate.integer("dim", dim, 2)
        level = _validate.positive("level", level)
        if level >= 1:
            raise ValueError(f"level={level!r}: expected an overlap below 1.")
        k = self.information_exponent
        leading = float(hermite_series.products(self.student, self.teacher)[k])
        if k == 1:
            return self.ode_time(0.0, math.copysign(level, leading))
        if leading < 0 and k % 2 == 0:
            return math.inf
        if k == 2:
            return self._saddle_time(dim, level)
        m0 = dim**-0.5 if start is None else abs(_validate.number("start", start))
        if self.step >= self.largest_step(m0):
            return math.inf
        return m0 ** (2 - k) / (k * (k - 2) * abs(leading))

    @formula("asymptotic", "Kolmogorov backward equation")
    def noisy_time(self, dim: int, level: float, start: float) -> float:
        """Mean first passage of dm = b dt + sqrt(variance/dim) dB from ``start`` to ``level``.

        Even exponents of even series: to either of +-level. Otherwise to +level, from anywhere;
        runs that first turn to negative overlaps are counted until they come back, so this may be
        astronomically long. Asymptotic: leading order in 1/dim.

        Status: asymptotic.

        Raises:
            TypeError, ValueError: for a dim below 2, or numbers that are none.
        """
        dim = _validate.integer("dim", dim, 2)
        start = _validate.number("start", start)
        # One of them even: the drift is odd and the variance even in m.
        even = not any(self.student[1::2]) or not any(self.teacher[1::2])
        return mean_passage_time(
            lambda m: float(self.drift(m)),
            lambda m: float(self.variance(m)) / dim,
            level,
            abs(start) if even else start,
            0.0 if even else _EDGE,
        )

    def steps(self, time: float, dim: int) -> float:
        """Number of SGD steps (samples) in a time: time * dim / step."""
        time = _validate.nonnegative("time", time)
        return time * _validate.integer("dim", dim, 1) / self.step

    def _saddle_time(self, dim: int, level: float) -> float:
        rate = self.rate
        if rate <= 0:
            return math.inf
        if not all(
            math.isfinite(self.ode_time(side * 1e-3 * level, side * level)) for side in (1, -1)
        ):
            return math.inf
        added = math.log1p(float(self.variance(0.0)) / (2 * rate)) / 2
        amplitude = math.log(dim) / 2 + (np.euler_gamma + math.log(2)) / 2 - added
        excess = [
            _quad(lambda m, s=side: s / float(self.drift(s * m)) - 1 / (rate * m), 0, level)
            for side in (1, -1)
        ]
        return (math.log(level) + amplitude) / rate + sum(excess) / 2


def _quad(function, low: float, high: float) -> float:
    value, _ = integrate.quad(function, low, high, epsabs=1e-10, epsrel=1e-9, limit=400)
    return float(np.asarray(value))
