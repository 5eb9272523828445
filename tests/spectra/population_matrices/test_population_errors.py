"""Values and errors of population blocks against quadrature in NumPy, at any norm and rank."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss
from scipy.special import expit

import sgdlimits as sl
from sgdlimits import spectra
from sgdlimits.expectations.looked_plane import LookedPlane
from sgdlimits.expectations.rules import QuasiMonteCarlo
from sgdlimits.limits.adequate import ENOUGH, InaccurateWarning

_T, _W = leggauss(12)


# -- one neuron, any activation, loss and norm ----------------------------------------------------

_SQUARED = lambda o, y: (o - y[0]) ** 2 / 2  # noqa: E731
_LOGISTIC = lambda o, y: jnp.logaddexp(0.0, -y[0] * o)  # noqa: E731


def _huber(o, y):
    r = o - y[0]
    return jnp.where(jnp.abs(r) < 0.7, r * r / 2, 0.7 * (jnp.abs(r) - 0.35))


ONE_NEURON = {
    "tanh": (jnp.tanh, _SQUARED),
    "gelu": (jax.nn.gelu, _LOGISTIC),
    "relu": (jax.nn.relu, _huber),  # a kink of the loss, which moves with v
    "sin": (jnp.sin, _huber),
}


def _one_neuron(name):
    activation, loss = ONE_NEURON[name]
    data = sl.GaussianMixture([[1.0], [-1.0]], [1.0, -1.0], probabilities=[0.3, 0.7], snr=[1, 2])
    network = sl.Network(lambda v, s: jnp.sum(v * activation(s)), width=1)
    return sl.MultiIndexModel(data=data, network=network, loss=loss)


def _at_norm(size):
    return sl.Statistics([0.8], [[0.6 * size]], [[size**2]])


def _bulk_on_a_fine_grid(model, size):
    """sum_c p_c/snr_c E[D], on panels of 1/4000 of a deviation and of 1/500, both everywhere."""
    total, absolute = 0.0, 0.0
    second = jax.jit(jax.vmap(jax.grad(lambda s, y: jax.grad(lambda s: model.loss(
        model.network.function(jnp.array([0.8]), s[None]), y[None]))(s)), (0, None)))  # fmt: skip
    for y, p, snr in ((1.0, 0.3, 1.0), (-1.0, 0.7, 2.0)):
        mean, deviation = 0.6 * size * y, size / snr**0.5
        fine = np.linspace(-9, 9, 2001) * deviation + mean
        edges = np.unique(np.concatenate([fine, np.linspace(-16, 16, 16001)]))
        edges = edges[(edges >= fine[0]) & (edges <= fine[-1])]
        half = np.diff(edges)[:, None] / 2
        t, w = leggauss(4)
        s = (edges[:-1, None] + half * (1 + t)).ravel()
        density = np.exp(-(((s - mean) / deviation) ** 2) / 2) / deviation / np.sqrt(2 * np.pi)
        D = np.asarray(second(jnp.asarray(s), y)) * density * (half * w).ravel() * p / snr
        total, absolute = total + D.sum(), absolute + np.abs(D).sum()
    return total, absolute


@pytest.mark.filterwarnings("ignore:.*of its scale only")  # sin at norm 30: to 2e-3
@pytest.mark.parametrize("name", ONE_NEURON)
def test_one_neuron_at_any_norm(name):
    """Right to 3e-4 of E|D|, which is what the grid resolves at hundreds of jumps (sin)."""
    model = _one_neuron(name)
    for size in (1e-3, 1.0, 3.0, 30.0):
        found = spectra.population(model, _at_norm(size), (0, 0))
        truth, scale = _bulk_on_a_fine_grid(model, size)
        assert abs(float(found.bulk) - truth) <= 3e-4 * scale
        # A mean over frequencies as high as these leaves nothing of its size.
        assert found.error <= 3 * ENOUGH * max(np.abs(found.inner).max(), 0.1 * scale)


def test_a_field_case():
    found = spectra.population(_one_neuron("tanh"), _at_norm(3.0), (0, 0))
    assert float(found.bulk) == pytest.approx(0.0374025, abs=1e-6)
    assert 0 < float(found.bulk_error) < 1e-6


def test_a_rule_that_the_user_chose_is_used_and_said_to_be_coarse():
    """Negative control of the errors: eight nodes, as many times too few."""
    base = _one_neuron("tanh")
    model = sl.MultiIndexModel(
        data=base.data, network=base.network, loss=base.loss,
        rule=QuasiMonteCarlo(1, 5, replicates=4),
    )  # fmt: skip
    with pytest.warns(InaccurateWarning, match=r"population block W1W1 \(hessian\) is known to"):
        found = spectra.population(model, _at_norm(3.0), (0, 0))
    distance = abs(float(found.bulk) - 0.0374025)
    assert 1e-4 < distance < 3 * float(found.bulk_error)


# -- more neurons than directions: ReLU networks in the plane of the means -------------------------


def _in_polar_coordinates(W, v, snr, i, j, kind):
    """E[D x xᵀ] of XOR's block in the plane, panels in the angle that end at every kink."""
    moving = W[np.linalg.norm(W, axis=1) > 0]
    normal = np.arctan2(moving[:, 1], moving[:, 0])
    kinks = np.concatenate([normal + np.pi / 2, normal - np.pi / 2]) % (2 * np.pi)
    edges = np.unique(np.concatenate([kinks, np.linspace(0, 2 * np.pi, 129)]))
    half = np.diff(edges)[:, None] / 2
    angle, of_angle = (edges[:-1, None] + half * (1 + _T)).ravel(), (half * _W).ravel()
    ends = np.linspace(0, 1 + 9 / snr**0.5, 65)
    half = np.diff(ends)[:, None] / 2
    radius, of_radius = (ends[:-1, None] + half * (1 + _T)).ravel(), (half * _W).ravel()
    x = (radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], -1)).reshape(-1, 2)
    area = (radius[:, None] * of_radius[:, None] * of_angle).ravel()
    s = x @ W.T
    out = expit(np.maximum(s, 0) @ v)
    total, bulk = np.zeros((2, 2)), 0.0
    for mean, y in (([1, 0], 1), ([-1, 0], 1), ([0, 1], 0), ([0, -1], 0)):
        density = snr / (2 * np.pi) * np.exp(-snr * ((x - mean) ** 2).sum(1) / 2) * area / 4
        slope = out * (1 - out) if kind == "hessian" else (out - y) ** 2
        D = v[i] * v[j] * (s[:, i] > 0) * (s[:, j] > 0) * slope * density
        total, bulk = total + (D * x.T) @ x, bulk + D.sum() / snr
    return total, bulk


