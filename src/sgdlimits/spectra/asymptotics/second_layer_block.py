"""The second-layer block vv at finitely many samples.

Its size does not grow with dim, so it has no bulk: its eigenvalues are those of the mean, with
fluctuations of order M^(-1/2) and a repulsion of order 1/M. Both are asymptotic; the mean is exact
up to the error of the quadrature.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.asymptotics.weight_law import check_block
from sgdlimits.spectra.blocks import Kind, second_layer_weights
from sgdlimits.spectra.labelled_nodes import fields_of, labelled_nodes
from sgdlimits.statistics.overlaps import Statistics


@dataclass(frozen=True)
class SecondLayerSpectrum:
    """Eigenvalues of the vv block, by decreasing value.

    Attributes:
        values: of the mean matrix, shape (layer,).
        vectors: unit eigenvectors of the mean, in columns.
        covariance: Var(u_iᵀ A u_j) of one sample's matrix A, shape (layer, layer).
    """

    values: np.ndarray
    vectors: np.ndarray
    covariance: np.ndarray

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
    law = model.data
    means, factor = (np.asarray(x) for x in fields_of(law, u))
    each, weights = [], []
    numbers = zip(np.asarray(law.weights), np.asarray(law.deviations), means, strict=True)
    for c, (share, deviation, mean) in enumerate(numbers):
        _, weight, s, labels = labelled_nodes(model, c, mean, deviation * factor)
        A = second_layer_weights(dynamic(model), jnp.asarray(u.v), s, labels, kind)
        each.append(np.asarray(A))
        weights.append(share * np.asarray(weight))
    A, weight = np.concatenate(each), np.concatenate(weights)
    values, vectors = np.linalg.eigh(np.tensordot(weight, A, axes=1))
    values, vectors = values[::-1], vectors[:, ::-1]
    seen = vectors.T @ A @ vectors
    covariance = np.tensordot(weight, seen**2, axes=1) - np.diag(values**2)
    return SecondLayerSpectrum(values, vectors, covariance)
