"""Systems for the sharp asymptotics, with their blocks sampled by hand-written formulas."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import sgdlimits as sl


@dataclass(frozen=True)
class System:
    """A model, a state of it in six or more dimensions, and the weights of its blocks."""

    model: sl.MultiIndexModel
    W: np.ndarray  # the first coordinates of the neurons
    v: np.ndarray
    snr: float
    means: np.ndarray
    probabilities: np.ndarray
    weights: Callable[..., np.ndarray]  # (s, v, classes, kind, i, j) -> D

    @property
    def statistics(self) -> sl.Statistics:
        r = self.model.data.directions
        frame = np.eye(r, self.W.shape[1])
        return sl.Statistics(self.v, self.W @ frame.T, self.W @ self.W.T)

    def eigen(self, rng, dim: int, samples: int, kind: str, block: tuple[int, int]):
        """Eigenvalues and vectors of one sampled block."""
        classes = rng.choice(len(self.probabilities), samples, p=self.probabilities)
        X = rng.standard_normal((samples, dim)) / self.snr**0.5
        X[:, : self.means.shape[1]] += self.means[classes]
        s = X[:, : self.W.shape[1]] @ self.W.T
        D = self.weights(s, self.v, classes, kind, *block)
        return np.linalg.eigh((X * D[:, None]).T @ X / samples)


def _softmax_weights(s, v, classes, kind, i, j):
    p = np.exp(s - s.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    if kind == "hessian":
        return p[:, i] * ((i == j) - p[:, j])
    y = np.eye(s.shape[1])[classes]
    return ((p - y)[:, i]) * ((p - y)[:, j])


def _relu_weights(s, v, classes, kind, i, j):
    output = 1 / (1 + np.exp(-np.maximum(s, 0) @ v))
    both = v[i] * v[j] * (s[:, i] > 0) * (s[:, j] > 0)
    y = (classes < 2).astype(float)
    return both * (output * (1 - output) if kind == "hessian" else (output - y) ** 2)


def softmax(snr: float = 10.0, probabilities=None) -> System:
    """Three classes, neurons aligned with their means."""
    W = np.hstack([2.3 * np.eye(3) - 0.3, 0.1 * np.eye(3)])
    p = np.full(3, 1 / 3) if probabilities is None else np.array(probabilities)
    model = sl.k_gmm(3, snr=snr, probabilities=p)
    return System(model, W, np.zeros(0), snr, np.eye(3), p, _softmax_weights)


def xor(snr: float = 10.0) -> System:
    """XOR with four neurons of no symmetry."""
    W = np.array(
        [
            [1.2, 0.1, 0.4, 0.0, 0.1],
            [-1.0, 0.3, 0.0, 0.5, 0.0],
            [0.2, 1.1, 0.0, 0.1, 0.4],
            [-0.1, -1.3, 0.2, 0.2, 0.2],
        ]
    )
    v = np.array([1.5, 1.2, -1.4, -1.6])
    means = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    return System(sl.xor_gmm(snr), W, v, snr, means, np.full(4, 0.25), _relu_weights)
