"""Population Hessian and gradient matrices, exactly at finite snr, from summary statistics.

Let V be the span of neurons and fixed directions, with an orthonormal basis in which X has the
coordinates m_c + sigma_c y, y ~ N(0, I). D depends on the fields T (m_c + sigma_c y): s alone, or
f and s where labels are functions of f; and on label noise, which is averaged over. With T = L O, L
lower triangular and O orthonormal rows, the fields depend on z = O y alone, and

    E[D X Xᵀ | c] = sigma^2 E[D] I + E[D] m mᵀ + sigma (m E[D z]ᵀ O + transpose)
                    + sigma^2 Oᵀ (E[D z zᵀ] - E[D] I) O:

a multiple of the identity plus a matrix on V. This is Stein's lemma without derivatives, so D may
be an indicator; and without inverses of Q, so neurons may be aligned.

Source: Ben Arous et al. (2023), sections 3 and 4 (their lemmas 3.1 to 3.3 with signs and factors
corrected are this for softmax). Exact up to the error of the quadrature: the model's rule.
"""

from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.blocks import (
    Block,
    BlockLike,
    Kind,
    check_kind,
    check_multi_index,
    first_layer_weight,
    mixed_weight,
    parse_block,
    second_layer_weight,
)
from sgdlimits.spectra.labelled_nodes import LabelledNodes, labelled_nodes, seen_rows
from sgdlimits.spectra.population_matrices.kink_surface import surface
from sgdlimits.spectra.population_matrices.span import lower_orthonormal, span_coordinates
from sgdlimits.statistics.overlaps import Parameters, Statistics


