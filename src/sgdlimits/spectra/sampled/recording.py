"""Record spectra while SGD runs: observers for ``simulate(engine="sgd", observe=[...])``."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
import xarray as xr

from sgdlimits import _validate
from sgdlimits.models.base import Model
from sgdlimits.randomness.streams import check_seed
from sgdlimits.simulation.observe import Snapshot
from sgdlimits.spectra.blocks import (
    KINDS,
    Block,
    BlockLike,
    block_shape,
    check_block_name,
    check_kind,
    check_multi_index,
    parse_block,
)
from sgdlimits.spectra.sampled.eigenpairs import Eigenpairs, top
from sgdlimits.spectra.sampled.empirical_matrices import empirical_blocks
from sgdlimits.spectra.sampled.operators import SampleMatrix, form_together
from sgdlimits.spectra.sampled.samples import (
    MEMORY,
    DrawnSamples,
    fresh_samples,
    training_samples,
)
from sgdlimits.statistics.overlaps import Parameters


class TestData(eqx.Module):
    """A test set: fresh samples, the same at every time, independent from run to run.

    Args:
        count: number of samples.
        seed: integer seed; need not differ from that of the simulation.
        memory: bytes that the samples may take; a larger set is drawn again in every sweep.
    """

    __test__ = False  # no test, whatever pytest makes of the name

    count: int
    seed: int = 0
    memory: float = MEMORY

    def __check_init__(self) -> None:
        _validate.integer("count", self.count, 1)
        check_seed(self.seed)
        _validate.nonnegative("memory", self.memory)

    def samples(self, snapshot: Snapshot) -> DrawnSamples:
        """The run's test set."""
        return fresh_samples(
            check_multi_index(snapshot.model), snapshot.frame.shape[1], self.count, self.seed,
            run=snapshot.run, memory=self.memory,
        )  # fmt: skip


class TrainingData(eqx.Module):
    """The samples that the run is trained on, from its first step.

    Args:
        count: number of samples; None: all that the run will have seen at its end ("full batch").
            The matrices at a time then also use samples that SGD has not yet seen.
        memory: as for ``TestData``.
        batch: samples a step. Left out, it is that of the run's algorithm; given, it must be that.
    """

    count: int | None = None
    memory: float = MEMORY
    batch: int | None = None

    def __check_init__(self) -> None:
        if self.count is not None:
            _validate.integer("count", self.count, 1)
        _validate.nonnegative("memory", self.memory)
        if self.batch is not None:
            _validate.integer("batch", self.batch, 1)

    def samples(self, snapshot: Snapshot) -> DrawnSamples:
        """The run's training set, drawn again from its keys.

        Raises:
            ValueError: if ``batch`` is given and not that of the run.
        """
        batch = snapshot.algorithm.batch
        if self.batch not in (None, batch):
            raise ValueError(
                f"batch={self.batch!r}: the run's algorithm takes {batch} samples a step; leave "
                "it out."
            )
        return training_samples(
            check_multi_index(snapshot.model), snapshot.frame.shape[1],
            snapshot.last_step * batch if self.count is None else self.count,
            snapshot.seed, run=snapshot.run, dtype=snapshot.dtype, memory=self.memory,
            batch=batch,
        )  # fmt: skip


