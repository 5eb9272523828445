"""Thresholds, overlaps and fixed points of spiked tensors by formula."""

import math
from itertools import product

import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.closed_forms import spiked_tensor_phases as phases
from sgdlimits.closed_forms.spiked_tensor_stability import stability_boundary
from tests.models import worked_examples

_ORDERS = range(2, 9)
_MOST_POINTS = 6
_ABOVE = [1.0001, 1.05, 1.5, 4.0, 30.0, 1e4]  # times the critical snr


@pytest.mark.parametrize("order", worked_examples.CRITICAL_SNR)
def test_critical_snr_at_the_worked_examples(order):
    known = worked_examples.CRITICAL_SNR[order]
    assert phases.critical_snr(order) == pytest.approx(known, rel=1e-8)
    assert phases.critical_snr(order, 0.3) == pytest.approx(0.3 ** (order / 2) * known, rel=1e-8)


@pytest.mark.parametrize("order", range(3, 9))
def test_critical_snr_is_the_minimum_that_the_equation_allows(order):
    # lambda(m) = (m^2 + c)^(k-1) / m^(k-2) has its minimum at m^2 = c (k-2)/k.
    c, k = 0.7, order
    m = np.sqrt(c * (k - 2) / k) * np.exp(np.linspace(-0.01, 0.01, 2001))
    snr = (m**2 + c) ** (k - 1) / m ** (k - 2)
    assert abs(np.argmin(snr) - 1000) <= 1
    assert phases.critical_snr(k, c) == pytest.approx(snr.min(), rel=1e-9)


@pytest.mark.parametrize("order", _ORDERS)
def test_overlaps_solve_their_equation(order):
    for c, factor in product([0.05, 1.0, 3.0], _ABOVE):
        _check_equation(order, factor * phases.critical_snr(order, c), c)


def _check_equation(k, snr, c):
    dagger, star = phases.overlaps(k, snr, c)
    roots = [star] if k == 2 else [dagger, star]
    for m in roots:
        # log of lambda m^(k-2) = (m^2+c)^(k-1): the residual is relative.
        residual = (k - 1) * math.log(m * m + c) - math.log(snr) - (k - 2) * math.log(m)
        assert abs(residual) < 1e-12 * k * max(1.0, abs(math.log(snr)))
    if k > 2:
        assert 0 < dagger < math.sqrt(c * (k - 2) / k) < star
    assert phases.m_star(k, snr, c) == star
    np.testing.assert_equal(phases.m_dagger(k, snr, c), dagger)


@pytest.mark.parametrize("order", _ORDERS)
def test_overlaps_scale_with_the_step(order):
    c = 0.37
    snr = 2.2 * phases.critical_snr(order, c)
    scaled = phases.overlaps(order, snr * c ** (-order / 2), 1.0)
    np.testing.assert_allclose(phases.overlaps(order, snr, c), np.sqrt(c) * np.array(scaled))


@pytest.mark.parametrize("order", _ORDERS)
def test_there_is_no_overlap_up_to_the_threshold(order):
    for factor in (0.3, 0.999, 1.0):
        assert np.isnan(phases.overlaps(order, factor * phases.critical_snr(order, 0.8), 0.8)).all()


def test_overlaps_at_the_worked_example():
    found = phases.overlaps(3, 4.0)
    np.testing.assert_allclose(found, worked_examples.OVERLAPS_CUBIC_SNR_4, rtol=1e-13)


def test_overlap_of_the_matrix():
    assert phases.m_star(2, 3.0, 0.75) == pytest.approx(1.5)
    assert math.isnan(phases.m_dagger(2, 3.0, 0.75))


@pytest.mark.parametrize("order", range(2, 7))
def test_the_drift_vanishes_at_every_fixed_point(order):
    for step, factor, ridge in product([0.4, 1.0], [0.5, 1.2, 5.0], [0.0, 0.05, 1.0, 40.0]):
        snr = factor * phases.critical_snr(order, step)
        points = phases.fixed_points(order, snr, step, ridge)
        assert (0.0, 0.0) in points
        assert points == sorted(points)
        # As many states for every case, so that one program serves all.
        padded = (points * _MOST_POINTS)[:_MOST_POINTS]
        u = sl.SpikedStatistics(*np.array(padded).T)
        model = sl.SpikedTensor(order=order, snr=snr, ridge=ridge)
        eff = sl.effective_dynamics(model, sl.OnlineSGD(step=step))
        scale = np.abs(eff.population_drift(u).vector).max() + 1
        assert np.abs(eff.drift(u).vector).max() < 1e-12 * scale


