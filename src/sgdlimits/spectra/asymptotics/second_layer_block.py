"""The second-layer block vv at finitely many samples.

Its size does not grow with dim, so it has no bulk: its eigenvalues are those of the mean, with
fluctuations of order M^(-1/2) and a repulsion of order 1/M. Both are asymptotic; the mean is exact
up to the error of the quadrature.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.expectations.rules import AbstractRule
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.accurate_rule import accurate
from sgdlimits.spectra.asymptotics.weight_law import check_block
from sgdlimits.spectra.blocks import Kind, second_layer_weights
from sgdlimits.spectra.field_rules import field_rules
from sgdlimits.spectra.labelled_nodes import Cases, labelled_nodes
from sgdlimits.spectra.population_matrices.block_expectations import seen, sharp_values
from sgdlimits.spectra.population_matrices.span import span_coordinates
from sgdlimits.statistics.overlaps import Statistics


@dataclass(frozen=True)
class SecondLayerSpectrum:
    """Eigenvalues of the vv block, by decreasing value.

    Attributes:
        values: of the mean matrix, shape (layer,).
        vectors: unit eigenvectors of the mean, in columns.
        covariance: Var(u_iᵀ A u_j) of one sample's matrix A, shape (layer, layer).
        errors: estimated errors of ``values``, from the quadrature.
    """

    values: np.ndarray
    vectors: np.ndarray
    covariance: np.ndarray
    errors: np.ndarray

    @property
    def error(self) -> float:
        """Of the value that is known worst."""
        return float(self.errors.max())

    def deviations(self, samples: float) -> np.ndarray:
        """Standard deviations of simple eigenvalues over matrices of ``samples`` samples."""
        samples = _validate.positive("samples", samples)
        return np.sqrt(np.diag(self.covariance) / samples)

    def shifts(self, samples: float) -> np.ndarray:
        """Repulsion by the other eigenvalues; meaningful where it is small beside the gaps."""
        samples = _validate.positive("samples", samples)
        gaps = self.values[:, None] - self.values
        np.fill_diagonal(gaps, np.inf)
        return np.sum(self.covariance / gaps, axis=1) / samples


def second_layer(
    model: MultiIndexModel, u: Statistics, *, kind: Kind = "hessian"
) -> SecondLayerSpectrum:
    """The vv block from summary statistics, by the model's rule.

    Args:
        model: a ``MultiIndexModel`` that trains a second layer, with noise in every class.
        u: one state.
        kind: "hessian" (d2l/dv2, without ridge) or "gradient" (h hᵀ).

    Raises:
        TypeError, ValueError: for arguments that do not fit.
    """
    check_block(model, u, (0, 0), kind)
    if model.layer_size == 0:
        raise ValueError(f"model={model!r}: the network has no second layer that is trained.")
    v, T, A = span_coordinates(model, u, None)
    at, second_layer_now = seen(model, T, A), jnp.asarray(v)
    rules, apart = field_rules(model, len(at.rows), at.rank)
    cases = Cases(np.arange(len(at.shares)), at.means @ at.rows.T, at.deviations, at.L)

    def estimate(rule: AbstractRule | None) -> _Moments:
        nodes = labelled_nodes(model, cases, rule, apart, sharp_values, second_layer_now)
        A = nodes.values(_of_each, dynamic(model), second_layer_now, kind)
        weight = at.shares[:, None, None] * nodes.weight
        return _Moments(
            np.einsum("crn,crnij->rij", weight, A),
            np.einsum("crn,crnij,crnkl->rijkl", weight, A, A, optimize=True),
        )

    found = accurate(f"second-layer block ({kind})", estimate, rules, _Moments.sizes)
    mean, square = found.mean
    values, vectors = np.linalg.eigh(mean)
    values, vectors = values[::-1], vectors[:, ::-1]
    turned = np.einsum("ijkl,ia,jb,ka,lb->ab", square, *[vectors] * 4, optimize=True)
    moved = np.linalg.eigvalsh(mean + found.deviations.mean_matrix)[:, ::-1] - values
    errors = np.sqrt((moved**2).sum(0))
    return SecondLayerSpectrum(values, vectors, turned - np.diag(values**2), errors)


class _Moments(NamedTuple):
    """E[A] and E[A ⊗ A]; with a leading axis where there are several estimates."""

    mean_matrix: np.ndarray
    square: np.ndarray

    def mean(self) -> "_Moments":
        """Over the leading axis."""
        return _Moments(*(x.mean(0) for x in self))

    def deviations(self) -> "_Moments":
        """Whose squares add up to the squared standard error of the mean."""
        count = len(self.square)
        scale = 1 / np.sqrt(count * max(count - 1, 1))
        return _Moments(*(scale * (x - x.mean(0)) for x in self))

    def sizes(self) -> "_Moments":
        """What errors are small against: of the mean alone, which is what is claimed."""
        size = jnp.max(jnp.abs(self.mean_matrix), initial=0.0)
        return _Moments(size, jnp.asarray(np.inf))  # pyright: ignore[reportArgumentType]


def _of_each(model: MultiIndexModel, v: Array, kind: Kind, s: Array, labels: Array) -> Array:
    return second_layer_weights(model, v, s, labels, kind)
