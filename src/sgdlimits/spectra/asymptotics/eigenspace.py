"""How much of a fixed vector the k largest eigenvalues capture, separated or not."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sgdlimits._roots import bracketed_root
from sgdlimits.spectra.asymptotics.bulk import Bulk
from sgdlimits.spectra.asymptotics.outliers import Outlier


@dataclass(frozen=True)
class Eigenspace:
    """Eigenvalues counted, and spectral measures of vectors of V summed, down to any level.

    Attributes:
        bulk, outliers: of one block.
        noise_dim: n = dim - rank V.
    """

    bulk: Bulk
    outliers: tuple[Outlier, ...]
    noise_dim: int

    @cached_property
    def _resolvents(self) -> np.ndarray:
        """(x - B)^-1 along the curve on which x is real, shape (points, rank, rank)."""
        return np.linalg.inv(self._shifted)

    @cached_property
    def _shifted(self) -> np.ndarray:
        curve, companion = self.bulk.curve, self.bulk.companion
        rank = companion.law.space.rank
        return curve.x[:, None, None] * np.eye(rank) - companion.signal(curve.w)

    @cached_property
    def _phases(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """x and arg det(x - B)/pi on every component of the bulk, its ends included."""
        angles = np.angle(np.linalg.eigvals(self._shifted)).sum(1) / np.pi
        pieces, start = [], 0
        for part, grid in self.bulk.by_component():
            ends = (self.bulk.companion.margins(np.array([part.low, part.high])) > 0).sum(1)
            values = angles[start : start + len(grid.x)]
            start += len(grid.x)
            x = np.array([part.x_low, *grid.x, part.x_high])
            pieces.append((x, np.array([ends[0], *values, ends[1]])))
        return pieces

    def phase(self, x: float) -> float:
        """arg det(x - B)/pi: every direction of V adds a phase that grows from 0 to 1 as x falls.

        In a step at an outlier; continuously where the direction has dissolved in the bulk.
        """
        values = np.array([o.value for o in self.outliers])
        bulk, pieces = self.bulk, self._phases
        # At x = 0 all phases jump if there is an atom: count from the side that x is on.
        if x >= 0 and x > pieces[-1][0][-1]:
            return float((values > x).sum())
        if x < 0 and x < pieces[0][0][0]:
            return bulk.companion.law.space.rank - float((values <= x).sum())
        above: tuple[float, float] | None = None  # lower end of the component above, phase there
        for part, (grid, phases) in zip(bulk.components[::-1], pieces[::-1], strict=True):
            if x > grid[-1]:
                if above is None or (part.high < 0 and x < 0):
                    return float(phases[-1]) - float(((values > grid[-1]) & (values <= x)).sum())
                break
            if x >= grid[0]:
                return float(np.interp(x, grid, phases))
            above = float(grid[0]), float(phases[0])
        assert above is not None
        return above[1] + float(((values > x) & (values < above[0])).sum())

    def count_above(self, x: float) -> float:
        """Expected number of eigenvalues above ``x``: n (1 - F(x)) + phase, to the order 1."""
        above = 1 - float(self.bulk.distribution(np.array([x]))[0])
        return self.noise_dim * above + self.phase(x)

    def share(self, direction: np.ndarray, level: float = 0.0) -> float:
        """Spectral measure of a unit vector e of V at |x| > level inside the bulk.

        Its density is -(1/pi) Im eᵀ (x - B)^-1 e.
        """
        density = -np.einsum("i,xij,j->x", direction, self._resolvents, direction).imag / np.pi
        ends = [x for part in self.bulk.components for x in part[2:]]
        grid = np.concatenate([self.bulk.curve.x, ends])
        values = np.concatenate([density, np.zeros(len(ends))])
        order = np.argsort(grid, kind="stable")
        grid, values = grid[order], values[order]
        up_to = np.concatenate([[0.0], np.cumsum(np.diff(grid) * (values[1:] + values[:-1]) / 2)])
        inside = np.interp(level, grid, up_to) - np.interp(-level, grid, up_to)
        return float(up_to[-1] - (inside if level > 0 else 0.0))

    def level(self, count: int) -> float:
        """|eigenvalue| that ``count`` eigenvalues are expected to exceed."""
        edges = abs(self.bulk.left.x), abs(self.bulk.right.x)
        top = 1.01 * max([*edges, *(abs(o.value) for o in self.outliers)])
        total = self.noise_dim + self.bulk.companion.law.space.rank
        counted = lambda x: self.count_above(x) + total - self.count_above(-x)  # noqa: E731
        least = 1e-9 * top  # below it, the eigenvalues that are 0
        if counted(least) <= count:
            return least
        return bracketed_root(lambda x: counted(x) - count, least, top, 1e-12 * top)

    def captured(self, direction: np.ndarray, count: int) -> float:
        """Squared norm of a unit vector's part in E_k, k = ``count``.

        If fewer eigenvalues are not 0, the part in the span of those.
        """
        by_size = sorted(self.outliers, key=lambda outlier: -abs(outlier.value))
        edge = max(abs(self.bulk.left.x), abs(self.bulk.right.x))
        if count <= sum(abs(outlier.value) > edge for outlier in by_size):
            return sum(outlier.overlap(direction) for outlier in by_size[:count])
        level = self.level(count)
        separated = sum(o.overlap(direction) for o in by_size if abs(o.value) > level)
        return separated + self.share(direction, level)
