"""Critical points of phase retrieval: against automatic differentiation of the risk in R^dim."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits import _x64  # noqa: F401
from sgdlimits.closed_forms import phase_retrieval_landscape as landscape

_DIM = 5


def _risk(w, teacher):
    """E[(s*^2 - s^2)^2]/2 by tensor Gauss-Hermite: exact for polynomials, knows no formula."""
    x, weights = np.polynomial.hermite_e.hermegauss(4)
    weights = weights / weights.sum()
    grids = np.stack(np.meshgrid(*[x] * _DIM, indexing="ij"), -1).reshape(-1, _DIM)
    all_weights = np.stack(np.meshgrid(*[weights] * _DIM, indexing="ij"), -1).reshape(-1, _DIM)
    return jnp.prod(all_weights, -1) @ ((grids @ teacher) ** 2 - (grids @ w) ** 2) ** 2 / 2


def _teacher(rho):
    direction = np.array([0.3, -0.5, 0.2, 0.7, 0.1])
    return direction * np.sqrt(rho) / np.linalg.norm(direction)


def _place(point, teacher):
    """A point with these overlaps."""
    along = point.m / (teacher @ teacher) * teacher
    free = np.array([1.0, 0, 0, 0, 0])
    free -= (free @ teacher) / (teacher @ teacher) * teacher
    rest = point.q - along @ along
    return along + np.sqrt(rest if rest > 1e-12 else 0.0) * free / np.linalg.norm(free)


@pytest.mark.parametrize("rho", [1.0, 0.6])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_in_space(rho, index):
    point, teacher = landscape.critical_points(_DIM, rho)[index], _teacher(rho)
    w = _place(point, teacher)
    assert float(_risk(w, teacher)) == pytest.approx(point.excess_risk, abs=1e-11)
    np.testing.assert_allclose(jax.grad(_risk)(w, teacher), 0, atol=1e-10)
    values = np.linalg.eigvalsh(jax.hessian(_risk)(w, teacher))
    expected = np.repeat(point.eigenvalues, point.multiplicities)
    np.testing.assert_allclose(values, expected, atol=1e-10)


def test_hessian_and_risk_anywhere():
    rng = np.random.default_rng(0)
    teacher = _teacher(0.8)
    for w in rng.standard_normal((4, _DIM)):
        np.testing.assert_allclose(
            landscape.hessian(w, teacher), jax.hessian(_risk)(w, teacher), rtol=1e-10, atol=1e-10
        )
        found = landscape.excess_risk(w @ teacher, w @ w, 0.8)
        assert float(_risk(w, teacher)) == pytest.approx(float(found), rel=1e-12)


def _tangent(w, teacher):
    """Riemannian Hessian on a basis of the tangent space, by the exponential map."""
    basis = np.linalg.svd(w[None])[2][1:]

    def along(x):
        tangent = x @ basis
        # exp map to second order is w(1 - |x|^2/2) + x
        moved = w * (1 - tangent @ tangent / 2) + tangent
        return _risk(moved, teacher)

    return basis, jax.hessian(along)(jnp.zeros(_DIM - 1))


@pytest.mark.parametrize("m", [0.0, 0.4, 1.0])
def test_on_the_sphere(m):
    teacher = _teacher(1.0)
    w = _place(landscape.CriticalPoint("", m, 1.0, 0, (), (), ()), teacher)
    basis, second = _tangent(w, teacher)
    full = landscape.spherical_hessian(w, teacher)
    np.testing.assert_allclose(basis @ full @ basis.T, second, atol=1e-10)
    np.testing.assert_allclose(full @ w, 0, atol=1e-12)
    for point in landscape.spherical_critical_points(_DIM):
        if point.m == m:
            np.testing.assert_allclose(
                np.linalg.eigvalsh(second), np.repeat(point.eigenvalues, point.multiplicities),
                atol=1e-10,
            )  # fmt: skip
            assert float(_risk(w, teacher)) == pytest.approx(point.excess_risk, abs=1e-11)


def _found(spherical, step=1e-9):
    flow = sl.effective_dynamics(sl.phase_retrieval(), sl.OnlineSGD(step=step, spherical=spherical))
    points = flow.fixed_points(method="search", starts=48)
    return {(round(float(p.statistics.M[0, 0]), 6), round(float(p.statistics.Q[0, 0]), 6)): p
            for p in points}  # fmt: skip


def test_the_generic_search_finds_them_on_the_population_flow():
    found = _found(False)
    expected = {
        (sign * p.m, round(p.q, 6)) for p in landscape.critical_points(9) for sign in (1, -1)
    }
    assert set(found) == expected
    # d(m, q)/dt = -(rates of the Hessian): along the teacher at rate -eigenvalue, q at twice that.
    saddle = found[0.0, 0.333333]
    np.testing.assert_allclose(np.sort(saddle.eigenvalues), [-4, 4], atol=1e-6)
    np.testing.assert_allclose(found[0.0, 0.0].eigenvalues, [6, 4], atol=1e-6)
    np.testing.assert_allclose(np.sort(found[1.0, 1.0].eigenvalues), [-12, -8], atol=1e-6)
    assert [key for key, point in found.items() if point.stable] in (
        [(1.0, 1.0), (-1.0, 1.0)], [(-1.0, 1.0), (1.0, 1.0)],
    )  # fmt: skip


def test_the_generic_search_finds_them_on_the_sphere():
    assert {m for m, _ in _found(True)} == {0.0, 1.0, -1.0}


def test_kinds_and_counts():
    points = landscape.critical_points(7)
    assert [p.kind for p in points] == ["maximum", "saddle", "minimum"]
    assert all(sum(p.multiplicities) == 7 for p in points)
    sphere = landscape.spherical_critical_points(7)
    assert [p.kind for p in sphere] == ["maximum", "minimum"]
    assert all(sum(p.multiplicities) == 6 for p in sphere)
    assert all(sum(p.multiplicities) == 2 for p in landscape.critical_points(2))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="dim=1"):
        landscape.critical_points(1)
    with pytest.raises(ValueError, match="rho=0"):
        landscape.critical_points(3, 0)
