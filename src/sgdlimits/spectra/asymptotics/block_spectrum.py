"""Sharp asymptotics of one block of the Hessian or of the gradient matrix, at M samples.

dim -> infinity at M/dim = alpha fixed, with the parameters independent of the samples (test data).
From summary statistics alone: bulk, outliers, their vectors' overlaps, and fluctuations.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from sgdlimits import _validate
from sgdlimits._shown import number, numbers, rows_table
from sgdlimits.limits.adequate import ENOUGH, InaccurateWarning
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.asymptotics.bulk import TRACY_WIDOM_MEAN, TRACY_WIDOM_SD, Bulk, Edge
from sgdlimits.spectra.asymptotics.companion import Companion
from sgdlimits.spectra.asymptotics.eigenspace import Eigenspace
from sgdlimits.spectra.asymptotics.outliers import Outlier, find_outliers
from sgdlimits.spectra.asymptotics.outline import Outline
from sgdlimits.spectra.asymptotics.signal_space import SignalSpace
from sgdlimits.spectra.asymptotics.weight_law import MOST_NODES, WeightLaw, nodes_for
from sgdlimits.spectra.blocks import Kind
from sgdlimits.statistics.overlaps import Statistics


@dataclass(frozen=True)
class BlockSpectrum:
    """The limiting spectrum of one d x d block. Made by ``asymptotic``.

    Attributes:
        bulk: edges, density, distribution, atom at 0.
        alpha: samples per dimension, M/dim.
        dim: the dimension that finite-size quantities refer to; None in the strict limit.
    """

    bulk: Bulk
    alpha: float
    dim: int | None

    #: How ``plot`` draws it.
    picture: ClassVar[str] = "spectrum"

    @property
    def law(self) -> WeightLaw:
        """The law of the samples' weights."""
        return self.bulk.companion.law

    @property
    def space(self) -> SignalSpace:
        """Coordinates of V, the span of the neurons and the fixed directions."""
        return self.law.space

    @property
    def samples(self) -> float:
        """M = alpha dim; inf in the strict limit."""
        return np.inf if self.dim is None else self.alpha * self.dim

    @cached_property
    def outliers(self) -> tuple[Outlier, ...]:
        """Eigenvalues outside the bulk, by decreasing value."""
        return find_outliers(self.bulk)

    @property
    def error(self) -> float:
        """Estimated error of the edge or outlier that is known worst, from the law's nodes."""
        return max([self.bulk.error, *(outlier.error for outlier in self.outliers)])

    @property
    def relative_error(self) -> float:
        """``error`` in units of the largest eigenvalue in size."""
        sizes = [abs(edge.x) for edge in (self.bulk.left, self.bulk.right)]
        return self.error / max([*sizes, *(abs(outlier.value) for outlier in self.outliers)])

    @cached_property
    def eigenspace(self) -> Eigenspace:
        """Counts of eigenvalues, and shares of vectors, down to any level."""
        return Eigenspace(self.bulk, self.outliers, self._finite() - self.space.rank)

    def __repr__(self) -> str:
        """Edges of the bulk, and the outliers."""
        return f"BlockSpectrum({self._bulk()}; outliers {self._outliers()})"

    def _bulk(self) -> str:
        at = "" if self.dim is None else f", dim={self.dim}"
        edges = f"bulk {self.bulk.left.x:.4g} to {self.bulk.right.x:.4g}"
        return f"alpha={self.alpha:g}{at}: {edges}"

    def _outliers(self) -> str:
        return numbers(one.value for one in self.outliers) or "none"

    def _repr_html_(self) -> str:
        rows = [
            (number(one.value), one.side, number(one.mass), f"{one.error:.1e}")
            for one in self.outliers
        ]
        head = ("outlier", "side of the bulk", "mass in the span", "error")
        return rows_table(f"Limiting spectrum, {self._bulk()}", head, rows)

    def outline(self) -> Outline:
        """What ``plots.spectrum`` draws."""
        pieces = [
            np.concatenate([[part.x_low], piece.x, [part.x_high]])
            for part, piece in self.bulk.by_component()
        ]
        curves = [(x, self.bulk.density(x)) for x in pieces]
        edges = [(part.x_low, part.x_high) for part in self.bulk.components]
        outliers = [(one.value, one.deviation / self.samples**0.5) for one in self.outliers]
        if self.dim is None:
            outliers = [(value, np.nan) for value, _ in outliers]
        return Outline(curves, edges, outliers, self.bulk.atom)

    # -- numbers at finite dim -----------------------------------------------------------------

    def deviation(self, outlier: Outlier) -> float:
        """Standard deviation of a simple outlier at this dim."""
        self._finite()
        return outlier.deviation / self.samples**0.5

    def extreme(self, side: str = "right") -> tuple[float, float]:
        """Mean and standard deviation of the outermost bulk eigenvalue (Tracy-Widom)."""
        noise_dim = self._finite() - self.space.rank
        right = _validate.one_of("side", side, ("right", "left")) == "right"
        edge: Edge = self.bulk.right if right else self.bulk.left
        inwards = 1.0 if right else -1.0
        width = edge.scale * noise_dim ** (-2 / 3)
        return edge.x + inwards * TRACY_WIDOM_MEAN * width, TRACY_WIDOM_SD * width

    def distance_to_transition(self, side: str = "right") -> float:
        """Smallest |kappa_i/gamma - 1| at an edge: how far its nearest signal is from separating.

        Below about n^(-1/3) the outermost eigenvalue does not follow Tracy-Widom's law.
        """
        right = _validate.one_of("side", side, ("right", "left")) == "right"
        edge = self.bulk.right if right else self.bulk.left
        companion = self.bulk.companion
        return float(np.abs(companion.strengths(edge.a) / companion.gamma - 1).min())

    def _finite(self) -> int:
        if self.dim is None:
            raise ValueError("dim=None: fluctuations need the dimension; give asymptotic(dim=...).")
        return self.dim

    # -- directions ----------------------------------------------------------------------------

    def direction(self, neurons: object = None, frame: object = None) -> np.ndarray:
        """Coordinates in V of the unit vector along a combination of rows of W and of the frame.

        Args:
            neurons: coefficients of the rows of W, shape (width,), or the index of one row.
            frame: coefficients of the rows of the frame, or the index of one.

        Raises:
            ValueError: if the combination is zero.
        """
        vector = _combine("neurons", neurons, self.space.neurons)
        vector = vector + _combine("frame", frame, self.space.frame)
        norm = np.linalg.norm(vector)
        if norm == 0:
            raise ValueError(f"neurons={neurons!r}, frame={frame!r}: the combination is zero.")
        return vector / norm

    def overlaps(self, directions: np.ndarray) -> np.ndarray:
        """Squared overlaps of outliers and fixed unit vectors, shape (outliers, directions).

        Args:
            directions: coordinates in V, shape (directions, rank). The part of a fixed vector
                orthogonal to V has overlaps of order 1/dim.
        """
        directions = np.atleast_2d(directions)
        return np.array([[o.overlap(e) for e in directions] for o in self.outliers]).reshape(
            len(self.outliers), len(directions)
        )

    def captured(self, direction: np.ndarray, count: int) -> float:
        """Squared norm of a unit vector's part in E_k, the k eigenvalues largest in size.

        Outliers that are separated, and the vector's share of the top of the bulk for the others;
        the square root is the alignment rho.

        Args:
            direction: coordinates in V, shape (rank,).
            count: k.

        Raises:
            ValueError: without a dim, which says what share of the bulk k eigenvalues are.
        """
        count = _validate.integer("count", count, 0, self._finite())
        return self.eigenspace.captured(direction, count)


