"""Drift, corrector and noise of spiked tensors against derivations from the loss itself."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.process.row_kernel import Batch
from tests.helpers import random_rotation
from tests.models import worked_examples

_MODELS = [(2, 1.3, 0.0), (2, 0.7, 0.4), (3, 3.5, 0.0), (3, 2.0, 0.7)]


def _tensor(x, order):
    letters = "abcdef"[:order]
    return jnp.einsum(",".join(letters) + "->" + letters, *[x] * order)


@eqx.filter_jit
def _step(model, sgd, x, frame, z):
    """One step on given noise."""
    return sl.Process(model, sgd).step_on(x, frame, Batch(z, jnp.zeros(0)), 0.0)


def _population_loss(model, v):
    """E|Y - x^(x k)|^2 up to a constant, entry by entry, plus ridge."""
    spike = model.snr * _tensor(v, model.order)

    def loss(x):
        return jnp.sum((spike - _tensor(x, model.order)) ** 2) + model.ridge / 2 * jnp.sum(x * x)

    return loss


@pytest.mark.parametrize(("order", "snr", "ridge"), _MODELS)
def test_population_drift_is_the_gradient_of_the_population_loss(order, snr, ridge):
    model = sl.SpikedTensor(order=order, snr=snr, ridge=ridge)
    v = random_rotation(6, 1)[0]
    x = 0.7 * jax.random.normal(jax.random.key(order), (6,))
    gradient = jax.grad(_population_loss(model, v))(x)

    def statistics(x):
        return model.statistics(x, v[None]).vector

    # f: how fast the statistics change when x moves along the gradient.
    expected = jax.jvp(statistics, (x,), (gradient,))[1]
    u = sl.SpikedStatistics(0.0, 0.0).with_vector(statistics(x))
    f = sl.effective_dynamics(model).population_drift(u).vector
    np.testing.assert_allclose(f, expected, rtol=1e-12)


@pytest.mark.parametrize("order", [2, 3])
def test_corrector_is_half_the_hessian_contracted_with_the_gradient_noise(order):
    # g = lim (step/2) <Hess u, Cov(grad)>/n: the covariance of the gradient of the noise part,
    # grad = -2 sum over slots of W contracted with x, taken entry by entry from its definition.
    dim, step = 5, 0.7
    x = jax.random.normal(jax.random.key(0), (dim,))
    jacobian = jax.jacrev(lambda x: _tensor(x, order))(x).reshape(-1, dim)
    covariance = 4 * np.asarray(jacobian.T @ jacobian)  # of W.jacobian, W iid standard normal
    model = sl.SpikedTensor(order=order, snr=1.0)
    v = random_rotation(dim, 2)[0]
    u = model.statistics(x, v[None])
    norm2 = float(x @ x)
    k = order
    isotropic = 4 * k * norm2 ** (k - 1)
    along = 4 * k * (k - 1) * norm2 ** (k - 2)
    expected = isotropic * np.eye(dim) + along * np.outer(x, x)
    np.testing.assert_allclose(covariance, expected, rtol=1e-12, atol=1e-12)
    # Hess r2 = 2 (I - v vT), Hess m = 0; the trace of the isotropic part grows with dim, and
    # delta (n/2) 2 isotropic / step is what survives.
    g = sl.effective_dynamics(model, sl.OnlineSGD(step=step)).corrector(u)
    np.testing.assert_allclose(g.r2, step * isotropic, rtol=1e-12)
    assert float(g.m) == 0.0
    # Diffusion: gradients of (m, r2) around that covariance.
    gradients = np.stack([v, 2 * (np.asarray(x) - float(u.m) * np.asarray(v))])
    diffusion = sl.effective_dynamics(model, sl.OnlineSGD(step=step)).diffusion(u)
    np.testing.assert_allclose(diffusion, step * gradients @ covariance @ gradients.T, rtol=1e-12)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_default_gradient_noise_has_the_covariance_of_the_literal_one(order):
    # The step is linear in its normals, so its noise covariance is exact: no sampling.
    dim, model, sgd = 5, sl.SpikedTensor(order=order, snr=1.0), sl.OnlineSGD(step=0.7)
    x = jax.random.normal(jax.random.key(0), (dim,))
    frame = model.frame(dim)
    step = lambda z: _step(model, sgd, x, frame, z)  # noqa: E731
    matrix = jax.jacfwd(step)(jnp.zeros(dim))
    literal = 2 * sgd.delta(dim) * jax.jacrev(lambda x: _tensor(x, order))(x).reshape(-1, dim)
    np.testing.assert_allclose(matrix @ matrix.T, literal.T @ literal, rtol=1e-12, atol=1e-14)


def test_one_step_at_the_worked_example():
    model, sgd = sl.SpikedTensor(order=3, snr=3.0, ridge=0.2), sl.OnlineSGD(step=0.1)
    u = sl.SpikedStatistics(0.45, 0.36)
    moments = sl.effective_dynamics(model, sgd).one_step_moments(u, 12)
    mean = moments.mean + u.vector
    cov = moments.covariance
    found = [mean[0], mean[1], cov[0, 0], cov[1, 1], cov[0, 1]]
    np.testing.assert_allclose(found, worked_examples.ONE_STEP_CUBIC, rtol=1e-13)


def test_ode_at_the_worked_example():
    path = sl.effective_dynamics(sl.SpikedTensor(order=3, snr=4.0)).solve(
        sl.SpikedStatistics(*worked_examples.ODE_CUBIC_START),
        worked_examples.ODE_CUBIC_TIMES,
        rtol=1e-12,
        atol=1e-14,
    )
    np.testing.assert_allclose(path.vector, worked_examples.ODE_CUBIC, atol=1e-11)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_a_step_with_the_same_noise_does_not_see_rotations(order):
    model, sgd = sl.SpikedTensor(order=order, snr=1.5, ridge=0.3), sl.OnlineSGD(step=0.4)
    dim, rotation = 11, random_rotation(11, 3)
    keys = jax.random.split(jax.random.key(0), 2)
    x, z = 0.3 * jax.random.normal(keys[0], (dim,)), jax.random.normal(keys[1], (dim,))
    frame = model.frame(dim)
    plain = model.statistics(_step(model, sgd, x, frame, z), frame)
    turned = frame @ rotation
    other = model.statistics(_step(model, sgd, x @ rotation, turned, z @ rotation), turned)
    np.testing.assert_allclose(other.vector, plain.vector, rtol=1e-12)


def test_literal_sample_sizes():
    assert [sl.SpikedTensor(order=k).literal_sample_size(7) for k in (2, 3, 4)] == [49, 343, 2401]


def test_an_snr_that_grows_with_dim():
    model = sl.SpikedTensor.at_gradient_threshold(4, 0.3, 500, ridge=0.1)
    assert (model.order, model.ridge) == (4, 0.1)
    assert model.snr == pytest.approx(0.3 * 500, rel=1e-15)
    assert sl.SpikedTensor.at_gradient_threshold(2, 0.3, 500).snr == 0.3
    assert sl.SpikedTensor.at_gradient_threshold(3, 0.3, 400).snr == pytest.approx(6.0)


@pytest.mark.stat
def test_initial_law_is_that_of_a_gaussian_vector():
    from scipy import stats

    # KS of m sqrt(n) ~ N(0,1) and r2 n ~ chi2(n-1), small and large n: 3 x 2 tests at 1.7e-4 each.
    for dim in (2, 20, 10**7):
        u = sl.initial(sl.SpikedTensor(), dim, 4000, seed=dim)
        assert stats.kstest(np.asarray(u.m) * np.sqrt(dim), "norm").pvalue > 1e-3 / 6
        law = stats.chi2(dim - 1)
        assert stats.kstest(np.asarray(u.r2) * dim, law.cdf).pvalue > 1e-3 / 6
        correlation = np.corrcoef(u.m, u.r2)[0, 1] * np.sqrt(4000)
        assert abs(correlation) < 4.5  # false alarm 7e-6


@pytest.mark.stat
def test_lifts_are_uniform_on_their_sphere():
    # First and second moments of the direction orthogonal to v at n = 4: 3 + 6 z-scores.
    from tests.helpers import moment_z_scores, z_limit

    u = sl.SpikedStatistics(np.full(4000, 0.3), np.full(4000, 2.0))
    rest = np.asarray(sl.lift(sl.SpikedTensor(), u, 4, seed=1))[:, 1:]
    z = moment_z_scores(rest, np.zeros(3), 2.0 / 3 * np.eye(3))
    assert np.abs(z).max() < z_limit(z.size)
