"""V, the span of the neurons and the fixed directions: coordinates from overlaps alone.

A sample's weight depends on its part in a subspace U only, beside the noise of labels: the span of
the rows of W, or all of V where labels depend on f = F X. Its part in V minus U is Gaussian given
the class.
"""

from dataclasses import dataclass

import numpy as np

from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.statistics.overlaps import Statistics

_RELATIVE_RANK = 1e-9  # a direction with less than this share of the trace is rounding


@dataclass(frozen=True)
class SignalSpace:
    """Rows in an orthonormal basis of V whose first ``seen`` vectors span U.

    Attributes:
        neurons: rows of W, shape (width, rank); zero beyond the columns of their own span.
        frame: the fixed directions, shape (directions, rank).
        means: the class means, shape (classes, rank).
        seen: dimension of U.
    """

    neurons: np.ndarray
    frame: np.ndarray
    means: np.ndarray
    seen: int

    @property
    def rank(self) -> int:
        """r = dim V."""
        return self.neurons.shape[1]

    @classmethod
    def create(
        cls, model: MultiIndexModel, u: Statistics, first: tuple[int, ...] = ()
    ) -> "SignalSpace":
        """From one state. Neuron ``first[i]`` lies in the span of the first i + 1 coordinates."""
        Q, M, gram = (np.asarray(x, dtype=float) for x in (u.Q, u.M, model.data.gram))
        ahead = list(dict.fromkeys(first))
        order = np.array(ahead + [i for i in range(len(Q)) if i not in ahead])
        # Of the correlations: a kink sees the sign of a neuron, however small that is.
        norms = np.sqrt(np.diagonal(Q))
        inverse = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
        root = _root(inverse[:, None] * Q * inverse)
        in_u = np.empty_like(root)
        rotation, triangle = np.linalg.qr(root[order].T)
        # Fixed signs, so that the nodes move smoothly with the state.
        in_u[order] = root[order] @ (rotation * np.where(np.diag(triangle) < 0, -1.0, 1.0))
        frame_u = (np.linalg.pinv(in_u, rcond=1e-6) @ (inverse[:, None] * M)).T
        beyond = _root(gram - frame_u @ frame_u.T, np.trace(gram))
        neurons = np.hstack([norms[:, None] * in_u, np.zeros((len(Q), beyond.shape[1]))])
        frame = np.hstack([frame_u, beyond])
        seen = frame.shape[1] if model.data.labels_see_fields else in_u.shape[1]
        return cls(neurons, frame, np.array(model.data.coefficients) @ frame, seen)


def _root(matrix: np.ndarray, scale: float | None = None) -> np.ndarray:
    """A with A Aᵀ = matrix and as many columns as its rank."""
    values, vectors = np.linalg.eigh(matrix)
    size = float(values.sum()) if scale is None else scale
    kept = values > _RELATIVE_RANK * max(size, 0.0)
    return (vectors[:, kept] * np.sqrt(values[kept]))[:, ::-1]
