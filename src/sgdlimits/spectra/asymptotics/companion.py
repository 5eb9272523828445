"""The companion variable a, in which the resolvent of a block is explicit.

For n/M -> gamma and m(z) the Stieltjes transform of the noise part of the block, a = 1/(gamma m):

    z(a) = gamma a + a E[tau],   tau = t/(a - t),   B(a) = a E[tau y yᵀ] + constant,

and the block's resolvent on V is (z - B)^-1. Nothing has to be iterated: z and B are averages over
the law of the weights (Silverstein and Bai's equation solved for z).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sgdlimits.spectra.asymptotics.weight_law import WeightLaw

Points = Any  # a number or an array of numbers


@dataclass(frozen=True)
class Companion:
    """z(a), B(a) and their derivatives at one aspect ratio gamma = n/M."""

    law: WeightLaw
    gamma: float

    def tau(self, a: Points) -> np.ndarray:
        """t/(a - t) at the bins, shape (..., bins)."""
        t = self.law.t
        return t / (np.asarray(a)[..., None] - t)

    def energy(self, a: Points) -> Points:
        """E[tau^2] for real a: below gamma outside the bulk, gamma at its edges."""
        return self.law.expect(self.tau(a) ** 2)

    def z(self, a: Points) -> Points:
        """The eigenvalue coordinate z, real or complex with ``a``."""
        return np.asarray(a) * (self.gamma + self.law.expect(self.tau(a)))

    def slope(self, a: Points) -> Points:
        """z'(a) = gamma - E[tau^2]."""
        return self.gamma - self.energy(a)

    def curvature(self, a: float) -> float:
        """z''(a) = 2 E[t^2/(a - t)^3]."""
        return float(2 * self.law.expect(self.tau(a) ** 2 / (a - self.law.t)))

    def signal(self, a: Points) -> np.ndarray:
        """B(a), shape (..., rank, rank)."""
        a = np.asarray(a)
        return a[..., None, None] * self.law.expect_outer(self.tau(a)) + self.law.constant

    def signal_slope(self, a: float) -> np.ndarray:
        """B'(a) = -E[tau^2 y yᵀ]."""
        return -self.law.expect_outer(self.tau(a) ** 2)

    def margins(self, a: Points) -> np.ndarray:
        """Eigenvalues of B(a) - z(a), descending: each falls with a, and is 0 at an outlier."""
        a = np.asarray(a)
        excess = self.law.expect_excess(self.tau(a)) - self.gamma * np.eye(self.law.space.rank)
        return np.linalg.eigvalsh(a[..., None, None] * excess + self.law.constant)[..., ::-1]

    def strengths(self, a: Points) -> np.ndarray:
        """Eigenvalues of E[tau (y yᵀ - 1)] + constant/a, descending: gamma at an outlier.

        They do not depend on gamma.
        """
        a = np.asarray(a)
        excess = self.law.expect_excess(self.tau(a)) + self.law.constant / a[..., None, None]
        return np.linalg.eigvalsh(excess)[..., ::-1]
