"""The law of one sample of the whole first-layer matrix (1/M) sum_l D_l ⊗ X_l X_lᵀ.

D_l is width x width. As for one block, T = sigma_c^2 D and X = sigma_c Y with unit noise; nodes are
kept as they are, because matrices cannot be sorted into bins.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.asymptotics.signal_space import SignalSpace
from sgdlimits.spectra.asymptotics.weight_law import (
    check_block,
    finite_weights,
    group_of,
    seen_at,
    standard_error,
    standard_nodes,
)
from sgdlimits.spectra.blocks import Kind, first_layer_matrices
from sgdlimits.statistics.overlaps import Statistics


@dataclass(frozen=True)
class MatrixLaw:
    """Nodes of (T, y).

    Attributes:
        space: coordinates of V.
        mass: of the nodes, shape (nodes,).
        T: weights, shape (nodes, width, width).
        second: E[y yᵀ] given the node, shape (nodes, rank * rank).
        group: of the nodes; the spread of groups tells the error (see ``weight_law.Groups``).
    """

    space: SignalSpace
    mass: np.ndarray
    T: np.ndarray
    second: np.ndarray
    group: np.ndarray

    @classmethod
    def create(cls, model: MultiIndexModel, u: Statistics, kind: Kind, nodes: int) -> "MatrixLaw":
        """The law at one state, on about ``nodes`` quasi-random nodes.

        Raises:
            TypeError, ValueError: for arguments that do not fit.
        """
        check_block(model, u, (0, 0), kind)
        if any(model.data.noiseless):
            raise ValueError("snr=inf: the whole matrix needs noise in every class.")
        nodes = _validate.integer("nodes", nodes, 1, 2**20)
        space = SignalSpace.create(model, u)
        deviations, shares = np.asarray(model.data.deviations), np.asarray(model.data.weights)
        classes = len(shares)
        standard = standard_nodes(space.seen + model.data.label_noises, classes, nodes)
        count = standard.shape[1]
        y = np.repeat((space.means / deviations[:, None])[:, None], count, axis=1)
        y[..., : space.seen] += standard[..., : space.seen]
        T = np.empty((classes, count, model.width, model.width))
        for c, deviation in enumerate(deviations):
            s, labels = seen_at(model, space, c, deviation * y[c], standard[c, :, space.seen :])
            D = first_layer_matrices(dynamic(model), jnp.asarray(u.v), s, labels, kind)
            T[c] = deviation**2 * finite_weights(D)
        if not T.any():
            raise ValueError(f"u={u!r}: all weights are 0 there, and so is the matrix.")
        free = np.diag(np.arange(space.rank) >= space.seen).astype(float)
        second = (y[..., :, None] * y[..., None, :] + free).reshape(classes * count, -1)
        width = model.width
        mass, group = np.repeat(shares / count, count), np.tile(group_of(count), classes)
        return cls(space, mass, T.reshape(-1, width, width), second, group)

    def error(self, values: np.ndarray) -> float:
        """Standard error of the mean of a function, from its values at the nodes."""
        total = np.bincount(self.group, self.mass)
        return standard_error(np.bincount(self.group, self.mass * values) / total)

    def truncate(self, samples: float) -> "MatrixLaw":
        """Without the largest weights, of total mass 1/(2 samples)."""
        size = np.linalg.norm(self.T, axis=(1, 2))
        order = np.argsort(-size)
        before = np.concatenate([[0.0], np.cumsum(self.mass[order])[:-1]])
        mass = self.mass.copy()
        mass[order] -= np.clip(1 / (2 * samples) - before, 0.0, mass[order])
        kept = mass > 0
        parts = self.T[kept], self.second[kept], self.group[kept]
        return MatrixLaw(self.space, mass[kept], *parts)
