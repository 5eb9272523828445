"""How much of a fixed vector the k largest eigenvalues capture, separated or not."""

import numpy as np

from sgdlimits._roots import bracketed_root
from sgdlimits.spectra.bulk import Bulk
from sgdlimits.spectra.outliers import Outlier


def bulk_measure(bulk: Bulk, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spectral measure of a unit vector of V inside the bulk: x, and density at x.

    -(1/pi) Im eᵀ (z - B)^-1 e along the curve on which z is real.
    """
    curve, companion = bulk.curve, bulk.companion
    identity = np.eye(companion.law.space.rank)
    resolvent = curve.x[:, None, None] * identity - companion.signal(curve.w)
    solved = np.linalg.solve(
        resolvent, np.broadcast_to(direction, curve.w.shape + direction.shape)[..., None]
    )
    return curve.x, -(solved[..., 0] @ direction).imag / np.pi


def bulk_share(bulk: Bulk, direction: np.ndarray, level: float = 0.0) -> float:
    """Mass of that measure at |x| > level."""
    x, density = bulk_measure(bulk, direction)
    ends = []
    for part in bulk.components:
        ends += [part.x_low, part.x_high]
    grid, values = np.concatenate([x, ends]), np.concatenate([density, np.zeros(len(ends))])
    order = np.argsort(grid, kind="stable")
    grid, values = grid[order], values[order]
    steps = np.diff(grid) * (values[1:] + values[:-1]) / 2
    up_to = np.concatenate([[0.0], np.cumsum(steps)])
    total = up_to[-1]
    inside = np.interp(level, grid, up_to) - np.interp(-level, grid, up_to)
    return float(total - inside) if level > 0 else float(total)


def captured(
    bulk: Bulk, outliers: tuple[Outlier, ...], direction: np.ndarray, count: int, noise_dim: int
) -> float:
    """Squared norm of a unit vector's part in E_k, k = ``count``.

    Raises:
        ValueError: if ``count`` exceeds the number of eigenvalues that are not 0.
    """
    by_size = sorted(outliers, key=lambda outlier: -abs(outlier.value))
    sizes = np.array([abs(outlier.value) for outlier in by_size])

    def counted(level: float) -> float:
        """Expected number of eigenvalues above ``level`` in size."""
        low, high = bulk.distribution(np.array([-level, level]))
        return noise_dim * (1 - high + low) + float((sizes > level).sum())

    top = max([abs(bulk.left.x), abs(bulk.right.x), *sizes]) * 1.01
    separated = float((sizes > max(abs(bulk.left.x), abs(bulk.right.x))).sum())
    if count <= separated:
        return sum(outlier.overlap(direction) for outlier in by_size[:count])
    if counted(0.0) < count:
        raise ValueError(f"count={count!r}: only {counted(0.0):.1f} eigenvalues are not 0.")
    level = bracketed_root(lambda level: counted(level) - count, 0.0, top, 1e-14)
    of_outliers = sum(
        outlier.overlap(direction) for outlier in by_size if abs(outlier.value) > level
    )
    return of_outliers + bulk_share(bulk, direction, level)
