"""Powers of n: y(n) = C n^a from a few dimensions, with the interval of a."""

from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
#: Finite dimensions bend power laws; exponents are told apart to this, and not closer.
RESOLUTION = 0.15


class Power(NamedTuple):
    """Exponent a with its 95 % interval; NaN where the quantity is zero within its errors."""

    exponent: float
    low: float
    high: float

    @property
    def vanishing(self) -> bool:
        """Whether the quantity could not be told from zero."""
        return bool(np.isnan(self.exponent))

    def at_most(self, limit: float) -> str:
        """Verdict on a <= limit: "holds", "fails", or "undecided" if the interval is too wide."""
        if self.vanishing or self.high <= limit + RESOLUTION:
            return "holds"
        return "fails" if self.low > limit + RESOLUTION else "undecided"

    def below(self, limit: float) -> str:
        """Verdict on a < limit."""
        if self.vanishing or self.high < limit:
            return "holds"
        return "fails" if self.low >= limit - RESOLUTION else "undecided"

    def __str__(self) -> str:
        """As ``1.02 [0.97, 1.07]``."""
        if self.vanishing:
            return "–"
        return f"{self.exponent:.2f} [{self.low:.2f}, {self.high:.2f}]"


ZERO = Power(np.nan, np.nan, np.nan)


def fit_power(
    dims: np.ndarray, values: np.ndarray, errors: np.ndarray, seen_from: float = 4.0
) -> Power:
    """Weighted least squares of log y on log n.

    Args:
        dims: the dimensions n.
        values: y at each, at least zero.
        errors: their standard errors.
        seen_from: standard errors above which y is told from zero.

    Returns:
        The exponent; ``ZERO`` if y is below that many errors at the largest dimension or at all but
        one. Where the points miss the line by more than their errors, the interval is
        widened by that factor.
    """
    seen = values > np.maximum(seen_from * errors, 1e-9)
    if not seen[-1] or seen.sum() < 2:
        return ZERO
    x, y = np.log(dims[seen]), np.log(values[seen])
    sigma = np.maximum(errors[seen] / values[seen], 1e-6)
    weight = 1 / sigma**2
    centre = np.average(x, weights=weight)
    spread = np.sum(weight * (x - centre) ** 2)
    slope = np.sum(weight * (x - centre) * y) / spread
    misfit = y - np.average(y, weights=weight) - slope * (x - centre)
    freedom = len(x) - 2
    factor = 1.0 if freedom < 1 else max(1.0, np.sum(weight * misfit**2) / freedom) ** 0.5
    half = stats.norm.isf((1 - CONFIDENCE) / 2) * factor / spread**0.5
    return Power(float(slope), float(slope - half), float(slope + half))
