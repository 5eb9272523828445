"""How long SGD takes from a random start near a saddle to a macroscopic overlap.

Near the saddle sqrt(dim)*(u - u*) is an unstable Ornstein-Uhlenbeck process; once of order one the
path follows the ODE. Matching the two at any scale between gives, for dim -> infinity,

    T = C + (log(dim)/2 - log|U|) / rate,    U ~ N(0, spread^2),

where U is the process's final amplitude e^(-rate t) Y(t), and C the time that the ODE takes in
excess of the linear growth. Hence n log n steps with a known constant, and a known law around it.
"""

import math
from typing import Any, TypeVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy import stats

from sgdlimits import _validate
from sgdlimits._roots import bracketed_root
from sgdlimits._shown import facts_table, in_one_line, number, numbers
from sgdlimits.formulas import formula
from sgdlimits.limits.effective_dynamics import EffectiveDynamics
from sgdlimits.statistics.base import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)

_START = 1e-5  # amplitude from which the ODE is followed; the law's error is of this order squared


class EscapeLaw(eqx.Module):
    """Law of the hitting time at dimension ``dim``, in units of steps * step / dim.

    Attributes:
        rate: growth rate of the unstable mode.
        spread: standard deviation of the final amplitude U.
        constant: C, the ODE's time in excess of log(1/amplitude)/rate, above the saddle.
        constant_below: likewise below it, where the saddle's sides differ; inf where the level is
            never reached.
        dim: dimension.
    """

    rate: float
    spread: float
    constant: float
    constant_below: float
    dim: int

    @in_one_line
    def __repr__(self) -> str:
        """Mean and standard deviation, in units of steps * step / dim."""
        if not (self.rate > 0 and self.spread > 0 and self.dim > 0):
            return eqx.tree_pformat(self)
        mean, deviation = number(self.mean), number(self.standard_deviation)
        return f"EscapeLaw(dim={self.dim}: mean time {mean}, standard deviation {deviation})"

    def _repr_html_(self) -> str:
        facts = {
            "mean time": number(self.mean),
            "standard deviation": number(self.standard_deviation),
            "5 %, 50 %, 95 %": numbers(self.quantile(np.array([0.05, 0.5, 0.95]))),
            "rate of the unstable mode": number(self.rate),
        }
        return facts_table(f"Time to escape at dim {self.dim}, in steps * step / dim", facts)

    @property
    @formula("asymptotic", "matching the linear diffusion to the ODE")
    def mean(self) -> float:
        """Mean hitting time; E log|Z| = -(gamma + log 2)/2 for a standard normal Z.

        Status: asymptotic.
        """
        log_amplitude = math.log(self.spread) - (np.euler_gamma + math.log(2)) / 2
        constant = (self.constant + self.constant_below) / 2
        return constant + (0.5 * math.log(self.dim) - log_amplitude) / self.rate

    @property
    @formula("asymptotic", "matching the linear diffusion to the ODE")
    def standard_deviation(self) -> float:
        """Standard deviation: pi/(2 sqrt(2) rate) on either side, whatever the dimension.

        Status: asymptotic.
        """
        apart = (self.constant - self.constant_below) / 2
        return math.hypot(math.pi / (2 * math.sqrt(2)) / self.rate, apart)

    @formula("asymptotic", "matching the linear diffusion to the ODE")
    def cdf(self, time: np.ndarray | float) -> Any:
        """P(T <= time), of the shape of ``time``; half of all runs leave on either side.

        Status: asymptotic.
        """
        time, total = _validate.between("time", time, -math.inf, math.inf), 0.0
        for constant in (self.constant, self.constant_below):
            log_z = self.rate * (constant - time) + 0.5 * math.log(self.dim)
            with np.errstate(over="ignore"):  # long before: probability 0
                total = total + stats.norm.sf(np.exp(log_z) / self.spread)
        return total

    @formula("asymptotic", "matching the linear diffusion to the ODE")
    def quantile(self, probability: np.ndarray | float) -> Any:
        """Inverse of ``cdf``, of the shape of ``probability``; inf beyond what ever happens.

        Status: asymptotic.
        """
        probability = _validate.between("probability", probability, 0, 1)
        if self.constant == self.constant_below:
            return self._passed(self.constant, probability)[()]
        return np.vectorize(self._quantile, otypes=[float])(probability)[()]

    def _quantile(self, probability: float) -> float:
        first, last = sorted((self.constant, self.constant_below))
        if math.isinf(last):
            return math.inf if probability >= 0.5 else self._passed(first, 2 * probability)
        low, high = self._passed(first, probability), self._passed(last, probability)
        if not high > low:
            return low
        return bracketed_root(lambda t: float(self.cdf(t)) - probability, low, high, xtol=1e-12)

    def _passed(self, constant: float, probability: Any) -> Any:
        """Quantile if both sides had this constant."""
        z = stats.norm.isf(probability / 2)
        return constant + (0.5 * math.log(self.dim) - np.log(self.spread * z)) / self.rate


