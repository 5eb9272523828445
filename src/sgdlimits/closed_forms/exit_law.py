"""The law of a random time, as equally likely values: mean, spread, quantiles."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sgdlimits import _validate


@dataclass(frozen=True)
class ExitLaw:
    """The law of a time, in units of steps * step / dim.

    Attributes:
        times: equally likely values, increasing, shape (points,); inf where it never comes.
        error: of the mean: what is left out and what the points miss, added.
    """

    times: np.ndarray
    error: float

    @property
    def mean(self) -> float:
        """Mean time."""
        return float(self.times.mean())

    @property
    def standard_deviation(self) -> float:
        """Standard deviation; NaN if some runs never exit."""
        return float(self.times.std()) if np.isfinite(self.times).all() else np.nan

    def cdf(self, time: Any) -> Any:
        """P(T <= time), of the shape of ``time``."""
        return np.searchsorted(
            self.times, _validate.between("time", time, -np.inf, np.inf), side="right"
        ) / len(self.times)

    def quantile(self, probability: Any) -> Any:
        """Inverse of ``cdf``, of the shape of ``probability``, to about 1/points in probability.

        Raises:
            ValueError: unless all are between 0 and 1.
        """
        wanted = _validate.between("probability", probability, 0, 1)
        finite = self.times[np.isfinite(self.times)]
        if len(finite) == 0:
            return np.full(wanted.shape, np.inf)[()]
        middles = (np.arange(len(finite)) + 0.5) / len(self.times)
        found = np.interp(wanted, middles, finite)
        return np.where(wanted <= len(finite) / len(self.times), found, np.inf)[()]
