"""Fixed points and thresholds of spiked tensors by formula.

Ben Arous, Gheissari and Jagannath (2022), Proposition 3.2 with its missing (D.4) and (D.5), for any
step c and ridge alpha. For odd orders only the points with m > 0 exist: the paper's plus-minus
holds for even orders.
"""

import math
from typing import Any

import numpy as np

from sgdlimits import _validate
from sgdlimits._roots import bracketed_root
from sgdlimits.closed_forms.spiked_tensor_stability import critical_snr
from sgdlimits.formulas import formula


@formula("asymptotic", "Ben Arous et al. (2022), Proposition 3.2")
def m_star(order: int, snr: float, step: float = 1.0) -> float:
    """The larger, stable overlap m_star > 0; NaN below the threshold (no ridge).

    Status: asymptotic; exact for the ODE.
    """
    return overlaps(order, snr, step)[1]


@formula("asymptotic", "Ben Arous et al. (2022), Proposition 3.2")
def m_dagger(order: int, snr: float, step: float = 1.0) -> float:
    """The smaller overlap, a saddle, of orders k >= 3; NaN below the threshold and for k = 2.

    Status: asymptotic; exact for the ODE.
    """
    return overlaps(order, snr, step)[0]


@formula("asymptotic", "Ben Arous et al. (2022), Proposition 3.2")
def overlaps(order: int, snr: float, step: float = 1.0) -> tuple[float, float]:
    """(m_dagger, m_star): positive roots of lambda m^(k-2) = (m^2 + c)^(k-1).

    Closed form for k = 2, 3, 4; bracketed roots beyond. NaN where there is none.

    Status: asymptotic; exact for the ODE.
    """
    k = _validate.integer("order", order, 2)
    lam = _validate.positive("snr", snr)
    c = _validate.positive("step", step)
    if lam <= critical_snr(k, c):
        return math.nan, math.nan
    if k == 2:
        return math.nan, math.sqrt(lam - c)
    if k == 3:
        return _overlaps_cubic(lam, c)
    if k == 4:
        return _overlaps_quartic(lam, c)
    return _overlaps_by_root(k, lam, c)


def _overlaps_cubic(lam: float, c: float) -> tuple[float, float]:
    # Ferrari: y is the positive root of the resolvent y^3 + 2 c y^2 = lam^2 / 8.
    roots = np.roots([1.0, 2 * c, 0.0, -(lam**2) / 8])
    y = float(roots[np.argmax(roots.real)].real)
    s = math.sqrt(2 * y)
    discriminant = math.sqrt(max(2 * lam / s - 4 * c - 2 * y, 0.0))
    star = (s + discriminant) / 2
    # m_dagger from the product of the two roots: their difference would cancel at small c.
    product = 2 * c * c / (2 * c + s * s + lam / s)
    return product / star, star


def _overlaps_quartic(lam: float, c: float) -> tuple[float, float]:
    # A cubic in m^2 + c with three real roots: Viete's cosines.
    angle = math.acos(max(-1.5 * c * math.sqrt(3 / lam), -1.0)) / 3
    star, negative = (
        2 * math.sqrt(lam / 3) * math.cos(angle - 2 * math.pi * j / 3) - c for j in (0, 2)
    )
    # The product of the three roots in m^2 is -c^3; the dagger root itself would cancel at small c.
    return math.sqrt(-(c**3) / (star * negative)), math.sqrt(star)


def _overlaps_by_root(k: int, lam: float, c: float) -> tuple[float, float]:
    def excess(log_m: float) -> float:
        return (k - 1) * math.log(math.exp(2 * log_m) + c) - math.log(lam) - (k - 2) * log_m

    fold = 0.5 * math.log(c * (k - 2) / k)
    low = (math.log(c) * (k - 1) - math.log(lam)) / (k - 2) - 1.0
    high = math.log(lam) / k + 1.0
    return (
        math.exp(bracketed_root(excess, low, fold)),
        math.exp(bracketed_root(excess, fold, high)),
    )


@formula(
    "asymptotic", "Ben Arous, Gheissari and Jagannath (2022), Proposition 3.2 with (D.4), (D.5)"
)
def fixed_points(
    order: int, snr: float, step: float = 1.0, ridge: float = 0.0
) -> list[tuple[float, float]]:
    """Every fixed point (m, r2) of (3.1) with ridge, sorted.

    With R^2 = m^2 + r2 the equations are r2 (B + alpha) = c B and either m = 0 or
    2 k lambda m^(k-2) = B + alpha, where B = 2 k R^(2k-2).

    Status: asymptotic; exact for the ODE.
    """
    k = _validate.integer("order", order, 2)
    lam = _validate.positive("snr", snr)
    c = _validate.positive("step", step)
    alpha = _validate.nonnegative("ridge", ridge)
    points = [(0.0, 0.0)] + [(0.0, r2) for r2 in _uninformative_radii(k, c, alpha)]
    for m, r2 in _informative(k, lam, c, alpha):
        points.append((m, r2))
        if k % 2 == 0:
            points.append((-m, r2))
    return sorted(points)


def _uninformative_radii(k: int, c: float, alpha: float) -> list[float]:
    """r2 > 0 with m = 0: roots of 2 k u^(k-2) (c - u) = alpha in (0, c]."""
    if alpha == 0:
        return [c]
    if k == 2:
        return [c - alpha / 4] if alpha < 4 * c else []
    peak = c * (k - 2) / (k - 1)

    def excess(u: float) -> float:
        return 2 * k * u ** (k - 2) * (c - u) - alpha

    if excess(peak) < 0:
        return []
    return [bracketed_root(excess, 0.0, peak), bracketed_root(excess, peak, c)]


def _informative(k: int, lam: float, c: float, alpha: float) -> list[tuple[float, float]]:
    """Fixed points with m > 0."""
    if k == 2:
        shrink = 1 - alpha / (4 * lam)
        return [(math.sqrt((lam - c) * shrink), c * shrink)] if lam > c and shrink > 0 else []
    if alpha == 0:
        return [(m, c) for m in overlaps(k, lam, c) if not math.isnan(m)]
    # One equation in rho = R^2, whose few roots lie below m^2 + c <= lam^(2/k) + c.
    return [_point_of(rho, k, lam, c, alpha) for rho in _radius_roots(k, lam, c, alpha)]


def _point_of(rho: float, k: int, lam: float, c: float, alpha: float) -> tuple[float, float]:
    b = 2 * k * rho ** (k - 1)
    return ((b + alpha) / (2 * k * lam)) ** (1 / (k - 2)), c * b / (b + alpha)


def _radius_roots(k: int, lam: float, c: float, alpha: float) -> list[float]:
    def excess(log_rho: Any) -> Any:
        b = 2 * k * np.exp((k - 1) * log_rho)
        m2 = ((b + alpha) / (2 * k * lam)) ** (2 / (k - 2))
        return np.log(m2 + c * b / (b + alpha)) - log_rho

    top = math.log(lam ** (2 / k) + c) + 0.1
    grid = np.linspace(top - 40.0, top, 20001)
    values = excess(grid)
    brackets = np.flatnonzero(np.sign(values[:-1]) * np.sign(values[1:]) < 0)
    return [math.exp(bracketed_root(excess, grid[i], grid[i + 1])) for i in brackets]
