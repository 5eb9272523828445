"""Scores and their limits: what chance exceeds with a stated probability, and with what power."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import stats

#: Probability that a correct program fails one statistical test, or one whole ``check``.
FALSE_ALARM = 1e-3
#: Probability with which a negative control must be seen.
POWER = 0.999

_ROUNDING = 1e-14
_RESTING = 1e-4
_MOST_SHARE = 0.1
_CONFIDENCE = 0.01


# -- z-scores --------------------------------------------------------------------------------------


def z_limit(comparisons: int, rate: float = FALSE_ALARM) -> float:
    """|z| that one of so many standard normals exceeds with at most this probability."""
    return float(stats.norm.isf(rate / comparisons / 2))


class Means(NamedTuple):
    """Means over the first axis, their standard errors, and skewness/sqrt(samples) of each."""

    value: np.ndarray
    error: np.ndarray
    skew: np.ndarray
    #: Whether no sample makes more than a tenth of the spread, so that a z-score means something.
    trusted: np.ndarray


def means(samples: np.ndarray) -> Means:
    """Of samples on the first axis."""
    n, value = len(samples), samples.mean(0)
    away = samples - value
    square = (away**2).sum(0)
    size = np.maximum(square, 1e-190)  # its power 3/2 is still a number
    skew = (away**3).sum(0) / (size * np.sqrt(size))
    trusted = (away**2).max(0) <= _MOST_SHARE * square
    return Means(value, np.sqrt(square / (n - 1) / n), skew, trusted | (square == 0))


def z_of(
    found: Means,
    expected: np.ndarray,
    scale: np.ndarray | float = 0.0,
    bias: np.ndarray | float = 0.0,
) -> np.ndarray:
    """(found - expected) / standard error, less the skewness that studentised means have.

    0 where they agree to rounding of numbers of size ``scale``; differences up to ``bias`` do not
    count. Hall (1992): the transformed score is normal to O(1/samples).
    """
    error = found.value - expected
    size = np.maximum(np.abs(expected), scale)
    error = np.sign(error) * np.maximum(np.abs(error) - bias, 0.0)
    rounding = 1e-9 * size + 1e-300
    z = error / np.maximum(found.error, rounding)
    a = np.clip(found.skew, -1.0, 1.0)
    z = z + a * z**2 / 3 + a**2 * z**3 / 27 + a / 6
    return np.where(np.abs(error) <= rounding, 0.0, z)


def z_scores(samples: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """(mean over the first axis - expected) / standard error; 0 for an exact constant."""
    return z_of(means(samples), expected, np.abs(samples).max(0))


def sizes(values: np.ndarray, statistics: int) -> tuple[np.ndarray, np.ndarray]:
    """Of increments and their products: the largest of each, and the largest of all of its kind.

    The first are never far below the second: statistics that rest have moments that are rounding
    errors of those that move.
    """
    largest = np.abs(values).max(0)
    overall = np.zeros_like(largest)
    for kind in (slice(0, statistics), slice(statistics, None)):
        overall[kind] = largest[kind].max(initial=0.0)
    return np.maximum(largest, _RESTING * overall), overall


def with_products(samples: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Samples (draws, statistics) beside the products of their differences from ``mean``.

    Products about the exact mean have exactly the covariance as mean, so their own spread gives
    the standard error whatever the law. Increments below 1e-14 are rounding: a constrained
    statistic rests, and its moments must then be 0.
    """
    samples = np.where(np.abs(samples) < _ROUNDING, 0.0, samples)
    rows, columns = np.triu_indices(samples.shape[1])
    centred = samples - mean
    return np.concatenate([samples, centred[:, rows] * centred[:, columns]], axis=1)


