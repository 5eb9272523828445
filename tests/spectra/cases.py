"""Small models that every kind of block is tested on."""

import jax.numpy as jnp
import numpy as np

import sgdlimits as sl
from sgdlimits.expectations.rules import TruncatedGauss
from sgdlimits.models.overlap_model import Parameters

_GRAM = [[1.0, 0.2, 0.1], [0.2, 1.0, -0.3], [0.1, -0.3, 1.0]]


def _tanh_network(v, s):
    return jnp.sum(v * jnp.tanh(s))


def _square_loss(output, label):
    return (output - label[0]) ** 2 / 2


def softmax(snr=2.0):
    return sl.k_gmm(3, means_gram=_GRAM, probabilities=[0.5, 0.3, 0.2], snr=snr, ridge=0.1)


def xor(snr=3.0, width=3):
    return sl.xor_gmm(snr=snr, ridge=0.1, width=width)


def smooth(snr=1.5):
    """Two tanh neurons, squared loss, classes of different noise."""
    data = sl.GaussianMixture(
        [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]], [1.0, -1.0, 0.5], probabilities=[0.2, 0.5, 0.3],
        snr=[snr, 2 * snr, snr],
    )  # fmt: skip
    network = sl.Network(_tanh_network, width=2)
    rule = TruncatedGauss(2, 32)  # tanh at large arguments is steep for Gauss-Hermite nodes
    return sl.MultiIndexModel(data=data, network=network, loss=_square_loss, ridge=0.1, rule=rule)


MODELS = {"softmax": softmax, "xor": xor, "smooth": smooth}


def parameters(model, dim, seed=0):
    """Overlaps of order one with everything."""
    rng = np.random.default_rng(seed)
    width, layer = model.network.width, model.network.layer
    W = rng.standard_normal((width, dim)) * 0.7
    return Parameters(jnp.asarray(rng.standard_normal(layer)), jnp.asarray(W))