_AXES = 1.2 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1.0]])
_SIGNS = np.array([1.5, 1.5, -1.5, -1.5])
IN_THE_PLANE = {
    "axes": (_AXES, _SIGNS),
    "sums": (np.array([[1.0, 0.2], [-0.3, 0.9], [0.7, 1.1], [1.3, -0.7]]), _SIGNS),
    "zeros": (np.array([[0.0, 0.0], [0.8, 0.5], [-0.4, -0.25], [0.5, -0.8]]), _SIGNS),
    "large": (20 * np.array([[1.0, 0.2], [-0.3, 0.9], [0.7, 1.1], [-0.5, -0.1]]), _SIGNS / 5),
}


def _statistics(W, v):
    return sl.Statistics(jnp.asarray(v), jnp.asarray(W), jnp.asarray(W @ W.T))


@pytest.mark.parametrize("name", IN_THE_PLANE)
def test_dependent_and_zero_neurons(name):
    """Errors of 1e-4 are allowed by default, and honest; a kink that is not met costs 1e-2."""
    W, v = IN_THE_PLANE[name]
    model = sl.xor_gmm(snr=10, ridge=0)
    for (i, j), kind in (((1, 1), "hessian"), ((1, 3), "gradient")):
        found = spectra.population(model, _statistics(W, v), (i, j), kind)
        inner, bulk = _in_polar_coordinates(W, v, 10.0, i, j, kind)
        basis = found.directions[:, :2]
        expected = np.array(basis) @ inner @ np.array(basis).T
        computed = found.inner[:2, :2]
        size = max(np.abs(expected).max(), 1e-12)
        assert np.abs(computed - expected).max() < 1e-4 * size
        assert abs(float(found.bulk) - bulk) < 1e-4 * size
        miss = np.abs(computed - expected).max()
        assert miss <= 3 * max(found.inner_error.max(), 1e-7 * size)


def test_the_field_case_of_aligned_neurons():
    model, u = sl.xor_gmm(snr=10, ridge=0), _statistics(_AXES, _SIGNS)
    first = spectra.population(model, u, (0, 0))
    top = first.eigenvalues(9)[::-1][:2]
    np.testing.assert_allclose(top, [0.0951944, 0.0951944], atol=2e-7)
    np.testing.assert_allclose(first.eigenvalue_errors(9)[-2:], 0, atol=1e-5)
    assert first.error > 0
    second = spectra.second_layer(model, u)
    assert second.values[-1] == pytest.approx(0.0303136, abs=1e-6)
    assert 0 < second.error < 1e-5


def test_without_a_look_the_plane_misses_what_is_sharp():
    """Negative control: what is declared is met, what is not must be looked for."""
    L, mean = np.array([[[1.0, 0.0], [0.3, 0.8]]]), np.zeros((1, 2))

    def values(z):
        return np.where(z[..., 0] + 0.5 * z[..., 1] > 0.3 + 0.1 * z[..., 1] ** 2, 1.0, 0.0)[None]

    truth = _plane_truth()
    looked = LookedPlane(2).of_many(mean, L, (), values)
    blind = LookedPlane(2).of_many(mean, L, (), lambda z: np.zeros((1, *z.shape[:2])))
    miss = [abs((values(z)[0] * w).sum() - truth) for z, w in (looked, blind)]
    assert miss[0] < 1e-4
    assert miss[1] > 2e-4


def _plane_truth():
    """P(z0 > 0.3 + 0.1 z1^2 - 0.5 z1), one variable at a time."""
    from scipy.special import ndtr

    y = np.linspace(-9, 9, 20001)
    density = np.exp(-y * y / 2) / np.sqrt(2 * np.pi)
    return np.trapezoid(ndtr(-(0.3 + 0.1 * y**2 - 0.5 * y)) * density, y)


# -- random states of more variables ---------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*of its scale only")
def test_errors_are_honest_at_random_states(record_property):
    """Against more and other Sobol points: at most one of ten states exceeds three errors."""
    base = sl.xor_gmm(snr=4.0, ridge=0.0, width=3)
    rule = QuasiMonteCarlo(3, 15, seed=5, split=False)
    fine = eqx.tree_at(lambda model: model.rule, base, rule)
    rng, beyond = np.random.default_rng(3), []
    for size in (0.3, 1.0, 10.0):
        for _ in range(4):
            W = size * rng.standard_normal((3, 5))
            u = sl.Statistics(rng.standard_normal(3), W[:, :2], W @ W.T)
            one, other = (spectra.population(m, u, (0, 1), "gradient") for m in (base, fine))
            miss = np.abs(one.inner - other.inner).max()
            claim = np.hypot(one.inner_error.max(), other.inner_error.max())
            beyond.append(miss > 3 * claim)
    record_property("beyond three errors", float(np.mean(beyond)))
    assert np.mean(beyond) <= 0.1
