"""The search knows only the drift; it must find what the formulas say, and the right stability."""

import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.closed_forms.spiked_tensor_phases import critical_snr, overlaps


def _dynamics(order, factor, step, ridge):
    model = sl.SpikedTensor(order=order, snr=factor * critical_snr(order, step), ridge=ridge)
    return sl.effective_dynamics(model, sl.OnlineSGD(step=step))


def _table(points):
    return np.array([np.asarray(p.statistics.vector) for p in points])


@pytest.mark.parametrize("ridge", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("factor", [0.6, 1.3, 4.0])
@pytest.mark.parametrize("step", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("order", [2, 3, 4, 5, 6])
def test_search_finds_what_the_formula_says(order, step, factor, ridge):
    eff = _dynamics(order, factor, step, ridge)
    formula, search = eff.fixed_points("formula"), eff.fixed_points("search")
    assert len(search) == len(formula)
    np.testing.assert_allclose(_table(search), _table(formula), atol=1e-7)
    assert [p.stable for p in search] == [p.stable for p in formula]


@pytest.mark.parametrize("order", [2, 3, 4, 5])
@pytest.mark.parametrize("step", [0.5, 1.0])
def test_eigenvalues_are_those_of_the_formulas(order, step):
    k, c, lam = order, step, 1.5 * critical_snr(order, step)
    eff = _dynamics(order, 1.5, step, 0.0)
    for point in eff.fixed_points():
        m, r2 = float(point.statistics.m), float(point.statistics.r2)
        if r2 == 0:
            continue
        radial = -4 * k * (m * m + c) ** (k - 1)
        if m == 0:
            overlap = 4 * (lam - c) if k == 2 else -2 * k * c ** (k - 1)
        else:
            overlap = 2 * k * (m * m + c) ** (k - 2) * ((k - 2) * c - k * m * m)
        expected = sorted([overlap, radial], reverse=True)
        np.testing.assert_allclose(point.eigenvalues, expected, rtol=1e-9)
        assert point.stable == (overlap < 0)


@pytest.mark.parametrize("order", [3, 4])
def test_m_dagger_is_a_saddle_and_m_star_is_stable(order):
    eff = _dynamics(order, 1.5, 1.0, 0.0)
    dagger, star = overlaps(order, 1.5 * critical_snr(order))
    stable = {round(float(p.statistics.m), 9): p.stable for p in eff.fixed_points()}
    assert stable[round(dagger, 9)] is False
    assert stable[round(star, 9)] is True


@pytest.mark.parametrize("method", ["formula", "search"])
@pytest.mark.parametrize("order", [3, 4, 5])
def test_the_degenerate_origin_is_unstable_until_ridge_holds_it(order, method):
    # For k >= 3 every derivative of the drift vanishes at (0, 0): only the flow can tell.
    def origin(ridge):
        points = _dynamics(order, 1.5, 1.0, ridge).fixed_points(method)
        return next(p for p in points if np.abs(p.statistics.vector).max() == 0)

    np.testing.assert_allclose(origin(0.0).eigenvalues, 0, atol=1e-12)
    assert not origin(0.0).stable
    np.testing.assert_allclose(sorted(origin(0.1).eigenvalues), [-0.2, -0.1], rtol=1e-12)
    assert origin(0.1).stable


def test_the_search_is_reproducible():
    eff = _dynamics(4, 1.5, 1.0, 0.1)
    one, other = eff.fixed_points("search", seed=3), eff.fixed_points("search", seed=3)
    np.testing.assert_array_equal(_table(one), _table(other))
    np.testing.assert_allclose(_table(eff.fixed_points("search", seed=4)), _table(one), atol=1e-9)


def test_stability_is_what_the_flow_does():
    eff = _dynamics(3, 1.5, 0.8, 0.05)
    for point in eff.fixed_points():
        u = point.statistics
        nearby = sl.SpikedStatistics(
            np.asarray(u.m) + 1e-3 * np.array([1, -1, 1, -1]),
            np.asarray(u.r2) + 1e-3 * np.array([1, 1, 0, 0]),
        )
        end = np.asarray(eff.solve(nearby, [400.0]).vector[0])
        stays = np.abs(end - np.asarray(u.vector)).max() < 1e-2
        assert stays == point.stable


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match=r"method='newton'.*'auto', 'formula', 'search'"):
        _dynamics(3, 1.5, 1.0, 0.0).fixed_points("newton")
