"""The ODE solver of the ballistic limit."""

import jax
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.expectations.rules import QuasiMonteCarlo
from sgdlimits.limits.flow import default_tolerances, tolerances_for
from tests.models import custom_examples


def test_the_matrix_from_no_overlap_has_a_closed_form():
    # k = 2, m = 0: r2' = -8 r2 (r2 - c): the logistic equation.
    c, r0, times = 0.7, 2.0, np.array([0.0, 0.01, 0.3, 2.0])
    eff = sl.effective_dynamics(sl.SpikedTensor(snr=3.0), sl.OnlineSGD(step=c))
    path = eff.solve(sl.SpikedStatistics(0.0, r0), times)
    expected = c / (1 + (c / r0 - 1) * np.exp(-8 * c * times))
    np.testing.assert_allclose(path.r2, expected, rtol=1e-8)
    np.testing.assert_array_equal(path.m, 0)


def test_tolerances_are_honest():
    eff = sl.effective_dynamics(sl.SpikedTensor(order=3, snr=4.0))
    u = sl.SpikedStatistics(0.6, 0.5)
    exact = eff.solve(u, [0.1], rtol=1e-13, atol=1e-15).vector
    errors = [
        float(np.abs(eff.solve(u, [0.1], rtol=tol, atol=tol).vector - exact).max())
        for tol in (1e-3, 1e-6, 1e-9)
    ]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]
    assert errors[2] < 1e-8


def _with_coarse_points(width):
    xor = sl.xor_gmm(width=width)
    rule = QuasiMonteCarlo(width, 6, 2)
    return sl.MultiIndexModel(
        data=xor.data, network=xor.network, loss=xor.loss, ridge=xor.ridge, rule=rule
    )


@pytest.mark.parametrize(
    ("model", "tolerance"),
    [
        (sl.SpikedTensor(), 1e-9),
        (sl.committee(2, 1, "relu"), 1e-9),
        (sl.xor_gmm(width=2), 1e-9),
        (_with_coarse_points(5), 1e-6),  # split at kinks
        (_with_coarse_points(6), 1e-4),  # nodes cross kinks
        (sl.k_gmm(6), 1e-6),  # no kinks to cross
        (custom_examples.regression(), 1e-4),  # Monte Carlo
    ],
)
def test_default_tolerances_are_rough_where_the_drift_is(model, tolerance):
    rtol, atol = default_tolerances(sl.Process(model, sl.OnlineSGD()))
    assert rtol == tolerance
    assert atol < rtol


@pytest.mark.filterwarnings("ignore:.*of its scale only")
def test_drifts_with_quasi_monte_carlo_rules_compile():
    model = _with_coarse_points(6)
    dynamics = sl.effective_dynamics(model, sl.OnlineSGD())
    u = sl.initial(model, dim=100, runs=1, seed=0)[0]
    np.testing.assert_allclose(
        jax.jit(dynamics.drift)(u).vector, dynamics.drift(u).vector, rtol=1e-10, atol=1e-13
    )


def test_time_zero_alone_is_the_start():
    eff = sl.effective_dynamics(sl.SpikedTensor())
    np.testing.assert_array_equal(
        eff.solve(sl.SpikedStatistics(0.2, 0.9), [0.0]).vector, [[0.2, 0.9]]
    )


def test_solutions_do_not_depend_on_the_times_asked_for():
    eff = sl.effective_dynamics(sl.SpikedTensor(snr=2.0))
    u = sl.SpikedStatistics(0.1, 1.4)
    few, many = eff.solve(u, [0.5, 1.0]), eff.solve(u, np.linspace(0, 1, 101))
    np.testing.assert_allclose(few.vector[-1], many.vector[-1], rtol=1e-8)
    np.testing.assert_allclose(few.vector[0], many.vector[50], rtol=1e-8)


@pytest.mark.parametrize(
    "times", [[], [[0.0, 1.0]], [1.0, 0.5], [-0.1, 1.0], [0.0, np.nan], [0.0, np.inf], [0.2, 0.2]]
)
def test_times_that_make_no_sense_are_refused(times, as_users_run):
    with pytest.raises(ValueError, match=r"times.*expected"):
        sl.effective_dynamics(sl.SpikedTensor()).solve(sl.SpikedStatistics(0.1, 1.0), times)


def test_a_long_time_at_a_stable_point_is_integrated_on():
    """A solver that may take 2^18 steps gave NaN: at rest its steps are of order one."""
    model = sl.SpikedTensor(2, 1.5)
    ds = sl.simulate(model, engine="ode", dim=100, time=1e6, runs=2, record=np.array([5e5]))
    assert np.isnan(ds["diverged"]).all()
    np.testing.assert_allclose(np.abs(ds["m"][:, 1:]), 0.5**0.5, atol=1e-7)
    np.testing.assert_allclose(ds["r2"][:, 1:], 1.0, atol=1e-7)


def test_tolerances_follow_what_drifts_are_known_to():
    def of(model):
        return default_tolerances(sl.Process(model, sl.OnlineSGD()))

    smooth, four_digits, rough = (1e-9, 1e-11), (1e-6, 1e-8), (1e-4, 1e-6)
    assert of(sl.binary_gmm()) == of(sl.k_gmm(3)) == of(sl.SpikedTensor()) == smooth
    assert of(sl.committee(2, 1, "relu")) == of(sl.xor_gmm(snr=np.inf)) == smooth
    assert of(sl.xor_gmm()) == four_digits
    assert of(sl.xor_gmm(width=6)) == rough


def test_tolerances_that_are_chosen_stay_and_others_follow_the_expectations():
    process = sl.Process(sl.xor_gmm(), sl.OnlineSGD())
    finer = process.finer()
    assert finer is not None
    assert tolerances_for(process, (None, None)) == (1e-6, 1e-8)
    assert tolerances_for(finer, (None, None)) == (1e-4, 1e-6)
    assert tolerances_for(finer, (1e-7, None)) == (1e-7, 1e-6)
    assert tolerances_for(finer, (None, 1e-9)) == (1e-4, 1e-9)
