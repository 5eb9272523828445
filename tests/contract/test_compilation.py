"""The formulas are JAX functions: compiled, vectorised and differentiated like any other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from tests.registry import every_case


@pytest.mark.parametrize("method", ["drift", "population_drift", "corrector", "diffusion"])
@every_case
def test_effective_dynamics_under_jit_and_vmap(case, method):
    function = getattr(sl.effective_dynamics(case.model, case.sgd), method)
    expected = jax.tree.leaves(function(case.points))
    for transformed in (jax.jit(function), jax.vmap(function), jax.jit(jax.vmap(function))):
        for found, wanted in zip(jax.tree.leaves(transformed(case.points)), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-14)


@every_case
def test_drift_jacobian_is_that_of_finite_differences(case):
    eff = sl.effective_dynamics(case.model, case.sgd)
    from sgdlimits.limits.vector_field import jacobian

    u, h = case.generic, 1e-6
    analytic = np.asarray(jacobian(case.model, case.sgd, u))
    for column in range(len(u.names)):
        shift = jnp.zeros(len(u.names)).at[column].set(h)
        ahead, behind = u.with_vector(u.vector + shift), u.with_vector(u.vector - shift)
        slope = (eff.drift(ahead).vector - eff.drift(behind).vector) / (2 * h)
        np.testing.assert_allclose(analytic[:, column], slope, rtol=1e-6, atol=1e-7)


@every_case
def test_chain_step_under_jit_and_vmap(case):
    model, sgd, dim = case.model, case.sgd, jnp.asarray(float(case.dim))
    noise = model.chain_noise(jax.random.key(0), 6, model.chain_constants(case.dim))

    def step(noise):
        after = model.chain_step(model.chain_state(case.generic), noise, sgd, dim)
        return model.chain_statistics(after).vector

    one_by_one = np.stack([step(jax.tree.map(lambda x, i=i: x[i], noise)) for i in range(6)])
    np.testing.assert_allclose(jax.vmap(step)(noise), one_by_one, rtol=1e-13)
    np.testing.assert_allclose(jax.jit(jax.vmap(step))(noise), one_by_one, rtol=1e-13)
    assert np.ptp(one_by_one, axis=0)[case.moving].min() > 0


@every_case
def test_batches_of_any_shape_are_computed_state_by_state(case):
    eff = sl.effective_dynamics(case.model, case.sgd)
    grid = jax.tree.map(lambda x: jnp.stack([x, x[::-1]]), case.points)
    drift = eff.drift(grid).vector
    assert drift.shape == grid.vector.shape
    moments = eff.one_step_moments(grid, 50)
    assert moments.covariance.shape == (*drift.shape, drift.shape[-1])
    for index in range(len(case.points.vector)):
        np.testing.assert_allclose(
            drift[0, index], eff.drift(case.points[index]).vector, rtol=1e-13, atol=1e-14
        )


@every_case
def test_statistics_outside_the_domain_are_moved_inside(case):
    u = case.model.admissible(case.points.with_vector(-jnp.ones_like(case.points.vector)))
    case.model.check_statistics(u)
    inside = case.model.admissible(case.points)
    np.testing.assert_array_equal(inside.vector, case.points.vector)