@formula("asymptotic", "matching the linear diffusion to the ODE")
def escape_law(
    dynamics: EffectiveDynamics[S],
    saddle: S,
    name: str,
    level: float,
    dim: int,
    *,
    start: S | None = None,
    variance: float = 1.0,
) -> EscapeLaw:
    """Law of the first time at which |statistic| reaches ``level`` from a random start.

    Status: asymptotic; corrections are O(dim^-1/2). The noise is that of the data law given.

    Args:
        dynamics: the effective dynamics.
        saddle: fixed point with one unstable direction, along the named statistic.
        name: the statistic that escapes.
        level: the distance from the saddle to reach, |statistic - saddle| = level, on either side.
        dim: dimension.
        start: macroscopic statistics at the start, if not those of the saddle (for spiked models
            with step != 1 the random start has r2 = 1 while the saddle has r2 = step).
        variance: variance of sqrt(dim)*(statistic - saddle) at the start; 1 for x ~ N(0, I/dim).

    Raises:
        ValueError: if the saddle is not unstable along the statistic, or the ODE never reaches
            the level.
    """
    if not isinstance(dynamics, EffectiveDynamics):
        raise TypeError(f"dynamics={dynamics!r}: expected effective_dynamics(...).")
    with _validate.renamed("statistics", "saddle"):
        dynamics.process.check_state(saddle)
    if start is not None:
        with _validate.renamed("statistics", "start"):
            dynamics.process.check_state(start)
    level = _validate.positive("level", level)
    dim = _validate.integer("dim", dim, 1)
    variance = _validate.nonnegative("variance", variance)
    _validate.one_of("name", name, dynamics.names)
    process = dynamics.rescale(name, centre=saddle)
    index = dynamics.names.index(name)
    rate = float(np.asarray(dynamics.linearise(saddle).drift)[index, index])
    if not rate > 0:
        raise ValueError(f"saddle={saddle!r}: {name} does not grow there (rate {rate:.4g}).")
    begin = np.asarray((saddle if start is None else start).vector).copy()
    begin[index] = 0.0
    covariance = np.zeros((len(begin), len(begin)))
    covariance[index, index] = variance
    late = 20 / rate  # e^(-2 rate t) Var Y(t) has converged to e^-40
    _, spread2 = process.gaussian(saddle.with_vector(jnp.asarray(begin)), [late], covariance)
    spread = math.sqrt(float(spread2[0, index, index])) * math.exp(-rate * late)
    above, below = (
        _time_to_level(dynamics, saddle, sign * _START, index, level, rate) for sign in (1, -1)
    )
    if math.isinf(above) and math.isinf(below):
        raise ValueError(
            f"level={level!r}: the ODE from the saddle does not reach it, on either side."
        )
    if abs(above - below) < 1e-7 * above:
        below = above  # symmetric, but for rounding
    shift = math.log(_START) / rate
    return EscapeLaw(rate, spread, above + shift, below + shift, dim)


def _time_to_level(
    dynamics: EffectiveDynamics[S],
    saddle: S,
    displacement: float,
    index: int,
    level: float,
    rate: float,
) -> float:
    """Time of the ODE from beside the saddle to the level; inf if it does not get there."""
    y0 = np.asarray(saddle.vector).copy()
    centre = y0[index]
    y0[index] += displacement

    def distance(time: float) -> float:
        path = dynamics.solve(saddle.with_vector(jnp.asarray(y0)), [time], rtol=1e-11, atol=1e-13)
        return abs(float(path.vector[0, index]) - centre) - level

    linear = math.log(level / _START) / rate
    times = np.linspace(0, 10 * linear, 2001)[1:]
    path = dynamics.solve(saddle.with_vector(jnp.asarray(y0)), times)
    reached = np.abs(np.asarray(path.vector)[:, index] - centre) >= level
    if not reached.any():
        return math.inf
    first = int(np.argmax(reached))
    low = 0.0 if first == 0 else float(times[first - 1])
    return bracketed_root(distance, low, float(times[first]), xtol=1e-10)
