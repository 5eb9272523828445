"""Small models that every kind of block is tested on."""

import jax.numpy as jnp
import numpy as np

import sgdlimits as sl
from sgdlimits.expectations.rules import TruncatedGauss
from sgdlimits.statistics.overlaps import Parameters

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


# -- labels that depend on the fields --------------------------------------------------------------

_COMMITTEE = {
    "teacher_gram": [[1.0, 0.4], [0.4, 1.5]],
    "teacher_second_layer": [1.0, -0.5],
    "second_layer": [1.2, -0.7],
    "ridge": 0.1,
}


def erf(noise=0.3, trained=True, order=8):
    rule = TruncatedGauss(4, order)
    return sl.committee(
        2, 2, "erf", noise=noise, train_second_layer=trained, rule=rule, **_COMMITTEE
    )


def fixed_erf(noise=0.3):
    return erf(noise, trained=False)


def relu(noise=0.3):
    return sl.committee(2, 2, "relu", noise=noise, train_second_layer=True, **_COMMITTEE)


def squares(noise=0.3):
    return sl.phase_retrieval(2, noise=noise, train_second_layer=True)


def _logistic_loss(output, y):
    return jnp.logaddexp(0.0, -y[0] * output)


def _noisy_sign(f, z):
    return jnp.sign(f[0] + 0.5 * z)


def _clear_sign(f, z):
    return jnp.sign(f[0])


def _flipped(c, f, z):
    return jnp.sign(jnp.where(c == 0, 1.0, -1.0) * f[0] + 0.5 * z)


def signs(label=_noisy_sign):
    network = sl.Network(_tanh_network, width=2)
    return sl.MultiIndexModel(data=sl.Teacher(label), network=network, loss=_logistic_loss)


def clear_signs():
    return signs(_clear_sign)


def logistic():
    """One neuron and its logit."""
    network = sl.Network(lambda v, s: s[0], width=1, layer=0)
    return sl.MultiIndexModel(data=sl.Teacher(_noisy_sign), network=network, loss=_logistic_loss)


def labelled_mixture(snr=2.0):
    """Two classes in two directions that are not orthogonal, labels by a function."""
    data = sl.GaussianMixture(
        [[1.0, 0.3], [-0.6, 1.0]], _flipped, gram=[[1.0, 0.2], [0.2, 0.8]],
        probabilities=[0.3, 0.7], snr=[snr, 2 * snr],
    )  # fmt: skip
    network = sl.Network(_tanh_network, width=2)
    return sl.MultiIndexModel(data=data, network=network, loss=_logistic_loss)


TEACHERS = {
    "erf": erf,
    "fixed erf": fixed_erf,
    "relu": relu,
    "squares": squares,
    "signs": signs,
    "labelled mixture": labelled_mixture,
}


def parameters(model, dim, seed=0):
    """Overlaps of order one with everything."""
    rng = np.random.default_rng(seed)
    width, layer = model.network.width, model.network.layer
    W = rng.standard_normal((width, dim)) * 0.7
    return Parameters(jnp.asarray(rng.standard_normal(layer)), jnp.asarray(W))
