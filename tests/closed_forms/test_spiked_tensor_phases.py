"""Thresholds, overlaps and fixed points of spiked tensors by formula."""

import math
from itertools import product

import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.closed_forms import spiked_tensor_phases as phases
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
