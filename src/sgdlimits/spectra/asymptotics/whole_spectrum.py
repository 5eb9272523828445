"""Sharp asymptotics of the whole first-layer matrix, all blocks W_i W_j together.

With the resolvent's noise part M(z), a width x width matrix, and Theta = gamma M, R = (T^-1 -
Theta)^-1,

    gamma Theta^-1 = z - E[R],   B(z) = E[R ⊗ y yᵀ],

and outliers are the real z beyond the bulk at which z - B(z) is singular. Beyond the right edge the
operator L: E -> gamma Theta^-1 E Theta^-1 - E[R E R] is positive; the edge is where it ceases
to be. Solutions are followed in the trace of Theta, in which z has its minimum at the edge.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sgdlimits import _validate
from sgdlimits._roots import bracketed_root
from sgdlimits._shown import number, numbers, rows_table
from sgdlimits.limits.adequate import ENOUGH, InaccurateWarning
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.asymptotics.matrix_law import MatrixLaw
from sgdlimits.spectra.asymptotics.outline import Outline
from sgdlimits.spectra.blocks import Kind
from sgdlimits.statistics.overlaps import Statistics

_NODES = 2**14
_NEWTON_STEPS = 50
_TOLERANCE = 1e-11
_SOFT = (0.0, 1e-8, 1e-6)  # relative sizes below which a direction is soft at the edge
_GROWTH = 1.3  # of the trace while an edge is searched for
_AVERAGINGS = 400
_AT_ZERO = 1e-10  # relative size of a z that has come down to an atom of eigenvalues 0


class WholeOutlier(NamedTuple):
    """One eigenvalue outside the bulk, and its vector.

    Attributes:
        value: its limit.
        mass: squared norm of the part of its unit vector in R^width ⊗ V.
        vector: unit vector along that part, shape (width, rank): row i is neuron i's part.
        error: estimated error of ``value``, from the nodes of the weights' law.
    """

    value: float
    mass: float
    vector: np.ndarray
    error: float

    def overlap(self, direction: np.ndarray) -> float:
        """Squared overlap with a fixed unit vector, given in V: shape (width, rank)."""
        return float(self.mass * np.sum(self.vector * direction) ** 2)


class _Point(NamedTuple):
    """A solution beyond the edge."""

    Theta: np.ndarray
    z: float
    slope: float  # dz / d tr Theta, negative beyond the edge


@dataclass(frozen=True)
class WholeSpectrum:
    """Limiting spectrum of the (width dim) x (width dim) matrix. Made by ``whole``.

    Attributes:
        law: law of the weights.
        gamma: n/M.
    """

    law: MatrixLaw
    gamma: float

    #: How ``plot`` draws it.
    picture: ClassVar[str] = "spectrum"

    def __repr__(self) -> str:
        """Edges of the bulk, and the outliers."""
        outliers = numbers(one.value for one in self.outliers) or "none"
        return f"WholeSpectrum(bulk {self.left:.4g} to {self.right:.4g}; outliers {outliers})"

    def _repr_html_(self) -> str:
        rows = [(number(x.value), number(x.mass), f"{x.error:.1e}") for x in self.outliers]
        title = f"Limiting spectrum, bulk {self.left:.4g} to {self.right:.4g}"
        return rows_table(title, ("outlier", "mass in the span", "error"), rows)

    def outline(self) -> Outline:
        """What ``plots.spectrum`` draws: no density, as none is computed."""
        outliers = [(one.value, np.nan) for one in self.outliers]
        return Outline([], [(self.left, self.right)], outliers)

    # -- averages over the law -----------------------------------------------------------------

    @cached_property
    def _averages(self) -> Callable[[Array], tuple[Array, Array]]:
        mass, T = jnp.asarray(self.law.mass), jnp.asarray(self.law.T)
        eye = jnp.eye(T.shape[1])

        @jax.jit
        def averages(Theta: Array) -> tuple[Array, Array]:
            weights = T.astype(Theta.dtype)
            R = jnp.linalg.solve(eye.astype(Theta.dtype) - weights @ Theta, weights)
            flat = R.reshape(len(T), -1)
            weighted = mass.astype(Theta.dtype)[:, None] * flat
            return weighted.sum(0).reshape(eye.shape), weighted.T @ flat

        return averages

    def _operator(self, Theta: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """L on matrices written row by row."""
        k = len(Theta)
        inverse = np.linalg.inv(Theta)
        # E[R E R]_ab = sum_cd E[R_ac R_db] E_cd
        second = pairs.reshape(k, k, k, k).transpose(0, 3, 1, 2).reshape(k * k, k * k)
        return self.gamma * np.kron(inverse, inverse.T) - second

    def _step(self, Theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """L, and gamma Theta^-1 + E[R], which is z I at a solution."""
        mean, pairs = (np.asarray(x) for x in self._averages(jnp.asarray(Theta)))
        return self._operator(Theta, pairs), self.gamma * np.linalg.inv(Theta) + mean

    def _at_value(self, Theta: np.ndarray, z: complex) -> np.ndarray | None:
        """Newton's method at one z; None if it does not converge."""
        k = len(Theta)
        for _ in range(_NEWTON_STEPS):
            operator, total = self._step(Theta)
            if not np.isfinite(operator).all():
                return None
            step = np.linalg.solve(operator, (total - z * np.eye(k)).ravel()).reshape(k, k)
            Theta = Theta + (step + step.T) / 2
            if np.abs(step).max() <= _TOLERANCE * np.abs(Theta).max():
                return Theta
        return None

    def _at_trace(self, Theta: np.ndarray, trace: float, soft: float = 0.0) -> _Point | None:
        """Newton's method for (Theta, z) at one trace, regular at the edge too.

        Where neurons are alike, several directions are soft at the edge. By symmetry the solution
        does not move along these, and least squares leave them alone.
        """
        k = len(Theta)
        eye = np.eye(k).ravel()
        for _ in range(_NEWTON_STEPS):
            operator, total = self._step(Theta)
            if not np.isfinite(operator).all():
                return None
            bordered = np.block([[operator, eye[:, None]], [eye[None, :], np.zeros((1, 1))]])
            wanted = np.append(total.ravel(), trace - np.trace(Theta))
            along = np.append(np.zeros(k * k), 1.0)
            right = np.stack([wanted, along], axis=1)
            solved = (
                np.linalg.lstsq(bordered, right, rcond=soft)[0]
                if soft
                else np.linalg.solve(bordered, right)
            )
            step = solved[:-1, 0].reshape(k, k)
            Theta = Theta + (step + step.T) / 2
            if np.abs(step).max() <= _TOLERANCE * np.abs(Theta).max():
                return _Point(Theta, float(solved[-1, 0]), float(solved[-1, 1]))
        return None

    def _positive(self, Theta: np.ndarray) -> bool:
        """Whether no pole of R was passed: all 1 - eigenvalues of T Theta are positive."""
        if np.linalg.eigvalsh(Theta)[0] <= 0:
            return False
        root = np.linalg.cholesky(Theta)
        values = np.linalg.eigvalsh(np.swapaxes(root[None], -1, -2) @ self.law.T @ root)
        return bool(values.max() < 1)

    # -- outside the bulk ----------------------------------------------------------------------

    @cached_property
    def _mirrored(self) -> "WholeSpectrum":
        """The spectrum of minus the matrix, whose right side is the left side of this one."""
        return WholeSpectrum(replace(self.law, T=-self.law.T), self.gamma)

    @cached_property
    def _zero_is_lowest(self) -> bool:
        """Whether no weight is negative and a count of ranks leaves eigenvalues 0."""
        values = np.linalg.eigvalsh(self.law.T)
        tiny, k = 1e-10 * np.abs(values).max(), values.shape[1]
        rank = self.law.mass @ (values > tiny).sum(1)
        mean = np.einsum("n,nij->ij", self.law.mass, self.law.T)
        common = (np.linalg.eigvalsh(mean) > tiny).sum()
        return bool(values.min() >= -tiny and (rank < self.gamma * k or common < k))

    @cached_property
    def _branch(self) -> list[_Point]:
        """Solutions from far right to beyond the edge; the last two bracket it."""
        k = self.law.T.shape[1]
        far = 100 * float(np.abs(self.law.T).max() * k * (1 + self.gamma))
        point = self._at_trace(self.gamma / far * np.eye(k), self.gamma / far * k)
        assert point is not None
        points, growth = [point], _GROWTH
        while points[-1].slope < 0 and abs(points[-1].z) > _AT_ZERO * far:
            last = points[-1]
            trace = growth * float(np.trace(last.Theta))
            new = self._at_trace(last.Theta * growth, trace)
            if new is not None and self._positive(new.Theta):
                points.append(new)
            elif growth > 1 + 1e-8:
                growth = 1 + (growth - 1) / 2
            else:
                break  # the edge is at the largest weight: thin tails
        return points

    def _at(self, trace: float) -> _Point:
        """The solution at one trace of Theta, from its neighbours on the branch."""
        traces = np.array([np.trace(p.Theta) for p in self._branch])
        i = int(np.clip(np.searchsorted(traces, trace), 1, len(traces) - 1))
        share = (trace - traces[i - 1]) / (traces[i] - traces[i - 1])
        below, above = self._branch[i - 1].Theta, self._branch[i].Theta
        start = below + share * (above - below)
        for soft in _SOFT:
            if (found := self._at_trace(start, trace, soft)) is not None:
                return found
        raise ArithmeticError(f"trace={trace!r}: Newton's method does not converge.")

    @cached_property
    def _edge(self) -> _Point:
        last = self._branch[-2:]
        if last[-1].slope < 0:
            return last[-1]
        low, high = (float(np.trace(p.Theta)) for p in last)
        # z is stationary there: its error is the square of this.
        root = bracketed_root(lambda t: self._at(t).slope, low, high, 1e-8 * high)
        return self._at(root)

    @property
    def right(self) -> float:
        """Largest eigenvalue of the bulk; 0 (a hard edge) if an atom of eigenvalues 0 is."""
        return 0.0 if self._mirrored._zero_is_lowest else self._edge.z

    @property
    def left(self) -> float:
        """Smallest eigenvalue of the bulk; 0 (a hard edge) if an atom of eigenvalues 0 is."""
        return 0.0 if self._zero_is_lowest else -self._mirrored.right

    @property
    def right_error(self) -> float:
        """Estimated error of ``right``, from the nodes of the weights' law."""
        return 0.0 if self._mirrored._zero_is_lowest else self._edge_error

    @property
    def left_error(self) -> float:
        """Estimated error of ``left``."""
        return 0.0 if self._zero_is_lowest else self._mirrored.right_error

    @property
    def error(self) -> float:
        """Of the edge or outlier that is known worst."""
        return max([self.left_error, self.right_error, *(one.error for one in self.outliers)])

    @property
    def relative_error(self) -> float:
        """Error of the edge that is known worst, in units of the other one if that is larger."""
        return max(self.left_error, self.right_error) / max(abs(self.left), abs(self.right))

    @cached_property
    def _edge_error(self) -> float:
        """z is stationary along the solutions: it moves by the part of E[R] along these."""
        Theta = self._edge.Theta
        operator, _ = self._step(Theta)
        along = _along(operator, _SOFT[1])
        R = _resolvents(self.law.T, Theta)
        return self.law.error(np.einsum("ij,nij->n", along, R) / np.trace(along))

    def _signal(self, Theta: np.ndarray) -> np.ndarray:
        """B, of size width * rank."""
        return _kron_mean(self.law, _resolvents(self.law.T, Theta))

    @cached_property
    def outliers(self) -> tuple[WholeOutlier, ...]:
        """Eigenvalues on either side of the bulk, by decreasing value."""
        right = () if self._mirrored._zero_is_lowest else self._right_outliers
        left = () if self._zero_is_lowest else self._mirrored._right_outliers
        return (*right, *(one._replace(value=-one.value) for one in reversed(left)))

    @cached_property
    def _right_outliers(self) -> tuple[WholeOutlier, ...]:

        @lru_cache
        def margins(trace: float) -> np.ndarray:
            point = self._at(trace)
            return np.linalg.eigvalsh(self._signal(point.Theta))[::-1] - point.z

        edge = float(np.trace(self._edge.Theta)) * (1 - 1e-9)
        traces = [float(np.trace(p.Theta)) for p in self._branch]
        traces = [t for t in traces if t < edge] + [edge]
        along = np.array([margins(t) for t in traces])
        found = []
        for index in range(int((along[-1] > 0).sum())):
            above = int(np.argmax(along[:, index] > 0))
            margin = lambda t, i=index: float(margins(t)[i])  # noqa: E731
            trace = bracketed_root(margin, traces[above - 1], traces[above], 1e-12 * edge)
            found.append(self._outlier(self._at(trace), index))
        return tuple(found)

    def _outlier(self, point: _Point, index: int) -> WholeOutlier:
        R = _resolvents(self.law.T, point.Theta)
        _, pairs = self._averages(jnp.asarray(point.Theta))
        k = len(point.Theta)
        operator = self._operator(point.Theta, np.asarray(pairs))
        turn = -np.linalg.solve(operator, np.eye(k).ravel()).reshape(k, k)
        q = np.linalg.eigh(self._signal(point.Theta)).eigenvectors[:, -1 - index]
        slope = q @ _kron_mean(self.law, R @ turn @ R) @ q
        mass, Q = float(1 / (1 - slope)), q.reshape(k, -1)
        return WholeOutlier(point.z, mass, Q, mass * self._root_error(R, operator, Q))

    def _root_error(self, R: np.ndarray, operator: np.ndarray, q: np.ndarray) -> float:
        """Of the largest eigenvalue of B at fixed z: by its own nodes, and through Theta."""
        law, (k, r) = self.law, q.shape
        second = law.second.reshape(-1, r, r)
        seen = np.einsum("ia,nab,jb->nij", q, second, q, optimize=True)  # (q_i y)(q_j y)
        through = np.einsum("n,nij->ij", law.mass, R @ seen @ R)  # d/dTheta of qᵀ B q
        moved = np.linalg.solve(operator.T, through.ravel()).reshape(k, k)
        return law.error(np.einsum("nij,nij->n", R, seen + moved))

    # -- bulk ----------------------------------------------------------------------------------

    def density(self, x: np.ndarray, width: float | None = None) -> np.ndarray:
        """Density of all eigenvalues at ``x``, averaged over a Cauchy law of this width.

        Args:
            x: eigenvalues, shape (points,).
            width: half width of the average; default 1/200 of the distance between the edges.
        """
        x = np.atleast_1d(np.asarray(x, dtype=float))
        if width is None:
            width = (self.right - self.left) / 200
        width = _validate.positive("width", width)
        k = self.law.T.shape[1]
        result, Theta = np.empty(len(x)), None
        for i in np.argsort(-x):
            z = complex(x[i], width)
            start = self.gamma / z * np.eye(k) if Theta is None else Theta
            Theta = self._complex(start, z)
            result[i] = -np.trace(Theta).imag / (np.pi * self.gamma * k)
        return result

    def _complex(self, Theta: np.ndarray, z: complex) -> np.ndarray:
        """The solution with negative imaginary part: averaged iteration always leads to it."""
        for _ in range(_AVERAGINGS):
            solved = self._at_value(Theta, z)
            if solved is not None and np.linalg.eigvalsh(_imaginary(solved))[-1] < 0:
                return solved
            for _ in range(10):
                mean, _ = self._averages(jnp.asarray(Theta))
                image = self.gamma * np.linalg.inv(z * np.eye(len(Theta)) - np.asarray(mean))
                Theta = (Theta + image) / 2
        raise ArithmeticError(f"x={z.real!r}: no solution was found at width {z.imag!r}.")


