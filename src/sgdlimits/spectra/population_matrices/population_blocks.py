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
corrected are this for softmax). Exact up to the error of the quadrature, which is part of the
result (see ``block_expectations``).
"""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.accurate_rule import Accurate, accurate
from sgdlimits.spectra.blocks import (
    Block,
    BlockLike,
    Kind,
    check_kind,
    check_multi_index,
    parse_block,
)
from sgdlimits.spectra.field_rules import field_rules
from sgdlimits.spectra.population_matrices.block_expectations import (
    SmallMatrices,
    estimate,
    seen,
)
from sgdlimits.spectra.population_matrices.kink_surface import surface
from sgdlimits.spectra.population_matrices.span import span_coordinates
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

    ``inner_error`` and ``bulk_error`` are the estimated errors of their entries, ``error`` that of
    the eigenvalue (of v W_j: singular value) that is known worst. They are 0 where nothing was
    integrated. ``deviations`` are what they are made of: small changes of (inner, bulk), along the
    first axis, whose squares add up.
    """

    block: Block
    kind: Kind
    inner: np.ndarray
    bulk: np.ndarray
    neurons: np.ndarray
    directions: np.ndarray
    deviations: SmallMatrices

    @property
    def inner_error(self) -> np.ndarray:
        """Estimated error of every entry of ``inner``."""
        return np.sqrt((self.deviations.inner**2).sum(0))

    @property
    def bulk_error(self) -> np.ndarray:
        """Estimated error of every entry of ``bulk``."""
        return np.asarray(np.sqrt((self.deviations.bulk**2).sum(0)))

    @property
    def error(self) -> float:
        """Estimated error of the worst known eigenvalue, or singular value of v W_j."""
        if self.block.form == "vW":
            size = np.linalg.norm(self.deviations.inner, ord=2, axis=(1, 2))
            return float(np.sqrt((size**2).sum()))
        return float(self.eigenvalue_errors(self.span + 1).max(initial=0.0))

    def eigenvalue_errors(self, dim: int) -> np.ndarray:
        """Estimated errors of ``eigenvalues(dim)``."""
        now = self.eigenvalues(dim)
        parts = zip(self.deviations.inner, self.deviations.bulk, strict=True)
        moved = [
            replace(self, inner=self.inner + a, bulk=np.asarray(self.bulk + b)) for a, b in parts
        ]
        return np.sqrt(sum((one.eigenvalues(dim) - now) ** 2 for one in moved))

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
        Small matrices that determine the block in any dimension, with their errors.

    Warns:
        InaccurateWarning: if they are not known to 1e-3 of their largest number, or of a tenth of
            what it is if nothing cancels. Finer rules are taken before that.

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
    of, second_layer = seen(model, T, A), jnp.asarray(v)
    rules, apart = field_rules(model, len(of.rows), of.rank)
    found = accurate(
        f"population block {chosen.name} ({kind})",
        lambda rule: estimate(model, chosen, kind, second_layer, of, rule, apart),
        rules,
        SmallMatrices.sizes,
    )
    if surface_term:
        found = _with_surface(model, chosen, v, T, A, found)
    (inner, bulk, _), deviations = found
    return PopulationMatrix(chosen, kind, inner, np.asarray(bulk), T, A, deviations)


def _with_surface(
    model: MultiIndexModel, block: Block, v: np.ndarray, T: np.ndarray, A: np.ndarray, to: Accurate
) -> Accurate:
    """Add the surface terms of the neurons on the diagonal of the block."""
    p, n = T.shape
    if block.form == "WW":
        places = [(block.i, slice(0, n), ())] if block.i == block.j else []
    elif block.form in ("W", "all"):
        layer = len(to.mean.inner) - p * n
        places = [(i, slice(layer + i * n, layer + (i + 1) * n), (i, i)) for i in range(p)]
    else:
        places = []
    inner, bulk = to.mean.inner.copy(), np.array(to.mean.bulk)
    all_inner, all_bulk = [to.deviations.inner], [to.deviations.bulk]
    for i, rows, entry in places:
        (extra, c, _), (extra_deviations, c_deviations, _) = surface(model, v, T, A, i)
        inner[rows, rows] += extra
        bulk[entry] += c
        spread = np.zeros((len(c_deviations), *inner.shape))
        spread[:, rows, rows] = extra_deviations
        of_bulk = np.zeros((len(c_deviations), *bulk.shape))
        of_bulk[(slice(None), *entry)] = c_deviations
        all_inner.append(spread)
        all_bulk.append(of_bulk)
    parts = np.concatenate(all_inner), np.concatenate(all_bulk)
    deviations = SmallMatrices(*parts, np.zeros(len(parts[1])))
    return Accurate(SmallMatrices(inner, bulk, to.mean.absolute), deviations)
