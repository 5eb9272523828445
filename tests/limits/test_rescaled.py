"""The diffusive limit with sqrt(dim) m magnified: (3.2) and its relatives."""

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from tests.models import worked_examples


def _dynamics(order=2, snr=1.2, ridge=0.0, step=1.0):
    model = sl.SpikedTensor(order=order, snr=snr, ridge=ridge)
    return sl.effective_dynamics(model, sl.OnlineSGD(step=step))


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("step", [1.0, 0.6])
def test_rescaling_m_gives_the_papers_diffusion(order, step):
    # (3.2) with step c: du = 2u(2 lam [k=2] - k w^(k-1)) dt + 2 sqrt(c k w^(k-1)) dB.
    k, c, lam = order, step, 1.7
    u, w = np.array([0.7, -2.0, 0.0]), np.array([0.4, 1.3, 2.0])
    limit = _dynamics(k, lam, 0.0, c).rescale("m")
    state = sl.SpikedStatistics(u, w)
    drift = limit.drift(state)
    signal = 2 * lam if k == 2 else 0.0
    np.testing.assert_allclose(drift.m, 2 * u * (signal - k * w ** (k - 1)), rtol=1e-13)
    np.testing.assert_allclose(drift.r2, -4 * k * w ** (k - 1) * (w - c), rtol=1e-13, atol=1e-13)
    diffusion = np.asarray(limit.diffusion(state))
    np.testing.assert_allclose(diffusion[:, 0, 0], 4 * c * k * w ** (k - 1), rtol=1e-13)
    np.testing.assert_array_equal(diffusion[:, 1, :], 0)
    assert limit.names == ("sqrt(dim)*m", "r2")


@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_limit_is_the_limit_of_finite_dims(order):
    eff = _dynamics(order, 1.7, 0.3, 0.6)
    state = sl.SpikedStatistics(0.7, 1.3)
    limit = eff.rescale("m").drift(state).vector
    errors = [
        float(np.abs(eff.rescale("m", dim=dim).drift(state).vector - limit).max())
        for dim in (10**4, 10**6)
    ]
    # k = 3 has a term 2 k lam u^2 / sqrt(dim), the others O(1/dim).
    rate = 0.5 if order == 3 else 1.0
    assert np.log(errors[0] / errors[1]) / np.log(100) == pytest.approx(rate, abs=0.05)


@pytest.mark.parametrize("order", [3, 4])
def test_an_snr_that_grows_with_dim_gives_a_nonlinear_drift(order):
    # lam = Lambda n^((k-2)/2): du = 2u(k Lambda u^(k-2) - k w^(k-1)) dt, corrected (not OU).
    k, big, u, w = order, 0.8, 0.5, 0.9
    dim = 10**10
    model = sl.SpikedTensor.at_gradient_threshold(k, big, dim)
    drift = sl.effective_dynamics(model).rescale("m", dim=dim).drift(sl.SpikedStatistics(u, w))
    assert float(drift.m) == pytest.approx(
        2 * u * (k * big * u ** (k - 2) - k * w ** (k - 1)), rel=1e-6
    )


@pytest.mark.parametrize("order", [2, 3])
def test_rescaling_everything_is_linearising(order):
    eff = _dynamics(order, 4.0, 0.1, 0.8)
    for point in eff.fixed_points():
        u = point.statistics
        limit, process = eff.rescale("m", "r2", centre=u), eff.linearise(u)
        for y in np.eye(2):
            drift = limit.drift(u.with_vector(jnp.asarray(y))).vector
            np.testing.assert_allclose(drift, np.asarray(process.drift) @ y, atol=1e-11)
        np.testing.assert_allclose(limit.diffusion(u), process.diffusion, atol=1e-12)


@pytest.mark.parametrize("case", ["m about m_star", "r2 about the wrong radius"])
def test_a_set_that_the_flow_leaves_is_refused(case):
    eff = _dynamics(3, 4.0)
    if case == "m about m_star":
        name, centre = "m", eff.fixed_points()[-1].statistics
    else:
        name, centre = "r2", sl.SpikedStatistics(0.0, 0.5)
    with pytest.raises(ValueError, match=rf"scaled=\('{name}',\).*not 0"):
        eff.rescale(name, centre=centre)


def test_names_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"scaled='q'.*'m', 'r2'"):
        _dynamics().rescale("q")
    with pytest.raises(ValueError, match=r"scaled=\(\): expected at least one of"):
        _dynamics().rescale()


def test_gaussian_at_the_worked_example():
    _, covariance = (
        _dynamics(snr=0.5)
        .rescale("m")
        .gaussian(sl.SpikedStatistics(0.0, 1.5), [1.0], np.diag([1.0, 0.0]))
    )
    assert float(covariance[0, 0, 0]) == pytest.approx(
        worked_examples.VARIANCE_RESCALED_MATRIX, rel=1e-8
    )


