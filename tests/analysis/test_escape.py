"""The law of the time from a random start to a macroscopic overlap."""

import math

import equinox as eqx
import numpy as np
import pytest
from scipy import integrate, stats

import sgdlimits as sl


def _law(snr=2.0, step=1.0, level=0.5, dim=1000, order=2, **options):
    eff = sl.effective_dynamics(sl.SpikedTensor(order=order, snr=snr), sl.OnlineSGD(step=step))
    return sl.escape_law(eff, sl.SpikedStatistics(0.0, step), "m", level, dim, **options)


@pytest.mark.parametrize("level", [0.01, 0.5, 0.9])
def test_matrix_by_hand(level):
    # r2 = 1 stays, m' = 4 m (1 - m^2): C = log(level)/4 - log(1 - level^2)/8. Start variance 1,
    # noise 8, rate 4: spread^2 = 1 + 8/(2 * 4) = 2.
    law = _law(level=level)
    assert law.rate == pytest.approx(4.0)
    assert law.spread == pytest.approx(math.sqrt(2), rel=1e-6)
    assert law.constant == pytest.approx(math.log(level) / 4 - math.log(1 - level**2) / 8, abs=1e-7)


@pytest.mark.parametrize(("snr", "step"), [(1.5, 0.5), (3.0, 2.0)])
def test_other_steps_by_hand(snr, step):
    # From r2 = step: m' = 4 m (snr - step - m^2), m_star^2 = snr - step; noise 8 step^2.
    level, rate = 0.4, 4 * (snr - step)
    law = _law(snr, step, level)
    m2 = snr - step
    constant = math.log(level) / rate - math.log(1 - level**2 / m2) / (2 * rate)
    assert law.constant == pytest.approx(constant, abs=1e-7)
    assert law.spread**2 == pytest.approx(1 + 8 * step**2 / (2 * rate), rel=1e-6)


def test_the_start_may_have_another_radius():
    # Started at r2 = 1 with step 1/2, w relaxes logistically: u's log-gain is an integral of
    # 4(lam - w), its noise of 8 c w: by quadrature.
    c, lam, w0 = 0.5, 1.5, 1.0
    rate = 4 * (lam - c)

    def w(t):
        return c / (1 + (c / w0 - 1) * math.exp(-8 * c * t))

    def excess(t):  # int_0^t 4 (c - w) in closed form: w'/w = 8 (c - w)
        return 0.5 * math.log(w(t) / w0)

    noise, _ = integrate.quad(
        lambda t: 8 * c * w(t) * math.exp(2 * (excess(30.0) - excess(t)) - 2 * rate * t), 0, 30
    )
    law = _law(lam, c, 0.4, start=sl.SpikedStatistics(0.0, w0), variance=0.3)
    expected = 0.3 * math.exp(2 * excess(30.0)) + noise
    assert law.spread**2 == pytest.approx(expected, rel=1e-6)


def test_without_initial_variance_only_the_noise_counts():
    assert _law(variance=0.0).spread == pytest.approx(1.0, rel=1e-6)


def test_quantile_inverts_cdf():
    law, p = _law(), np.array([1e-6, 0.01, 0.3, 0.5, 0.99, 1 - 1e-9])
    np.testing.assert_allclose(law.cdf(law.quantile(p)), p, rtol=1e-9)
    assert (np.diff(law.cdf(np.linspace(0, 5, 100))) >= 0).all()


def test_mean_and_standard_deviation_are_those_of_the_cdf():
    # Quadrature over probabilities: E T = int_0^1 quantile.
    law = _law(1.7, 0.8, 0.3, 5000)
    p = (np.arange(2_000_000) + 0.5) / 2_000_000
    times = law.quantile(p)
    assert law.mean == pytest.approx(times.mean(), abs=1e-5)
    assert law.standard_deviation == pytest.approx(times.std(), abs=1e-4)


