"""Sums over samples as linear operators: nothing of size dim x dim is formed unless asked for.

Products go through the samples in chunks, many columns at a time, so one sweep serves a whole block
of vectors. SciPy's eigen-solvers take these operators as they are.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.sparse.linalg import LinearOperator

from sgdlimits import _resources
from sgdlimits._tracing import dynamic
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.blocks import Kind
from sgdlimits.spectra.sampled.samples import AbstractSamples
from sgdlimits.statistics.overlaps import Parameters


class SampleMatrix(LinearOperator):
    """An empirical Hessian or gradient matrix, or a block of one.

    Attributes:
        shape: of the matrix.
        definite: 1 or -1 if every sample adds a matrix of that sign, else 0 (not known).
        name: what it is, for messages.
    """

    shape: tuple[int, int]
    definite: int = 0
    name: str = ""

    def __init__(self, shape: tuple[int, int]):
        super().__init__(np.dtype(float), shape)
        self._dense: np.ndarray | None = None

    @abstractmethod
    def _form(self) -> np.ndarray:
        """The matrix itself."""

    def dense(self) -> np.ndarray:
        """The matrix itself; formed once.

        Raises:
            ValueError: if it does not fit in memory.
        """
        if self._dense is None:
            rows, columns = self.shape
            _resources.check_fits(
                self.name, 8.0 * rows * columns, "use top(...), which is matrix-free"
            )
            self._dense = self._form()
        return self._dense

    @property
    def formed(self) -> bool:
        """Whether the matrix itself is at hand."""
        return self._dense is not None

    def eigenvalues(self) -> np.ndarray:
        """All eigenvalues, increasing; forms the matrix.

        Raises:
            ValueError: if the matrix is not square: it has singular values.
        """
        require_square(self)
        return np.linalg.eigvalsh(self.dense())

    def singular_values(self) -> np.ndarray:
        """All singular values, decreasing; forms the matrix."""
        return np.linalg.svd(self.dense(), compute_uv=False)


def require_square(matrix: Any) -> None:
    """Raise ValueError unless the matrix is square."""
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"{getattr(matrix, 'name', 'matrix')} has shape {matrix.shape} and no eigenvalues; "
            "use singular_values()."
        )


class WeightedCovariance(SampleMatrix):
    """(1/M) sum_l D_l X_l X_lᵀ."""

    def __init__(self, samples: AbstractSamples, weights: np.ndarray, name: str):
        super().__init__((samples.dim, samples.dim))
        self.samples, self.weights, self.name = samples, weights, name
        self.definite = 1 if (weights >= 0).all() else -1 if (weights <= 0).all() else 0

    def _matmat(self, X: np.ndarray) -> np.ndarray:
        if self._dense is not None:
            return self._dense @ X
        total = np.zeros(X.shape)
        for rows, x, _ in self.samples.chunks():
            weight = (self.weights[rows, None] / self.samples.count).astype(x.dtype)
            total += x.T @ (weight * (x @ X.astype(x.dtype)))
        return total

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return self._matmat(x.reshape(-1, 1))[:, 0]

    def _adjoint(self) -> "WeightedCovariance":  # pyright: ignore[reportIncompatibleMethodOverride]
        return self

    def _form(self) -> np.ndarray:
        return _formed([self])[0]


def form_together(matrices: Sequence[SampleMatrix]) -> None:
    """Form several weighted covariances of the same samples in one sweep."""
    waiting = [m for m in matrices if isinstance(m, WeightedCovariance) and not m.formed]
    if not waiting:
        return
    if any(m.samples is not waiting[0].samples for m in waiting):
        raise ValueError("matrices: expected matrices of the same samples.")
    size = 8.0 * len(waiting) * waiting[0].shape[0] ** 2
    _resources.check_fits(f"{len(waiting)} matrices", size, "ask for fewer at once")
    for matrix, dense in zip(waiting, _formed(waiting), strict=True):
        matrix._dense = dense


def _formed(matrices: Sequence[WeightedCovariance]) -> list[np.ndarray]:
    samples = matrices[0].samples
    totals = [np.zeros(m.shape) for m in matrices]
    for rows, x, _ in samples.chunks():
        for matrix, total in zip(matrices, totals, strict=True):
            total += _weighted_square(x, matrix.weights[rows] / samples.count, matrix.definite)
    return [(total + total.T) / 2 for total in totals]  # symmetric to the last bit


def _weighted_square(x: np.ndarray, weight: np.ndarray, definite: int) -> np.ndarray:
    """sum_l w_l x_l x_lᵀ."""
    seen = weight != 0  # a ReLU that is off adds nothing
    if not seen.all():
        x, weight = x[seen], weight[seen]
    if definite:
        # A matrix times its own transpose takes half the operations of a product of two.
        scaled = np.sqrt(np.abs(weight)).astype(x.dtype)[:, None] * x
        return definite * (scaled.T @ scaled)
    return x.T @ (weight.astype(x.dtype)[:, None] * x)


class InMemory(SampleMatrix):
    """A matrix that is small enough to have been summed up: v v, and v W_j."""

    def __init__(self, matrix: np.ndarray, name: str):
        rows, columns = matrix.shape
        super().__init__((rows, columns))
        self._dense, self.name = matrix, name

    def _form(self) -> np.ndarray:
        assert self._dense is not None
        return self._dense

    def _matmat(self, X: np.ndarray) -> np.ndarray:
        return self._form() @ X

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return self._form() @ x.reshape(-1)

    def _adjoint(self) -> "InMemory":  # pyright: ignore[reportIncompatibleMethodOverride]
        return InMemory(self._form().T, f"{self.name}, transposed")


class Whole(SampleMatrix):
    """The matrix of all neurons, or of all parameters: vectors are (v, then W by rows).

    A product differentiates the gradients of the samples along the vectors, so that not even a
    width x width matrix per sample is stored.
    """

    def __init__(
        self,
        model: MultiIndexModel,
        parameters: Parameters,
        samples: AbstractSamples,
        kind: Kind,
        second_layer: bool,
        name: str,
    ):
        width, dim = parameters.W.shape
        self._layer = len(parameters.v) if second_layer else 0
        size = self._layer + width * dim
        super().__init__((size, size))
        self.model, self.parameters, self.samples = dynamic(model), parameters, samples
        self.kind: Kind = kind
        self.name = name
        self.definite = 1 if kind == "gradient" else 0

    def _matmat(self, X: np.ndarray) -> np.ndarray:
        (width, dim), layer, count = self.parameters.W.shape, self._layer, X.shape[1]
        W = np.asarray(self.parameters.W)
        of_v = np.zeros((len(self.parameters.v), count))
        of_v[:layer] = X[:layer]
        of_W = X[layer:].reshape(width, dim, count)
        total_v, total_W = np.zeros((len(self.parameters.v), count)), np.zeros(of_W.shape)
        side = np.moveaxis(of_W, 1, 0).reshape(dim, width * count)
        for _, x, labels in self.samples.chunks():
            along = (x @ side.astype(x.dtype)).reshape(len(x), width, count).astype(float)
            dv, ds = _products(
                self.model, self.parameters.v, jnp.asarray(x @ W.T.astype(x.dtype)),
                jnp.asarray(labels), jnp.asarray(of_v), jnp.asarray(along), self.kind,
            )  # fmt: skip
            total_v += np.asarray(dv)
            ds = np.asarray(ds).astype(x.dtype).reshape(len(x), -1)
            total_W += np.moveaxis((x.T @ ds).reshape(dim, width, count), 0, 1)
        total = np.concatenate([total_v[:layer], total_W.reshape(width * dim, count)])
        return total / self.samples.count

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return self._matmat(x.reshape(-1, 1))[:, 0]

    def _adjoint(self) -> "Whole":  # pyright: ignore[reportIncompatibleMethodOverride]
        return self

    def _form(self) -> np.ndarray:
        size, columns = self.shape[0], []
        for first in range(0, size, 64):
            columns.append(self._matmat(np.eye(size)[:, first : first + 64]))
        matrix = np.concatenate(columns, axis=1)
        return (matrix + matrix.T) / 2


@eqx.filter_jit
def _products(
    model: MultiIndexModel, v: Array, s: Array, labels: Array, of_v: Array, of_s: Array, kind: Kind
) -> tuple[Array, Array]:
    """Sum over the samples of the v-part, and per sample the s-part, of matrix times vectors."""

    def gradient(v: Array, s: Array, y: Array) -> tuple[Array, Array]:
        g, h = model.sample_gradients(v, s, y)
        return h, g

    def of_sample(s: Array, y: Array, dv: Array, ds: Array) -> tuple[Array, Array]:
        if kind == "hessian":
            return jax.jvp(lambda v, s: gradient(v, s, y), (v, s), (dv, ds))[1]
        h, g = gradient(v, s, y)
        along = jnp.sum(h * dv) + jnp.sum(g * ds)
        return along * h, along * g

    over_vectors = jax.vmap(of_sample, in_axes=(None, None, 1, 1), out_axes=1)
    out_v, out_s = jax.vmap(over_vectors, in_axes=(0, 0, None, 0))(
        jnp.asarray(s, float), labels, of_v, of_s
    )
    return out_v.sum(0), out_s
