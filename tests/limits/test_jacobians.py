"""Jacobians where integrands have kinks and jumps, against differences of an accurate drift."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits._tracing import dynamic
from sgdlimits.expectations.rules import QuasiMonteCarlo
from sgdlimits.limits.vector_field import (
    crosses_jumps,
    drift_vector,
    jacobian,
    jacobian_deviations,
)

_CLASSES = sl.GaussianMixture([[1.0], [-1.0]], [1, 0], snr=1.0)
_SIGN = sl.Teacher(label=lambda f, z: jnp.sign(f[0]))


def _hinge(f, y):
    return jnp.maximum(0.0, 1 - (2 * y[0] - 1) * f)


def _perceptron(f, y):
    return jnp.maximum(0.0, -y[0] * f)


def _one(v, s):
    return s[0]


def _two(v, s):
    return jnp.sum(v * jax.nn.relu(s))


_V, _M, _Q = [0.8, -0.7], [[0.6], [-0.5]], [[0.9, -0.1], [-0.1, 0.7]]


def _hinge_of_two(**options):
    network = sl.Network(_two, width=2, layer=2)
    return sl.MultiIndexModel(data=_CLASSES, network=network, loss=_hinge, ridge=0.1, **options)


def _perceptron_of_one():
    network = sl.Network(_one, width=1, layer=0)
    return sl.MultiIndexModel(data=_SIGN, network=network, loss=_perceptron, ridge=0.1)


_CASES = {
    "sign teacher": (
        lambda: sl.committee(1, 1, lambda x: x, jnp.sign, noise=0.1),
        sl.Statistics(np.zeros(0), [[0.3]], [[0.8]]),
    ),
    "perceptron": (_perceptron_of_one, sl.Statistics(np.zeros(0), [[0.6]], [[0.9]])),
    "xor": (
        lambda: sl.xor_gmm(snr=10, ridge=0.1, width=1),
        sl.Statistics([0.8], [[0.6, 0.1]], [[0.9]]),
    ),
    "hinge, one": (
        lambda: sl.MultiIndexModel(
            data=_CLASSES,
            network=sl.Network(_one, width=1, layer=0),
            loss=_hinge,
            ridge=0.1,
        ),
        sl.Statistics(np.zeros(0), [[0.6]], [[0.9]]),
    ),
}


def _differences(process, y, step=0.02):
    """Of fourth order."""
    field = jax.jit(jax.vmap(lambda y: drift_vector(dynamic(process), y)))
    moves = step * np.eye(len(y))
    at = [np.asarray(field(jnp.asarray(y + k * moves))) for k in (-2, -1, 1, 2)]
    return ((at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)).T


@pytest.mark.parametrize(
    "name",
    [
        "hinge, one",
        *(pytest.param(name, marks=pytest.mark.slow) for name in _CASES if name != "hinge, one"),
    ],
)
def test_jacobians_see_kinks_and_jumps(name):
    make, u = _CASES[name]
    process = sl.effective_dynamics(make()).process
    found = np.asarray(jacobian(process, u))
    expected = _differences(process, np.asarray(u.vector))
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.slow
def test_a_jacobian_over_crossing_nodes_knows_its_error():
    # Margins that the second layer moves: automatic differentiation misses 0.9 of it.
    u = sl.Statistics(_V, _M, _Q)
    process = sl.effective_dynamics(_hinge_of_two()).process
    assert crosses_jumps(process)
    found = np.asarray(jacobian(process, u))
    error = np.sqrt((jacobian_deviations(process, u) ** 2).sum(0))
    fine = sl.effective_dynamics(
        _hinge_of_two(rule=QuasiMonteCarlo(2, 15, 8, seed=5, split=False))
    ).process
    expected = _differences(fine, np.asarray(u.vector), 0.04)
    missed = np.abs(found - expected)
    assert missed.max() < 0.02
    assert (missed < 3 * error + 2e-3).mean() > 0.9
    assert error.max() < 0.05
    field = lambda y: drift_vector(dynamic(process), y)  # noqa: E731
    through_nodes = np.asarray(jax.jit(jax.jacfwd(field))(u.vector))
    assert np.abs(through_nodes - expected).max() > 0.5  # a control
