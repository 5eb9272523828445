"""One neuron: closed forms against numerical solution, quadrature and single SGD steps."""

import math

import numpy as np
import pytest
from scipy import integrate

import sgdlimits as sl
from sgdlimits.closed_forms.phase_retrieval_one_neuron import norm_plateau

_CASES = [(0.05, 0.5), (0.12, 0.0), (0.15, 1.5), (0.3, 0.2), (1 / 6, 0.0)]


@pytest.mark.parametrize(("step", "noise"), _CASES)
@pytest.mark.parametrize("start", [0.03, -0.6, 1.0])
def test_the_path_solves_the_equation(step, noise, start):
    model = sl.OneNeuron(step, noise)
    times = np.linspace(0, 3, 7)
    reference = integrate.solve_ivp(
        lambda t, m: m * (4 * (1 - 6 * step) * (1 - m**2) - 2 * step * noise),
        (0, 3), [start], "DOP853", times, rtol=1e-12, atol=1e-14,
    ).y[0]  # fmt: skip
    np.testing.assert_allclose(model.path(start, times), reference, rtol=1e-9)


def test_the_path_at_late_times_rests_at_the_final_overlap():
    model = sl.OneNeuron(0.05, 0.5)
    assert model.path(-0.01, 1e6) == pytest.approx(-model.final_overlap, rel=1e-12)
    assert model.path(0.0, 1e6) == 0
    assert sl.OneNeuron(0.3, 0.2).path(0.9, 1e6) == 0


@pytest.mark.parametrize(("step", "noise"), [(0.05, 0.5), (0.12, 0.0), (0.13, 1.5)])
@pytest.mark.parametrize(("start", "drop"), [(0.03, 0.05), (-0.2, 0.3), (1e-4, 0.01)])
def test_the_exit_is_where_the_path_has_lost_the_drop(step, noise, start, drop):
    model = sl.OneNeuron(step, noise)
    time = model.exit(start, drop)
    excess = 2 * (1 - model.path(start, time) ** 2)
    assert excess == pytest.approx((1 - drop) * 2 * (1 - start**2), rel=1e-11)


def test_exits_that_do_not_happen():
    assert sl.OneNeuron(0.05, 0.5).exit(0.0, 0.1) == math.inf
    assert sl.OneNeuron(0.3).exit(0.1, 0.1) == math.inf
    model = sl.OneNeuron(0.1, 1.0)
    reached = model.final_overlap**2
    assert model.exit(0.01, reached + 0.01) == math.inf
    assert math.isfinite(model.exit(0.01, reached - 0.01))


def test_no_rate_at_all_decays_like_a_power():
    # mu = 0 at the threshold: dm/dt = -beta m^3 never gains; m^2 = m0^2/(1 + 2 beta m0^2 t).
    step = 2 / 13.0
    model = sl.OneNeuron(step, 1.0)
    beta = 4 * (1 - 6 * step)
    assert model.path(0.5, 3.0) ** 2 == pytest.approx(0.25 / (1 + 2 * beta * 0.25 * 3), rel=1e-9)


def test_the_final_risk_has_the_threshold_of_the_linearisation():
    assert sl.OneNeuron(0.05, 0.5).final_excess_risk == pytest.approx(0.025 / 0.7)
    # Printed formula at step 0.15, noise 1.5: 2.25, more than the risk at the start.
    assert sl.OneNeuron(0.15, 1.5).final_excess_risk == 2
    assert sl.OneNeuron(0.05).final_excess_risk == 0


