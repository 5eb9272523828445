"""Fixed points and linearised limits on inputs with several eigenvalues."""

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl

_TWO = sl.Spectrum([1.5, 0.5], fractions=[0.4, 0.6])
_STEP, _NOISE = 0.8, 0.1


def _linear():
    model = sl.committee(1, 1, sl.Polynomial([0.0, 1.0]), noise=_NOISE, covariance=_TWO)
    return model, sl.effective_dynamics(model, sl.OnlineSGD(_STEP))


def _floor():
    """Where least squares rests, by its formula: M_j = G_j, |W_j - F_j|^2 = step phi_j R."""
    law = sl.LeastSquares(_TWO, step=_STEP, noise=_NOISE)
    shares = np.array(_TWO.fractions)[:, None, None]
    away = _STEP * (law.floor + _NOISE / 2) * shares
    return sl.BlockStatistics(jnp.zeros(0), shares, shares + away), law


def test_least_squares_rests_at_its_floor_and_relaxes_at_its_rates():
    model, effective = _linear()
    u, law = _floor()
    np.testing.assert_allclose(effective.drift(u).vector, 0, atol=1e-12)
    assert float(sl.risk(model, u)) - _NOISE / 2 == pytest.approx(law.floor, rel=1e-10)
    limit = effective.linearise(u)
    # M_j decays at lambda_j, distances by the matrix of the Volterra equation.
    values, shares = np.array([1.5, 0.5]), np.array(_TWO.fractions)
    volterra = np.diag(-2 * values) + _STEP * np.outer(shares * values, values)
    known = np.sort(np.concatenate([-values, np.linalg.eigvals(volterra)]))
    np.testing.assert_allclose(np.sort(np.linalg.eigvals(limit.drift).real), known, rtol=1e-8)
    # Control: at another step it is no fixed point.
    other = sl.effective_dynamics(model, sl.OnlineSGD(0.5 * _STEP))
    with pytest.raises(ValueError, match="is no fixed point"):
        other.linearise(u)


@pytest.mark.slow
def test_the_search_finds_the_floor_alone():
    _, effective = _linear()
    (found,) = effective.fixed_points(starts=64, progress=False)
    u, _ = _floor()
    np.testing.assert_allclose(found.statistics.vector, u.vector, atol=1e-8)
    assert found.stable
    assert found.dimension == 0


@pytest.mark.slow
def test_equal_eigenvalues_have_the_isotropic_fixed_points():
    sgd, options = sl.OnlineSGD(0.5), {"noise": 0.1, "second_layer": [2.0]}
    model = sl.committee(1, 1, "erf", **options, covariance=sl.Spectrum([1.0, 1.0]))
    mine = sl.effective_dynamics(model, sgd).fixed_points(starts=64, progress=False)
    known = sl.effective_dynamics(sl.committee(1, 1, "erf", **options), sgd).fixed_points(
        starts=64, progress=False
    )
    totals = sorted((float(x.statistics.M.sum()), float(x.statistics.Q.sum())) for x in mine)
    others = sorted((float(x.statistics.M[0, 0]), float(x.statistics.Q[0, 0])) for x in known)
    np.testing.assert_allclose(totals, others, atol=1e-6)
    assert [x.stable for x in mine].count(True) == [x.stable for x in known].count(True)


def test_states_that_searches_start_from_are_possible():
    model, _ = _linear()
    spread = sl.committee(2, 2, "erf", covariance=sl.Spectrum([1.0, 0.5, 0.1]))
    for each in (model, spread):
        rng = np.random.default_rng(0)
        each.check_statistics(each.search_points(rng, 20, 1.0))
        u = each.search_points(rng, 1, 1.0)[0]
        near = each.neighbours(u, rng, 20, 1e-3)
        each.check_statistics(near)
        moved = np.linalg.norm(np.asarray(near.vector) - np.asarray(u.vector), axis=1)
        assert 1e-4 < moved.min() < moved.max() < 1e-1
    (swapped,) = spread.relabelled(u)
    np.testing.assert_array_equal(swapped.M[:, 0], u.M[:, 1])
    np.testing.assert_array_equal(swapped.Q[:, 0, 0], u.Q[:, 1, 1])
