"""Reduced equations of wide committees: equal to the full ones where they must be, near otherwise.

The state of the full equations is Q = M P^-1 Mᵀ + diag(q), where nothing is lost by the reduction.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.limits.mean_field import MeanField, MeanFieldStatistics, expand, reduce

_P = [[1.0, 0.3], [0.3, 0.8]]
_MODELS = {
    "square": sl.committee(4, 2, "square", noise=0.3, teacher_gram=_P, train_second_layer=True),
    "erf": sl.committee(4, 2, "erf", None, 0.3, _P, [1.2, 0.7], second_layer=[1.0, -0.6, 1.3, 0.8]),
    "relu": sl.committee(3, 1, "relu", noise=0.2, train_second_layer=True),
    "cubic": sl.committee(3, 1, sl.Polynomial([0.1, 0.2, 0.5, 0.3]), "square", noise=0.0),
    "gelu": sl.committee(3, 1, jax.nn.gelu, "erf", noise=0.2),
}
#: Nodes of the teacher's fields: 16 a side for two teachers, 12 a side of a kink; 40 for GELU.
_TOLERANCE = {"square": 1e-12, "erf": 1e-10, "relu": 1e-7, "cubic": 1e-11, "gelu": 3e-7}
_EXACT = MeanField(noise=False, self_term=True)


@eqx.filter_jit
def _drift(terms, model, u, sgd):
    return terms.drift(sl.Process(model, sgd), u)


def _state(model, spherical=False):
    rng = np.random.default_rng(3)
    p, k = model.width, model.teacher_width
    v = 1 + 0.4 * rng.standard_normal(model.template.v.size)
    B, q = 0.6 * rng.standard_normal((p, k)), rng.uniform(0.2, 1.0, p)
    scale = 1 / np.sqrt((B**2).sum(1) + q) if spherical else np.ones(p)
    M = scale[:, None] * B @ np.asarray(model.root).T
    return MeanFieldStatistics(v, M, scale**2 * q)


def _reduced_rate(model, u, rate):
    """(dv, dM, dq) of rates of the full statistics: q_i = Q_ii - M_i P^-1 M_i."""
    P = jnp.asarray(model.gram)
    inside = 2 * jnp.sum(u.M * jnp.linalg.solve(P, rate.M.T).T, axis=1)
    return MeanFieldStatistics(rate.v, rate.M, jnp.diagonal(rate.Q) - inside)


@pytest.mark.parametrize("spherical", [False, True])
@pytest.mark.parametrize("name", _MODELS)
def test_the_drift_is_the_full_one_as_the_step_vanishes(name, spherical):
    model, u = _MODELS[name], _state(_MODELS[name], spherical)
    rate = 0.7 if model.train_second_layer else 1.0
    sgd = sl.OnlineSGD(step=0.4, spherical=spherical, second_layer_rate=rate)
    found = _drift(_EXACT, model, u, sgd)
    falls = eqx.filter_jit(sl.Process(model, sgd).population_drift)(expand(model, u))
    wanted = _reduced_rate(model, u, jax.tree.map(jnp.negative, falls))
    np.testing.assert_allclose(found.vector, wanted.vector, rtol=0, atol=_TOLERANCE[name])
    assert np.abs(wanted.vector).max() > 0.02
    without = _drift(MeanField(noise=False, self_term=False), model, u, sgd).vector
    assert np.abs(without - wanted.vector).max() > 1e-3


@pytest.mark.parametrize("name", _MODELS)
def test_the_risk_is_the_full_one(name):
    model, u = _MODELS[name], _state(_MODELS[name])
    wanted = float(sl.risk(model, expand(model, u)))
    risk = eqx.filter_jit(lambda terms, u: terms.risk(model, u))
    assert float(risk(_EXACT, u)) == pytest.approx(wanted, abs=_TOLERANCE[name])
    assert abs(float(risk(MeanField(self_term=False), u)) - wanted) > 1e-3


def test_the_noise_is_that_of_independent_neurons():
    # step * E[g_i^2] of the full corrector at neurons outside each other's error: weights of a
    # wide committee. Relative differences fall with p; measured 10 % and 7 %.
    differences = []
    for width in (6, 12):
        model = sl.committee(width, 1, "erf", noise=0.3)
        u = _state(model)
        sgd = sl.OnlineSGD(step=0.8)
        on, off = (_drift(MeanField(noise=x), model, u, sgd).q for x in (True, False))
        full = eqx.filter_jit(sl.Process(model, sgd).corrector)(expand(model, u)).Q
        wanted = jnp.diagonal(full)
        differences.append(float(jnp.abs((on - off) / wanted - 1).max()))
    assert differences[1] < 0.1
    assert differences[1] < 0.8 * differences[0]


def test_reduce_undoes_expand_and_names_count_the_vector():
    model = _MODELS["erf"]
    u = _state(model)
    again = reduce(model, expand(model, u))
    np.testing.assert_allclose(again.vector, u.vector, rtol=1e-13, atol=1e-15)
    assert len(u.names) == len(u.vector) == 4 * 2 + 4
    np.testing.assert_array_equal(u.with_vector(u.vector).q, u.q)


def _paths(width, dim, seed, spherical=False):
    """Risks of the full ODE and of the reduced one from the same random first layers."""
    model, sgd = sl.phase_retrieval(width), sl.OnlineSGD(step=0.005 * width, spherical=spherical)
    start = sl.initial(model, dim, 2, seed, sgd)
    options = {"dim": dim, "time": 4.0 * width, "runs": 2, "record": 60}
    full = sl.simulate(model, sgd, "ode", initial=start, **options)
    few = sl.simulate(model, sgd, "mean_field", initial=reduce(model, start), **options)
    assert set(few.data_vars) >= {"v", "M", "q", "risk"}
    return full["risk"].values, few["risk"].values


def test_the_engine_is_near_the_full_ode():
    # Asymptotic: sup |dR| of order p^-1/2 + d^-1/2 while R falls from 1; measured 0.025, 0.005.
    errors = []
    for size in (25, 100):
        full, few = _paths(size, 2 * size, seed=1)
        assert few[:, 0].min() > 0.5
        assert few[:, -1].max() < 0.1
        errors.append(np.abs(full - few).max())
    assert errors[0] < 0.05
    assert errors[1] < errors[0] / 1.5


def test_the_engine_keeps_the_sphere_and_starts_there():
    model, sgd = sl.committee(30, 2, "square", noise=0.1), sl.OnlineSGD(step=0.2, spherical=True)
    data = sl.simulate(model, sgd, "mean_field", dim=20, time=3.0, runs=2, record=4, seed=5)
    norms = data.q.values + (data.M.values**2).sum(-1)
    np.testing.assert_allclose(norms, 1, atol=1e-7)
    assert data["risk"].shape == (2, 4)
    assert np.abs(data.M.values[0] - data.M.values[1]).max() > 0.01


def test_others_are_refused(as_users_run):
    with pytest.raises(ValueError, match="engine='mean_field': SpikedTensor has no reduced"):
        sl.simulate(sl.SpikedTensor(snr=1.0), engine="mean_field", dim=50, time=1.0)
    model = sl.committee(2, 8, jax.nn.gelu, noise=0.0)
    negative = MeanFieldStatistics([], [[0.1], [0.2]], [0.5, -0.1])
    with pytest.raises(ValueError, match=r"q is -0.1 somewhere, expected at least 0"):
        sl.simulate(
            sl.phase_retrieval(2), sl.OnlineSGD(0.1), "mean_field", dim=9, time=1.0,
            initial=negative,
        )  # fmt: skip
    with pytest.raises(ValueError, match=r"mean_field=.*with engine='mean_field'"):
        sl.simulate(model, dim=50, time=1.0, mean_field=MeanField())
    with pytest.raises((TypeError, ValueError), match="noise=2"):
        MeanField(noise=2)  # type: ignore[arg-type]
