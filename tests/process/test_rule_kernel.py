"""Rules beyond plain steps: the chain and the limits against real vectors, and known numbers."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.process.row_kernel import RowKernel
from sgdlimits.process.rule_row_kernel import RuleRowKernel
from sgdlimits.testing.check import subject_of
from sgdlimits.testing.laws import laws
from sgdlimits.testing.one_step import _chain_in_the_limit
from sgdlimits.testing.report import Report

_R = sl.rules
_SPIKED = sl.SpikedTensor(snr=2.0, ridge=0.3)
_SPIKED_POINTS = sl.SpikedStatistics([0.45, -0.3], [0.36, 0.8])
_ERF = sl.committee(2, 1, "erf", None, 0.2, [[0.8]], ridge=0.1)
_TRAINED = sl.committee(2, 1, "erf", None, 0.2, [[0.8]], ridge=0.1, train_second_layer=True)
_PRIVATE = _R.chain(
    _R.clip(1.0), _R.noise(0.3), _R.weight_decay(0.2), _R.momentum(decay=1.0), _R.average(0.7)
)


def _points(model):
    B = np.array([[[0.5], [-0.3]], [[0.1], [0.7]]])
    rest = np.array([[0.6, 0.2], [0.2, 0.4]])
    v = np.array([[1.2, 0.7], [0.8, -1.0]])[:, : model.layer_size]
    return sl.Statistics(v, B * 0.8**0.5, B @ np.swapaxes(B, 1, 2) + rest)


def _rows(model, rule, points, **options):
    sgd = sl.OnlineSGD(step=0.6, rule=rule, **options)
    points = points if points is not None else _points(model)
    points = sl.Process(model, sl.OnlineSGD(spherical=sgd.spherical)).constrained(points)
    subject = subject_of(model, sgd, points=points, draws=2**13)
    rows = laws(subject)[:1]
    if subject.has_own_limit:
        rows.append(_chain_in_the_limit(subject))
    return tuple(rows)


def _case(name, model, rule, *, slow=True, **options):
    points = _SPIKED_POINTS if model is _SPIKED else None
    marks = pytest.mark.slow if slow else ()
    return pytest.param(model, rule, points, options, id=name, marks=marks)


@pytest.mark.stat
@pytest.mark.parametrize(
    ("model", "rule", "points", "options"),
    [
        _case("spiked-adagrad", _SPIKED, _R.adagrad_norm(0.8), slow=False),
        _case("spiked-momentum-sphere-schedule", _SPIKED, _R.momentum(decay=1.3), slow=False,
              spherical=True, schedule=sl.schedules.power(0.5)),
        _case("erf-clip-batch", _ERF, _R.clip(0.7), slow=False, batch=2),
        _case("spiked-beta", _SPIKED, _R.momentum(beta=0.6)),
        _case("spiked-noise", _SPIKED, _R.noise(0.4)),
        _case("spiked-average", _SPIKED, _R.average(0.8)),
        _case("spiked-normalise-batch", _SPIKED, _R.normalise(), batch=3),
        _case("spiked-private-batch", _SPIKED, _PRIVATE, batch=2),
        _case("erf-normalise", _ERF, _R.normalise()),
        _case("erf-nesterov", _ERF, _R.momentum(beta=0.5, nesterov=True)),
        _case("erf-repeat", _ERF, _R.repeat(0.5)),
        _case("erf-repeat-sphere-batch", _ERF, _R.repeat(0.5), batch=2, spherical=True),
        _case("erf-private-batch", _ERF, _PRIVATE, batch=2),
        _case("trained-momentum", _TRAINED, _R.momentum(decay=1.3)),
        _case("trained-noise-batch", _TRAINED, _R.noise(0.4), batch=2, second_layer_rate=0.6),
        _case("trained-adagrad", _TRAINED, _R.adagrad_norm(0.8)),
        _case("trained-alternate", _TRAINED, _R.alternate(), second_layer_rate=20.0),
        _case("trained-adagrad-momentum", _TRAINED,
              _R.chain(_R.adagrad_norm(0.7), _R.momentum(decay=1.0)), batch=3),
    ],
)  # fmt: skip
def test_chain_and_limit_are_those_of_real_steps(model, rule, points, options):
    # False alarm 1e-4 each; the rows carry controls that must be seen with power 0.999.
    rows = _rows(model, rule, points, **options)
    report = Report("", rows)
    print(report)
    assert report.passed, f"\n{report}"


@pytest.mark.stat
def test_a_rule_that_is_slightly_another_is_seen():
    """Negative control: the chain of another threshold in the place of the right one."""
    subject = subject_of(_SPIKED, sl.OnlineSGD(0.6, rule=_R.clip(1.0)), points=_SPIKED_POINTS,
                         draws=2**13)  # fmt: skip
    wrong = eqx.tree_at(lambda p: p.algorithm.rule.threshold, subject.process, 1.1)
    real = subject.real(subject.dim, False)
    subject.process = wrong
    subject._kept = {k: v for k, v in subject._kept.items() if "real" in str(k)}
    assert real is subject.real(subject.dim, False)
    assert not laws(subject)[0].good


def test_both_kernels_agree_on_rules_that_both_know():
    u = jax.tree.map(lambda x: x[0], _points(_TRAINED))
    sgd = sl.OnlineSGD(0.6, batch=2, rule=_R.weight_decay(0.4), second_layer_rate=0.7)

    def fields(kernel):
        return [
            kernel.drift(u, 0.6, 0.0).vector,
            kernel.corrector(u, 0.6, 0.0).vector,
            kernel.population_drift(u, 0.0).vector,
        ], kernel.diffusion_factor(u, 0.6, 0.0)

    (one, noise), (other, more) = (
        eqx.filter_jit(fields)(kernel(_TRAINED, sgd)) for kernel in (RowKernel, RuleRowKernel)
    )
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    # Other nodes: quadrature beside Sobol points.
    np.testing.assert_allclose(noise @ noise.T, more @ more.T, atol=2e-3)


# -- fixed beta ------------------------------------------------------------------------------------


def test_momentum_of_fixed_beta_is_sgd_of_a_longer_step():
    u, field = _points(_ERF)[0], lambda sgd: sl.effective_dynamics(_ERF, sgd).drift(u).vector
    slow = sl.OnlineSGD(0.08, rule=_R.momentum(beta=0.9))
    # Ten times as fast in nominal time; the corrector is that of the longer step.
    np.testing.assert_allclose(field(slow), 10 * field(sl.OnlineSGD(0.8)), rtol=1e-12)
    known = sl.Process(_SPIKED, slow).in_the_limit().known_fixed_points()
    same = sl.Process(_SPIKED, sl.OnlineSGD(0.8)).known_fixed_points()
    assert known is not None
    assert same is not None
    np.testing.assert_allclose([x.statistics.r2 for x in known], [x.statistics.r2 for x in same])


@pytest.mark.slow
@pytest.mark.stat
@pytest.mark.parametrize("beta", [0.5, 0.9])
def test_the_chain_with_momentum_follows_sgd_of_the_longer_step(beta):
    runs, dim, time, u = 64, 2000, 4.0, _points(_ERF)[0]
    share = 1 - beta
    sgd = sl.OnlineSGD(0.8 * share, rule=_R.momentum(beta=beta))
    found, plain = (
        sl.simulate(_ERF, s, "chain", dim=dim, time=t, runs=runs, record=2, initial=u)
        for s, t in ((sgd, share * time), (sl.OnlineSGD(0.8), time))
    )
    for name in ("M", "Q"):
        a, b = (x[name].values[:, -1] for x in (found, plain))
        error = np.sqrt((a.var(0) + b.var(0)) / runs)
        # What is left out is of order 1/((1 - beta) dim).
        assert (np.abs(a.mean(0) - b.mean(0)) < 5 * error + 4 / (share * dim)).all()


# -- known numbers ---------------------------------------------------------------------------------

_LINE = sl.committee(1, 1, sl.Polynomial([0.0, 1.0]), noise=0.0)


def _floor(rule, step):
    eff = sl.effective_dynamics(_LINE, sl.OnlineSGD(step, rule=rule))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sl.InaccurateWarning)
        u = eff.solve(sl.Statistics(jnp.zeros(0), [[0.2]], [[1.0]]), [30.0])
    return float(sl.risk(_LINE, u)[0])


@pytest.mark.parametrize(
    ("rule", "floor"),
    [
        (_R.normalise(), lambda step: np.pi * step**2 / 16),
        pytest.param(_R.sign(), lambda step: np.pi**2 * step**2 / 32, marks=pytest.mark.slow),
    ],
)
def test_floors_of_noiseless_least_squares(rule, floor):
    for step in (0.2, 0.5):
        assert _floor(rule, step) == pytest.approx(floor(step), rel=1e-3)


@pytest.mark.slow
@pytest.mark.stat
@pytest.mark.parametrize(
    ("engine", "rule", "step", "floor"),
    [("chain", _R.normalise(), 0.5, 0.04909), ("sgd", _R.sign(), 0.6, 0.11103)],
)
def test_simulations_have_these_floors(engine, rule, step, floor):
    sgd = sl.OnlineSGD(step, rule=rule)
    result = sl.simulate(
        _LINE, sgd, engine, dim=400, time=30.0, runs=32, record=np.linspace(15, 30, 31)
    )
    each = result.risk.values[:, 1:].mean(1)
    # Beside chance, 1/dim.
    assert abs(each.mean() / floor - 1) < 5 * each.std() / floor / len(each) ** 0.5 + 2 / 400


_CUBIC = sl.MultiIndexModel(
    data=sl.Teacher(lambda f, z: (f**3 - 3 * f) / 6**0.5, gram=[[1.0]]),
    network=sl.Network(lambda v, s: jnp.maximum(s[0], 0.0), width=1, layer=0, kinks=(0.0,)),
    loss=sl.losses.correlation,
)


def test_a_repeated_sample_sees_the_cubic_teacher():
    """ReLU student, He3 teacher: nothing at m = 0 without repetition."""
    u = sl.Statistics(jnp.zeros(0), [[0.0]], [[1.0]])
    for eta, expected in ((0.0, 0.0), (0.25, -0.049), (1.0, -0.0402)):
        sgd = sl.OnlineSGD(0.5, rule=_R.repeat(eta), spherical=True)
        eff = sl.effective_dynamics(_CUBIC, sgd)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sl.InaccurateWarning)
            found = float(eff.drift(u).M[0, 0])
        assert found == pytest.approx(expected, abs=2.5e-3)


@pytest.mark.slow
@pytest.mark.stat
def test_repeated_samples_leave_in_time_of_order_dim():
    def exits(dim, runs, rule):
        sgd = sl.OnlineSGD(0.5, rule=rule, spherical=True)
        result = sl.simulate(
            _CUBIC, sgd, "chain", dim=dim, time=15.0, runs=runs, record=301, seed=3
        )
        out = np.abs(result.M.values[..., 0, 0]) > 0.5
        return np.where(out.any(1), result.time.values[out.argmax(1)] / 0.5, np.inf)

    for dim, runs, expected in ((100, 512, 15.8), (400, 256, 17.8), (1600, 128, 18.2)):
        times = exits(dim, runs, _R.repeat(1.0))
        # The interquartile range is 2.5 or so.
        assert abs(np.median(times) - expected) < 5 * 2.5 / runs**0.5
    assert (exits(400, 128, None) == np.inf).mean() > 0.9


@pytest.mark.slow
@pytest.mark.stat
@pytest.mark.parametrize("rule", [_R.momentum(decay=1.0), _R.clip(0.7), _R.adagrad_norm(0.7)])
def test_real_vectors_follow_the_ode(rule):
    dim, runs, u = 4000, 4, _points(_ERF)[0]
    options = {"dim": dim, "time": 2.0, "record": 5, "initial": u}
    sgd = sl.OnlineSGD(0.6, rule=rule)
    real = sl.simulate(_ERF, sgd, "sgd", runs=runs, **options)
    ode = sl.simulate(_ERF, sgd, "ode", runs=1, **options)
    for name in ode.data_vars:
        recorded = name in real and "time" in ode[name].dims and ode[name].size > 0
        if recorded and not str(name).endswith("_error"):
            away = np.abs(real[name].values - ode[name].values)
            assert away.max() < 8 / dim**0.5, name


# -- results ---------------------------------------------------------------------------------------


def test_what_is_carried_along_is_recorded_stored_and_resumed(tmp_path):
    rule = _R.chain(_R.adagrad_norm(0.7), _R.momentum(decay=1.0), _R.average(0.5))
    sgd, options = sl.OnlineSGD(0.6, rule=rule), {"dim": 30, "time": 0.2, "runs": 3, "record": 3}
    result = sl.simulate(_SPIKED, sgd, "chain", **options, out=tmp_path / "run")
    extra = {"m", "r2", "M_velocity", "Q_velocity", "M_average", "Q_average", "accumulated_square",
             "Q_parameters_velocity", "Q_parameters_average", "Q_velocity_average"}  # fmt: skip
    assert extra <= set(result.data_vars)
    assert result.M_average.dims == ("run", "time")
    assert result.M_average.attrs["long_name"].startswith("overlaps of the average")
    first = result.isel(time=0)
    np.testing.assert_array_equal(first.M_average, first.m)
    np.testing.assert_allclose(first.Q_average, first.m**2 + first.r2, rtol=1e-14)
    assert not first.M_velocity.any()
    np.testing.assert_allclose(first.accumulated_square, 0.49)
    assert (np.diff(result.accumulated_square) > 0).all()
    again = sl.simulate(_SPIKED, sgd, "chain", **options, out=tmp_path / "run")
    np.testing.assert_array_equal(again.M_average, result.M_average)


def test_statistics_of_networks_with_memory_have_names():
    process = sl.Process(_TRAINED, sl.OnlineSGD(rule=_R.chain(_R.momentum(decay=1), _R.average(1))))
    u = process.begin(_points(_TRAINED))
    assert u.dims["M_average"] == ("neuron", "direction")
    assert u.dims["Q_parameters_velocity"] == ("neuron", "other_neuron")
    assert {"v_velocity_1", "M_average_21", "Q_average_12", "Q_parameters_velocity_21"} <= {
        *u.names
    }
    np.testing.assert_array_equal(u.with_vector(u.vector).vector, u.vector)
    np.testing.assert_array_equal(u.Q_parameters_average, u.Q)
    np.testing.assert_array_equal(sl.risk(_TRAINED, u), sl.risk(_TRAINED, _points(_TRAINED)))
    process.check_state(u)
    with pytest.raises(ValueError, match="not the overlaps of real vectors"):
        process.check_state(eqx.tree_at(lambda u: u.Q_average, u, 0.5 * u.Q_average))