def test_ridge_shrinks_the_matrix_by_the_formula():
    lam, c, alpha = 2.0, 0.8, 0.5
    shrink = 1 - alpha / (4 * lam)
    points = phases.fixed_points(2, lam, c, alpha)
    m = math.sqrt((lam - c) * shrink)
    expected = [(-m, c * shrink), (0, 0), (0, c - alpha / 4), (m, c * shrink)]
    np.testing.assert_allclose(points, expected, rtol=1e-14)


def test_ridge_does_not_move_the_threshold_of_the_matrix():
    assert len(phases.fixed_points(2, 0.999, 1.0, 0.5)) == 2
    assert len(phases.fixed_points(2, 1.001, 1.0, 0.5)) == 4


def test_a_strong_ridge_leaves_only_the_origin():
    assert phases.fixed_points(2, 0.5, 1.0, 4.0) == [(0.0, 0.0)]
    assert phases.fixed_points(3, 0.5, 1.0, 4.0) == [(0.0, 0.0)]


@pytest.mark.parametrize(("order", "count"), [(2, 4), (3, 4), (4, 6), (5, 4), (6, 6)])
def test_odd_orders_have_no_negative_overlaps(order, count):
    points = phases.fixed_points(order, 2 * phases.critical_snr(order))
    assert len(points) == count
    assert (min(m for m, _ in points) < 0) == (order % 2 == 0)


# -- where the aligned point is stable, with ridge -------------------------------------------------


def _holds(order, snr, step, ridge):
    """Whether a fixed point with m > 0 is stable, by the formula of (3.1) and its Jacobian."""
    found = False
    for m, r2 in phases.fixed_points(order, snr, step, ridge):
        if m <= 0:
            continue
        k, rho = order, m * m + r2
        B, slope = 2 * k * rho ** (k - 1), 2 * k * (k - 1) * rho ** (k - 2)
        push = 2 * k * (k - 1) * snr * m ** (k - 2)
        jacobian = [
            [push - B - ridge - 2 * m * m * slope, -m * slope],
            [4 * m * (step - r2) * slope, 2 * ((step - r2) * slope - B - ridge)],
        ]
        found |= np.linalg.eigvals(jacobian).real.max() < 0
    return found


@pytest.mark.parametrize(
    ("order", "step", "ridge", "by"),
    [
        (2, 0.7, 0.5, "pitchfork"),
        (2, 0.7, 9.0, "pitchfork"),
        (3, 1.0, 0.0, "fold"),
        (3, 1.0, 1.0, "fold"),
        (3, 1.0, 3.0, "trace"),
        (3, 0.4, 40.0, "fold"),
        (4, 0.6, 2.0, "trace"),
        (5, 1.0, 3.0, "fold"),  # two pieces of stable points overlap
        (6, 1.3, 30.0, "trace"),
        (9, 0.5, 1e-8, "fold"),
    ],
)
def test_above_the_critical_snr_the_aligned_point_holds_and_below_not(order, step, ridge, by):
    threshold = sl.critical_snr(order, step, ridge)
    boundary = stability_boundary(order, step, ridge)
    assert boundary.by == by
    assert boundary.snr == pytest.approx(threshold, rel=1e-12)
    above = np.concatenate([[1 + 1e-4], np.geomspace(1.01, 30, 12)])
    assert all(_holds(order, x * threshold, step, ridge) for x in above)
    assert not _holds(order, (1 - 1e-4) * threshold, step, ridge)


def test_the_jacobian_above_is_that_of_the_dynamics():
    order, step, ridge = 4, 0.6, 2.0
    threshold = sl.critical_snr(order, step, ridge)
    for factor, stable in ((1.001, True), (0.999, False)):
        model = sl.SpikedTensor(order, factor * threshold, ridge)
        points = sl.effective_dynamics(model, sl.OnlineSGD(step)).fixed_points("formula")
        assert any(p.stable and float(p.statistics.m) > 0.1 for p in points) is stable
        # They are there on either side: the fold, where they cease to exist, is far below.
        assert any(float(p.statistics.m) > 0.1 for p in points)


def test_a_small_ridge_changes_little():
    for order in (3, 5, 8):
        bare, little = sl.critical_snr(order), sl.critical_snr(order, 1.0, 1e-7)
        assert little == pytest.approx(bare, rel=1e-6)
