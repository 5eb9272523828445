"""Population Hessian and gradient matrices, exactly at finite snr, from summary statistics.

Let V be the span of neurons and fixed directions, with an orthonormal basis in which X has the
coordinates m_c + sigma_c y, y ~ N(0, I), and s = T (m_c + sigma_c y). With T = L O, L lower
triangular and O orthonormal rows, s depends on z = O y alone, and

    E[D X Xᵀ | c] = sigma^2 E[D] I + E[D] m mᵀ + sigma (m E[D z]ᵀ O + transpose)
                    + sigma^2 Oᵀ (E[D z zᵀ] - E[D] I) O:

a multiple of the identity plus a matrix on V. This is Stein's lemma without derivatives, so D may
be an indicator; and without inverses of Q, so neurons may be aligned.

Source: Ben Arous et al. (2023), sections 3 and 4 (their lemmas 3.1 to 3.3 with signs and factors
corrected are this for softmax). Exact up to the error of the model's quadrature.
"""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.models.overlap_model import Parameters
from sgdlimits.spectra.blocks import (
    Block,
    BlockLike,
    Kind,
    check_kind,
    check_multi_index,
    first_layer_weight,
    mixed_weight,
    of_parameters,
    of_statistics,
    parse_block,
    second_layer_weight,
)
from sgdlimits.spectra.population_matrices.flat_nodes import flat_nodes
from sgdlimits.spectra.population_matrices.kink_surface import surface
from sgdlimits.statistics.overlaps import Statistics


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
        model: a network on a mixture with noise.
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
    v, T, A = _coordinates(model, statistics, frame)
    means = np.array(model.data.coefficients) @ A
    inner, bulk = _assemble(model, chosen, kind, v, T, means)
    if surface_term:
        inner, bulk = _with_surface(model, chosen, v, T, means, inner, bulk)
    return PopulationMatrix(chosen, kind, inner, bulk, T, A)


# -- coordinates of the span -----------------------------------------------------------------------


