"""Exact one-step moments against real steps, and their limit against drift and diffusion."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from tests.helpers import moment_z_scores, one_step_statistics, random_rotation, z_limit
from tests.registry import every_case

_MOST_NUMBERS = 3e7  # random numbers that one test may draw


def _worst_z(case, dim: int, literal: bool, seed: int) -> tuple[float, int]:
    model, eff = case.model, sl.effective_dynamics(case.model, case.sgd)
    frame = model.frame(dim) @ random_rotation(dim, seed)
    size = model.literal_sample_size(dim) if literal else dim
    points = len(case.points.vector)
    draws = int(min(30_000, _MOST_NUMBERS / size / points)) // 256 * 256
    z = []
    for index in range(points):
        u = case.points[index]
        keys = jax.random.split(jax.random.key(seed * 100 + index), draws)
        samples = np.asarray(one_step_statistics(model, case.sgd, u, frame, keys, literal))
        moments = eff.one_step_moments(u, dim)
        increments = samples - np.asarray(u.vector)
        z.append(
            moment_z_scores(increments, np.asarray(moments.mean), np.asarray(moments.covariance))
        )
    return float(np.abs(z).max()), np.size(z)


@pytest.mark.stat
@pytest.mark.parametrize("which", [0, 1, 2])
@every_case
def test_literal_steps_have_the_exact_moments(case, which):
    # z-scores of all means and covariances at all points; Bonferroni, false alarm 1e-3 per case.
    worst, count = _worst_z(case, case.small_dims[which], literal=True, seed=which + 1)
    assert worst < z_limit(count)


@pytest.mark.stat
@pytest.mark.parametrize("which", [0, 2, "dim"])
@every_case
def test_default_steps_have_the_exact_moments(case, which):
    # As above. Frames are rotated at random, so a formula that reads coordinates is found out.
    dim = case.dim if which == "dim" else case.small_dims[which]
    worst, count = _worst_z(case, dim, literal=False, seed=11)
    assert worst < z_limit(count)


@eqx.filter_jit
def _chain_steps(model, sgd, u, dim, noise):
    state = model.chain_state(u)
    return jax.vmap(
        lambda noise: model.chain_statistics(model.chain_step(state, noise, sgd, dim)).vector
    )(noise)


@pytest.mark.stat
@pytest.mark.parametrize("which", [0, 1, 2, "dim"])
@every_case
def test_chain_steps_have_the_exact_moments(case, which):
    # As above; without vectors many draws are cheap, and an error of 1 % in a variance shows.
    dim = case.dim if which == "dim" else case.small_dims[which]
    model, draws, z = case.model, 400_000, []
    moments = sl.effective_dynamics(model, case.sgd).one_step_moments(case.points, dim)
    for index in range(len(case.points.vector)):
        u = case.points[index]
        noise = model.chain_noise(jax.random.key(index), draws, model.chain_constants(dim))
        samples = _chain_steps(model, case.sgd, u, jnp.asarray(float(dim)), noise)
        z.append(
            moment_z_scores(
                np.asarray(samples - u.vector),
                np.asarray(moments.mean[index]),
                np.asarray(moments.covariance[index]),
            )
        )
    assert np.abs(z).max() < z_limit(np.size(z))


def _slope(dims: np.ndarray, errors: list[float]) -> float:
    return float(np.polyfit(np.log(dims), np.log(errors), 1)[0])


@every_case
def test_moments_tend_to_drift_and_diffusion_like_one_over_dim(case):
    eff = sl.effective_dynamics(case.model, case.sgd)
    drift, diffusion = eff.drift(case.points).vector, eff.diffusion(case.points)
    dims = np.array([200, 2_000, 20_000])
    drift_errors, diffusion_errors = [], []
    for dim in dims:
        moments = eff.one_step_moments(case.points, int(dim))
        delta = case.sgd.delta(int(dim))
        covariance = case.sgd.step * moments.covariance / delta**2
        drift_errors.append(float(np.abs(moments.mean / delta - drift).max()))
        diffusion_errors.append(float(np.abs(covariance - diffusion).max()))
    assert _slope(dims, drift_errors) == pytest.approx(-1, abs=0.03)
    assert _slope(dims, diffusion_errors) == pytest.approx(-1, abs=0.03)


@every_case
def test_diffusion_is_a_covariance(case):
    eff = sl.effective_dynamics(case.model, case.sgd)
    diffusion = np.asarray(eff.diffusion(case.points))
    np.testing.assert_array_equal(diffusion, np.swapaxes(diffusion, -1, -2))
    assert np.linalg.eigvalsh(diffusion).min() >= -1e-12 * diffusion.max()


@every_case
def test_drift_is_corrector_minus_population_drift(case):
    eff = sl.effective_dynamics(case.model, case.sgd)
    f, g = eff.population_drift(case.points).vector, eff.corrector(case.points).vector
    np.testing.assert_allclose(eff.drift(case.points).vector, g - f, rtol=1e-14)
    assert np.abs(f).max() > 0
    assert np.abs(g).max() > 0


@every_case
def test_the_corrector_is_proportional_to_the_step_and_the_population_drift_does_not_know_it(case):
    halved = dataclasses.replace(case.sgd, step=case.sgd.step / 2)
    half = sl.effective_dynamics(case.model, halved)
    full = sl.effective_dynamics(case.model, case.sgd)
    np.testing.assert_allclose(
        2 * half.corrector(case.points).vector, full.corrector(case.points).vector, rtol=1e-14
    )
    np.testing.assert_array_equal(
        half.population_drift(case.points).vector, full.population_drift(case.points).vector
    )
