"""Mean exit times against hypergeometric functions and a boundary value problem."""

import math

import mpmath
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.closed_forms.exit_time_1d import mean_passage_time
from tests.models import worked_examples


def _reference(rate, variance, level, start=0.0):
    with mpmath.workdps(40):
        k = mpmath.mpf(rate) / mpmath.mpf(variance)

        def part(x):
            x = mpmath.mpf(x)
            return x * x * mpmath.hyp2f2(1, 1, 1.5, 2, -k * x * x) / variance

        return float(part(level) - part(start))


@pytest.mark.parametrize("start", [0.0, 0.3, 0.95])
@pytest.mark.parametrize("level", [1.0, 3.0])
@pytest.mark.parametrize("rate", [-2.0, -1e-3, 0.0, 1e-9, 1e-3, 1.0, 40.0])
def test_mean_exit_time_is_the_hypergeometric_formula(rate, level, start):
    variance = 0.7
    found = sl.mean_exit_time(rate, variance, level, start)
    assert found == pytest.approx(_reference(rate, variance, level, start), rel=1e-9)


def test_the_worked_example():
    found = sl.mean_exit_time(2.75, 0.0025, math.sqrt(0.05))
    assert found == pytest.approx(worked_examples.EXIT_TIME, rel=1e-10)


def test_pure_diffusion():
    assert sl.mean_exit_time(0.0, 2.0, 3.0, 1.0) == pytest.approx((9 - 1) / 2)


def test_it_solves_the_backward_equation():
    # variance/2 u'' + rate x u' = -1, u(level) = 0, by central differences.
    rate, variance, level, h = 1.3, 0.4, 1.2, 1e-3
    for x in (0.2, 0.7):
        u = [sl.mean_exit_time(rate, variance, level, y) for y in (x - h, x, x + h)]
        second, first = (u[0] - 2 * u[1] + u[2]) / h**2, (u[2] - u[0]) / (2 * h)
        assert variance / 2 * second + rate * x * first == pytest.approx(-1, rel=1e-4)
    assert sl.mean_exit_time(rate, variance, level, level) == 0
    assert sl.mean_exit_time(rate, variance, level, -0.7) == pytest.approx(u[1])


def test_deep_wells():
    # Between 1e200 and overflow the time is still a number; beyond it is infinite.
    assert sl.mean_exit_time(-500.0, 1.0, 1.0) == pytest.approx(_reference(-500, 1, 1), rel=1e-9)
    assert sl.mean_exit_time(-1000.0, 1.0, 1.0) == math.inf


def test_from_the_level_itself_the_time_is_zero_however_deep_the_well():
    assert sl.mean_exit_time(-1000.0, 1.0, 1.0, start=1.0) == 0


def test_weak_noise_leaves_logarithmically():
    # rate T = log(level sqrt(rate/variance)) + (gamma + log 4)/2 + o(1).
    rate, variance, level = 2.0, 1e-14, 1.0
    expected = (
        math.log(level * math.sqrt(rate / variance)) + (np.euler_gamma + math.log(4)) / 2
    ) / rate
    assert sl.mean_exit_time(rate, variance, level) == pytest.approx(expected, rel=1e-9)


def test_exit_time_of_a_process_is_that_of_its_leading_mode():
    eff = sl.effective_dynamics(sl.SpikedTensor(snr=1.2))
    process = eff.linearise(sl.SpikedStatistics(0.0, 1.0))
    rate, _, variance = process.leading_mode()
    assert (rate, variance) == pytest.approx((0.8, 8.0))
    assert process.exit_time(5.0, 1.0) == sl.mean_exit_time(rate, variance, 5.0, 1.0)


# -- any drift -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [-2.0, 0.5, 40.0])
@pytest.mark.parametrize("start", [0.0, 0.3, 0.99])
def test_passage_of_the_linear_process(rate, start):
    # Reflected at 0 is what |y| does.
    found = mean_passage_time(lambda y: rate * y, lambda y: 0.3, 1.0, start)
    assert found == pytest.approx(sl.mean_exit_time(rate, 0.3, 1.0, start), rel=1e-6)


def test_passage_with_varying_noise_and_a_wall():
    # Geometric: drift a y, variance s^2 y^2 on [w, 1]; u' from the scale function by quadrature.
    a, s2, wall = 0.7, 0.4, 0.2
    power = 2 * a / s2
    y = np.linspace(wall, 1, 20_001)
    inner = (y ** (power - 1) - wall ** (power - 1)) / (power - 1) * 2 / s2  # int z^(power-2)
    integrand = inner * y**-power
    expected = np.sum((integrand[1:] + integrand[:-1]) / 2 * np.diff(y))
    found = mean_passage_time(lambda y: a * y, lambda y: s2 * y * y, 1.0, wall, wall)
    assert found == pytest.approx(expected, rel=1e-6)


def test_passage_refuses_bad_places():
    for level, start, wall in [(0.0, 0.0, 0.0), (1.0, 1.5, 0.0), (1.0, -0.1, 0.0)]:
        with pytest.raises(ValueError, match="expected"):
            mean_passage_time(lambda y: y, lambda y: 1.0, level, start, wall)
    assert mean_passage_time(lambda y: y, lambda y: 1.0, 1.0, 1.0) == 0


def test_a_level_without_noise_and_drift_is_never_reached():
    never = mean_passage_time(lambda y: 1 - y, lambda y: 0.01 * (1 - y) ** 2, 1.0, 0.0)
    assert never == np.inf
    with pytest.raises(RuntimeError, match=r"no noise at level=1\.0"):
        mean_passage_time(lambda y: 1.0, lambda y: 1 - y, 1.0, 0.0)
