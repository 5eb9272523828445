"""Jumps of gradients are found: those that stay, and those that move."""

import jax
import jax.numpy as jnp
import pytest

import sgdlimits as sl
from sgdlimits.models.found_jumps import found_jumps

_MIXTURE = sl.GaussianMixture([[1.0], [-1.0]], [1.0, -1.0])


def _two_layers(activation):
    return lambda v, s: jnp.sum(v * activation(s))


_relu, _tanh = _two_layers(jax.nn.relu), _two_layers(jnp.tanh)


def _biased(v, s):
    return jnp.sum(v[:2] * jax.nn.relu(s + v[2:]))


_shifted = _two_layers(lambda s: jax.nn.leaky_relu(s - 1))
_steep, _growing = _two_layers(lambda s: jnp.tanh(300 * s)), _two_layers(jnp.exp)
_CASES = {
    "relu-logistic": (_relu, sl.losses.logistic, 2, 2, (0.0,), False),
    "relu-hinge": (_relu, sl.losses.hinge, 2, 2, (0.0,), True),
    "shifted": (_shifted, sl.losses.squared, 3, 3, (1.0,), False),
    "bias": (_biased, sl.losses.squared, 2, 4, (), True),
    "margin": (lambda v, s: s[0], sl.losses.hinge, 1, 0, (-1.0, 1.0), False),
    "smooth": (_tanh, sl.losses.squared, 4, 4, (), False),
    "steep": (_steep, sl.losses.logistic, 2, 2, (), False),
    "growing": (_growing, sl.losses.squared, 2, 2, (), False),
}


@pytest.mark.parametrize("name", _CASES)
def test_jumps_are_found(name):
    network, loss, width, layer, fixed, moving = _CASES[name]
    assert found_jumps(network, loss, _MIXTURE, width, layer) == (fixed, moving)


def test_an_undeclared_kink_gives_what_a_declared_one_gives():
    u = sl.Statistics([1.0, -0.7], [[0.6], [-0.2]], [[0.9, 0.1], [0.1, 1.4]])
    drifts = [
        sl.effective_dynamics(
            sl.MultiIndexModel(
                data=_MIXTURE, network=sl.Network(_relu, width=2, kinks=kinks),
                loss=sl.losses.logistic,
            )
        ).drift(u).vector
        for kinks in ((), (0.0,))
    ]  # fmt: skip
    assert jnp.array_equal(*drifts)