class Spectrum(eqx.Module):
    """Top eigenvalues of empirical matrices, and the alignment of the parameters with E_k.

    Gives, for each kind, ``<kind>_eigenvalues`` (block, rank), the k eigenvalues of largest
    absolute value, NaN where the iteration did not converge; ``<kind>_alignment`` (block),
    rho(W_i, E_k) for W_i W_i and rho(v, E_k) for vv; and on demand ``<kind>_vectors`` and
    ``<kind>_spectrum``, all eigenvalues.

    Args:
        blocks: (i, j), "vv", "W" or "all", as in ``empirical``; all of one size.
        data: ``TestData`` or ``TrainingData``.
        k: number of eigenvalues, and dimension of E_k.
        kinds: of "hessian" and "gradient".
        vectors: also record the eigenvectors.
        full: also record all eigenvalues, which forms the matrix.
        prefix: put before the names and dimensions, to tell several observers apart.

    Source: Ben Arous, Gheissari, Huang and Jagannath (2023), Figures 2.1 to 2.6.
    """

    blocks: tuple[BlockLike, ...] = eqx.field(static=True)
    data: TestData | TrainingData
    k: int = eqx.field(static=True)
    kinds: tuple[str, ...] = eqx.field(static=True)
    vectors: bool = eqx.field(static=True)
    full: bool = eqx.field(static=True)
    prefix: str = eqx.field(static=True)

    def __init__(
        self,
        blocks: Sequence[BlockLike],
        data: TestData | TrainingData,
        *,
        k: int,
        kinds: Sequence[str] = KINDS,
        vectors: bool = False,
        full: bool = False,
        prefix: str = "",
    ):
        if not isinstance(data, TestData | TrainingData):
            raise TypeError(f"data={data!r}: expected TestData(count) or TrainingData().")
        self.blocks, self.data = tuple(_validate.listed("blocks", blocks)), data
        if not self.blocks:
            raise ValueError(f"blocks={blocks!r}: expected a list of blocks.")
        for block in self.blocks:
            check_block_name("blocks", block)
        self.k = _validate.integer("k", k, 1)
        with _validate.renamed("kind=", "kinds: "):
            self.kinds = tuple(check_kind(kind) for kind in _validate.listed("kinds", kinds))
        self.vectors = _validate.boolean("vectors", vectors)
        self.full = _validate.boolean("full", full)
        if not isinstance(prefix, str):
            raise TypeError(f"prefix={prefix!r}: expected text to put before names.")
        self.prefix = prefix

    def check(self, model: Model, dim: int) -> None:
        """Raise unless the model has these blocks, all of one size, and it is at least k."""
        multi = check_multi_index(model)
        blocks = [parse_block(multi, block) for block in self.blocks]
        shapes = {block.name: block_shape(multi, block, dim) for block in blocks}
        for name, (rows, columns) in shapes.items():
            if rows != columns:
                raise ValueError(
                    f"blocks: {name} is {rows} by {columns} and has no eigenvalues; expected "
                    "square blocks."
                )
        sizes = {name: rows for name, (rows, _) in shapes.items()}
        if len(set(sizes.values())) != 1:
            raise ValueError(
                f"blocks: their sizes are {sizes}, and one Spectrum records blocks of one size; "
                f"give each size its own, told apart by prefix."
            )
        _validate.integer("k", self.k, 1, next(iter(sizes.values())))

    def __call__(self, snapshot: Snapshot) -> dict[str, xr.DataArray]:
        """The arrays of one snapshot."""
        model = check_multi_index(snapshot.model)
        self.check(model, snapshot.frame.shape[1])
        blocks = [parse_block(model, block) for block in self.blocks]
        key = (type(self.data).__name__, repr(self.data))
        if key not in snapshot.memo:
            snapshot.memo[key] = self.data.samples(snapshot)
        result: dict[str, xr.DataArray] = {}
        for kind in self.kinds:
            matrices = empirical_blocks(
                model, snapshot.parameters, snapshot.memo[key], blocks, check_kind(kind)
            )
            if matrices[0].shape[0] <= 1000:
                form_together(matrices)
            self._of_kind(result, kind, blocks, matrices, snapshot.parameters)
        # Dimensions take the prefix too: observers may differ in blocks and ranks.
        dims = {dim: self.prefix + str(dim) for value in result.values() for dim in value.dims}
        return {
            self.prefix + name: value.rename({dim: dims[dim] for dim in value.dims})
            for name, value in result.items()
        }

    def _of_kind(
        self,
        result: dict[str, xr.DataArray],
        kind: str,
        blocks: list[Block],
        matrices: list[SampleMatrix],
        parameters: Parameters,
    ) -> None:
        names, size, k = [block.name for block in blocks], matrices[0].shape[0], self.k
        pairs = [top(matrix, k) for matrix in matrices]
        values, vectors = np.full((len(pairs), k), np.nan), np.full((len(pairs), k, size), np.nan)
        for row, pair in enumerate(pairs):
            values[row, : len(pair.values)] = pair.values
            vectors[row, : len(pair.values)] = pair.vectors
        rho = [
            _alignment(block, parameters, pair) for block, pair in zip(blocks, pairs, strict=True)
        ]
        coords: dict[str, Any] = {"block": names}
        result[f"{kind}_eigenvalues"] = xr.DataArray(
            values, coords, ("block", "rank"),
            attrs={"long_name": f"eigenvalues of the {kind} matrix, largest |value| first"},
        )  # fmt: skip
        result[f"{kind}_alignment"] = xr.DataArray(
            np.array(rho), coords, ("block",),
            attrs={"long_name": f"rho(parameters, E_{k}) of the {kind} matrix"},
        )  # fmt: skip
        if self.vectors:
            result[f"{kind}_vectors"] = xr.DataArray(
                vectors, coords, ("block", "rank", "coordinate")
            )
        if self.full:
            result[f"{kind}_spectrum"] = xr.DataArray(
                np.stack([matrix.eigenvalues() for matrix in matrices]), coords, ("block", "index"),
                attrs={"long_name": f"all eigenvalues of the {kind} matrix, increasing"},
            )  # fmt: skip


def _alignment(block: Block, parameters: Parameters, pairs: Eigenpairs) -> float:
    """rho of the block's parameters with the span of the pairs; NaN if some are missing."""
    v, W = jax.tree.map(np.asarray, parameters)
    own = {"vv": v, "W": W.ravel(), "all": np.concatenate([v, W.ravel()])}
    vector = W[block.i] if block.form == "WW" and block.i == block.j else own.get(block.form)
    if vector is None or not pairs.complete or not np.linalg.norm(vector) > 0:
        return np.nan
    return float(np.linalg.norm(pairs.vectors @ vector) / np.linalg.norm(vector))
