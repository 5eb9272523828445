"""Do drift and noise depend on the point of the fibre? A test with a stated level."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from sgdlimits.auditing.estimates import Estimates
from sgdlimits.auditing.powers import ZERO, Power, fit_power

QUANTITIES = ("population drift", "corrector", "volatility")
DRIFT = QUANTITIES[:2]
POWER = 0.9  # at which detectable spreads are stated
_ROUNDING = 1e-7  # relative: gradients come from differences of parameters
_FEWEST_DIMS = 3  # two dimensions tell a trend from an accident too seldom
_DECAYS = -0.25  # a spread whose exponent is surely below this vanishes as n grows


class Spread(NamedTuple):
    """One quantity of one statistic over the dimensions.

    Attributes:
        p: p-value of "the same at every point of each fibre" at the largest dim, corrected for the
            number of fibres (Bonferroni); the caller corrects for quantities and statistics.
        excess: standard deviation between points that sampling does not explain, per dim.
        size: root mean square of the quantity over fibres, per dim.
        power: of ``excess`` in n, where it was found.
        noise: standard deviation between means of points from sampling alone, at the largest dim.
        shape: fibres, points, samples.
    """

    p: float
    excess: np.ndarray
    size: np.ndarray
    power: Power
    noise: float
    shape: tuple[int, int, int]

    def detectable(self, level: float) -> float:
        """The standard deviation between points that is found with probability ``POWER``.

        At the largest dim, in units of ``size``; for normal spreads. Exact for that law.
        """
        fibres, points, samples = self.shape
        freedom = points - 1, points * (samples - 1)
        critical = stats.f.isf(level / fibres, *freedom)
        # The ratio is 1 + (spread/noise)^2 times an F variable; one fibre of all must show it.
        least = stats.f.isf(1 - (1 - POWER) ** (1 / fibres), *freedom)
        return self.noise * float(np.sqrt(max(critical / least - 1, 0.0)))

    def verdict(self, level: float) -> str:
        """One of "closes", "closes as n grows" and "does not close"."""
        if self.p >= level:
            return "closes"
        return "closes as n grows" if self.power.high < _DECAYS else "does not close"


def _f_test(means: np.ndarray, within: np.ndarray, samples: int) -> tuple[np.ndarray, ...]:
    """p-values, excess variances and those of noise; arrays (fibres, points, statistics)."""
    points = means.shape[1]
    between = means.var(axis=1, ddof=1)
    noise = within.mean(axis=1) / samples
    floor = (_ROUNDING * (1e-3 + np.abs(means).max(axis=(0, 1)))) ** 2
    ratio = between / np.maximum(noise, floor)
    p = stats.f.sf(ratio, points - 1, points * (samples - 1))
    noise = np.maximum(noise, floor)
    return p, between - noise, noise


def spreads(estimates: list[Estimates], dims: np.ndarray, samples: int) -> dict[str, list[Spread]]:
    """For each quantity, one ``Spread`` per statistic. Sizes are per unit of delta."""
    result = {}
    for name, mean, within in zip(
        QUANTITIES,
        ("first", "second", "variance"),
        ("first_within", "second_within", "variance_within"),
        strict=True,
    ):
        p, excess, size, noise = [], [], [], np.empty(0)
        for each in estimates:
            values = getattr(each, mean)
            p_values, variance, noise = _f_test(values, getattr(each, within), samples)
            p.append(p_values)
            excess.append(variance.mean(axis=0))
            size.append(np.sqrt((values.mean(axis=1) ** 2).mean(axis=0)))
        shape = (*estimates[0].first.shape[:2], samples)
        last = np.sqrt(noise.mean(axis=0))  # at the largest dim
        result[name] = [
            _spread(p[-1][:, i], np.array(excess)[:, i], np.array(size)[:, i], dims,
                    float(last[i]), shape)
            for i in range(estimates[0].first.shape[2])
        ]  # fmt: skip
    return result


def _spread(
    p: np.ndarray, variance: np.ndarray, size: np.ndarray, dims: np.ndarray, noise: float,
    shape: tuple[int, int, int],
) -> Spread:  # fmt: skip
    freedom = shape[0] * (shape[1] - 1)
    excess = np.sqrt(np.maximum(variance, 0))
    # The variance of a variance estimate is 2/freedom relative for normal spreads; that of its
    # root half as much. Spreads of visited points have longer tails: a third of the freedom.
    error = excess / (2 * freedom / 3) ** 0.5
    enough = (excess > 0).sum() >= _FEWEST_DIMS
    power = fit_power(dims, excess, error) if enough else ZERO
    return Spread(float(min(1.0, p.min() * len(p))), excess, size, power, noise, shape)