def test_gaussian_about_a_fixed_point_is_the_ornstein_uhlenbeck_law():
    eff = _dynamics(3, 4.0, 0.1, 0.8)
    u = eff.fixed_points()[-1].statistics
    start, times = np.array([[0.5, 0.1], [0.1, 0.3]]), [0.0, 0.02, 0.2]
    mean, covariance = eff.rescale("m", "r2", centre=u).gaussian(
        sl.SpikedStatistics(0.4, -0.3), times, start
    )
    process = eff.linearise(u)
    np.testing.assert_allclose(
        mean.vector, process.mean(times, np.array([0.4, -0.3])), rtol=1e-7, atol=1e-9
    )
    np.testing.assert_allclose(covariance, process.covariance(times, start), rtol=1e-7, atol=1e-9)


@pytest.mark.stat
def test_gaussian_is_the_law_of_sampled_paths():
    # Mean and variance of 8000 paths at two times: 4 z-scores, Bonferroni, false alarm 1e-3.
    from tests.helpers import moment_z_scores, z_limit

    limit = _dynamics(snr=0.5, step=0.8).rescale("m")
    start = sl.SpikedStatistics(1.5, 1.6)
    paths = sl.sample_diffusion(
        limit, initial=start, time=0.3, runs=8_000, seed=3, record=3, dt=5e-4
    )
    mean, covariance = limit.gaussian(start, paths["time"].values)
    np.testing.assert_allclose(paths["r2"][0], mean.r2, rtol=1e-6)
    z = [
        moment_z_scores(
            paths["m"].values[:, [i]],
            np.asarray(mean.vector[i, :1]),
            np.asarray(covariance[i, :1, :1]),
        )
        for i in (1, 2)
    ]
    assert np.abs(z).max() < z_limit(np.size(z))


@pytest.mark.stat
def test_paths_from_a_finite_dim_are_the_chains_law():
    # Escape over the saddle at snr ~ sqrt(n), where the process is not linear: fraction beyond
    # |u| = 3 in chain and diffusion, difference of two proportions, |z| < 3.3 (false alarm 1e-3)
    # with 0.02 for the O(dt) and O(n^-1/2) bias.
    dim, runs, time = 4000, 2000, 1.0
    model = sl.SpikedTensor.at_gradient_threshold(3, 0.6, dim)
    limit = sl.effective_dynamics(model).rescale("m", dim=dim)
    start = sl.SpikedStatistics(0.0, 1.0)
    paths = sl.sample_diffusion(limit, initial=start, time=time, runs=runs, seed=1, record=2)
    chain = sl.simulate(model, dim=dim, time=time, runs=runs, seed=2, initial=start, record=2)
    p = [
        float((np.abs(x) > 3).mean()) for x in (paths["m"][:, -1], np.sqrt(dim) * chain["m"][:, -1])
    ]
    assert 0.1 < p[0] < 0.9
    error = np.sqrt(sum(q * (1 - q) for q in p) / runs)
    assert abs(p[0] - p[1]) < 3.3 * error + 0.02


def test_gaussian_refuses_what_is_not_gaussian(as_users_run):
    eff, u = _dynamics(), sl.SpikedStatistics(0.0, 1.0)
    with pytest.raises(ValueError, match=r"dim=100.*sample_diffusion"):
        eff.rescale("m", dim=100).gaussian(u, [1.0])
    with pytest.raises(ValueError, match=r"covariance has shape \(3, 3\): expected \(2, 2\)"):
        eff.rescale("m").gaussian(u, [1.0], np.eye(3))
    with pytest.raises(ValueError, match=r"covariance.*macroscopic"):
        eff.rescale("m").gaussian(u, [1.0], np.eye(2))
    with pytest.raises(ValueError, match=r"times.*expected"):
        eff.rescale("m").gaussian(u, [-1.0])
    with pytest.raises(TypeError, match=r"(?s)dynamics=.*expected.*rescale"):
        sl.sample_diffusion(eff, initial=u, time=1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda u: sl.Statistics(u.v, u.M, u.Q.at[0, 1].set(5.0).at[1, 0].set(5.0)),
            "real vectors",
        ),
        (lambda u: sl.Statistics(u.v, u.M, u.Q.at[0, 1].set(0.3)), "symmetric"),
        (lambda u: sl.Statistics(u.v, u.M[:1], u.Q[:1, :1]), r"initial: M has shape \(1, 1\)"),
        (lambda u: sl.Statistics(u.v, u.M.at[0, 0].set(np.nan), u.Q), "initial: M must be finite"),
        (lambda u: sl.SpikedStatistics(0.1, 1.0), "expected Statistics"),
    ],
    ids=["not psd", "not symmetric", "shape", "nan", "kind"],
)
def test_diffusions_do_not_start_where_nothing_can_be(change, message, as_users_run):
    # One neuron's overlap with the teacher is magnified about 0; it may be as large as it likes.
    model = sl.committee(2, 1, "square", teacher_activation="square")
    limit = sl.effective_dynamics(model).rescale("M_11", "M_21")
    u = sl.Statistics([], [[40.0], [-30.0]], [[1.0, 0.0], [0.0, 1.0]])
    limit.check_state(u)
    with pytest.raises((TypeError, ValueError), match=message):
        sl.sample_diffusion(limit, initial=change(u), time=0.1)
    # At a finite dimension the magnified overlap is that of a real neuron.
    finite = sl.effective_dynamics(model).rescale("M_11", "M_21", dim=400)
    with pytest.raises(ValueError, match="real vectors"):
        finite.check_state(u)