def asymptotic(
    model: MultiIndexModel,
    u: Statistics,
    block: tuple[int, int] = (0, 0),
    *,
    kind: Kind = "hessian",
    alpha: float,
    dim: int | None = None,
    nodes: int | None = None,
    truncate: bool = True,
) -> BlockSpectrum:
    """The limiting spectrum of (1/M) sum_l D_l X_l X_lᵀ, M = alpha dim fresh samples X_l.

    D = d2l/ds_i ds_j (Hessian, almost everywhere; the ridge, which would shift the diagonal blocks
    by its value, is left out) or dl/ds_i dl/ds_j (gradient matrix).

    Args:
        model: a ``MultiIndexModel``, on a mixture or with a teacher.
        u: the statistics at which the matrix is taken.
        block: neurons (i, j), from 0.
        kind: "hessian" or "gradient".
        alpha: samples per dimension, M/dim.
        dim: the dimension; then n = dim - rank V replaces dim, and the tails of the weights'
            law that M samples do not show are cut. None: the strict limit.
        nodes: quasi-random nodes of the weights' law; default 2^17, more for M above 2^14 and where
            that does not give 1e-3 of the largest eigenvalue, up to 2^19.
        truncate: with dim, cut the tails of mass 1/(2M). Weights whose extremes are rare would
            otherwise give an edge that no sample of this size reaches.

    Returns:
        The spectrum, with errors; its parts are computed when asked for.

    Warns:
        InaccurateWarning: if ``nodes`` is left out and 2^19 do not give 1e-3.

    Raises:
        TypeError, ValueError: for arguments that do not fit.

    Source: Silverstein and Bai (1995) for the bulk, Baik, Ben Arous and Peche (2005) for the
    transition; the blocks are those of Ben Arous, Gheissari, Huang and Jagannath (2023).
    """
    alpha = _validate.positive("alpha", alpha)
    samples = None
    if dim is not None:
        dim = _validate.integer("dim", dim, model.minimum_dim + 1)
        samples = alpha * dim
    build = lambda count: WeightLaw.create(model, u, block, kind, count)  # noqa: E731
    if nodes is not None:
        return of_law(build(nodes), alpha, dim, truncate)
    return accurate_spectrum(
        f"spectrum of block {block} ({kind})",
        build,
        nodes_for(samples),
        lambda law: of_law(law, alpha, dim, truncate),
    )


