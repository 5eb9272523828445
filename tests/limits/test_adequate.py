"""Defaults are accurate where they are used, and say so truly, or warn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.limits.flow import solve_adequately
from sgdlimits.limits.vector_field import jacobian

_MIXTURE = sl.GaussianMixture(
    [[1.0], [-1.0]], [1.0, -1.0], probabilities=[0.3, 0.7], snr=[1.0, 2.0]
)


def _model(function, loss, width, layer=None, rule=None):
    network = sl.Network(function, width=width, layer=layer)
    return sl.MultiIndexModel(data=_MIXTURE, network=network, loss=loss, rule=rule)


def _layers(activation):
    return lambda v, s: jnp.sum(v * activation(s))


_CASES = {
    "relu-hinge": (_layers(jax.nn.relu), sl.losses.hinge, None),
    "bias": (lambda v, s: jnp.sum(v[:2] * jax.nn.relu(s + v[2:])), sl.losses.squared, 4),
    "tanh": (_layers(jnp.tanh), sl.losses.squared, None),
}


@pytest.mark.parametrize("norm", [0.3, 1.0, 8.0])
@pytest.mark.parametrize("name", _CASES)
def test_errors_are_small_and_honest(name, norm):
    function, loss, layer = _CASES[name]
    rng = np.random.default_rng(5)
    W = norm * rng.standard_normal((2, 3)) / np.sqrt(3)
    u = sl.Statistics(rng.standard_normal(layer or 2), W[:, :1], W @ W.T)
    effective = sl.effective_dynamics(_model(function, loss, 2, layer))
    fine = sl.QuasiMonteCarlo(2, 18, 8, seed=11, split=False)
    truth = sl.effective_dynamics(_model(function, loss, 2, layer, fine)).drift(u)
    value, error = effective.drift(u), effective.drift_error(u)
    size = float(jnp.abs(truth.Q).max()) + norm
    apart = np.abs(np.asarray(value.vector) - np.asarray(truth.vector))
    assert apart.max() < 3e-3 * size
    # Standard errors of eight scrambles: beyond 4 of them once in 200, in one of nine entries.
    assert (apart <= 4 * np.asarray(error.vector) + 5e-5 * size).all()


def test_gauss_rules_are_left_where_they_do_not_converge():
    # The control: without its successor the default is wrong by a third, and says so.
    u = sl.Statistics([1.0, -0.7], [[6.0], [-2.0]], [[90.0, 10.0], [10.0, 140.0]])
    model = _model(_layers(jnp.tanh), sl.losses.squared, 2)
    kept = _model(_layers(jnp.tanh), sl.losses.squared, 2, rule=sl.TruncatedGauss(2, 11))
    good = sl.effective_dynamics(model).drift(u).vector
    with pytest.warns(sl.InaccurateWarning, match=r"of its scale only, by TruncatedGauss"):
        bad = sl.effective_dynamics(kept).drift(u).vector
    assert jnp.abs(bad - good).max() > 0.03


def test_solutions_are_solved_again_with_what_is_accurate():
    model = _model(_layers(jnp.tanh), sl.losses.squared, 2)
    start = sl.Statistics([1.0, -0.7], [[3.0], [-1.0]], [[25.0, 2.0], [2.0, 36.0]])
    fine = _model(
        _layers(jnp.tanh), sl.losses.squared, 2, rule=sl.QuasiMonteCarlo(2, 16, split=False)
    )
    ends = [sl.effective_dynamics(m).solve(start, [2.0]).vector[-1] for m in (model, fine)]
    dataset = sl.simulate(
        model, sl.OnlineSGD(), "ode", dim=100, time=2.0, initial=start, runs=1, record=2
    )
    assert jnp.abs(ends[0] - ends[1]).max() < 0.01
    np.testing.assert_allclose(dataset.M.values[0, -1, 0, 0], float(ends[0][2]), atol=1e-5)
    assert float(dataset.M_error.max()) > 0


def test_jacobians_of_what_jumps_elsewhere_are_differences():
    model = _model(lambda v, s: v[0] * jax.nn.relu(s[0] + v[1]), sl.losses.squared, 1, 2)
    assert not model.has_jacobian
    assert model.drift_is_smooth
    u = sl.Statistics([0.8, 0.37], [[0.6]], [[1.2]])
    process = sl.Process(model, sl.OnlineSGD())
    found = jacobian(process, u)
    length = 1e-3
    for i in range(4):
        move = length * jnp.eye(4)[i]
        ahead, behind = (
            process.drift(u.with_vector(u.vector + sign * move)).vector for sign in (1, -1)
        )
        np.testing.assert_allclose(found[:, i], (ahead - behind) / (2 * length), atol=1e-5)


def test_a_run_that_needs_finer_expectations_leaves_those_beside_it_alone():
    model = _model(_layers(jnp.tanh), sl.losses.squared, 2)
    quiet = sl.Statistics([0.1, -0.1], [[0.1], [-0.1]], [[0.05, 0.0], [0.0, 0.04]])
    wild = sl.Statistics([1.0, -0.7], [[3.0], [-1.0]], [[25.0, 2.0], [2.0, 36.0]])
    both = quiet.with_vector(jnp.stack([quiet.vector, wild.vector]))

    def paths(initial, runs):
        return sl.simulate(
            model, sl.OnlineSGD(), "ode", dim=100, time=1.0, initial=initial, runs=runs, record=3
        )

    together, alone = paths(both, 2), [paths(quiet, 1), paths(wild, 1)]
    for run, one in enumerate(alone):
        for name in ("v", "M", "Q", "M_error", "Q_error"):
            np.testing.assert_array_equal(together[name].values[run], one[name].values[0], name)
    # And that is a test: they are solved by different rules.
    found = solve_adequately(sl.Process(model, sl.OnlineSGD()), both, np.ones(1), (1e-5, 1e-7))
    assert [(each.runs.tolist(), type(each.process.model.rule).__name__) for each in found] == [
        ([0], "TruncatedGauss"),
        ([1], "QuasiMonteCarlo"),
    ]


def test_a_tolerance_buys_accuracy_and_a_chosen_rule_stays():
    u = sl.Statistics([1.0, -0.7], [[1.2], [-0.4]], [[3.0, 0.4], [0.4, 2.0]])
    function = _layers(jnp.tanh)

    def largest_error(tolerance):
        network = sl.Network(function, width=2)
        model = sl.MultiIndexModel(
            data=_MIXTURE, network=network, loss=sl.losses.squared, tolerance=tolerance
        )
        error = sl.effective_dynamics(model).drift_error(u)
        return float(jnp.abs(error.vector).max())

    loose, tight = largest_error(1.0), largest_error(1e-5)
    assert loose > 1e-4  # the control: nothing is wrong with tight alone
    assert tight < 3e-5
    asked = sl.committee(3, 3, jnp.tanh, tolerance=1e-5)
    chosen = sl.committee(3, 3, jnp.tanh, rule=sl.QuasiMonteCarlo(6, 10))
    assert asked.finer() is not None
    assert chosen.finer() is None
    with pytest.raises(ValueError, match=r"tolerance=0\.1: leave it out"):
        sl.committee(1, 1, jnp.tanh, tolerance=0.1, rule=sl.QuasiMonteCarlo(2, 10))
    with pytest.raises(ValueError, match="tolerance=-1"):
        sl.committee(1, 1, jnp.tanh, tolerance=-1)


def test_a_diffusion_says_that_its_rule_is_not_accurate_enough():
    model = _model(_layers(jnp.tanh), sl.losses.squared, 2, rule=sl.TruncatedGauss(2, 5))
    u = sl.Statistics([1.0, -0.7], [[1.2], [-0.4]], [[3.0, 0.4], [0.4, 2.0]])
    options = {"dim": 1000, "time": 0.02, "runs": 2, "initial": u, "record": 2, "progress": False}
    with pytest.warns(sl.InaccurateWarning, match="of its scale only, by TruncatedGauss"):
        sl.simulate(model, sl.OnlineSGD(step=0.5), "sde", **options)
