"""Empirical Hessian and gradient matrices at real parameters: ``empirical``."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sgdlimits._tracing import dynamic
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.blocks import (
    Block,
    BlockLike,
    Kind,
    check_kind,
    check_multi_index,
    first_layer_weights,
    mixed_weight,
    of_parameters,
    parse_block,
    second_layer_weight,
)
from sgdlimits.spectra.sampled.operators import InMemory, SampleMatrix, WeightedCovariance, Whole
from sgdlimits.spectra.sampled.samples import AbstractSamples
from sgdlimits.statistics.overlaps import Parameters


def empirical(
    model: MultiIndexModel,
    parameters: Parameters,
    samples: AbstractSamples,
    block: BlockLike = "all",
    kind: Kind = "hessian",
) -> SampleMatrix:
    """(1/M) sum of the samples' Hessians, or of their gradients times themselves transposed.

    Without the ridge, which adds ridge * I to the Hessian. Second derivatives of kinked activations
    are those of the samples, which exist almost surely.

    Args:
        model: a ``MultiIndexModel``: a network on a mixture, or a student of a teacher.
        parameters: (v, W), as ``lift`` gives them.
        samples: ``fresh_samples``, ``training_samples`` or ``GivenSamples``.
        block: (i, j) for the dim x dim block W_i W_j, neurons counted from 0; "vv"; ("v", j), of
            shape (layer, dim); "W", all neurons by rows; "all", v before W.
        kind: "hessian" or "gradient".

    Returns:
        A SciPy ``LinearOperator``; ``top`` and ``extremes`` find eigenpairs, ``.eigenvalues()`` all
        eigenvalues, ``.dense()`` the matrix.

    Raises:
        TypeError, ValueError: for bad input, before any work starts.

    Source: Ben Arous, Gheissari, Huang and Jagannath (2023), (2.2). Exact.
    """
    parameters, chosen = _checked(model, parameters, samples, [block])
    return empirical_blocks(model, parameters, samples, chosen, check_kind(kind))[0]


def empirical_blocks(
    model: MultiIndexModel,
    parameters: Parameters,
    samples: AbstractSamples,
    blocks: Sequence[BlockLike],
    kind: Kind,
) -> list[SampleMatrix]:
    """``empirical`` for several blocks of one kind; the samples are gone through once for all."""
    parameters, chosen = _checked(model, parameters, samples, blocks)
    first = [block for block in chosen if block.form == "WW"]
    small = [block for block in chosen if block.form in ("vv", "vW")]
    made: dict[Block, SampleMatrix] = {}
    if first or small:
        weights, sums = _sweep(model, parameters, samples, first, small, kind)
        for block, row in zip(first, weights, strict=True):
            made[block] = WeightedCovariance(samples, row, f"{kind} {block.name}")
        for block, total in sums.items():
            made[block] = InMemory(total / samples.count, f"{kind} {block.name}")
    for block in chosen:
        if block.form in ("W", "all"):
            made[block] = Whole(
                model, parameters, samples, kind, block.form == "all", f"{kind} {block.name}"
            )
    return [made[block] for block in chosen]


def _checked(
    model: object, parameters: object, samples: object, blocks: Sequence[BlockLike]
) -> tuple[Parameters, list[Block]]:
    model = check_multi_index(model)
    chosen = [parse_block(model, block) for block in blocks]
    real = of_parameters(model, parameters)
    if not isinstance(samples, AbstractSamples):
        raise TypeError(
            f"samples={samples!r}: expected fresh_samples, training_samples or GivenSamples."
        )
    if samples.dim != real.W.shape[1]:
        raise ValueError(
            f"samples have dimension {samples.dim}, the parameters {real.W.shape[1]}: expected "
            "the same."
        )
    return real, chosen


def _sweep(
    model: MultiIndexModel,
    parameters: Parameters,
    samples: AbstractSamples,
    first: list[Block],
    small: list[Block],
    kind: Kind,
) -> tuple[np.ndarray, dict[Block, np.ndarray]]:
    """Weights of the W_i W_j blocks, sums of the small ones."""
    v, W = parameters
    weights = np.empty((len(first), samples.count))
    sums: dict[Block, np.ndarray] = {}
    for block in small:
        columns = len(v) if block.form == "vv" else W.shape[1]
        sums[block] = np.zeros((len(v), columns))
    transposed = np.asarray(W).T
    for rows, x, labels in samples.chunks():
        s = jnp.asarray(x @ transposed.astype(x.dtype), float)
        if labels.shape[1] != model.data.outputs:
            raise ValueError(
                f"labels have {labels.shape[1]} entries a sample, the model's {model.data.outputs}."
            )
        labels = jnp.asarray(labels)
        if first:
            weights[:, rows] = first_layer_weights(model, v, s, labels, first, kind)
        for block, total in sums.items():
            if block.form == "vv":
                total += np.asarray(_sum_second_layer(dynamic(model), v, s, labels, kind))
            else:
                a = np.asarray(_mixed(dynamic(model), v, s, labels, jnp.asarray(block.j), kind))
                total += a.astype(x.dtype).T @ x
    return weights, sums


@eqx.filter_jit
def _sum_second_layer(model, v: Array, s: Array, labels: Array, kind: Kind) -> Array:
    return jax.vmap(lambda s, y: second_layer_weight(model, v, s, y, kind))(s, labels).sum(0)


@eqx.filter_jit
def _mixed(model, v: Array, s: Array, labels: Array, j: Array, kind: Kind) -> Array:
    return jax.vmap(lambda s, y: mixed_weight(model, v, s, y, j, kind))(s, labels)