@pytest.mark.stat
@pytest.mark.parametrize(
    ("step", "noise", "m"), [(0.05, 0.5, 0.4), (0.2, 0.0, 0.8), (0.1, 1.0, 0.0)]
)
def test_the_noise_is_that_of_single_projected_steps(step, noise, m):
    # Var of the change of m/sqrt(q) in one step at d = 1e6, where corrections vanish; 40 batches of
    # 1e5 samples, 4.5 s.e. Control: without the norm's share, the variance is rejected at m = 0.8.
    dim, rng, found = 10**6, np.random.default_rng(7), []
    delta = step / dim
    for _ in range(40):
        s, free, z = rng.standard_normal((3, 100_000))
        star = m * s + math.sqrt(1 - m * m) * free
        g = 2 * s * (star**2 + math.sqrt(noise) * z - s**2)
        change = (g * (star - m * s) - m * delta / 2 * g * g * dim) * delta  # to leading order
        found.append(np.var(change) * dim**2 / step)
    mean, error = np.mean(found), np.std(found, ddof=1) / math.sqrt(40)
    model = sl.OneNeuron(step, noise)
    assert abs(mean - float(model.variance(m))) < 4.5 * error
    if m == 0.8:
        tangent = step * 4 * (1 - m * m) * (noise + 4 * (1 - m * m) * (3 + 5 * m * m))
        assert abs(mean - tangent) > 4.5 * error


def test_exit_of_the_linear_diffusion_is_the_worked_value():
    model = sl.OneNeuron(0.05, 0.5)
    assert model.linear_sde_exit(1000, 0.05) == pytest.approx(1.083931706641749, rel=1e-10)


def test_random_starts_average_the_linear_diffusion():
    # Gauss-Hermite over m0 ~ N(0, 1/d), with the level sqrt(T) for every start.
    model, dim, drop = sl.OneNeuron(0.08, 0.3), 10_000, 0.05
    x, w = np.polynomial.hermite_e.hermegauss(80)
    x, w = x[w > 1e-14], w[w > 1e-14] / w.sum()
    variance = 4 * 0.08 * 12.3 / dim
    each = [sl.mean_exit_time(model.rate, variance, drop**0.5, y / dim**0.5) for y in x]
    assert model.linear_sde_exit_at_random(dim, drop) == pytest.approx(w @ each, rel=1e-7)


def test_random_starts_gain_what_the_linearisation_says():
    # Quenched ODE time less log(4/mu)/(2 mu), as dim -> infinity.
    step, noise, dim, drop = 0.08, 0.5, 10**8, 0.02
    model = sl.Mediocrity(step, noise)
    found = sl.OneNeuron(step, noise).linear_sde_exit_at_random(dim, drop)
    assert found == pytest.approx(model.quenched_exit(dim, drop) - model.noise_gain, abs=1e-5)
    # The flow bends: -log(1 - T)/(2 mu) but for the label noise.
    bent = found - math.log(1 - drop) / (2 * model.overlap_rate)
    assert model.noisy_exit(dim, drop) == pytest.approx(bent, rel=1.5e-3)


def test_the_nonlinear_diffusion_is_slower_than_the_linear_one_and_close():
    model = sl.OneNeuron(0.05, 0.5)
    linear, nonlinear = model.linear_sde_exit(1000, 0.05), model.sde_exit(1000, 0.05)
    assert linear < nonlinear < 1.02 * linear
    assert model.sde_exit(10**5, 1e-3) == pytest.approx(
        model.linear_sde_exit(10**5, 1e-3), rel=1e-3
    )


def test_the_norm_plateau_is_a_stable_zero():
    for step, noise in [(0.1, 0.5), (0.01, 2.0), (0.15, 0.0)]:

        def change(q, g=step, noise=noise):
            return 4 * q * (1 - 3 * q) + 12 * g * q * (1 + 5 * q * q - 2 * q) + 4 * g * noise * q

        q = norm_plateau(step, noise)
        assert change(q) == pytest.approx(0, abs=1e-12)
        assert change(q + 1e-4) < 0 < change(q - 1e-4)
    assert norm_plateau(0.1, 0.5) == pytest.approx(0.465153, abs=1e-6)
    assert norm_plateau(1e-12) == pytest.approx(1 / 3)
    assert norm_plateau(10.0, 1.0) == math.inf


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="step=-1"):
        sl.OneNeuron(-1)
    with pytest.raises(ValueError, match=r"start=1\.2"):
        sl.OneNeuron(0.1).path(1.2, [0.0])
    with pytest.raises(ValueError, match="drop=2"):
        sl.OneNeuron(0.1).exit(0.1, 2)
