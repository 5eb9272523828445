"""Online SGD on least squares, for any covariance: risk, floor, and the largest stable step.

A linear student of a noisy linear teacher, loss (y - w.x)^2/2, x ~ N(0, Sigma), y = w*.x + sigma z.
With D_j the squared distance of w and w* in block j, and the excess risk R = sum_j lambda_j D_j/2,

    dD_j/dt = -2 lambda_j D_j + (step/batch) fractions_j lambda_j (2 R + sigma^2),

which is the Volterra equation R(t) = F(t) + int_0^t K(t - s) (R(s) + sigma^2/2) ds with the forcing
F = sum_j lambda_j D_j(0) exp(-2 lambda_j t)/2 and the kernel of ``kernel``.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from sgdlimits import _validate
from sgdlimits.data.spectrum import Spectrum
from sgdlimits.formulas import formula

_SOURCE = "Paquette, Lee, Pedregosa and Paquette (2021); modes of the Volterra equation"


@dataclass(frozen=True)
class LeastSquares:
    """Least squares under constant steps.

    Args:
        covariance: eigenvalues, one set.
        step: delta * dim.
        noise: sigma^2, the variance of the label noise.
        batch: samples a step.

    Raises:
        TypeError, ValueError: for arguments that do not fit.
    """

    covariance: Spectrum
    step: float = 1.0
    noise: float = 0.0
    batch: int = 1

    def __post_init__(self) -> None:
        """Refuse bad input."""
        if not isinstance(self.covariance, Spectrum) or self.covariance.sets != 1:
            raise ValueError(f"covariance={self.covariance!r}: expected a Spectrum of one set.")
        _validate.positive("step", self.step)
        _validate.nonnegative("noise", self.noise)
        _validate.integer("batch", self.batch, 1)

    @property
    def _eigenvalues(self) -> np.ndarray:
        return np.asarray(self.covariance.eigenvalues)[0]

    @property
    def _fractions(self) -> np.ndarray:
        return np.array(self.covariance.fractions)

    @property
    @formula("asymptotic", _SOURCE)
    def stable_step(self) -> float:
        """2 batch dim/tr Sigma: from this step on the risk grows.

        Status: asymptotic. For batches that are small against dim.
        """
        return 2 * self.batch / float(self._fractions @ self._eigenvalues)

    @property
    @formula("asymptotic", _SOURCE)
    def floor(self) -> float:
        """Excess risk at which SGD stays, noise * x/(2 (1 - x)) with x = step/stable_step.

        Status: asymptotic. Infinite where the step is not stable.
        """
        x = self.step / self.stable_step
        return self.noise * x / (2 * (1 - x)) if x < 1 else float("inf")

    @formula("asymptotic", _SOURCE)
    def kernel(self, times: ArrayLike) -> Float[np.ndarray, "*times"]:
        """K(t) = (step/batch) sum_j fractions_j lambda_j^2 exp(-2 lambda_j t).

        Status: asymptotic.
        """
        t = np.asarray(times, dtype=float)
        decay = np.exp(-2 * self._eigenvalues * t[..., None])
        weights = self._fractions * self._eigenvalues**2
        return np.asarray(self.step / self.batch * decay @ weights)

    @formula("asymptotic", _SOURCE)
    def excess_risk(self, times: ArrayLike, distances: ArrayLike) -> Float[np.ndarray, "*times"]:
        """R(t), the mean over samples of the excess risk.

        By the eigenvectors of the linear equation for D: dense, for up to a few thousand blocks.

        Status: asymptotic. Discrete steps and a finite dim change it by O(1/dim).

        Args:
            times: in units of steps * step/dim, at least 0.
            distances: D_j(0) = |w_j - w*_j|^2, one for each block.

        Raises:
            ValueError: for times below 0, or distances that are not one for each block.
        """
        t, start = np.asarray(times, dtype=float), np.asarray(distances, dtype=float)
        values, root = self._eigenvalues, np.sqrt(self._fractions)
        if start.shape != values.shape or (start < 0).any():
            raise ValueError(f"distances: expected {values.size} numbers that are at least 0.")
        if (t < 0).any():
            raise ValueError(f"times={times!r}: expected numbers that are at least 0.")
        # In D_j/root_j the matrix is symmetric: diagonal plus rank one.
        kick = self.step / self.batch * root * values
        rates, modes = np.linalg.eigh(np.diag(-2 * values) + np.outer(kick, root * values))
        begin, source = modes.T @ (start / root), modes.T @ (kick * self.noise)
        along = rates * t[..., None]
        safe = np.where(rates == 0, 1.0, rates)
        grown = np.where(rates == 0, t[..., None], np.expm1(along) / safe)
        amplitude = np.exp(along) * begin + grown * source
        return np.asarray(amplitude @ (modes.T @ (root * values)) / 2)
