"""Phase retrieval with one neuron: closed forms of path, exit, plateau, and noise.

y = s*^2 + sqrt(noise) z, f = s^2. Width 1, so the time of Arnaboldi, Krzakala, Loureiro and Stephan
(2023) is ours: t = steps * step / dim.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sgdlimits import _validate
from sgdlimits.closed_forms.exit_time_1d import mean_exit_time, mean_passage_time
from sgdlimits.closed_forms.phase_retrieval_escape import Mediocrity, largest_step
from sgdlimits.formulas import formula

_ROUNDING = 1e-9  # of overlaps on the sphere


@dataclass(frozen=True)
class OneNeuron:
    """One neuron on the sphere: dm/dt = m [4(1 - 6 step)(1 - m^2) - 2 step noise].

    Arnaboldi et al. (2023), eq. (7); excess risk 2(1 - m^2). Asymptotic (dim -> infinity); methods
    with a ``dim`` add the noise of SGD to leading order, dm = b dt + sqrt(variance(m)/dim) dB.

    Args:
        step: gamma, the learning rate times dimension.
        noise: Delta, variance of the label noise.

    Raises:
        TypeError, ValueError: if ``step`` is not above 0 or ``noise`` negative.
    """

    step: float
    noise: float = 0.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        object.__setattr__(self, "step", _validate.positive("step", self.step))
        object.__setattr__(self, "noise", _validate.nonnegative("noise", self.noise))

    @property
    @formula("asymptotic", "Arnaboldi et al. (2023), (50)")
    def rate(self) -> float:
        """mu = 4(1 - 6 step) - 2 step noise: growth rate of m at 0; eq. (50).

        Status: asymptotic.
        """
        return self._cubic - 2 * self.step * self.noise

    @property
    def _cubic(self) -> float:
        return 4 * (1 - 6 * self.step)

    @formula("asymptotic", "Arnaboldi et al. (2023), (7)")
    def drift(self, m: Any) -> Any:
        """b(m), of the shape of ``m``.

        Status: asymptotic.
        """
        m = _validate.between("m", m, -1 - _ROUNDING, 1 + _ROUNDING)
        return m * (self.rate - self._cubic * m * m)

    @formula("asymptotic", "Arnaboldi et al. (2023), (11), (34), (55) corrected")
    def variance(self, m: Any) -> Any:
        """dim times the variance of m per unit time that SGD on the sphere adds, at overlap ``m``.

        The tangential part of eq. (11) under eq. (34), with Var(Q) and Cov(M, Q) of eq. (55)
        corrected (it is printed for half the step). 4 step (12 + noise) at m = 0.

        Status: asymptotic.
        """
        m2 = np.square(_validate.between("m", m, -1 - _ROUNDING, 1 + _ROUNDING))
        g, noise, rest = self.step, self.noise, 1 - m2
        of_m = 4 * rest * (noise + 4 * rest * (3 + 5 * m2))
        mixed = -128 * g * m2 * rest * (noise + 21 * rest)
        of_norm = noise**2 + 6 * noise * rest * (10 - 3 * m2) + 36 * rest**2 * (27 - 10 * m2)
        return g * (of_m + mixed + 32 * g**2 * m2 * of_norm)

    # -- the end -----------------------------------------------------------------------------------

    @property
    @formula("asymptotic", "Arnaboldi et al. (2023), zero of (7)")
    def final_overlap(self) -> float:
        """|m| as t -> infinity: sqrt(1 - step noise/(2(1 - 6 step))), or 0 above the threshold.

        Status: asymptotic.
        """
        if self.step >= largest_step(self.noise):
            return 0.0
        return math.sqrt(self.rate / self._cubic)

    @property
    @formula("asymptotic", "Arnaboldi et al. (2023), (8)")
    def final_excess_risk(self) -> float:
        """step noise/(1 - 6 step) below the threshold 2/(12 + noise), otherwise 2.

        Eq. (8), which is printed without its range.

        Status: asymptotic.
        """
        return 2 * (1 - self.final_overlap**2)

    # -- the ODE -----------------------------------------------------------------------------------

    @formula("asymptotic", "Arnaboldi et al. (2023), (7) solved")
    def path(self, start: float, times: Any) -> Any:
        """m(t) in closed form: m^2 = m0^2 E / (1 + 4(1 - 6 step) m0^2 (E - 1)/mu), E = e^(2 mu t).

        Status: asymptotic; exact for the ODE.

        Args:
            start: m0, between -1 and 1.
            times: any shape, at least 0, not decreasing along the last axis.
        """
        start = _overlap("start", start)
        times = _validate.between("times", times, 0, math.inf)
        ordered = np.atleast_1d(times)
        if (ordered[..., 1:] < ordered[..., :-1]).any():
            raise ValueError(f"times={times}: expected times that do not decrease.")
        rate = self.rate
        # Both sides of the fraction over the larger of 1 and E, so that neither overflows.
        small = np.exp(-2 * abs(rate) * times)
        grows = rate > 0
        growth = 2 * times if rate == 0 else (1 - small) / abs(rate)  # (E - 1)/mu, so divided
        top = np.ones_like(times) if grows else small
        bottom = (small if grows else 1.0) + self._cubic * start**2 * growth
        return start * np.sqrt(np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1), 0.0))

    @formula("asymptotic", "Arnaboldi et al. (2023), (9)")
    def exit(self, start: float, drop: float) -> float:
        """Time at which the ODE from ``start`` has lost the fraction ``drop`` of its excess risk.

        Eq. (9) solved: log{L^2 (mu - beta m0^2)/[m0^2 (mu - beta L^2)]}/(2 mu) with beta =
        4(1 - 6 step), L^2 = drop + (1 - drop) m0^2. Exact for the ODE; inf if it never does.

        Status: asymptotic; exact for the ODE.
        """
        x, level = _overlap("start", start) ** 2, self._level(start, drop) ** 2
        if x == level:
            return 0.0
        mu, beta = self.rate, self._cubic
        if x == 0 or mu - beta * x <= 0 or mu - beta * level <= 0:
            return math.inf
        if abs(mu) < 1e-12:
            return (1 / level - 1 / x) / (2 * beta)
        return math.log(level * (mu - beta * x) / (x * (mu - beta * level))) / (2 * mu)

    # -- the SDE -----------------------------------------------------------------------------------

    @formula("heuristic", "Arnaboldi et al. (2023), (52)")
    def linear_sde_exit(self, dim: int, drop: float, start: float = 0.0) -> float:
        """Mean exit time of dm = mu m dt + sqrt(4 step (12 + noise)/dim) dB from ``start``.

        (T/sigma^2) 2F2(1, 1; 3/2, 2; -T mu/sigma^2) from m = 0, eq. (52); sigma^2 = 4 step
        (12 + noise)/dim. Exact for this linear diffusion.

        Status: heuristic; exact for this diffusion, which is linear up to the drop.

        Args:
            dim: dimension.
            drop: T, the fraction of the excess risk that is lost.
            start: m0; the level is sqrt(T + (1 - T) m0^2).
        """
        dim = _validate.integer("dim", dim, 2)
        sigma2 = self._start.noise_variance / dim
        return mean_exit_time(self.rate, sigma2, self._level(start, drop), start)

    @formula("heuristic", "mean of the linear diffusion over Gaussian starts")
    def linear_sde_exit_at_random(self, dim: int, drop: float) -> float:
        """Mean of ``linear_sde_exit`` over random starts m0 ~ N(0, 1/dim), level sqrt(drop).

        That from m = 0 less log(1 + 2 mu/(dim sigma^2))/(2 mu). Not in the paper, which takes eq.
        (52) for it. Exact for the linear diffusion and starts within the level.

        Status: heuristic; exact for the linear diffusion and starts within the level.
        """
        added = self._start.noise_variance
        mu = self.rate
        gain = 1 / added if mu == 0 else math.log1p(2 * mu / added) / (2 * mu)
        return self.linear_sde_exit(dim, drop) - gain

    @formula("asymptotic", "Kolmogorov backward equation")
    def sde_exit(self, dim: int, drop: float, start: float = 0.0) -> float:
        """Mean exit time of the nonlinear diffusion dm = b(m) dt + sqrt(variance(m)/dim) dB.

        Arguments as in ``linear_sde_exit``. Asymptotic: leading order in 1/dim.

        Status: asymptotic.
        """
        dim = _validate.integer("dim", dim, 2)
        return mean_passage_time(
            lambda m: float(self.drift(m)),
            lambda m: float(self.variance(m)) / dim,
            self._level(start, drop),
            abs(_overlap("start", start)),
        )

    @property
    def _start(self) -> Mediocrity:
        return Mediocrity(self.step, self.noise)

    def _level(self, start: float, drop: float) -> float:
        drop = _validate.positive("drop", drop)
        if drop > 1:
            raise ValueError(f"drop={drop!r}: expected a fraction of the risk, at most 1.")
        return math.sqrt(drop + (1 - drop) * _overlap("start", start) ** 2)


@formula("asymptotic", "Arnaboldi et al. (2023), (76) solved")
def norm_plateau(step: float, noise: float = 0.0) -> float:
    """|w|^2 that one unconstrained neuron keeps while m = 0.

    q = [3 + 6g - sqrt((3 + 6g)^2 - 60 g (1 + 3g + g noise))]/(30 g), the stable zero of dq = 4q(1 -
    3q) + 12 g q (1 + 5q^2 - 2q) + 4 g noise q, g = step. 1/3 as step -> 0. Derived from eq. (76) of
    Arnaboldi et al. (2023), with its noise term.

    Status: asymptotic.

    Returns:
        The plateau, or inf where the norm has no stable value: it grows without bound. From a start
        |w| = 1 that happens already for step > 2/(12 + noise), when noise < 4.
    """
    g, noise = _validate.positive("step", step), _validate.nonnegative("noise", noise)
    b, c = 3 + 6 * g, 1 + 3 * g + g * noise
    root = b * b - 60 * g * c
    if root < 0:
        return math.inf
    return 2 * c / (b + math.sqrt(root))


def _overlap(name: str, value: object) -> float:
    result = _validate.number(name, value)
    if abs(result) > 1:
        raise ValueError(f"{name}={value!r}: expected an overlap between -1 and 1.")
    return result