def whole(
    model: MultiIndexModel,
    u: Statistics,
    *,
    kind: Kind = "hessian",
    alpha: float,
    dim: int | None = None,
    nodes: int | None = None,
) -> WholeSpectrum:
    """The limiting spectrum of (1/M) sum_l D_l ⊗ X_l X_lᵀ, M = alpha dim fresh samples X_l.

    D = d2l/ds2 (Hessian in the first layer, almost everywhere and without ridge) or dl/ds dl/dsᵀ
    (gradient matrix); eigenvectors have one part in R^dim for each neuron.

    Args:
        model: a ``MultiIndexModel``, on a mixture or with a teacher.
        u: the statistics at which the matrix is taken.
        kind: "hessian" or "gradient".
        alpha: samples per dimension, M/dim.
        dim: the dimension; then n = dim - rank V replaces dim, and weights so large that M samples
            do not show them (mass 1/(2M)) are left out. None: the strict limit.
        nodes: quasi-random nodes of the weights' law; default 2^14. A step of the solver takes
            nodes * width^4 operations: seconds in all for a few neurons, minutes for ten with many
            outliers.

    Warns:
        InaccurateWarning: if ``nodes`` is left out and edges are not known to 1e-3 by 2^14.

    Raises:
        TypeError, ValueError: for arguments that do not fit.

    Source: operator-valued form of Silverstein and Bai (1995); matrices of Ben Arous, Gheissari,
    Huang and Jagannath (2023), section 2.
    """
    alpha = _validate.positive("alpha", alpha)
    if dim is not None:
        dim = _validate.integer("dim", dim, model.minimum_dim + 1)
    law = MatrixLaw.create(model, u, kind, _NODES if nodes is None else nodes)
    found = (
        WholeSpectrum(law, 1 / alpha)
        if dim is None
        else WholeSpectrum(law.truncate(alpha * dim), (dim - law.space.rank) / (alpha * dim))
    )
    if nodes is None and found.relative_error > ENOUGH:
        warnings.warn(
            f"edges of the whole spectrum ({kind}) are known to {found.relative_error:.1e} of its "
            f"scale only, by {_NODES} nodes; its errors say so. For less of it give more nodes=, "
            "which takes longer in proportion.",
            InaccurateWarning,
            stacklevel=2,
        )
    return found


