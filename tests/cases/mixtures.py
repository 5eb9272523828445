"""Networks on Gaussian mixtures: binary, XOR and k classes."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from sgdlimits import MultiIndexModel, OnlineSGD, Statistics, binary_gmm, k_gmm, xor_gmm
from sgdlimits.randomness.chi_square import ChiSquare
from tests.cases.case import Case


class _Mean(ChiSquare):
    """A chi-square without its fluctuations."""

    def from_normals(self, z: Any) -> Any:
        return jnp.broadcast_to(self.mean, z.shape[1:])


def _mean_chi_square(model: MultiIndexModel) -> MultiIndexModel:
    """The model with a chain that forgets the fluctuations of |X|^2 outside the spans."""

    class MeanChiSquare(type(model)):
        def chain_constants(self, dim: int) -> ChiSquare:
            return _Mean(dim - self.minimum_dim)

    control = object.__new__(MeanChiSquare)
    for field in dataclasses.fields(model):
        object.__setattr__(control, field.name, getattr(model, field.name))
    return control


def _points(model: MultiIndexModel) -> Statistics:
    """A generic state, one with aligned neurons and no rest, and one with a small second layer."""
    p, r, layer = model.network.width, model.data.directions, model.network.layer
    rng = np.random.default_rng(5)
    v, M = rng.uniform(0.4, 1.2, (3, layer)), rng.uniform(-0.8, 0.8, (3, p, r))
    v[:, ::2] *= -1
    v[2] *= 0.05
    M[1] = M[1, :1] * rng.uniform(0.5, 1.5, (p, 1))
    factor = rng.standard_normal((3, p, p)) * np.array([0.6, 0.0, 0.3])[:, None, None]
    gram = np.array(model.data.gram)
    inside = M @ np.linalg.solve(gram, np.swapaxes(M, -1, -2))
    return Statistics(v, M, inside + factor @ np.swapaxes(factor, -1, -2))


def _case(name: str, model: MultiIndexModel, sgd: OnlineSGD, **options: Any) -> Case:
    p, r = model.network.width, model.data.directions
    least = model.minimum_dim
    # With the neurons at zero all samples push equally hard, and |X|^2 makes all of the next Q.
    sharp = Statistics(np.full(model.network.layer, 1.5), np.zeros((p, r)), np.zeros((p, p)))
    return Case(
        name, model, sgd, _points(model), (least, least + 1, least + 24), 60, 0.5, 30,
        sharp, _mean_chi_square(model), **options,
    )  # fmt: skip


_GRAM = [[1, 0.2, 0.1], [0.2, 1, -0.3], [0.1, -0.3, 1]]

CASES = [
    _case("xor-width-1", xor_gmm(snr=2.0, ridge=0.1, width=1), OnlineSGD(step=1.0)),
    _case(
        "two-classes",
        k_gmm(2, probabilities=[0.3, 0.7], snr=[0.7, 1.5], tolerance=1e-4),
        OnlineSGD(step=2.0),
        slow=True,
    ),
    _case(
        "binary", binary_gmm(snr=2.0), OnlineSGD(step=1.3, second_layer_rate=0.7), slow=True
    ),
    _case("xor-width-3", xor_gmm(snr=3.0, ridge=0.05, width=3), OnlineSGD(step=0.7), slow=True),
    _case(
        "three-classes",
        k_gmm(means_gram=_GRAM, probabilities=[0.5, 0.3, 0.2], snr=0.7, ridge=0.05),
        OnlineSGD(step=1.3),
        slow=True,
    ),
]  # fmt: skip
