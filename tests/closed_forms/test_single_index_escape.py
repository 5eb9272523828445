"""Escape by information exponent: worked values, quadrature, the chain of one neuron."""

import math

import numpy as np
import pytest

import sgdlimits as sl


def _pure(degree, step, noise=0.0):
    series = [0.0] * degree + [1.0]
    return sl.SingleIndexSphere(series, series, step, noise)


def _hitting_times(degree, step, noise, dim, level, time, runs, seed, initial=None):
    """Of the exact chain; every run must hit."""
    series = sl.Hermite([0.0] * degree + [1.0])
    paths = sl.simulate(
        sl.single_index(series, noise=noise), sl.OnlineSGD(step=step, spherical=True),
        dim=dim, time=time, runs=runs, seed=seed, record=2001, initial=initial,
    )  # fmt: skip
    paths["m"] = paths["M"][:, :, 0, 0]
    times = sl.exit_time(paths, level, "|m|" if degree % 2 == 0 else "m")
    assert not times["censored"].any()
    return times["time"].values


def test_the_worked_drift():
    model = _pure(2, 0.1, 0.1)
    assert float(model.drift(0.2)) == pytest.approx(0.2668, rel=1e-12)
    assert float(model.gradient_power(0.2)) == pytest.approx(11.72, rel=1e-12)


@pytest.mark.parametrize(("degree", "power", "slope"), [(2, 12, 2), (3, 96, 3), (4, 856, 4)])
def test_gradient_power_at_the_start(degree, power, slope):
    for noise in (0.0, 0.7):
        found = float(_pure(degree, 0.1, noise).gradient_power(0.0))
        assert found == pytest.approx(power + slope * noise, rel=1e-12)


def test_squares_are_phase_retrieval():
    # s^2 = 1 + sqrt(2) h_2: drift and noise are those of OneNeuron, derived another way.
    square = [1.0, 0.0, math.sqrt(2)]
    model, other = sl.SingleIndexSphere(square, square, 0.05, 0.5), sl.OneNeuron(0.05, 0.5)
    m = np.array([-0.9, -0.3, 0.0, 0.2, 0.7, 1.0])
    np.testing.assert_allclose(model.drift(m), other.drift(m), atol=1e-13)
    np.testing.assert_allclose(model.variance(m), other.variance(m), atol=1e-12)
    assert model.information_exponent == 2
    assert model.rate == pytest.approx(other.rate)
    assert model.largest_step() == pytest.approx(2 / 12.5)
    found = model.escape_time(10**8, 0.05**0.5)  # the nonlinear correction is O(T)
    assert found == pytest.approx(other.linear_sde_exit_at_random(10**8, 0.05), rel=5e-3)


def test_exponents():
    assert _pure(3, 0.1).information_exponent == 3
    mixed = sl.SingleIndexSphere([0, 1.0, 0.5], [0.3, 0, 0.2, 1.0], 0.1)
    assert mixed.information_exponent == 2
    with pytest.raises(ValueError, match="common Hermite component"):
        sl.SingleIndexSphere([0, 1.0], [1.0, 0, 1.0], 0.1)


def test_exponent_one_needs_a_time_without_logarithms():
    model = sl.SingleIndexSphere([0, 0.8, 0.3], [0, 0.5, 0.4], 0.2, 0.1)
    assert model.escape_time(10**3, 0.5) == model.escape_time(10**9, 0.5)
    # dm/dt = 0.4 (1 - m^2) + ...: by Simpson's rule.
    m = np.linspace(0, 0.5, 2001)
    inverse = 1 / model.drift(m)
    simpson = (inverse[0] + inverse[-1] + 4 * inverse[1::2].sum() + 2 * inverse[2:-1:2].sum()) / 3
    assert model.escape_time(100, 0.5) == pytest.approx(simpson * (m[1] - m[0]), rel=1e-8)
    opposed = sl.SingleIndexSphere([0, 0.8], [0, -0.5], 0.2)
    assert opposed.escape_time(100, 0.5) == pytest.approx(opposed.ode_time(0.0, -0.5))


def test_exponent_two_gives_the_values_that_were_simulated():
    # h_2, level 0.3: 1.126, 1.992, 2.831, 3.529 (+-.04 to .10) measured at dim = 1e2 to 1e5.
    found = [_pure(2, 0.1, 0.1).escape_time(10**k, 0.3) for k in (2, 3, 4, 5)]
    np.testing.assert_allclose(found, [1.151, 1.979, 2.807, 3.635], atol=5e-4)


