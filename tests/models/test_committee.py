"""Committees: worked values of independent code, literature conventions, the sphere, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl

# Independent code (closed forms in another notation, 4-D quadrature) for both families.
_ERF_U = sl.Statistics(
    [1.0, -0.6, 1.3],
    [[0.3, 0.1], [-0.2, 0.25], [0.15, -0.05]],
    [[0.9, 0.1, -0.05], [0.1, 0.7, 0.2], [-0.05, 0.2, 1.1]],
)
_ERF_DM = [
    [0.05113354927074304, 0.05294621894801838],
    [-0.032036777263747235, -0.03390771599296962],
    [0.06491325007220844, 0.06446792310344973],
]
_ERF_DQ = [
    [-0.0014147024787629602, -0.0014864698575646185, -0.03436031820878893],
    [-0.0014864698575646185, 0.0020008519832738873, 0.020932383455802894],
    [-0.03436031820878893, 0.020932383455802894, -0.040141824753073964],
]


def _erf_committee():
    P = [[1.0, 0.2], [0.2, 0.9]]
    return sl.committee(3, 2, "erf", None, 0.05, P, [1.2, 0.7], train_second_layer=True)


def test_erf_drift_and_risk_have_the_worked_values():
    model = _erf_committee()
    eff = sl.effective_dynamics(model, sl.OnlineSGD(step=0.8, second_layer_rate=0.5))
    drift = eff.drift(_ERF_U)
    dv = [-0.003328636996656143, 0.0004247860305216829, -0.01847857478706829]
    np.testing.assert_allclose(drift.v, dv, rtol=1e-12)
    np.testing.assert_allclose(drift.M, _ERF_DM, rtol=1e-12)
    np.testing.assert_allclose(drift.Q, _ERF_DQ, rtol=1e-11)
    assert float(sl.risk(model, _ERF_U)) == pytest.approx(0.127900090147348, rel=1e-13)


def test_square_drift_in_the_time_of_escaping_mediocrity():
    # d/dt of the paper is width times ours.
    model = sl.phase_retrieval(2, noise=0.6, train_second_layer=True)
    u = sl.Statistics([1.2, 0.7], [[0.4], [-0.2]], [[1.1, 0.3], [0.3, 0.9]])
    drift = sl.effective_dynamics(model, sl.OnlineSGD(step=0.3)).drift(u)
    np.testing.assert_allclose(2 * drift.v, [-1.1675, -0.5725], rtol=1e-12)
    np.testing.assert_allclose(2 * drift.M[:, 0], [0.7776, -0.5922], rtol=1e-12)
    upper = [0.916446, -1.5412841, -0.26058497500000044]
    np.testing.assert_allclose(2 * drift.Q[np.triu_indices(2)], upper, rtol=1e-12)


@pytest.mark.parametrize(("q", "m"), [(0.8, 0.3), (1.4, -0.6)])
def test_one_neuron_phase_retrieval_prints_75_and_76(q, m):
    # Escaping mediocrity (75), (76) at teacher norm 1: dm and dq of one free neuron, with Delta.
    g, noise = 0.07, 0.3
    model = sl.phase_retrieval(1, noise=noise)
    drift = sl.effective_dynamics(model, sl.OnlineSGD(step=g)).drift(
        sl.Statistics([], [[m]], [[q]])
    )
    dq = 4 * (q * (1 - 3 * q) + 2 * m**2)
    dq += 12 * g * (q * (1 + 5 * q**2 - 2 * q) + 4 * m**2 * (1 - 2 * q)) + 4 * g * noise * q
    assert float(drift.M[0, 0]) == pytest.approx(6 * m * (1 - q), rel=1e-12)
    assert float(drift.Q[0, 0]) == pytest.approx(dq, rel=1e-12)


@pytest.mark.parametrize("m", [0.05, 0.5, -0.9])
def test_projected_phase_retrieval_prints_7_and_its_noise(m):
    # Equation (7), and the corrected (55) with (34): dm = b dt + sqrt(step V/d) dB.
    g, noise = 0.06, 0.4
    model, s = sl.phase_retrieval(1, noise=noise), 1 - m**2
    eff = sl.effective_dynamics(model, sl.OnlineSGD(step=g, spherical=True))
    u = sl.Statistics([], [[m]], [[1.0]])
    b = m * (4 * (1 - 6 * g) * s - 2 * g * noise)
    assert float(eff.drift(u).M[0, 0]) == pytest.approx(b, rel=1e-11)
    V = 4 * s * (noise + 4 * s * (3 + 5 * m**2)) - 128 * g * m**2 * s * (noise + 21 * s)
    six = 6 * noise * s * (10 - 3 * m**2) + 36 * s**2 * (27 - 10 * m**2)
    V += 32 * g**2 * m**2 * (noise**2 + six)
    assert float(eff.diffusion(u)[0, 0]) == pytest.approx(g * V, rel=1e-10)
    assert float(np.abs(eff.diffusion(u)[1]).max()) < 1e-12


@pytest.mark.parametrize(
    "p", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_noise_at_zero_overlap_for_any_width(p):
    # Var of M at Q = I, M = 0, in the paper's time: 4 (10 - 6/p + 8/p^2 + Delta).
    model = sl.phase_retrieval(p, noise=0.25)
    u = sl.Statistics([], np.zeros((p, 1)), np.eye(p))
    eff = sl.effective_dynamics(model, sl.OnlineSGD(step=1.0))
    found = p**2 * float(eff.diffusion(u)[0, 0])
    assert found == pytest.approx(4 * (10 - 6 / p + 8 / p**2 + 0.25), rel=1e-11)


def test_erf_trajectory_and_excess_risk():
    model = sl.committee(2, 2, "erf", noise=0.001)
    u = sl.Statistics([], [[0.1, 0.02], [-0.03, 0.08]], [[0.5, 0.1], [0.1, 0.4]])
    end = sl.effective_dynamics(model, sl.OnlineSGD(step=0.1)).solve(u, [10.0])
    M = [[0.4393442174831945, 0.339793568356937], [0.3122451582964795, 0.41236071672170854]]
    np.testing.assert_allclose(end.M[0], M, rtol=1e-8)
    excess = float(sl.risk(model, end, excess=True)[0])
    assert excess == pytest.approx(0.005121090769997019, rel=1e-8)


def test_saad_and_solla_are_weights_p_and_k():
    # f = sum sigma, y = sum sigma, alpha = steps/N: v_i = p, a_r = k. Their Q equation, written out
    # in their notation for p = k = 1 at zero noise: dR/dalpha and dQ/dalpha of the erf perceptron.
    eta, R, Q, T = 0.7, 0.3, 0.8, 1.0
    model = sl.committee(1, 1, "erf", noise=0.0)
    drift = sl.effective_dynamics(model, sl.OnlineSGD(step=eta)).drift(
        sl.Statistics([], [[R]], [[Q]])
    )
    root = np.sqrt((1 + Q) * (1 + T) - R**2)
    dR = (T - R**2 / (1 + Q)) / root - R / (1 + Q) / np.sqrt(1 + 2 * Q)
    # dR/dalpha = eta (2/pi) dR, and alpha = t/eta.
    assert float(drift.M[0, 0]) == pytest.approx(2 / np.pi * dR, rel=1e-12)


def test_sphere_of_a_hermite_neuron():
    # dm/dt = (1-m^2) c^2 2 m - (step/2) m V(m), V(0.2) = 11.72 at noise 0.1.
    model = sl.single_index(sl.Hermite([0, 0, 1.0]), noise=0.1)
    eff = sl.effective_dynamics(model, sl.OnlineSGD(step=0.1, spherical=True))
    found = eff.drift(sl.Statistics([], [[0.2]], [[1.0]])).M[0, 0]
    assert float(found) == pytest.approx(0.2668, rel=1e-12)


@pytest.mark.parametrize(
    ("activation", "link", "exponent"),
    [
        ("erf", None, 1),
        ("relu", None, 1),
        ("square", None, 2),
        (sl.Hermite([0, 0, 0, 1.0]), None, 3),
        (sl.Activation(jnp.abs, kinks=[0.0]), None, 2),
        ("relu", sl.Hermite([0.3, 0, 0, 0, 1.0]), 4),
        ("erf", "square", None),
    ],
)
def test_information_exponents(activation, link, exponent):
    model = sl.single_index(activation, link)
    assert model.information_exponent == exponent
    assert f"information_exponent={exponent}" in repr(model)


def test_the_sphere_is_kept_by_every_engine_and_asked_of_starts():
    model, sgd = sl.phase_retrieval(2, noise=0.1), sl.OnlineSGD(step=0.1, spherical=True)
    for engine in ("sgd", "chain", "ode", "sde"):
        data = sl.simulate(model, sgd, engine, dim=50, time=0.1, runs=3, record=3)
        norms = np.diagonal(data.Q.values, axis1=-2, axis2=-1)
        np.testing.assert_allclose(norms, 1, atol=1e-12)
        risk = sl.risk(model, sl.Statistics(data.v.values, data.M.values, data.Q.values))
        np.testing.assert_allclose(data.risk, risk, rtol=1e-12)
    free = sl.Statistics([], [[0.1], [0.2]], 0.9 * np.eye(2))
    with pytest.raises(ValueError, match=r"Q_ii = 0.9, but spherical=True"):
        sl.simulate(model, sgd, dim=50, time=0.1, initial=free)
    with pytest.raises(ValueError, match=r"Q_ii = 0.9, but spherical=True"):
        sl.effective_dynamics(model, sgd).drift(free)


def test_moments_of_squares_equal_quadrature():
    # The closed covariance against nodes that are exact for these degrees, free, at finite dim.
    from sgdlimits.models import committee_increments
    from sgdlimits.models.base import PlainStep

    model = sl.committee(1, 1, "square", noise=0.4, train_second_layer=True)
    u, sgd, dim = sl.Statistics([0.9], [[0.3]], [[0.8]]), sl.OnlineSGD(step=0.3), jnp.asarray(20.0)
    nodes = committee_increments.nodes_at(model, u, PlainStep(0.3))
    wanted = (
        committee_increments.covariance(nodes, jnp.asarray(0.3), jnp.asarray(0.4), dim, 2)
        * sgd.delta(dim) ** 2
    )
    found = sl.effective_dynamics(model, sgd).one_step_moments(u, 20).covariance
    np.testing.assert_allclose(found, wanted, rtol=1e-11)


def test_risk_is_that_of_samples():
    # Monte Carlo of the loss itself, 400000 samples, 4.5 standard errors (false alarm 1e-5).
    for activation in ("relu", jax.nn.gelu):
        model = sl.committee(2, 1, activation, "erf", noise=0.2)
        u = sl.Statistics([], [[0.3], [-0.5]], [[1.1, 0.2], [0.2, 0.7]])
        omega = np.array(model.joint_covariance(u))
        draws = np.random.default_rng(5).multivariate_normal(np.zeros(3), omega, 400_000)
        s, target = jnp.asarray(draws[:, :2]), jnp.asarray(draws[:, 2:])
        error = jax.vmap(lambda s, t, m=model: m.target(t) - m.output(jnp.ones(2), s))(s, target)
        loss = np.asarray(error**2 / 2 + 0.1)
        z = (loss.mean() - float(sl.risk(model, u))) / (loss.std() / np.sqrt(len(loss)))
        assert abs(z) < 4.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width=0: expected an integer that is at least 1"),
        ({"noise": -0.1}, "noise=-0.1: expected a number that is at least 0"),
        ({"teacher_gram": [[1.0, 2.0], [2.0, 1.0]]}, "teacher_gram: smallest eigenvalue"),
        ({"teacher_gram": [[1.0]]}, r"teacher_gram has shape \(1, 1\)"),
        ({"teacher_second_layer": [1.0]}, "teacher_second_layer=.*expected 2 finite numbers"),
        ({"activation": "tanh"}, "activation='tanh': expected 'erf', 'relu', 'square', Hermite"),
    ],
)
def test_bad_committees_are_refused(change, message, as_users_run):
    with pytest.raises(ValueError, match=message):
        sl.committee(**{"width": 2, "teacher_width": 2, **change})


def test_a_fixed_second_layer_has_no_rate():
    model = sl.phase_retrieval(2)
    with pytest.raises(
        ValueError, match=r"second_layer_rate=0.5: Committee has no second layer that is trained"
    ):
        sl.effective_dynamics(model, sl.OnlineSGD(second_layer_rate=0.5))
    assert model.template.v.shape == (0,)
    assert sl.phase_retrieval(2, train_second_layer=True).template.v.shape == (2,)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*of its scale only")  # to 2e-3
@pytest.mark.stat
def test_kinks_that_nodes_cross_have_no_derivative_but_right_moments():
    hinge = sl.Activation(lambda s: jnp.maximum(s - 0.5, 0), kinks=(0.5,))
    model, sgd, dim = sl.committee(4, 2, hinge, noise=0.1), sl.OnlineSGD(step=4.0), 8
    assert not model.has_jacobian
    assert sl.committee(4, 2, "relu").has_jacobian
    assert sl.committee(4, 2, "erf").has_jacobian
    rng = np.random.default_rng(0)
    B, A = 0.6 * rng.standard_normal((4, 2)), 0.5 * rng.standard_normal((4, 4))
    u = sl.Statistics(np.zeros(0), B, B @ B.T + A @ A.T)
    # Sobol points that split at the kinks differentiate: 7e-5. Differentiated as they are: 3e-4.
    split = sl.committee(4, 2, hinge, noise=0.1, rule=sl.QuasiMonteCarlo(6, 12, split=True))
    means = [sl.effective_dynamics(m, sgd).one_step_moments(u, dim).mean for m in (model, split)]
    np.testing.assert_allclose(*means, atol=1.5e-4)
    parameters, frame = sl.lift(model, u, dim, seed=0), model.frame(dim)
    process = sl.Process(model, sgd)

    def step(key):
        return process.statistics(process.step(parameters, frame, key, 0.0), frame).vector

    moved = jax.jit(jax.vmap(step))(jax.random.split(jax.random.key(1), 200_000))
    moved = np.asarray(moved) - np.asarray(u.vector)
    mean = np.asarray(means[0])
    z = (moved.mean(0) - mean) / (moved.std(0) / len(moved) ** 0.5)
    assert np.abs(z).max() < 4.5  # of 18: false alarm 1e-4