def moments_in_order(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Mean and upper triangle of the covariance, in the order of ``with_products``."""
    return np.concatenate([mean, covariance[np.triu_indices(len(mean))]])


def moment_z_scores(samples: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """z-scores of all first and second moments; samples (draws, statistics)."""
    values = with_products(samples, mean)
    return z_of(means(values), moments_in_order(mean, covariance), sizes(values, len(mean))[0])


# -- laws ------------------------------------------------------------------------------------------


def ks_limit(comparisons: int, rate: float = FALSE_ALARM) -> float:
    """Score that one of so many two-sample comparisons exceeds with at most this probability."""
    return float(stats.kstwobign.isf(rate / comparisons))


def ks_scores(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Kolmogorov-Smirnov distances, times sqrt(n m/(n + m)), of functionals (runs, functionals).

    Values are compared to five digits: laws may have atoms (a ReLU neuron that a sample does not
    reach), which rounding moves.
    """
    both = np.abs(np.concatenate([one, other]))
    size = np.median(np.where(np.isfinite(both), both, 0), axis=0)
    grid = 1e-5 * np.maximum(size, np.median(size)) + 1e-300
    with np.errstate(over="ignore"):  # a run about to blow up is as good as infinite
        one, other = (np.round(x / grid) for x in (one, other))
    n, m = len(one), len(other)
    distances = []
    for x, y in zip(one.T, other.T, strict=True):
        x, y = np.sort(x), np.sort(y)
        at = np.concatenate([x, y])
        ahead = np.searchsorted(x, at, "right") / n - np.searchsorted(y, at, "right") / m
        distances.append(np.abs(ahead).max())
    return np.array(distances) * np.sqrt(n * m / (n + m))


def same_law(one: np.ndarray, other: np.ndarray, rate: float = FALSE_ALARM) -> bool:
    """Whether no functional tells the two apart; false alarm at most ``rate`` (Bonferroni)."""
    return bool(ks_scores(one, other).max() < ks_limit(one.shape[1], rate))


def functionals(one: np.ndarray, other: np.ndarray, seed: int = 0) -> tuple[np.ndarray, ...]:
    """(draws, functionals) of two sets of paths (draws, steps, statistics), to compare laws by.

    Every statistic after the first and the last step, and mixtures of the last ones, each in units
    of its spread, in which correlations show.
    """
    last = np.concatenate([one[:, -1], other[:, -1]])
    with np.errstate(invalid="ignore"):
        centre = np.nanmedian(last, axis=0)
        spread = np.nanmedian(np.abs(last - centre), axis=0)
        spread = np.where(spread > 1e-12 * (1 + np.abs(centre)), spread, np.inf)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (len(centre), 4))

    def of(paths: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", over="ignore"):
            mixed = np.clip(np.nan_to_num((paths[:, -1] - centre) / spread), -1e6, 1e6) @ signs
        found = np.concatenate([paths[:, 0], paths[:, -1], mixed], axis=1)
        # A run that blew up is beyond every other: NaN would be beside all of them.
        return np.nan_to_num(found, nan=np.inf, posinf=np.inf, neginf=np.inf)

    return of(one), of(other)


# -- power -----------------------------------------------------------------------------------------


def z_power(shift: float, limit: float) -> float:
    """Probability that a normal score of this mean exceeds the limit."""
    return float(stats.norm.sf(limit - abs(shift)))


def draws_for_z(score: float, comparisons: int, limit: float) -> float:
    """Multiple of the draws behind the worst of so many z-scores that shows the effect with POWER.

    The effect is taken at its lower confidence bound of 99 %; infinite without one.
    """
    effect = score - z_limit(comparisons, _CONFIDENCE)
    slack = float(stats.norm.isf(1 - POWER))
    return ((limit + slack) / effect) ** 2 if effect > 0 else np.inf


def draws_for_ks(score: float, comparisons: int, limit: float) -> float:
    """As ``draws_for_z``, of Kolmogorov-Smirnov scores, by the triangle inequality."""
    effect = score - ks_limit(comparisons, _CONFIDENCE)
    slack = ks_limit(1, 1 - POWER)
    return ((limit + slack) / effect) ** 2 if effect > 0 else np.inf


def random_rotation(dim: int, seed: int) -> Float[Array, "dim dim"]:
    """A Haar-distributed orthogonal matrix."""
    return jnp.asarray(stats.ortho_group.rvs(dim, random_state=seed) if dim > 1 else np.eye(1))