@pytest.mark.stat
def test_exponent_two_against_the_chain():
    # 1024 runs at dim 500: 4.5 s.e. of the mean. Control: without SGD's noise it is 0.13 longer,
    # and rejected at 2.5.
    model, dim, runs, level = _pure(2, 0.1, 0.1), 500, 1024, 0.3
    times = _hitting_times(2, 0.1, 0.1, dim, level, 9.0, runs, 4)
    error = times.std() / math.sqrt(runs)
    theory = model.escape_time(dim, level)
    quiet = math.log1p(float(model.variance(0.0)) / (2 * model.rate)) / (2 * model.rate)
    assert abs(times.mean() - theory) < 4.5 * error
    assert theory + quiet - times.mean() > 2.5 * error


def test_exponent_three_takes_dim_squared_at_the_largest_step():
    for dim in (10**2, 10**4, 10**6):
        m0 = dim**-0.5
        step = 0.5 * _pure(3, 0.1).largest_step(m0)
        assert step == pytest.approx(0.5 * 6 * m0 / 96)
        model = _pure(3, step)
        assert model.steps(model.escape_time(dim, 0.5), dim) / dim**2 == pytest.approx(
            1 / (3 * 0.5 * 6 / 96), rel=1e-12
        )
    assert _pure(3, 0.5).escape_time(10**4, 0.5) == math.inf
    with pytest.raises(ValueError, match="overlap"):
        _pure(3, 0.5).largest_step()


def test_the_time_of_gradient_flow_leads_the_ode():
    model = _pure(4, 1e-12)
    m0 = 1e-3
    leading = model.escape_time(10**6, 0.3, start=m0)
    assert model.ode_time(m0, 0.3) == pytest.approx(leading, rel=1e-3)


@pytest.mark.slow
@pytest.mark.stat
def test_exponent_three_with_noise_against_the_chain():
    # Measured once: 3.42 +- 0.27, diffusion 3.52, ODE 1.75.
    # h_3 at dim 50 from 1.5/sqrt(dim): the ODE says 4.9 d^2 steps, the diffusion 9.6. 256 runs, 4.5
    # standard errors, and 12 % for the next order in 1/dim. Control: the ODE is rejected.
    dim, runs, level, m0 = 50, 256, 0.5, 1.5 / math.sqrt(50)
    model = _pure(3, 0.05 / math.sqrt(dim))
    theory = model.noisy_time(dim, level, m0)
    start = sl.Statistics(np.zeros(0), [[m0]], [[1.0]])
    times = _hitting_times(3, model.step, 0.0, dim, level, 10 * theory, runs, 9, start)
    error = times.std() / math.sqrt(runs)
    assert abs(times.mean() - theory) < 4.5 * error + 0.12 * theory
    assert times.mean() > model.ode_time(m0, level) + 4.5 * error


def test_what_never_escapes():
    assert sl.SingleIndexSphere([0, 0, 1.0], [0, 0, -1.0], 0.1).escape_time(1000, 0.3) == math.inf
    assert _pure(2, 0.5).escape_time(1000, 0.3) == math.inf
    assert _pure(2, 0.1).ode_time(0.0, 0.3) == math.inf


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="student"):
        sl.SingleIndexSphere([0.0], [0, 1.0], 0.1)
    with pytest.raises(ValueError, match="step=0"):
        sl.SingleIndexSphere([0, 1.0], [0, 1.0], 0)
    with pytest.raises(ValueError, match="level"):
        _pure(2, 0.1).ode_time(0.1, 1.0)


def test_an_odd_part_of_the_student_takes_the_symmetry_away():
    # Products of coefficients are even, but the self term knows the student's odd part.
    mixed = sl.SingleIndexSphere([0, 1.0, 1.0], [0, 0, 1.0, 1.0], 0.02)
    drift = mixed.drift(0.3) + mixed.drift(-0.3)
    assert abs(drift) > 1e-3
    assert mixed.noisy_time(100, 0.4, 0.2) != pytest.approx(mixed.noisy_time(100, 0.4, -0.2))
    even = sl.SingleIndexSphere([0, 0, 1.0], [0, 0, 1.0, 1.0], 0.02)
    assert even.drift(0.3) == pytest.approx(-even.drift(-0.3))
    assert even.noisy_time(100, 0.4, 0.2) == even.noisy_time(100, 0.4, -0.2)