def _along(operator: np.ndarray, soft: float) -> np.ndarray:
    """The direction in which Theta moves with its trace at an edge, where the operator is soft."""
    k = round(len(operator) ** 0.5)
    eye = np.eye(k).ravel()
    bordered = np.block([[operator, eye[:, None]], [eye[None, :], np.zeros((1, 1))]])
    wanted = np.append(np.zeros(k * k), 1.0)
    along = np.linalg.lstsq(bordered, wanted, rcond=soft)[0][:-1].reshape(k, k)
    return (along + along.T) / 2


def _resolvents(T: np.ndarray, Theta: np.ndarray) -> np.ndarray:
    return np.linalg.solve(np.eye(len(Theta)) - T @ Theta, T)


def _kron_mean(law: MatrixLaw, R: np.ndarray) -> np.ndarray:
    """E[R ⊗ y yᵀ]."""
    k, r = R.shape[1], law.space.rank
    mean = (law.mass[:, None] * R.reshape(len(R), -1)).T @ law.second
    mean = mean.reshape(k, k, r, r).transpose(0, 2, 1, 3).reshape(k * r, k * r)
    return (mean + mean.T) / 2


def _imaginary(Theta: np.ndarray) -> np.ndarray:
    part = np.imag(Theta)
    return (part + part.T) / 2
