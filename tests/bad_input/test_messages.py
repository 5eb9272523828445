"""Every bad argument is answered by its name, its value and what is allowed, before any work."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import sgdlimits as sl
from sgdlimits.expectations.rules import TruncatedGauss

pytestmark = pytest.mark.usefixtures("as_users_run")

_MODEL = sl.SpikedTensor()
_U = sl.SpikedStatistics(0.1, 1.0)

_NOT_NUMBERS = st.sampled_from([None, True, False, "1.0", 1j, [1.0], np.ones(2), object(), {}])
_NOT_FINITE = st.sampled_from([float("nan"), float("inf"), -float("inf"), np.float64("nan")])
_BELOW_ZERO = st.floats(max_value=-5e-324, allow_infinity=False) | st.integers(max_value=-1)
_NOT_POSITIVE = _NOT_FINITE | st.just(0.0) | st.just(0) | _BELOW_ZERO
_NEGATIVE = _NOT_FINITE | _BELOW_ZERO
_NOT_INTEGERS = st.sampled_from([None, True, "3", 2.0, 2.5, np.nan, 1j, [3], object()])


def _refused(name, value, call):
    """The error names the argument and shows the value and what was expected."""
    with pytest.raises((TypeError, ValueError)) as caught:
        call(value)
    message = str(caught.value)
    shown = {repr(value), repr(value.item()) if isinstance(value, np.generic) else repr(value)}
    if isinstance(value, int) and not isinstance(value, bool):
        shown.add(repr(float(value)))  # parameters of models: 2 and 2.0 are one
    assert any(message.startswith(f"{name}={text}: ") for text in shown), message
    assert "expected" in message


def _escape(**changes):
    arguments = {"saddle": sl.SpikedStatistics(0.0, 1.0), "name": "m", "level": 0.3, "dim": 100}
    return sl.escape_law(
        sl.effective_dynamics(sl.SpikedTensor(snr=2.0)), **{**arguments, **changes}
    )


def _simulate(**changes):
    return sl.simulate(**{"model": _MODEL, "dim": 20, "time": 0.2, "record": 2, **changes})


def _exit(**changes):
    return sl.mean_exit_time(**{"rate": 1.0, "variance": 1.0, "level": 1.0, **changes})


_POSITIVE_ARGUMENTS = [
    ("step", lambda x: sl.OnlineSGD(step=x)),
    ("snr", lambda x: sl.SpikedTensor(snr=x)),
    ("time", lambda x: _simulate(time=x)),
    ("variance", lambda x: _exit(variance=x)),
    ("level", lambda x: _exit(level=x)),
    ("level", lambda x: _escape(level=x)),
    ("Lambda", lambda x: sl.SpikedTensor.at_gradient_threshold(3, x, 100)),
    ("dt", lambda x: sl.sample_diffusion(_limit(), initial=_U, time=0.1, dt=x)),
    ("time", lambda x: sl.sample_diffusion(_limit(), initial=_U, time=x)),
]
_NONNEGATIVE_ARGUMENTS = [
    ("ridge", lambda x: sl.SpikedTensor(ridge=x)),
    ("second_layer_rate", lambda x: sl.OnlineSGD(second_layer_rate=x)),
    ("variance", lambda x: _escape(variance=x)),
]
_INTEGER_ARGUMENTS = [
    ("order", 2, lambda x: sl.SpikedTensor(order=x)),
    ("dim", 2, lambda x: _simulate(dim=x)),
    ("runs", 1, lambda x: _simulate(runs=x)),
    ("seed", 0, lambda x: _simulate(seed=x)),
    ("first_run", 0, lambda x: _simulate(first_run=x)),
    ("record", 2, lambda x: _simulate(record=x)),
    ("dim", 2, lambda x: sl.initial(_MODEL, x, 3, 0)),
    ("runs", 1, lambda x: sl.initial(_MODEL, 20, x, 0)),
    ("seed", 0, lambda x: sl.initial(_MODEL, 20, 3, x)),
    ("dim", 2, lambda x: sl.lift(_MODEL, _U, x, 0)),
    ("seed", 0, lambda x: sl.lift(_MODEL, _U, 20, x)),
    ("dim", 1, lambda x: _escape(dim=x)),
    ("starts", 1, lambda x: sl.effective_dynamics(_MODEL).fixed_points("search", starts=x)),
    ("seed", 0, lambda x: sl.effective_dynamics(_MODEL).fixed_points("search", seed=x)),
    ("dim", 2, lambda x: sl.SpikedTensor.at_gradient_threshold(3, 1.0, x)),
    ("order", 2, lambda x: sl.SpikedTensor.at_gradient_threshold(x, 1.0, 100)),
    ("runs", 1, lambda x: sl.sample_diffusion(_limit(), initial=_U, time=0.1, runs=x)),
    ("dim", 1, lambda x: sl.effective_dynamics(_MODEL).one_step_moments(_U, x)),
]


def _limit():
    return sl.effective_dynamics(_MODEL).rescale("m")


def _ids(entries):
    return [f"{entry[0]}-{index}" for index, entry in enumerate(entries)]


@pytest.mark.parametrize(("name", "call"), _POSITIVE_ARGUMENTS, ids=_ids(_POSITIVE_ARGUMENTS))
@given(value=_NOT_NUMBERS | _NOT_POSITIVE)
def test_numbers_above_zero(name, call, value):
    _refused(name, value, call)


@pytest.mark.parametrize(("name", "call"), _NONNEGATIVE_ARGUMENTS, ids=_ids(_NONNEGATIVE_ARGUMENTS))
@given(value=_NOT_NUMBERS | _NEGATIVE)
def test_numbers_from_zero_on(name, call, value):
    _refused(name, value, call)


@pytest.mark.parametrize("name", ["rate", "start"])
@given(value=_NOT_NUMBERS | _NOT_FINITE)
def test_any_finite_number(name, value):
    _refused(name, value, lambda x: _exit(**{name: x}))


@given(value=st.floats(1.0001, 1e100) | st.floats(-1e100, -1.0001))
def test_a_start_beyond_the_level(value):
    _refused("start", value, lambda x: _exit(start=x))


_NO_LIST = ("record",)  # a list of times is a legal record


@pytest.mark.parametrize(
    ("name", "least", "call"), _INTEGER_ARGUMENTS, ids=_ids(_INTEGER_ARGUMENTS)
)
@given(data=st.data())
def test_integers(name, least, call, data):
    wrong = (
        _NOT_INTEGERS.filter(lambda x: not isinstance(x, list))
        if name in _NO_LIST
        else _NOT_INTEGERS
    )
    _refused(name, data.draw(wrong | st.integers(max_value=least - 1)), call)


@pytest.mark.parametrize("call", [c for _, c in _POSITIVE_ARGUMENTS[:2]], ids=["step", "snr"])
def test_numbers_too_large_for_a_float(call):
    with pytest.raises(ValueError, match="expected a finite number"):
        call(10**400)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("spherical", lambda x: sl.OnlineSGD(spherical=x)),
        ("literal", lambda x: _simulate(engine="sgd", literal=x)),
        ("progress", lambda x: _simulate(progress=x)),
    ],
)
@pytest.mark.parametrize("value", [1, "yes", 0.0])
def test_switches(name, call, value):
    _refused(name, value, call)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: _simulate(engine="euler"),
            "engine='euler': expected one of 'sgd', 'chain', 'sde', 'ode'",
        ),
        (lambda: _simulate(engine=None), "engine=None: expected one of"),
        (lambda: _simulate(engine=["chain"]), "engine=['chain']: expected one of"),
        (
            lambda: _simulate(dtype="float16"),
            "dtype='float16': expected one of 'float64', 'float32'",
        ),
        (lambda: _simulate(dtype="float32"), "dtype='float32': engine='chain' computes in float64"),
        (lambda: _simulate(literal=True), "literal=True: engine='chain' draws no samples"),
        (lambda: _simulate(dt=0.1), "dt=0.1: engine='chain' has no time step"),
        (lambda: _simulate(engine="sde", dt=-0.1), "dt=-0.1: expected a number above 0"),
        (lambda: _simulate(engine="sde", dt="a"), "dt='a': expected a real number"),
        (lambda: _simulate(time=0.01), "time=0.01: expected at least one step"),
        (lambda: _simulate(seed=2**63), "seed=9223372036854775808: expected an integer"),
        (lambda: _simulate(first_run=2**31), "first_run=2147483648: expected an integer"),
        (lambda: _simulate(model="SpikedTensor"), "model='SpikedTensor': expected a model"),
        (lambda: _simulate(sgd=0.1), "sgd=0.1: expected an OnlineSGD"),
        (
            lambda: _simulate(sgd="sde"),
            "sgd='sde': expected an OnlineSGD; choose an engine by",
        ),
        (
            lambda: _simulate(model=sl.binary_gmm(snr=np.inf), sgd=sl.OnlineSGD(spherical=True)),
            "spherical=True: the zero-noise limit slides on walls",
        ),
        (
            lambda: _simulate(sgd=sl.OnlineSGD(second_layer_rate=0.5)),
            "second_layer_rate=0.5: SpikedTensor has no second layer",
        ),
        (lambda: _simulate(initial=(0.1, 1.0)), "initial=(0.1, 1.0): "),
        (
            lambda: _simulate(initial=sl.SpikedStatistics(0.1, -1.0)),
            "r2=-1.0: expected a squared norm, at least 0",
        ),
        (lambda: _simulate(initial=sl.SpikedStatistics(np.nan, 1.0)), "m and r2 must be finite"),
        (lambda: _simulate(initial=sl.SpikedStatistics(0.1, np.inf)), "m and r2 must be finite"),
        (
            lambda: _simulate(runs=3, initial=sl.SpikedStatistics([0.1] * 2, [1.0] * 2)),
            "initial has batch shape (2,): expected one state, or one per run (3,)",
        ),
        (
            lambda: _simulate(initial=sl.SpikedStatistics([0.1] * 2, 1.0)),
            "fields disagree on the batch axes",
        ),
        (lambda: _simulate(out=3), "out=3: expected"),
        (lambda: sl.effective_dynamics("x"), "model='x': expected a model"),
        (lambda: sl.effective_dynamics(_MODEL, 0.1), "sgd=0.1: expected an OnlineSGD"),
        (
            lambda: sl.effective_dynamics(_MODEL).drift((0.1, 1.0)),
            "(0.1, 1.0): SpikedTensor expects SpikedStatistics(m, r2)",
        ),
        (
            lambda: sl.effective_dynamics(_MODEL).drift(sl.SpikedStatistics(0.1, -0.5)),
            "r2=-0.5: expected a squared norm",
        ),
        (
            lambda: sl.effective_dynamics(_MODEL).solve(sl.SpikedStatistics(0.1, -0.5), [1.0]),
            "r2=-0.5: expected a squared norm",
        ),
        (lambda: sl.effective_dynamics(_MODEL).linearise((0.1, 1.0)), "SpikedStatistics(m, r2)"),
        (lambda: sl.effective_dynamics(_MODEL).solve(_U, [1.0], rtol=-1.0), "rtol=-1.0: expected"),
        (lambda: sl.effective_dynamics(_MODEL).solve(_U, [1.0], atol=np.nan), "atol=nan: expected"),
        (lambda: sl.initial("x", 20, 3, 0), "model='x': expected a model"),
        (lambda: sl.lift("x", _U, 20, 0), "model='x': expected a model"),
        (
            lambda: sl.lift(_MODEL, (0.1, 1.0), 20, 0),
            "statistics=(0.1, 1.0): SpikedTensor expects SpikedStatistics",
        ),
        (
            lambda: sl.lift(_MODEL, sl.SpikedStatistics(0.1, -1.0), 20, 0),
            "r2=-1.0: expected a squared norm",
        ),
        (lambda: sl.SpikedStatistics("x", 1.0), "m='x': expected"),
        (lambda: _escape(name="q"), "name='q': expected one of 'm', 'r2'"),
        (lambda: _escape(saddle=sl.SpikedStatistics(1.0, 1.0)), "not 0"),
        (lambda: _escape(level=1.5), "level=1.5: the ODE from the saddle does not reach it"),
        (lambda: sl.save("x", "y"), "dataset='x': expected"),
        (lambda: sl.audit(sl.SpikedTensor(), dims=100), "dims=100: expected two or more"),
        (lambda: sl.sweep(dict, {"snr": 0.8}), "grid['snr']=0.8: expected a list of values"),
        (lambda: sl.convergence_rate([1, 2]), "comparisons=[1, 2]: expected results of compare"),
        (
            lambda: sl.k_gmm(means_gram=np.ones((2, 2))),
            "means_gram: smallest eigenvalue",
        ),
        (lambda: sl.committee(2, 1, np.tanh), "expected an elementwise function written in JAX"),
        (lambda: sl.Activation(jnp.sum), "turns shape (2,) into ()"),
        (lambda: _simulate(sgd=sl.OnlineSGD), "call it first: OnlineSGD()"),
        (lambda: sl.simulate(sl.xor_gmm, dim=9, time=1.0), "call it first"),
        (
            lambda: sl.MultiIndexModel(
                data=sl.GaussianMixture(np.eye(2), np.eye(2)),
                network=sl.Network(lambda v, s: v @ s, width=3, layer=2),
                loss=lambda output, label: output,
            ),
            "network, loss: failed at v of length 2, 3 preactivations s",
        ),
        (
            lambda: sl.SingleIndexSphere("erf", [0, 1], 0.1),
            "student='erf': expected Hermite coefficients",
        ),
        (lambda: sl.leap("z1"), "components='z1': expected tuples"),
        (lambda: _wide(initial=_wide_start(v=[1.0, 1.0])), "v has shape (2,), expected (0,)"),
        (lambda: _wide(initial=_wide_start(q=[np.nan, 1.0])), "q has shape (2,), expected (2,)"),
        (lambda: _wide(initial=_wide_start(q=[4.0, 1.0])), "spherical=True keeps them at 1"),
        (lambda: _wide(risk="x"), "risk='x': expected"),
        (lambda: sl.compare(_DATASET, _DATASET, level=2), "level=2.0: expected a probability"),
        (
            lambda: sl.compare(_DATASET, _DATASET.assign(m=_DATASET.m.expand_dims(neuron=2))),
            "m has dims {'neuron': 2}, and in the simulation {}",
        ),
        (
            lambda: sl.explosion_probability(
                sl.phase_retrieval(), sl.OnlineSGD(), dim=9, time=1.0, engine="mean_field"
            ),
            "engine='mean_field': expected one of",
        ),
        (
            lambda: sl.effective_dynamics(sl.binary_gmm()).basin_probabilities(
                dim=50, runs=2, engine="mean_field", time=1.0
            ),
            "engine='mean_field': expected one of",
        ),
        (lambda: _softmax(rule="x"), "rule='x': expected TruncatedGauss or QuasiMonteCarlo"),
        (lambda: _softmax(rule=TruncatedGauss(3, 4)), "expected one of 2 dimensions"),
        (
            lambda: _softmax(rule=TruncatedGauss(2, 4), kinks=(0.0, 1.0)),
            "there are 2 kinks, and TruncatedGauss",
        ),
        (
            lambda: sl.committee(2, 1, rule=TruncatedGauss(2, 4)),
            "expected one of 3 dimensions",
        ),
        (
            lambda: sl.effective_dynamics(_softmax(rule=TruncatedGauss(2, 1))).drift_error(
                sl.Statistics([], np.eye(2), 2 * np.eye(2))
            ),
            "it has no error estimate",
        ),
        (lambda: sl.MonteCarlo(seed=1.5), "seed=1.5: expected an integer"),
        (
            lambda: sl.effective_dynamics(sl.xor_gmm()).one_step_moments(
                sl.Statistics(np.ones(4), np.zeros((4, 2)), np.eye(4)), 5
            ),
            "dim=5: expected an integer that is at least 6",
        ),
        (lambda: sl.initial(_MODEL, 20, 3, 0, sgd="x"), "sgd='x': expected an OnlineSGD"),
        (lambda: sl.SingleIndexSphere([0, 1], [0, 1], 0.1).escape_time(99, 7.0), "below 1"),
    ],
)
def test_messages(call, words):
    with pytest.raises((TypeError, ValueError), match=re.escape(words)):
        call()


def test_a_saddle_that_is_stable_is_refused():
    dynamics = sl.effective_dynamics(sl.SpikedTensor(snr=0.5))
    with pytest.raises(ValueError, match=r"m does not grow there \(rate -2\)"):
        sl.escape_law(dynamics, sl.SpikedStatistics(0.0, 1.0), "m", 0.3, 100)


def _wide(**changes):
    given = {"engine": "mean_field", "dim": 50, "time": 0.1, **changes}
    return sl.simulate(sl.committee(2, 1), sl.OnlineSGD(0.2, spherical=True), **given)


def _wide_start(**changes):
    parts = {"v": [], "M": [[0.0], [0.0]], "q": [1.0, 1.0], **changes}
    return sl.MeanFieldStatistics(**{name: np.array(value) for name, value in parts.items()})


def _softmax(rule, kinks=()):
    return sl.MultiIndexModel(
        data=sl.GaussianMixture(np.eye(2), np.eye(2)),
        network=sl.Network(lambda v, s: s, width=2, layer=0, kinks=kinks),
        loss=lambda output, label: jnp.sum((output - label) ** 2),
        rule=rule,
    )


def test_two_kinks_take_quasi_monte_carlo_points():
    model = _softmax(None, kinks=(0.0, 1.0))
    drift = sl.effective_dynamics(model).drift(sl.Statistics([], np.eye(2), 2 * np.eye(2)))
    assert np.isfinite(drift.vector).all()


def test_wide_committees_leave_the_risk_out_if_told():
    assert "risk" in _wide()
    assert "risk" not in _wide(risk=False)


# -- what would not fit in memory ------------------------------------------------------------------


@pytest.fixture
def little_memory(monkeypatch):
    from sgdlimits import _resources

    monkeypatch.setattr(_resources, "available", lambda: 10**6)


def test_a_recording_that_would_not_fit(little_memory):
    # 2 statistics, 8 bytes, twice: 100000 runs at 2 times need 6.4 MB.
    with pytest.raises(ValueError, match=r"Recording 100000 runs at 2 times.*; runs=\d+ would fit"):
        _simulate(runs=100_000)


def test_literal_samples_that_would_not_fit():
    with pytest.raises(ValueError, match=r"literal=True at dim=5000 would need .*GiB"):
        sl.simulate(
            sl.SpikedTensor(order=4), engine="sgd", dim=5000, time=0.1, literal=True, record=2
        )


def test_vectors_that_would_not_fit():
    with pytest.raises(ValueError, match=r"would need .*lower dim, or use engine='chain'"):
        _simulate(engine="sgd", dim=10**12, time=1e-12)


def test_more_records_than_memory():
    with pytest.raises(ValueError, match="record"):
        _simulate(time=1e12, record=10**12)


# -- exit times of datasets ------------------------------------------------------------------------

_DATASET = xr.Dataset(
    {"m": (("run", "time"), np.zeros((2, 3))), "diverged": ("run", [np.nan] * 2)},
    {"run": [0, 1], "time": [0.0, 1.0, 2.0], "step": ("time", [0, 10, 20])},
)


@given(value=_NOT_NUMBERS | _NOT_FINITE)
def test_levels_of_exit_time(value):
    _refused("level", value, lambda x: sl.exit_time(_DATASET, level=x, of="m"))


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ("q", "of='q': expected one of 'm'"),
        ("|q|", "of='|q|': expected one of 'm'"),
        ("diverged", "of='diverged': expected one of 'm'"),
        (3, "of=3: expected a variable's name or a function"),
        (lambda ds: ds["m"][:, 0], "of: its dims are ('run',), expected run and time"),
    ],
)
def test_quantities_of_exit_time(of, words):
    with pytest.raises((TypeError, ValueError), match=re.escape(words)):
        sl.exit_time(_DATASET, level=0.5, of=of)


def test_exit_time_of_something_else():
    with pytest.raises(TypeError, match=r"dataset=.*expected"):
        sl.exit_time("results", level=0.5, of="m")
