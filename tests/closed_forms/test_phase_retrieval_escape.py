"""Exit times of phase retrieval by formula: against other routes, and single SGD steps."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize, stats

import sgdlimits as sl
from sgdlimits.closed_forms.phase_retrieval_escape import (
    fewest_steps,
    largest_step,
    optimal_step,
    width_gain,
)
from sgdlimits.closed_forms.phase_retrieval_flow import excess_risk, rates


@pytest.mark.parametrize(
    ("width", "step", "expected"),
    [
        (1, 0.05, 0.8389327140653752),
        (2, 0.2, 0.7459392853289281),
        (5, 0.8, 0.6908850187893274),
        (20, 4.0, 0.6723870106654894),
    ],
)
def test_annealed_is_the_worked_value_in_the_papers_time(width, step, expected):
    found = sl.Mediocrity(step, 0.5, width).annealed_exit(1000, 0.1)
    assert found / width == pytest.approx(expected, rel=1e-12)


def test_one_neuron_is_equation_10():
    # log(T d + 1 - T)/(8 (1 - 6 g) - 4 g D), and the same with T d / mu averaged over mu ~ chi2_1.
    g, noise, dim, drop = 0.07, 0.4, 2000, 0.08
    rate = 8 * (1 - 6 * g) - 4 * g * noise
    model = sl.Mediocrity(g, noise)
    assert model.annealed_exit(dim, drop) == pytest.approx(
        math.log(drop * dim + 1 - drop) / rate, rel=1e-13
    )
    quenched, _ = integrate.quad(
        lambda x: 2 * stats.norm.pdf(x) * math.log(drop * dim / x**2 + 1 - drop), 0, 12,
        points=[1e-3, 0.1], limit=500,
    )  # fmt: skip
    assert model.quenched_exit(dim, drop) == pytest.approx(quenched / rate, rel=1e-8)


@pytest.mark.stat
@pytest.mark.parametrize(("width", "dim"), [(2, 100), (4, 400), (9, 900)])
def test_quenched_is_the_mean_over_spherical_starts(width, dim):
    # 20000 starts; z-test at 4.5 standard errors (7e-6 each) plus the O(1/dim) of the law used.
    model, runs = sl.Mediocrity(0.05 * width, 0.3, width), 20_000
    rng = np.random.default_rng(width)
    m = rng.standard_normal((runs, width))
    lower = np.tril(rng.standard_normal((runs, width, width)), -1)  # Bartlett, without the teacher
    for i in range(width):
        lower[:, i, i] = np.sqrt(rng.chisquare(dim - 1 - i, runs))
    gram = lower @ lower.transpose(0, 2, 1) + m[:, :, None] * m[:, None, :]
    norms = np.sqrt(np.einsum("rii->ri", gram))
    gram = gram / norms[:, :, None] / norms[:, None, :]
    mu = dim * ((m / norms) ** 2).sum(1)
    tau = dim * ((gram**2).sum((1, 2)) - width)
    each = np.array(
        [model.exit_from(a, max(b, 0.0), dim, 0.1) for a, b in zip(mu, tau, strict=True)]
    )
    error = each.std() / math.sqrt(len(each))
    assert abs(each.mean() - model.quenched_exit(dim, 0.1)) < 4.5 * error + each.mean() / dim
    # Control: the annealed time is rejected where it differs by more than that.
    assert abs(each.mean() - model.annealed_exit(dim, 0.1)) > 4.5 * error + each.mean() / dim


@pytest.mark.parametrize("width", [1, 2, 5, 20])
@pytest.mark.parametrize("noise", [0.0, 0.7])
def test_quenched_is_never_below_annealed(width, noise):
    model = sl.Mediocrity(0.06 * width, noise, width)
    annealed, quenched = model.annealed_exit(5000, 0.1), model.quenched_exit(5000, 0.1)
    assert 0 < annealed < quenched


@pytest.mark.parametrize(("noise", "width"), [(0.0, 1), (1.5, 1), (0.5, 2), (0.5, 5), (0.0, 20)])
def test_the_optimal_step_minimises_the_samples(noise, width):
    def samples(log_step):
        model = sl.Mediocrity(math.exp(log_step), noise, width)
        return model.steps(model.annealed_exit(3000, 0.1), 3000)

    top = math.log(largest_step(noise, width))
    best = optimize.minimize_scalar(samples, bounds=(top - 4, top - 1e-3), method="bounded",
                                    options={"xatol": 1e-9})  # fmt: skip
    assert math.exp(best.x) == pytest.approx(optimal_step(noise, width), rel=1e-6)
    assert best.fun == pytest.approx(fewest_steps(3000, 0.1, noise, width), rel=1e-12)


def test_the_threshold_for_one_neuron():
    assert largest_step(0.0) == pytest.approx(1 / 6)
    assert largest_step(1.5) == pytest.approx(2 / 13.5)
    assert optimal_step(0.5) == pytest.approx(1 / 12.5)
    assert sl.Mediocrity(largest_step(0.4, 3), 0.4, 3).overlap_rate == pytest.approx(0, abs=1e-15)
    assert sl.Mediocrity(0.16, 1.0).annealed_exit(1000, 0.1) == math.inf
    assert sl.Mediocrity(0.16, 1.0).noisy_exit(1000, 0.1) == math.inf


def test_what_overparametrisation_saves():
    # (12 + D)/(2 + D) = 5 as dim -> infinity, from above.
    gains = [width_gain(dim, 0.1, 0.5) for dim in (10**3, 10**6, 10**12)]
    assert gains == pytest.approx([5.88, 5.32, 5.14], abs=5e-3)
    assert width_gain(1000, 0.1, 0.5, 10_000) == pytest.approx(gains[0], rel=1e-3)
    assert width_gain(1000, 0.1, 0.5, 1) == 1


def test_the_gain_by_noise_for_one_neuron_is_log_4_over_mu():
    for step, noise in [(0.05, 0.5), (0.12, 0.0), (0.01, 3.0)]:
        mu = 4 * (1 - 6 * step) - 2 * step * noise
        gain = sl.Mediocrity(step, noise).noise_gain
        assert gain == pytest.approx(math.log(4 / mu) / (2 * mu), rel=1e-12)
    assert sl.Mediocrity(optimal_step()).noise_gain == pytest.approx(math.log(2) / 4)


def test_noise_shortens_by_its_gain_in_large_dimension():
    # At a drop of 1e-3 the flow bends by less than what the points miss, 0.1 % of the mean.
    for width in (1, 3, 10):
        model = sl.Mediocrity(0.06 * width, 0.3, width)
        law = model.exit_law(10**9, 1e-3)
        shorter = model.quenched_exit(10**9, 1e-3) - law.mean
        assert abs(shorter - model.noise_gain) < 3e-3 * law.mean < model.noise_gain / 2


@pytest.mark.parametrize("width", [1, 2, 5])
def test_the_flow_is_that_of_the_effective_dynamics(width):
    rng = np.random.default_rng(width)
    W = rng.standard_normal((width, width + 2))
    W = W / np.sqrt((W**2).sum(1, keepdims=True))
    M, Q = W[:, 0], W @ W.T
    committee = sl.phase_retrieval(width, 0.3)
    u = sl.Statistics(np.zeros(0), M[:, None], Q)
    wanted = sl.effective_dynamics(committee, sl.OnlineSGD(0.2, spherical=True)).drift(u)
    dM, dQ = rates(M, Q, 0.2, 0.3)
    np.testing.assert_allclose(dM, wanted.M[:, 0], atol=1e-12)
    np.testing.assert_allclose(dQ, wanted.Q, atol=1e-12)
    assert excess_risk(M, Q) == pytest.approx(float(sl.risk(committee, u)) - 0.15, abs=1e-12)


def test_the_law_of_one_neuron_is_the_flow_of_the_final_amplitude():
    # T = exit(m0) of the closed form with m0 = U/sqrt(dim), U ~ N(0, 1 + a), but for m0's own risk.
    step, noise, dim, drop = 0.08, 0.5, 10**6, 0.25
    law, one = sl.Mediocrity(step, noise).exit_law(dim, drop), sl.OneNeuron(step, noise)
    spread = math.sqrt(1 + sl.Mediocrity(step, noise).noise_variance / (2 * one.rate))
    for p in (0.05, 0.3, 0.5, 0.8, 0.95):
        amplitude = spread * stats.norm.isf(p / 2) / math.sqrt(dim)
        assert law.quantile(p) == pytest.approx(one.exit(amplitude, drop), rel=0.015)
        assert law.cdf(law.quantile(p)) == pytest.approx(p, abs=1e-3)


_AGAINST_CHAIN = [
    (1, 0.08, 0.5, 500), (2, 0.3, 0.2, 500), (3, 0.6, 0.2, 500),
    pytest.param(1, 0.08, 0.5, 2000, marks=pytest.mark.slow),
    pytest.param(2, 0.3, 0.2, 2000, marks=pytest.mark.slow),
    pytest.param(3, 0.6, 0.2, 2000, marks=pytest.mark.slow),
]  # fmt: skip


@pytest.mark.stat
@pytest.mark.parametrize(("width", "step", "noise", "dim"), _AGAINST_CHAIN)
def test_the_law_is_that_of_the_chain(width, step, noise, dim):
    # Mean within 2 % and 4.5 s.e. of 2000 runs; quantiles within 3 % and 4.5 of their own, by the
    # binomial law: false alarms below 1e-4 if the law is right to that. Control: the linearisation,
    # which ends where the flow bends, is rejected.
    runs, drop = 2000, 0.25
    model = sl.Mediocrity(step, noise, width)
    law = model.exit_law(dim, drop)
    paths = sl.simulate(
        sl.phase_retrieval(width, noise), sl.OnlineSGD(step, spherical=True), "chain", dim=dim,
        time=2 * float(law.quantile(0.99)), runs=runs, record=400, seed=11,
    )  # fmt: skip
    exits = sl.drop_time(paths, drop, floor=noise / 2)
    assert exits["censored"].sum() <= 2
    times = np.where(exits["censored"], np.inf, exits["time"])
    seen = times[np.isfinite(times)]
    error = seen.std() / math.sqrt(len(seen))
    assert abs(law.mean - seen.mean()) < 0.02 * seen.mean() + 4.5 * error
    # The error is honest, to the three times that all errors are, and says something.
    assert abs(law.mean - seen.mean()) < 3 * law.error + 4.5 * error
    assert law.error < 0.05 * law.mean
    for p in (0.1, 0.5, 0.9):
        off = 4.5 * math.sqrt(p * (1 - p) / runs)
        low, high = np.quantile(times, [p - off, p + off])
        assert 0.97 * low < law.quantile(p) < 1.03 * high
    linear = model.quenched_exit(dim, drop) - model.noise_gain
    assert seen.mean() - linear > 2.5 * error + 0.02 * seen.mean()


def test_a_law_says_what_is_never_reached():
    law = sl.Mediocrity(0.1, 1.0).exit_law(10**4, 0.99)  # the plateau is above
    assert law.mean == law.quantile(0.5) == math.inf
    assert law.cdf(1e9) == 0
    with pytest.raises(ValueError, match=r"probability=1\.5"):
        law.quantile(1.5)


@pytest.mark.stat
@pytest.mark.parametrize("width", [2, 3, 7])
def test_noise_at_the_start_is_that_of_single_steps(width):
    # Var of the increments of M_1 and Q_12 at M = 0, Q = I, |x|^2/d -> 1, from 4e6 samples: 4.5
    # standard errors by batches, 6 comparisons. Control: the printed 48 + 4 Delta, p = 1 only.
    step, noise, batches = 0.3 * width, 0.4, 40
    rng = np.random.default_rng(5)
    found = []
    for _ in range(batches):
        s = rng.standard_normal((width, 100_000))
        star = rng.standard_normal(100_000)
        e = star**2 - (s**2).mean(0) + math.sqrt(noise) * rng.standard_normal(100_000)
        g = 2 / width * e * s
        of_m = step * np.var(g[0] * star)
        of_q = step * np.var(g[0] * s[1] + s[0] * g[1] + step * g[0] * g[1])
        found.append((of_m, of_q))
    mean, error = np.mean(found, 0), np.std(found, 0, ddof=1) / math.sqrt(batches)
    model = sl.Mediocrity(step, noise, width)
    theory = np.array([model.noise_variance, model.alignment_noise_variance])
    assert (abs(mean - theory) < 4.5 * error).all()
    assert abs(mean[0] - step / width**2 * (48 + 4 * noise)) > 4.5 * error[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0,), "step=0.0"),
        ((0.1, -1.0), "noise=-1.0"),
        ((0.1, 0.0, 0), "width=0"),
    ],
)
def test_bad_models_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sl.Mediocrity(*arguments)


def test_bad_questions_are_refused():
    model = sl.Mediocrity(0.4, 0.0, 4)
    with pytest.raises(ValueError, match=r"drop=1\.5"):
        model.annealed_exit(1000, 1.5)
    with pytest.raises(ValueError, match="dim=1"):
        model.quenched_exit(1, 0.1)
    with pytest.raises(ValueError, match="raise dim or drop"):
        model.exit_from(1.0, 1e6, 1000, 0.1)
    with pytest.raises(ValueError, match="too small for width=4"):
        model.quenched_exit(10, 0.05)
    with pytest.raises(ValueError, match=r"width\^2/8"):
        sl.Mediocrity(0.6, 0.0, 2).noisy_exit(1000, 0.1)
