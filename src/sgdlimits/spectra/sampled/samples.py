"""Samples in chunks: given ones, fresh ones, and those that a run of SGD was trained on.

Drawn samples depend on a key and their number alone. They are kept if they fit in the memory that
they may take, and drawn again in every sweep otherwise: M * dim numbers need not fit anywhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key
from numpy.typing import ArrayLike

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.data.base import AbstractDataLaw
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.process.initial import check_dim
from sgdlimits.randomness.streams import check_seed, run_keys
from sgdlimits.spectra.blocks import check_multi_index

#: Rows that a sweep works on, their samples (rows, dim) and labels (rows, outputs).
Chunk = tuple[slice, np.ndarray, np.ndarray]

_CHUNK_NUMBERS = 2**21  # entries of X at once: 16 MiB
MEMORY = 2**29  # bytes of samples that are kept by default


class AbstractSamples(ABC):
    """M samples in R^dim with their labels.

    Attributes:
        count: M.
        dim: dimension.
    """

    count: int
    dim: int

    @abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """All samples, chunk by chunk, the same in every sweep."""


class GivenSamples(AbstractSamples):
    """Samples that are in memory.

    Args:
        X: shape (count, dim).
        labels: what the model's loss is given, shape (count,) or (count, outputs).

    Raises:
        ValueError: for shapes that disagree, or numbers that are not finite.
    """

    def __init__(self, X: ArrayLike, labels: ArrayLike):
        self.X, table = np.asarray(X), np.asarray(labels, dtype=float)
        if self.X.dtype not in (np.float32, np.float64):
            self.X = self.X.astype(float)
        self.labels = table[:, None] if table.ndim == 1 else table
        if self.X.ndim != 2 or self.X.size == 0 or len(self.labels) != len(self.X):
            raise ValueError(
                f"X, labels have shapes {self.X.shape} and {table.shape}: expected (count, dim) "
                "and one label per sample."
            )
        if not np.isfinite(self.X).all() or not np.isfinite(self.labels).all():
            raise ValueError("X, labels: expected finite numbers.")
        self.count, self.dim = self.X.shape

    def chunks(self) -> Iterator[Chunk]:
        """Views of the arrays."""
        for rows in _rows(self.count, self.dim):
            yield rows, self.X[rows], self.labels[rows]


class DrawnSamples(AbstractSamples):
    """Samples of a model's data law, with the random numbers of a run of SGD that has this key.

    Step n has the key ``fold_in(key, n)``, and its samples those that it is split into.

    Args:
        model: whose data law.
        dim, count: how many numbers, how many samples.
        key: of all of them.
        dtype: "float64" or "float32", of X.
        memory: bytes that X may take; if it is larger it is drawn again in every sweep.
        batch: samples a step.
    """

    def __init__(
        self,
        model: MultiIndexModel,
        dim: int,
        count: int,
        key: Key[Array, ""],
        dtype: str = "float64",
        memory: float = MEMORY,
        batch: int = 1,
    ):
        self.key = key
        self.dim = check_dim(check_multi_index(model), dim)
        self.count = _validate.integer("count", count, 1)
        self.dtype = _validate.one_of("dtype", dtype, ("float64", "float32"))
        self.batch = _validate.integer("batch", batch, 1)
        self.law = dynamic(model.data, self.dtype)
        size = 1.0 * self.count * self.dim * np.dtype(self.dtype).itemsize
        self._keep = size <= _validate.nonnegative("memory", memory)
        self._kept: GivenSamples | None = None
        self._frame = model.frame(self.dim).astype(self.dtype)

    def chunks(self) -> Iterator[Chunk]:
        """Drawn, or kept from the first sweep."""
        if self._kept is None and self._keep:
            X = np.empty((self.count, self.dim), self.dtype)
            labels = np.empty((self.count, self.law.outputs))
            for rows, some, of_some in self._drawn():
                X[rows], labels[rows] = some, of_some
            self._kept = GivenSamples(X, labels)
        yield from self._drawn() if self._kept is None else self._kept.chunks()

    def _drawn(self) -> Iterator[Chunk]:
        size = _chunk_rows(self.dim)
        for rows in _rows(self.count, self.dim):
            # Always full chunks, so that one program is compiled; the surplus is dropped.
            first = jnp.asarray(rows.start)
            X, labels = _draw(self.law, self._frame, self.key, first, size, self.batch)
            used = rows.stop - rows.start
            yield rows, np.asarray(X)[:used], np.asarray(labels, dtype=float)[:used]


@eqx.filter_jit
def _draw(
    law: AbstractDataLaw, frame: Array, key: Key[Array, ""], first: Array, size: int, batch: int
) -> tuple[Array, Array]:
    def sample(n: Array) -> tuple[Array, Array]:
        own = jax.random.fold_in(key, n // batch)
        if batch > 1:
            own = jax.random.split(own, batch)[n % batch]
        return law.sample(own, frame, frame.dtype)

    return jax.vmap(sample)(first + jnp.arange(size))


def _chunk_rows(dim: int) -> int:
    return max(1, min(2**14, _CHUNK_NUMBERS // dim))


def _rows(count: int, dim: int) -> Iterator[slice]:
    size = _chunk_rows(dim)
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))


def fresh_samples(
    model: MultiIndexModel,
    dim: int,
    count: int,
    seed: int,
    *,
    run: int = 0,
    dtype: str = "float64",
    memory: float = MEMORY,
) -> DrawnSamples:
    """Test data: independent of every simulation, whatever its seed.

    Args:
        model: whose data law.
        dim: dimension.
        count: number M of samples.
        seed: integer seed.
        run: sets of different runs are independent.
        dtype: "float64" or "float32", of the samples.
        memory: bytes that the samples may take; a larger set is drawn again in every sweep.

    Raises:
        TypeError, ValueError: for an argument out of range.
    """
    run = _validate.integer("run", run, 0, 2**31 - 1)
    key = run_keys(check_seed(seed), "test", jnp.asarray([run]))[0]
    return DrawnSamples(model, dim, count, key, dtype, memory)


def training_samples(
    model: MultiIndexModel,
    dim: int,
    count: int,
    seed: int,
    *,
    run: int = 0,
    dtype: str = "float64",
    memory: float = MEMORY,
    batch: int = 1,
) -> DrawnSamples:
    """The first ``count`` samples of ``simulate(engine="sgd", seed=..., dtype=...)``.

    Drawn again from the run's own keys, so nothing has to be stored.

    Args:
        model: what was simulated.
        dim: its dimension.
        count: number of samples, which is that of steps times ``batch``.
        seed: seed of the simulation.
        run: number of the run.
        dtype: of the simulation.
        memory: bytes that the samples may take; a larger set is drawn again in every sweep.
        batch: of the simulation's algorithm, samples a step.

    Raises:
        TypeError, ValueError: for an argument out of range.
    """
    run = _validate.integer("run", run, 0, 2**31 - 1)
    key = run_keys(check_seed(seed), "sgd", jnp.asarray([run]))[0]
    return DrawnSamples(model, dim, count, key, dtype, memory, batch)
