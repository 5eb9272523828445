"""Custom models: moments against closed forms, engines, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import sgdlimits as sl
from sgdlimits.models.monte_carlo_moments import sample_moments, second_derivative
from sgdlimits.provenance import identity
from tests.helpers import FALSE_ALARM
from tests.models.custom_examples import overlaps, regression, regression_drift, squared_error

SGD = sl.OnlineSGD(step=0.5)


def test_the_second_derivative_needs_no_hessian():
    u = lambda x: jnp.stack([jnp.sum(x**3), jnp.sin(x[0] * x[1])])  # noqa: E731
    key_x, key_h = jax.random.split(jax.random.key(0))
    x, h = jax.random.normal(key_x, (6,)), jax.random.normal(key_h, (6,))
    hessian = jax.hessian(u)(x)
    expected = jnp.einsum("kij,i,j->k", hessian, h, h)
    np.testing.assert_allclose(second_derivative(u, x, h), expected, rtol=1e-12)


def test_a_quadratic_statistic_moves_exactly_by_the_two_orders():
    u = lambda x: jnp.stack([x[0], jnp.sum(x * x)])  # noqa: E731
    key_x, key_g = jax.random.split(jax.random.key(0))
    x, G = jax.random.normal(key_x, (6,)), jax.random.normal(key_g, (50, 6))
    delta = 0.1
    moments = sample_moments(u, x, G)
    mean = G.mean(0)
    centred = moments.second.mean(0) * 49 / 50 + second_derivative(u, x, mean)
    predicted = -delta * moments.first.mean(0) + delta**2 / 2 * centred
    moved = jax.vmap(lambda g: u(x - delta * g) - u(x))(G).mean(0)
    np.testing.assert_allclose(predicted, moved, rtol=1e-12)


@pytest.mark.stat
@pytest.mark.parametrize("state", [(0.3, 1.2), (-0.5, 0.6)])
def test_estimated_moments_are_the_exact_ones_within_their_errors(state):
    # 16 points: Student's t with 15 degrees; 2 states x 4 comparisons share the rate.
    points = 16
    model = regression(monte_carlo=sl.MonteCarlo(dim=80, points=points, samples=256))
    eff = sl.effective_dynamics(model, SGD)
    u = model.statistics_class(m=state[0], q=state[1])
    moments = model.moments(u)
    f, g = moments.first, SGD.delta(80) / 2 * moments.second
    exact_f, exact_g = regression_drift(*state, SGD.step)
    limit = stats.t.isf(FALSE_ALARM / 8 / 2, points - 1)
    for estimate, exact, allowed in ((f, exact_f, 0.0), (g, exact_g, 8 / 80)):
        error = np.std(estimate, axis=0, ddof=1) / points**0.5
        assert (
            np.abs(np.mean(estimate, axis=0) - np.array(exact)) <= limit * error + allowed
        ).all()
    np.testing.assert_allclose(
        eff.drift_error(u).vector, np.std(g - f, axis=0, ddof=1) / points**0.5, rtol=1e-12
    )
    np.testing.assert_allclose(
        eff.drift(u).vector, eff.corrector(u).vector - eff.population_drift(u).vector, rtol=1e-12
    )
    assert (np.linalg.eigvalsh(eff.diffusion(u)) > 0).all()


@pytest.mark.stat
def test_the_estimated_ode_is_the_exact_one_within_its_error_band():
    model = regression(monte_carlo=sl.MonteCarlo(dim=150, points=8, samples=512))
    u0 = model.statistics_class(m=0.0, q=1.0)
    ds = sl.simulate(model, SGD, "ode", dim=500, time=2.0, initial=u0, record=9)
    t, c = ds["time"].values, SGD.step
    # q' = (c - 2) q + 2 (1 - c) m + c (1 + noise^2), m = 1 - exp(-t), integrated by hand.
    a, b = 2 - c, 2 * (1 - c)
    constant = c * 1.25 + b
    q = np.exp(-a * t) + constant / a * (1 - np.exp(-a * t))
    q -= b / (a - 1) * (np.exp(-t) - np.exp(-a * t))
    for name, exact in (("m", 1 - np.exp(-t)), ("q", q)):
        values, errors = ds[name].values[0], ds[f"{name}_error"].values[0]
        assert errors[0] == 0
        assert (errors[1:] > 0).all()
        # t with 7 degrees of freedom at 5e-4 is below 6; bias of the corrector: O(1/dim).
        assert (np.abs(values - exact) <= 6 * errors + 2 / 150).all()
        assert errors.max() < 0.1  # the band means something


def test_the_estimate_is_a_smooth_function_of_the_state():
    model = regression(monte_carlo=sl.MonteCarlo(dim=30, points=2, samples=16))
    eff = sl.effective_dynamics(model, SGD)
    q = 1.0 + 1e-4 * jnp.arange(5.0)
    drift = eff.drift(model.statistics_class(m=jnp.full(5, 0.2), q=q)).vector
    second = np.diff(np.asarray(drift), 2, axis=0)
    assert np.abs(second).max() < 1e-6


def test_sgd_starts_from_the_models_own_parameters_and_the_ode_from_their_statistics():
    corner = lambda key, dim: jnp.zeros(dim).at[1].set(1.0)  # noqa: E731
    fourth = lambda w: {"m": w[0], "q": jnp.sum(w * w)}  # noqa: E731
    model = regression(
        initial=corner, statistics=fourth, monte_carlo=sl.MonteCarlo(dim=30, points=2, samples=16)
    )
    ds = sl.simulate(model, SGD, "sgd", dim=30, time=0.5, runs=2)
    assert (ds["q"][:, 0] == 1).all()
    assert ds.attrs["engine"] == "sgd"
    again = sl.simulate(model, SGD, "sgd", dim=30, time=0.5, runs=2)
    np.testing.assert_array_equal(ds["m"], again["m"])


def test_any_tree_of_parameters_and_mini_batches_work():
    def batch(key, dim):
        x = jax.random.normal(key, (4, dim))
        return x, x[:, 0]

    def loss(p, y):
        x, target = y
        return 0.5 * jnp.mean((target - p["b"] - x @ p["w"]) ** 2) + 0.05 * jnp.sum(p["w"] ** 2)

    model = sl.CustomModel(
        loss=loss,
        sample=batch,
        statistics=lambda p: {"b": p["b"], "m_1": p["w"][0], "q": jnp.sum(p["w"] ** 2)},
        initial=lambda key, dim: {
            "w": jax.random.normal(key, (dim,)) / jnp.sqrt(1.0 * dim),
            "b": jnp.asarray(0.5),
        },
        monte_carlo=sl.MonteCarlo(dim=40, points=2, samples=16),
    )
    assert model.names == ("b", "m_1", "q")
    for engine, options in (("sgd", {}), ("ode", {}), ("sde", {"dt": 0.1})):
        ds = sl.simulate(model, SGD, engine, dim=40, time=1.0, runs=2, record=3, **options)
        assert np.isfinite(ds["q"]).all()
        assert ("b_error" in ds) == (engine != "sgd")
    single = sl.simulate(model, SGD, "sgd", dim=40, time=1.0, dtype="float32", record=3)
    assert np.isfinite(single["q"]).all()


def test_statistics_are_given_and_read_by_name():
    model = regression()
    u = model.statistics_class(m=0.1, q=2)
    assert repr(u) == "NamedStatistics(m=0.1, q=2.0)"
    assert u.names == ("m", "q")
    np.testing.assert_array_equal(u.with_vector(jnp.asarray([3.0, 4.0])).q, 4.0)
    assert type(u).labels["m"].symbol == "$m$"
    assert regression().statistics_class is model.statistics_class


def test_functions_that_capture_other_values_are_other_models():
    def with_noise(sigma):
        return lambda w, y: sigma * squared_error(w, y)

    attrs = [
        sl.simulate(regression(loss=with_noise(s)), SGD, "sgd", dim=10, time=0.2).attrs
        for s in (1.0, 2.0)
    ]
    assert attrs[0]["identity"] != attrs[1]["identity"]
    assert identity({"a": 1}) == identity({"a": 1})


# -- bad input -------------------------------------------------------------------------------------


def test_there_is_no_chain():
    with pytest.raises(ValueError, match="engine='chain': CustomModel has no exact chain"):
        sl.simulate(regression(), SGD, "chain", dim=20, time=1.0)
    model = regression()
    assert not model.has_chain
    with pytest.raises(ValueError, match="no exact moments"):
        sl.effective_dynamics(model, SGD).one_step_moments(model.statistics_class(0.1, 1.0), 50)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"loss": 3}, TypeError, "loss=3: expected a function"),
        ({"loss": lambda w, y: w}, ValueError, "loss: gives .* expected a scalar"),
        ({"statistics": lambda w: w[0]}, TypeError, "expected a dict of named scalars"),
        ({"statistics": lambda w: {"m": w}}, ValueError, "'m' is .* expected a scalar"),
        ({"statistics": lambda w: {"time": w[0]}}, ValueError, "'time' has another meaning"),
        ({"statistics": lambda w: {"a b": w[0]}}, ValueError, "expected an identifier"),
        ({"initial": lambda key, dim: jnp.arange(dim)}, TypeError, "initial: gives"),
        ({"directions": 1}, TypeError, "directions=1: expected a function of dim"),
        ({"monte_carlo": 100}, TypeError, "monte_carlo=100: expected a MonteCarlo"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_bad_functions_are_refused_when_the_model_is_built(change, error, message):
    with pytest.raises(error, match=message):
        regression(**change)


@pytest.mark.usefixtures("as_users_run")
def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="samples=1: expected an integer that is at least 2"):
        sl.MonteCarlo(samples=1)
    with pytest.raises(ValueError, match="spherical=True"):
        sl.simulate(regression(), sl.OnlineSGD(spherical=True), "sgd", dim=20, time=1.0)
    with pytest.raises(ValueError, match=r"second_layer_rate=0\.5"):
        sl.simulate(regression(), sl.OnlineSGD(second_layer_rate=0.5), "sgd", dim=20, time=1.0)
    model = regression()
    eff = sl.effective_dynamics(model, SGD)
    with pytest.raises(ValueError, match=r"no parameters with \{'m': 0.5, 'q': 0.1\} were found"):
        eff.drift(model.statistics_class(m=0.5, q=0.1))
    with pytest.raises(TypeError, match="expected the statistics m, q"):
        eff.drift(sl.SpikedStatistics(0.1, 0.2))
    with pytest.raises(ValueError, match=r"directions: shape \(3,\)"):
        regression(directions=lambda dim: jnp.zeros(3)).frame(20)


def test_known_directions_are_the_frame():
    model = regression(directions=lambda dim: jnp.eye(dim)[:1])
    assert model.frame(7).shape == (1, 7)
    assert regression().frame(7).shape == (0, 7)
    assert overlaps(
        model.lift(jax.random.key(0), model.statistics_class(0.2, 1.5), model.frame(7))
    )["q"] == pytest.approx(1.5, abs=1e-11)
