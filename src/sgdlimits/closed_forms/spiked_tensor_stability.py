"""From which signal on spiked tensors have a stable fixed point with m != 0, for any ridge.

With rho = m^2 + r2 and B = 2 k rho^(k-1) the aligned fixed points are a curve in rho:

    r2 = c B/(B + alpha),  m^2 = rho - r2 > 0,  lambda = (B + alpha)/(2 k m^(k-2)).

One is stable where lambda grows along it (else it is a saddle) and the trace of the Jacobian is
negative. Without ridge stability begins at the fold, the smallest lambda. With ridge the fold moves
to far smaller lambda, where m is small and the point repels: stability then begins where the trace
vanishes, or at another fold. So the fold jumps as the ridge is switched on, and this does not.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sgdlimits import _validate
from sgdlimits._roots import bracketed_root
from sgdlimits.formulas import formula

_SOURCE = "Ben Arous et al. (2022), Proposition 3.2; with ridge the Jacobian of (3.1)"
_POINTS = 20001


class Boundary(NamedTuple):
    """Where the aligned fixed point loses stability.

    Attributes:
        snr: lambda; above it there is a stable fixed point with m != 0, whatever the snr.
        m, r2: the point there.
        by: "fold" (it meets a saddle), "trace" (it begins to repel, eigenvalues on the imaginary
            axis) or "pitchfork" (it ends at m = 0).
    """

    snr: float
    m: float
    r2: float
    by: str


@formula("asymptotic", _SOURCE)
def critical_snr(order: int, step: float = 1.0, ridge: float = 0.0) -> float:
    """lambda_c(k, c, alpha): above it a stable fixed point with m != 0 exists.

    Without ridge c^(k/2) (2(k-1)/k)^(k-1) (k/(k-2))^((k-2)/2), below which there is no fixed point
    with m != 0 at all; c for k = 2. With ridge max(c, alpha/4) for k = 2; for k >= 3 that of
    ``stability_boundary``, below which such points may exist and are unstable.

    Status: asymptotic; exact for the ODE.

    Args:
        order: k, at least 2.
        step: c, of plain SGD.
        ridge: alpha.

    Raises:
        TypeError, ValueError: for numbers out of range.

    Example:
        >>> import sgdlimits as sl
        >>> [round(sl.critical_snr(3, 1.0, ridge), 4) for ridge in (0.0, 1.0)]
        [3.0792, 2.9092]
    """
    return stability_boundary(order, step, ridge).snr


@formula("asymptotic", _SOURCE)
def stability_boundary(order: int, step: float = 1.0, ridge: float = 0.0) -> Boundary:
    """The snr above which the aligned fixed point is stable, the point there, and what ends it.

    Status: asymptotic; exact for the ODE.

    Args:
        order: k, at least 2.
        step: c, of plain SGD.
        ridge: alpha.

    Raises:
        TypeError, ValueError: for numbers out of range.
    """
    k = _validate.integer("order", order, 2)
    c = _validate.positive("step", step)
    alpha = _validate.nonnegative("ridge", ridge)
    if k == 2:
        # (m, r2) = (sqrt((lam - c)(1 - a)), c (1 - a)), a = alpha/(4 lam).
        lam = max(c, alpha / 4)
        return Boundary(lam, 0.0, c * (1 - alpha / (4 * lam)), "pitchfork")
    if alpha == 0:
        m = math.sqrt(c * (k - 2) / k)
        fold = c ** (k / 2) * (2 * (k - 1) / k) ** (k - 1) * (k / (k - 2)) ** ((k - 2) / 2)
        return Boundary(fold, m, c, "fold")
    # In units of c: rho ~ c, alpha ~ c^(k-1), lambda ~ c^(k/2).
    curve = _Curve(k, alpha / c ** (k - 1))
    rho, by = curve.begin()
    m2, r2, snr = curve.point(rho)
    return Boundary(float(c ** (k / 2) * snr), math.sqrt(c * m2), float(c * r2), by)


class _Curve(NamedTuple):
    """Aligned fixed points at step 1, k >= 3 and alpha > 0, along log rho."""

    k: int
    alpha: float

    def point(self, rho):
        """(m^2, r2, lambda)."""
        k, B = self.k, 2 * self.k * rho ** (self.k - 1)
        r2 = B / (B + self.alpha)
        m2 = rho - r2
        return m2, r2, (B + self.alpha) / (2 * k * m2 ** ((k - 2) / 2))

    def growth(self, rho):
        """d log lambda / d rho times m^2: negative on saddles."""
        k, alpha, B = self.k, self.alpha, 2 * self.k * rho ** (self.k - 1)
        slope = (k - 1) * B / rho
        m2, _, _ = self.point(rho)
        return m2 * slope / (B + alpha) - (k - 2) / 2 * (1 - alpha * slope / (B + alpha) ** 2)

    def trace(self, rho):
        """Of the Jacobian, in units of B + alpha."""
        k, B = self.k, 2 * self.k * rho ** (self.k - 1)
        m2, r2, _ = self.point(rho)
        return (k - 4) + 2 * (k - 1) * B * (1 - r2 - m2) / (rho * (B + self.alpha))

    def begin(self) -> tuple[float, str]:
        """Where the stable points begin that reach to any snr, and what they begin with."""
        k = self.k
        at = (self.alpha / (2 * k)) ** (1 / (k - 1))  # B = alpha
        low, high = math.log(min(at * 1e-3, 0.1)), math.log(max(at, 1.0) * 1e3)
        grid = np.exp(np.linspace(low, high, _POINTS))
        with np.errstate(invalid="ignore", divide="ignore"):
            m2, _, snr = self.point(grid)
            stable = (m2 > 0) & (self.growth(grid) > 0) & (self.trace(grid) < 0)
        turns = np.flatnonzero(np.diff(stable.astype(int)))
        # Pieces of stable points, from the one without an end down as long as the next overlaps.
        edges = [-1, *turns.tolist(), _POINTS - 1]
        pieces = [(a + 1, b) for a, b in pairwise(edges) if stable[b]]
        first = pieces[-1][0]
        for i, j in reversed(pieces[:-1]):
            if snr[i] < snr[first] <= snr[j]:
                first = i
        return self._root(grid[first - 1], grid[first])

    def _root(self, outside: float, inside: float) -> tuple[float, str]:
        """Where stability begins between two neighbours."""
        found = []
        for by, function in (("fold", self.growth), ("trace", self.trace)):
            if (function(outside) > 0) != (function(inside) > 0):
                found.append((bracketed_root(function, outside, inside), by))
        return max(found)