def accurate_spectrum(
    name: str,
    build: Callable[[int], WeightLaw],
    count: int,
    spectrum: Callable[[WeightLaw], BlockSpectrum],
) -> BlockSpectrum:
    """On ``count`` nodes, or more where edges and outliers are not known to 1e-3.

    Warns:
        InaccurateWarning: if the most nodes do not reach that.
    """
    while True:
        found = spectrum(build(count))
        error = found.relative_error
        if error <= ENOUGH:
            return found
        if count >= MOST_NODES:
            break
        count = min(4 * count, MOST_NODES)
    warnings.warn(
        f"{name} is known to {error:.1e} of its scale only, by {count} nodes; its errors say so. "
        "For less of it give more nodes=, up to 2**24; or a dim=, which cuts tails that no "
        "sample shows.",
        InaccurateWarning,
        stacklevel=3,
    )
    return found


def of_law(
    law: WeightLaw, alpha: float, dim: int | None = None, truncate: bool = True
) -> BlockSpectrum:
    """The spectrum for a law of weights that is already there."""
    samples = None if dim is None else alpha * dim
    gamma = 1 / alpha if dim is None else (dim - law.space.rank) / (alpha * dim)
    law = law.truncate(samples) if samples is not None and truncate else law
    return BlockSpectrum(Bulk(Companion(law, gamma), samples), alpha, dim)


def _combine(name: str, what: object, rows: np.ndarray) -> np.ndarray:
    if what is None:
        return np.zeros(rows.shape[1])
    if np.ndim(what) == 0:  # type: ignore[arg-type]
        return rows[_validate.integer(name, what, 0, len(rows) - 1)]
    coefficients = np.asarray(what, dtype=float)
    if coefficients.shape != (len(rows),):
        raise ValueError(f"{name}: expected {len(rows)} coefficients, got {coefficients.shape}.")
    return coefficients @ rows