@dataclass(frozen=True)
class PopulationMatrix:
    """A population matrix, or a block: small matrices that stand for the one in R^dim.

    With T and A the coordinates of neurons and fixed directions in an orthonormal basis of their
    span (``neurons`` and ``directions``), an n-dimensional space:

    * W_i W_j: ``bulk`` on all directions orthogonal to the span, ``inner`` (n, n) within it;
    * vv: ``inner`` (layer, layer) is the matrix;
    * v W_j: ``inner`` (layer, n), zero beyond;
    * W, all: ``inner`` (p n, p n), with the rows and columns of v before it, and ``bulk`` (p, p)
      on every direction orthogonal to the span.
    """

    block: Block
    kind: Kind
    inner: np.ndarray
    bulk: np.ndarray
    neurons: np.ndarray
    directions: np.ndarray

    @property
    def span(self) -> int:
        """Number n of coordinates."""
        return self.neurons.shape[1]

    def eigenvalues(self, dim: int) -> np.ndarray:
        """All eigenvalues in dimension ``dim``, increasing.

        Raises:
            ValueError: for v W_j, or a dimension below that of the span.
        """
        dim = _validate.integer("dim", dim, self.span)
        if self.block.form == "vW":
            raise ValueError("block v W_j is not square; use singular_values().")
        inner = np.linalg.eigvalsh(self.inner)
        if self.block.form == "vv":
            return inner
        outside = np.linalg.eigvalsh(np.atleast_2d(self.bulk))
        return np.sort(np.concatenate([inner, np.repeat(outside, dim - self.span)]))

    def singular_values(self) -> np.ndarray:
        """Singular values of v W_j that may differ from zero, decreasing."""
        return np.linalg.svd(self.inner, compute_uv=False)

    def outliers(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues within the span, in decreasing distance from the bulk, and their vectors.

        Returns:
            values (n,) and vectors as rows, in coordinates of the span (see ``basis``). Only for
            W_i W_j; for vv the eigenpairs of the matrix.
        """
        if self.block.form not in ("WW", "vv"):
            raise ValueError(f"block {self.block.name}: outliers are those of W_i W_j and vv.")
        values, vectors = np.linalg.eigh(self.inner)
        order = np.argsort(-np.abs(values - float(self.bulk.item())), kind="stable")
        return values[order], vectors[:, order].T

    def basis(self, parameters: Parameters, frame: Float[Array, "directions dim"]) -> np.ndarray:
        """Vectors in R^dim, as rows, for the coordinates: W = neurons @ basis, F likewise.

        Orthonormal where neurons and directions are independent; coordinates that they do not use
        get zero rows.
        """
        rows = np.concatenate([np.asarray(parameters.W), np.asarray(frame)])
        coordinates = np.concatenate([self.neurons, self.directions])
        return np.linalg.lstsq(coordinates, rows, rcond=1e-10)[0]

    def matrix(self, parameters: Parameters, frame: Float[Array, "directions dim"]) -> np.ndarray:
        """The matrix in R^dim for real parameters with these statistics."""
        basis, dim, form = self.basis(parameters, frame), frame.shape[1], self.block.form
        if form == "vv":
            return self.inner
        if form == "vW":
            return self.inner @ basis
        if form == "WW":
            bulk = float(self.bulk.item())
            return bulk * np.eye(dim) + basis.T @ (self.inner - bulk * np.eye(self.span)) @ basis
        p, n = self.neurons.shape
        layer = len(self.inner) - p * n
        spread = np.zeros((layer + p * n, layer + p * dim))
        spread[:layer, :layer] = np.eye(layer)
        spread[layer:, layer:] = np.kron(np.eye(p), basis)
        excess = self.inner.copy()
        excess[layer:, layer:] -= np.kron(self.bulk, np.eye(n))
        full = spread.T @ excess @ spread
        full[layer:, layer:] += np.kron(self.bulk, np.eye(dim))
        return full


def population(
    model: MultiIndexModel,
    statistics: Statistics | Parameters,
    block: BlockLike = "all",
    kind: Kind = "hessian",
    *,
    frame: Float[Array, "directions dim"] | None = None,
    surface_term: bool = False,
) -> PopulationMatrix:
    """The mean of the samples' Hessians, or of their gradients times themselves transposed.

    Args:
        model: a ``MultiIndexModel`` with noise in every class.
        statistics: one state; or real parameters, with their frame.
        block: as in ``empirical``.
        kind: "hessian" or "gradient".
        frame: of real parameters; default ``model.frame(dim)``.
        surface_term: the Hessian of the population loss instead of the mean of the samples'
            Hessians. For ReLU networks they differ: moving W_i moves the surface s_i = 0 on which
            the gradient jumps, which no single sample sees. The difference is
            E[jump * density of s_i at the kink * X Xᵀ], on the blocks W_i W_i only, and grows like
            sqrt(snr) where an overlap is zero.

    Returns:
        Small matrices that determine the block in any dimension.

    Raises:
        TypeError, ValueError: for bad input, classes without noise, or ``surface_term`` of the
            gradient matrix.
    """
    model, kind = check_multi_index(model), check_kind(kind)
    chosen = parse_block(model, block)
    if any(model.data.noiseless):
        raise ValueError("snr=inf: a class without noise has no such matrix; use leading(...).")
    if _validate.boolean("surface_term", surface_term) and kind == "gradient":
        raise ValueError("surface_term=True: only the Hessian has one; use kind='hessian'.")
    v, T, A = span_coordinates(model, statistics, frame)
    inner, bulk = _assemble(model, chosen, kind, jnp.asarray(v), T, A)
    if surface_term:
        inner, bulk = _with_surface(model, chosen, v, T, A, inner, bulk)
    return PopulationMatrix(chosen, kind, inner, bulk, T, A)


# -- expectations ----------------------------------------------------------------------------------


class _Class(NamedTuple):
    """One class: its probability, deviation, mean in the span, and nodes."""

    share: float
    deviation: float
    mean: np.ndarray
    nodes: LabelledNodes


class _Span(NamedTuple):
    """The classes, and the coordinates z = O y that weights see."""

    classes: list[_Class]
    O: np.ndarray  # noqa: E741


def _span(model: MultiIndexModel, T: np.ndarray, A: np.ndarray) -> _Span:
    law, means = model.data, np.array(model.data.coefficients) @ A
    rows = seen_rows(law, T, A)
    L, O = lower_orthonormal(rows)  # noqa: E741
    numbers = zip(np.asarray(law.weights), np.asarray(law.deviations), means, strict=True)
    classes = [
        _Class(p, sigma, m, labelled_nodes(model, c, rows @ m, sigma * L))
        for c, (p, sigma, m) in enumerate(numbers)
    ]
    return _Span(classes, O)


def _assemble(
    model: MultiIndexModel, block: Block, kind: Kind, v: Array, T: np.ndarray, A: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(inner, bulk) of a block."""
    (p, n), model, span = T.shape, dynamic(model), _span(model, T, A)
    if block.form == "WW":
        return _first(model, kind, v, span, block.i, block.j)
    if block.form == "vv":
        return _second(model, kind, v, span), np.zeros(())
    if block.form == "vW":
        return _mixed(model, kind, v, span, block.j), np.zeros(())
    inner, bulk = np.zeros((p, n, p, n)), np.zeros((p, p))
    for i in range(p):
        for j in range(i, p):
            value, c = _first(model, kind, v, span, i, j)
            inner[i, :, j], inner[j, :, i] = value, value.T
            bulk[i, j] = bulk[j, i] = c
    first = inner.reshape(p * n, p * n)
    if block.form == "W":
        return first, bulk
    mixed = [_mixed(model, kind, v, span, j) for j in range(p)] if len(v) else []
    across = np.hstack(mixed) if mixed else np.zeros((0, p * n))
    return np.block([[_second(model, kind, v, span), across], [across.T, first]]), bulk


def _first(model, kind: Kind, v: Array, span: _Span, i: int, j: int):
    O, pair = span.O, (jnp.asarray(i), jnp.asarray(j))  # noqa: E741
    inner, bulk = np.zeros((O.shape[1],) * 2), 0.0
    for p, sigma, m, nodes in span.classes:
        d0, d1, d2 = (np.asarray(x) for x in _of_first(model, kind, v, *pair, nodes))
        across = sigma * np.outer(m, d1 @ O)
        within = sigma**2 * O.T @ (d2 - d0 * np.eye(len(d1))) @ O
        inner += p * (d0 * np.outer(m, m) + across + across.T + within)
        bulk += p * sigma**2 * d0
    return inner + bulk * np.eye(len(inner)), np.asarray(bulk)


def _mixed(model, kind: Kind, v: Array, span: _Span, j: int) -> np.ndarray:
    total = np.zeros((len(v), span.O.shape[1]))
    for p, sigma, m, nodes in span.classes:
        a0, a1 = (np.asarray(x) for x in _of_mixed(model, kind, v, jnp.asarray(j), nodes))
        total += p * (np.outer(a0, m) + sigma * a1 @ span.O)
    return total


def _second(model, kind: Kind, v: Array, span: _Span) -> np.ndarray:
    total = np.zeros((len(v), len(v)))
    for p, _, _, nodes in span.classes:
        total += p * np.asarray(_of_second(model, kind, v, nodes))
    return total


@eqx.filter_jit
def _of_first(model, kind: Kind, v: Array, i: Array, j: Array, nodes: LabelledNodes):
    """E[D], E[D z] and E[D z zᵀ] of one class."""
    z, weight, s, labels = nodes
    one = lambda s, y: first_layer_weight(model, v, s, y, i, j, kind)  # noqa: E731
    D = weight * jax.vmap(one)(s, labels)
    return D.sum(), D @ z, jnp.einsum("n,na,nb->ab", D, z, z)


@eqx.filter_jit
def _of_mixed(model, kind: Kind, v: Array, j: Array, nodes: LabelledNodes):
    """E[a] and E[a zᵀ] of one class."""
    z, weight, s, labels = nodes
    a = jax.vmap(lambda s, y: mixed_weight(model, v, s, y, j, kind))(s, labels)
    a = weight[:, None] * a
    return a.sum(0), a.T @ z


@eqx.filter_jit
def _of_second(model, kind: Kind, v: Array, nodes: LabelledNodes):
    """E[d2l/dv2] or E[h hᵀ] of one class."""
    _, weight, s, labels = nodes
    second = jax.vmap(lambda s, y: second_layer_weight(model, v, s, y, kind))(s, labels)
    return jnp.tensordot(weight, second, axes=1)


def _with_surface(
    model: MultiIndexModel, block: Block, v: np.ndarray, T: np.ndarray, A: np.ndarray, inner, bulk
) -> tuple[np.ndarray, np.ndarray]:
    """Add the surface terms of the neurons on the diagonal of the block."""
    p, n = T.shape
    if block.form == "WW" and block.i == block.j:
        extra, c = surface(model, v, T, A, block.i)
        return inner + extra, np.asarray(bulk + c)
    if block.form in ("W", "all"):
        inner, bulk, layer = inner.copy(), bulk.copy(), len(inner) - p * n
        for i in range(p):
            rows = slice(layer + i * n, layer + (i + 1) * n)
            extra, c = surface(model, v, T, A, i)
            inner[rows, rows] += extra
            bulk[i, i] += c
    return inner, bulk