@pytest.mark.stat
def test_mean_and_cdf_are_those_of_the_amplitude():
    # T = C + (log(n)/2 - log|U|)/rate with U ~ N(0, spread^2): KS of 20000 draws at 1e-3.
    law = _law()
    u = law.spread * np.random.default_rng(0).standard_normal(20_000)
    times = law.constant + (0.5 * np.log(law.dim) - np.log(np.abs(u))) / law.rate
    assert stats.kstest(times, law.cdf).pvalue > 1e-3


def test_steps_grow_like_n_log_n():
    small, large = _law(dim=10**3), _law(dim=10**6)
    assert large.mean - small.mean == pytest.approx(math.log(10**3) / (2 * 4.0))
    assert (
        large.standard_deviation
        == small.standard_deviation
        == pytest.approx(math.pi / (2 * math.sqrt(2) * 4))
    )


@pytest.mark.stat
@pytest.mark.parametrize(("snr", "step", "level"), [(2.0, 1.0, 0.5), (1.2, 0.5, 0.4)])
def test_hitting_times_of_the_chain_follow_the_law(snr, step, level):
    # KS of 512 runs at n = 4000 against the law. Corrections are O(n^-1/2) = 0.016 in the cdf's
    # argument; with the statistic's 1e-4 quantile 2.23/sqrt(512) = 0.1 they are not resolved.
    dim, runs = 4_000, 512
    model, sgd = sl.SpikedTensor(snr=snr), sl.OnlineSGD(step=step)
    law = sl.escape_law(
        sl.effective_dynamics(model, sgd), sl.SpikedStatistics(0.0, step), "m", level, dim,
        start=sl.SpikedStatistics(0.0, 1.0),
    )  # fmt: skip
    horizon = float(law.quantile(0.9999))
    paths = sl.simulate(model, sgd, dim=dim, time=horizon, runs=runs, seed=3, record=1001)
    times = sl.exit_time(paths, level, "|m|")
    assert int(times["censored"].sum()) <= 3
    samples = np.where(times["censored"], horizon, times["time"])
    assert stats.kstest(samples, law.cdf).pvalue > 1e-4
    # The comparison sees a constant that is off by a third of a standard deviation.
    assert stats.kstest(samples - law.standard_deviation / 3, law.cdf).pvalue < 1e-4


@pytest.mark.slow
@pytest.mark.stat
def test_a_saddle_whose_sides_differ_has_both_in_its_law():
    series = sl.Hermite([0.0, 0.0, 0.5, 0.4])
    dim, sgd, level = 2000, sl.OnlineSGD(0.02, spherical=True), 0.4
    model = sl.single_index(series, series, noise=0.1)
    saddle = sl.Statistics(np.zeros(0), np.zeros((1, 1)), np.ones((1, 1)))
    law = sl.escape_law(sl.effective_dynamics(model, sgd), saddle, "M_11", level, dim)
    assert law.constant_below > law.constant + 1
    assert law.cdf(law.quantile(0.7)) == pytest.approx(0.7, abs=1e-9)
    horizon, runs = float(law.quantile(0.999)), 256
    paths = sl.simulate(model, sgd, dim=dim, time=horizon, runs=runs, seed=2, record=801)
    times = sl.exit_time(paths, level, lambda ds: abs(ds["M"]).squeeze(("neuron", "direction")))
    samples = np.where(times["censored"], horizon, times["time"])
    assert stats.kstest(samples, law.cdf).pvalue > 1e-4
    one_sided = eqx.tree_at(lambda law: law.constant_below, law, law.constant)
    assert stats.kstest(samples, one_sided.cdf).pvalue < 1e-4


def test_higher_orders_have_no_escape_from_no_overlap():
    with pytest.raises(ValueError, match="does not grow"):
        _law(4.0, order=3)


def test_from_the_saddle_of_higher_orders():
    # m_dagger of k = 3 is unstable along m; the level is a distance from it. Only r2 = step is
    # invariant, so the noise of both statistics enters.
    eff = sl.effective_dynamics(sl.SpikedTensor(order=3, snr=4.0))
    saddle = next(p for p in eff.fixed_points() if not p.stable and float(p.statistics.m) > 0.1)
    with pytest.raises(ValueError, match="not 0"):
        sl.escape_law(eff, saddle.statistics, "m", 0.1, 1000)
