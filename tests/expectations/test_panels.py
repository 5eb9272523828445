"""What panels are made of, and committees of any activation at states with known drifts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.expectations.activations import AbstractActivation, Activation, Erf, Polynomial, Relu
from sgdlimits.expectations.own_points import own_points
from sgdlimits.expectations.panel_rule import panel_rule
from sgdlimits.expectations.sorting import merge
from sgdlimits.expectations.two_point import two_point, two_point_error
from tests.expectations.dense import KNOWN

SGD = sl.OnlineSGD(step=0.5)
#: Those whose slope is continuous: kinks of the slope are no kinks.
_SMOOTH = {"elu", "softsign"}


def _linear(s):
    return s


# -- kinks and jumps -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
def test_kinks_and_jumps_are_found(name):
    known = KNOWN[name]
    wanted = () if name in _SMOOTH else known.kinks
    assert Activation(known.function).kinks == wanted
    assert set(known.kinks) <= set(own_points(Activation(known.function)).all)


def test_many_jumps_those_close_to_each_other_and_declared_ones():
    near = sorted(Activation(jnp.floor).kinks, key=abs)
    assert near[:21] == sorted(range(-10, 11), key=abs)
    close = Activation(lambda x: jnp.abs(x - 0.7) + jnp.sign(x - 0.7001), kinks=[2.0])
    assert close.kinks == (0.7, 0.7001, 2.0)


def test_kinks_are_found_inside_of_traces():
    @jax.jit
    def double(x):
        kinks = Activation(lambda s: jnp.abs(s - 0.25)).kinks
        return x * len(kinks)

    assert float(double(jnp.asarray(2.0))) == 2.0


def test_an_activation_that_declares_nothing_is_looked_at():
    class Hat(AbstractActivation):
        def __call__(self, s):
            return jnp.maximum(1 - jnp.abs(s), 0)

        def slope(self, s):
            return jnp.where(jnp.abs(s) < 1, -jnp.sign(s), 0.0)

    assert own_points(Hat()).breaks == (-1.0, 0.0, 1.0)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (9, 4), (8, 8), (3, 0)])
def test_lists_are_merged(n, m):
    rng = np.random.default_rng(0)
    one, other = np.sort(rng.standard_normal((5, n))), np.sort(rng.standard_normal((5, m)))
    merged = merge(jnp.asarray(one), jnp.asarray(other))
    np.testing.assert_array_equal(merged, np.sort(np.concatenate([one, other], axis=1)))


# -- drifts that are known -------------------------------------------------------------------------

#: Student, teacher, squared norm of the teacher, M, Q, and (dM/dt, dQ/dt): dense quadrature.
CASES = {
    "relu": (jax.nn.relu, jax.nn.relu, 1.0, 0.3, 0.8, (0.204727, -0.172199)),
    "abs": (jnp.abs, jnp.abs, 1.0, 0.3, 0.8, (0.118909, -0.048250)),
    "jump": (_linear, jnp.sign, 1.0, 0.3, 0.8, (0.497885, -0.410635)),
    "tanh": (jnp.tanh, jnp.tanh, 9.0, 3.6, 8.1, (0.502933, -0.109463)),
    "gelu": (jax.nn.gelu, jax.nn.gelu, 9.0, 3.6, 8.1, (1.65938, -1.931295)),
}


@pytest.mark.parametrize("name", CASES)
def test_drifts_are_right_and_errors_are_claimed(name):
    student, teacher, norm2, M, Q, wanted = CASES[name]
    model = sl.committee(1, 1, student, teacher, noise=0.1, teacher_gram=[[norm2]])
    dynamics = sl.effective_dynamics(model, SGD)
    u = sl.Statistics(np.zeros(0), np.array([[M]]), np.array([[Q]]))
    drift, error = dynamics.drift(u).vector, np.asarray(dynamics.drift_error(u).vector)
    np.testing.assert_allclose(drift, wanted, rtol=0, atol=3e-5)
    assert (error > 1e-9).all()
    assert (error < 2e-3).all()
    assert model.has_jacobian


def test_wide_neurons_alone():
    # Twice E[tanh' tanh s] at Q = 4: no teacher, no noise.
    model = sl.committee(1, 1, jnp.tanh, noise=0.0, teacher_second_layer=[0.0])
    u = sl.Statistics(np.zeros(0), np.zeros((1, 1)), np.array([[4.0]]))
    drift = sl.effective_dynamics(model, SGD).population_drift(u)
    assert float(drift.Q[0, 0]) == pytest.approx(0.306990, abs=1e-6)


def test_mixed_activations_of_five_fields():
    W = np.random.default_rng(0).standard_normal((4, 5)) / np.sqrt(5)
    model = sl.committee(
        4, 1, "relu", sl.Polynomial([0, -3, 0, 1]), second_layer=[2, -2, 2, -2], noise=0.1
    )
    dynamics = sl.effective_dynamics(model, SGD)
    u = sl.Statistics(np.zeros(0), W[:, :1], W @ W.T)
    corrector, error = dynamics.corrector(u).Q[0, 0], dynamics.drift_error(u).Q[0, 0]
    # 4e6 samples: 0.3907(8). Sobol points that stay on their side of every kink: 0.643.
    assert float(corrector) == pytest.approx(0.3907, abs=2.5e-3)
    assert 1e-4 < float(error) < 2e-3
    # 4e6 samples: 14.5(6).
    assert float(dynamics.diffusion(u)[4, 4]) == pytest.approx(14.5, rel=0.1)


def test_three_fields_against_sobol_points():
    B, rest = np.array([[0.6], [-0.3]]), np.array([[0.7, 0.2], [0.2, 0.4]])
    u = sl.Statistics(np.zeros(0), B, B @ B.T + rest)
    found = {}
    for name, rule in [("panels", None), ("sobol", sl.QuasiMonteCarlo(3, 16, split=False))]:
        model = sl.committee(2, 1, "relu", jnp.sign, noise=0.2, rule=rule)
        expectations = jax.jit(lambda u, model=model: (model.expectations(u), model.deviations(u)))
        e, each = expectations(u)
        found[name] = np.asarray(e.gg), np.sqrt((np.asarray(each.gg) ** 2).sum(0))
    (value, claim), (other, spread) = found["panels"], found["sobol"]
    assert (np.abs(value - other) < 3 * (claim + spread)).all()
    assert claim.max() < 1e-3 * value.max()
    rule = panel_rule([Relu(), Relu(), Activation(jnp.sign)])
    assert rule is not None
    assert rule.count <= 200_000


# -- what is exact, and what is zero ---------------------------------------------------------------


@pytest.mark.parametrize("sigma", [Erf(), Relu(), Polynomial([0.1, 0.0, 0.4])], ids=repr)
def test_formulas_claim_no_error(sigma):
    of = tuple(jnp.asarray(x) for x in (0.8, 0.3, 1.0))
    assert all(float(x) == 0 for x in two_point_error(sigma, sigma, *of))
    model = sl.committee(2, 1, sigma)
    u = sl.Statistics(np.zeros(0), np.array([[0.3], [0.1]]), np.eye(2))
    assert model.deviations(u) is None


@pytest.mark.parametrize("activation", ["relu", jax.nn.relu], ids=["formula", "panels"])
def test_neurons_that_are_zero_stay_zero(activation):
    # SGD multiplies by relu'(0) = 0.
    model = sl.committee(2, 1, activation, noise=0.2)
    u = sl.Statistics(np.zeros(0), np.array([[0.0], [0.3]]), np.array([[0.0, 0.0], [0.0, 0.9]]))
    drift = sl.effective_dynamics(model, SGD).drift(u)
    np.testing.assert_allclose(drift.M[0], 0, atol=1e-14)
    np.testing.assert_allclose(drift.Q[0], 0, atol=1e-14)
    assert np.isfinite(drift.vector).all()
    assert float(drift.M[1, 0]) > 0.01


@pytest.mark.parametrize(
    "pair", [(jax.nn.relu, jnp.sign), (jnp.tanh, jnp.abs)], ids=["relu-sign", "tanh-abs"]
)
def test_derivatives_follow_the_nodes(pair):
    sigma, tau = (Activation(x) for x in pair)
    values = jax.jit(lambda of: jnp.stack(two_point(sigma, tau, of[0], of[1], of[2])))
    at = np.array([0.9, 0.4, 1.1])
    found = np.asarray(jax.jit(jax.jacfwd(values))(jnp.asarray(at)))
    for k, h in enumerate(1e-4 * np.eye(3)):
        wanted = (values(jnp.asarray(at + h)) - values(jnp.asarray(at - h))) / 2e-4
        np.testing.assert_allclose(found[:, k], wanted, atol=1e-6)


def test_derivatives_are_finite_where_variables_align_or_vanish():
    sigma = Activation(jax.nn.silu)
    values = jax.jit(jax.jacfwd(lambda of: jnp.stack(two_point(sigma, sigma, of[0], of[1], of[2]))))
    for of in ([0.5, 0.5, 0.5], [0.5, 0.0, 0.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]):
        assert np.isfinite(values(jnp.asarray(of))).all()
