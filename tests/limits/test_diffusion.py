"""The weak-noise diffusion against the chain at large dim."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.expectations.rules import TruncatedGauss
from sgdlimits.limits.diffusion import WeakNoiseDiffusion
from tests.cases.committees import points
from tests.helpers import z_limit

_RUNS = 2000


def _fluctuations(engine, order, snr, step, dim, seed, time=0.25, **options):
    model, sgd = sl.SpikedTensor(order=order, snr=snr), sl.OnlineSGD(step=step)
    start = sl.SpikedStatistics(0.5, 0.6)
    dataset = sl.simulate(
        model, sgd, engine, dim=dim, time=time, runs=_RUNS, seed=seed, initial=start, record=2,
        **options,
    )  # fmt: skip
    ode = sl.effective_dynamics(model, sgd).solve(start, dataset["time"].values)
    u = np.stack([dataset["m"].values[:, -1], dataset["r2"].values[:, -1]], axis=1)
    return np.sqrt(dim) * (u - np.asarray(ode.vector)[-1])


@pytest.mark.stat
@pytest.mark.parametrize(("order", "snr", "step"), [(2, 1.2, 1.0), (3, 4.0, 0.5)])
def test_sde_and_chain_have_the_same_one_time_mean_and_covariance(order, snr, step):
    # sqrt(n)(u - ode) at t = 0.25: 2 means and 3 covariances compared, two-sample z with derived
    # standard errors, Bonferroni, false alarm 1e-3. The chain's own O(n^-1/2) bias in the mean, of
    # order 1/sqrt(20000) = 0.007, is below the standard error 0.03.
    dim = 20_000
    sde = _fluctuations("sde", order, snr, step, dim, 1)
    chain = _fluctuations("chain", order, snr, step, dim, 2)
    rows, columns = np.triu_indices(2)

    def estimates(x):
        centred = x - x.mean(0)
        samples = np.concatenate([x, centred[:, rows] * centred[:, columns]], axis=1)
        return samples.mean(0), samples.var(0, ddof=1) / len(x)

    (one, var_one), (other, var_other) = estimates(sde), estimates(chain)
    z = (one - other) / np.sqrt(var_one + var_other)
    assert np.abs(z).max() < z_limit(5)
    # The comparison resolves 15 %: a diffusion without its factor sqrt(step) or 2 would be seen.
    assert (np.sqrt(var_one + var_other)[[2, 4]] < 0.05 * one[[2, 4]]).all()


def test_the_scheme_is_of_fourth_order_where_noise_is_negligible():
    # dt halved at dim 1e30: the error falls by about 16.
    model, sgd = sl.SpikedTensor(snr=1.2), sl.OnlineSGD()
    start = sl.SpikedStatistics(0.5, 0.6)
    exact = sl.effective_dynamics(model, sgd).solve(start, [0.5], rtol=1e-13, atol=1e-15).vector[0]

    def error(dt):
        paths = _noiseless(model, sgd, start, dt)
        return np.abs(paths - np.asarray(exact)).max()

    errors = [error(dt) for dt in (0.025, 0.0125, 0.00625)]
    for ratio in (errors[0] / errors[1], errors[1] / errors[2]):
        assert 12 < ratio < 21


def _noiseless(model, sgd, start, dt):
    """The scheme itself, one path with all noise zero."""
    from sgdlimits.engines.sde import DiffusionPath

    path = DiffusionPath(WeakNoiseDiffusion(sl.Process(model, sgd), 1e30))
    step = jax.jit(lambda state: path.step(state, jnp.zeros(2), jnp.zeros(()), jnp.asarray(dt)))
    state = start.vector
    for _ in range(round(0.5 / dt)):
        state = step(state)
    return np.asarray(state)


@pytest.mark.stat
@pytest.mark.parametrize("dt", [0.1, 0.05, 0.005])
def test_noise_enters_at_the_old_point(dt):
    # An OU process of rate -2 (order 2, m magnified about 0, r2 = step): the scheme multiplies y by
    # the Runge-Kutta polynomial q and adds noise of variance 8 dt, so its variance is known. It is
    # of first order in dt: 20 %, 10 % and 1 % too large, where 10240 runs resolve 1.4 %.
    # z-score of E y^2, three tests at 3e-4 each.
    limit = sl.effective_dynamics(sl.SpikedTensor(snr=0.5)).rescale("m")
    time, runs = 2.0, 10_240
    paths = sl.sample_diffusion(
        limit, initial=sl.SpikedStatistics(0.0, 1.0), time=time, runs=runs, seed=5, record=2, dt=dt
    )
    x = -2 * dt
    q = 1 + x + x**2 / 2 + x**3 / 6 + x**4 / 24
    expected = 8 * dt * (1 - q ** (2 * round(time / dt))) / (1 - q**2)
    ratio = float((paths["m"][:, -1] ** 2).mean()) / expected
    assert abs(ratio - 1) < z_limit(3) * np.sqrt(2 / runs)
    _, covariance = limit.gaussian(sl.SpikedStatistics(0.0, 1.0), [time])
    assert expected / float(covariance[0, 0, 0]) - 1 == pytest.approx(2 * dt, rel=0.1)


@pytest.mark.parametrize(
    ("width", "dim"),
    [
        (2, 250),
        pytest.param(3, 1000, marks=pytest.mark.slow),
        pytest.param(4, 2000, marks=pytest.mark.slow),
    ],
)
def test_coarse_expectations_are_finer_than_what_the_limit_neglects(width, dim):
    model = sl.xor_gmm(snr=5.0, ridge=0.1, width=width)
    process = sl.Process(model, sl.OnlineSGD())
    coarse = WeakNoiseDiffusion(process, dim)
    assert coarse.process.model.rule != model.rule  # there is something to test
    starts = sl.initial(model, dim, 3, seed=1)

    def squared(factor):
        return factor @ factor.mT

    @jax.jit
    def errors(u):
        drift = coarse.drift_vector(u.vector) - process.drift(u).vector
        exact = squared(process.diffusion_factor(u))
        noise = dim * squared(coarse.factor(u.vector)) - exact
        return jnp.abs(drift).max(), jnp.abs(noise).max() / jnp.abs(exact).max()

    drift, noise = jax.vmap(errors)(starts)
    assert 0 < drift.max() < 1 / dim
    assert 0 < noise.max() < 1e-2


@pytest.mark.parametrize("activation", ["erf", "relu"])
@pytest.mark.parametrize(("width", "teachers"), [(2, 1), (2, 2)])
def test_noise_of_committees_is_known_to_a_percent(activation, width, teachers):
    model, sgd = sl.committee(width, teachers, activation, noise=0.2), sl.OnlineSGD(step=0.5)
    coarse = WeakNoiseDiffusion(sl.Process(model, sgd), 1000).noise.model
    n = width + teachers
    rule = TruncatedGauss(n, {3: (20, 16, 16), 4: (14, 14, 12, 12)}[n])
    fine = sl.committee(width, teachers, activation, noise=0.2, rule=rule)
    u = points(model, spherical=False, count=2)

    def covariances(model):
        factor = jax.jit(jax.vmap(sl.Process(model, sgd).diffusion_factor))(u)
        return np.asarray(factor @ factor.mT)

    exact = covariances(fine)
    for measured in (covariances(model), covariances(coarse)):
        assert np.abs(measured - exact).max() < 1e-2 * np.abs(exact).max()