def _coordinates(
    model: MultiIndexModel, given: object, frame: Array | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """v, and the coordinates of neurons and fixed directions in an orthonormal basis."""
    if isinstance(given, Statistics):
        u = of_statistics(model, given)
    else:
        parameters = of_parameters(model, given)
        F = model.frame(parameters.W.shape[1]) if frame is None else frame
        u = model.statistics(parameters, F)
    root = np.asarray(model.data.root)
    B = np.linalg.solve(root, np.asarray(u.M).T).T
    rest = _lower_root(np.asarray(u.Q) - B @ B.T)
    p, r = B.shape
    return np.asarray(u.v), np.hstack([B, rest]), np.hstack([root, np.zeros((r, p))])


def _lower_root(matrix: np.ndarray) -> np.ndarray:
    """Lower triangular L with L Lᵀ = matrix, for matrices that may be singular."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    L, _ = lower_orthonormal(vectors * np.sqrt(np.maximum(values, 0)))
    return L


def lower_orthonormal(T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """T = L O with L lower triangular, its diagonal at least 0, and orthonormal rows of O."""
    Q, R = np.linalg.qr(T.T)
    sign = np.where(np.diagonal(R) < 0, -1.0, 1.0)
    return R.T * sign, (Q * sign).T


# -- expectations ----------------------------------------------------------------------------------


def _assemble(
    model: MultiIndexModel,
    block: Block,
    kind: Kind,
    v: np.ndarray,
    T: np.ndarray,
    means: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(inner, bulk) of a block."""
    p, n = T.shape
    if block.form == "WW":
        return _first(model, kind, v, T, means, block.i, block.j)
    if block.form == "vv":
        return _second(model, kind, v, T), np.zeros(())
    if block.form == "vW":
        return _mixed(model, kind, v, T, means, block.j), np.zeros(())
    inner, bulk = np.zeros((p, n, p, n)), np.zeros((p, p))
    for i in range(p):
        for j in range(i, p):
            value, c = _first(model, kind, v, T, means, i, j)
            inner[i, :, j], inner[j, :, i] = value, value.T
            bulk[i, j] = bulk[j, i] = c
    first = inner.reshape(p * n, p * n)
    if block.form == "W":
        return first, bulk
    mixed = [_mixed(model, kind, v, T, means, j) for j in range(p)] if len(v) else []
    across = np.hstack(mixed) if mixed else np.zeros((0, p * n))
    return np.block([[_second(model, kind, v, T), across], [across.T, first]]), bulk


def _first(model, kind, v, T, means, i, j) -> tuple[np.ndarray, np.ndarray]:
    L, O = lower_orthonormal(T)  # noqa: E741
    moments = _first_moments(dynamic(model), kind, v, L, means @ T.T, i, j)
    D0, D1, D2 = (np.asarray(x) for x in moments)
    inner, bulk = np.zeros((T.shape[1],) * 2), 0.0
    weights, sigma = np.asarray(model.data.weights), np.asarray(model.data.deviations)
    for p, s, m, d0, d1, d2 in zip(weights, sigma, means, D0, D1, D2, strict=True):
        across = s * np.outer(m, d1 @ O)
        within = s**2 * O.T @ (d2 - d0 * np.eye(len(d1))) @ O
        inner += p * (d0 * np.outer(m, m) + across + across.T + within)
        bulk += p * s**2 * d0
    return inner + bulk * np.eye(len(inner)), np.asarray(bulk)


def _mixed(model, kind, v, T, means, j) -> np.ndarray:
    L, O = lower_orthonormal(T)  # noqa: E741
    A0, A1 = _mixed_moments(model, kind, v, L, means @ T.T, j)
    weights, sigma = np.asarray(model.data.weights), np.asarray(model.data.deviations)
    total = np.zeros((len(v), T.shape[1]))
    for p, s, m, a0, a1 in zip(weights, sigma, means, A0, A1, strict=True):
        total += p * (np.outer(a0, m) + s * a1 @ O)
    return total


def _second(model, kind, v, T) -> np.ndarray:
    L, _ = lower_orthonormal(T)
    means = np.array(model.data.coefficients)
    B = T[:, : means.shape[1]] @ np.asarray(model.data.root).T  # M
    return _second_moment(model, kind, v, L, means @ B.T)


def _over_classes(
    model: MultiIndexModel, L: np.ndarray, means: np.ndarray, function: Any
) -> list[Any]:
    """``function(label, s, z, weight)`` of the nodes of each class; a list over the classes."""
    results = []
    deviations = np.asarray(model.data.deviations)
    for label, deviation, mean in zip(model.data.labels, deviations, means, strict=True):
        z, weight = flat_nodes(model.rule, mean, deviation * L, model.network.kinks)
        s = mean + z @ (deviation * L).T
        results.append(function(jnp.asarray(label), s, z, weight))
    return results


def _first_moments(model, kind: Kind, v, L, means, i: int, j: int):
    """E[D], E[D z] and E[D z zᵀ] per class; leading axis the classes."""
    pair = jnp.asarray(i), jnp.asarray(j)
    v, model = jnp.asarray(v), dynamic(model)
    function = lambda *nodes: _of_first(model, kind, v, *pair, *nodes)  # noqa: E731
    return [np.stack(x) for x in zip(*_over_classes(model, L, means, function), strict=True)]


@eqx.filter_jit
def _of_first(model, kind: Kind, v: Array, i: Array, j: Array, label, s, z, weight):
    D = weight * jax.vmap(lambda s: first_layer_weight(model, v, s, label, i, j, kind))(s)
    return D.sum(), D @ z, jnp.einsum("n,na,nb->ab", D, z, z)


def _mixed_moments(model, kind: Kind, v, L, means, j: int):
    """E[a] and E[a zᵀ] per class; leading axis the classes."""
    v, model, index = jnp.asarray(v), dynamic(model), jnp.asarray(j)
    function = lambda *nodes: _of_mixed(model, kind, v, index, *nodes)  # noqa: E731
    return [np.stack(x) for x in zip(*_over_classes(model, L, means, function), strict=True)]


@eqx.filter_jit
def _of_mixed(model, kind: Kind, v: Array, j: Array, label, s, z, weight):
    a = jax.vmap(lambda s: mixed_weight(model, v, s, label, j, kind))(s)
    a = weight[:, None] * a
    return a.sum(0), a.T @ z


def _second_moment(model, kind: Kind, v, L, means) -> np.ndarray:
    v, model = jnp.asarray(v), dynamic(model)
    function = lambda *nodes: _of_second(model, kind, v, *nodes)  # noqa: E731
    each = np.stack(_over_classes(model, L, means, function))
    return np.tensordot(np.asarray(model.data.weights), each, axes=1)


@eqx.filter_jit
def _of_second(model, kind: Kind, v: Array, label, s, z, weight):
    second = jax.vmap(lambda s: second_layer_weight(model, v, s, label, kind))(s)
    return jnp.tensordot(weight, second, axes=1)


def _with_surface(model, block, v, T, means, inner, bulk) -> tuple[np.ndarray, np.ndarray]:
    """Add the surface terms of the neurons on the diagonal of the block."""
    p, n = T.shape
    if block.form == "WW" and block.i == block.j:
        extra, c = surface(model, v, T, means, block.i)
        return inner + extra, np.asarray(bulk + c)
    if block.form in ("W", "all"):
        inner, bulk, layer = inner.copy(), bulk.copy(), len(inner) - p * n
        for i in range(p):
            rows = slice(layer + i * n, layer + (i + 1) * n)
            extra, c = surface(model, v, T, means, i)
            inner[rows, rows] += extra
            bulk[i, i] += c
    return inner, bulk
