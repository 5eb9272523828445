"""Engines as objects, and as names with options beside them."""

import re

import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.engines.choose import choose, choose_full
from sgdlimits.engines.table import ENGINES, FULL_ENGINES
from tests.models.custom_examples import regression

pytestmark = pytest.mark.usefixtures("as_users_run")

_ENGINES = sl.engines
_REDUCTION = sl.MeanField(noise=False)
_SAME = [
    (choose("chain"), _ENGINES.Chain()),
    (choose("sgd", dtype="float32", literal=True), _ENGINES.SGD("float32", True)),
    (choose("sde", dt=0.1), _ENGINES.SDE(dt=0.1)),
    (choose("ode", dtype="float64", literal=False), _ENGINES.ODE()),
    (choose("mean_field", mean_field=_REDUCTION), _ENGINES.MeanField(noise=False)),
    (choose(_ENGINES.SGD("float32"), dtype="float32", literal=False), _ENGINES.SGD("float32")),
    (choose(_ENGINES.Chain(), dtype="float64"), _ENGINES.Chain()),
    (
        choose(_ENGINES.MeanField(noise=False), mean_field=_REDUCTION),
        _ENGINES.MeanField(noise=False),
    ),
]


@pytest.mark.parametrize(("chosen", "expected"), _SAME)
def test_names_with_options_are_engines(chosen, expected):
    assert chosen == expected


def test_every_engine_is_in_the_table_under_its_name():
    assert list(ENGINES) == ["sgd", "chain", "sde", "ode", "mean_field"]
    for name, kind in ENGINES.items():
        assert choose(name) == kind()
        assert kind().identity()["engine"] == name


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: choose("euler"), "engine='euler': expected one of 'sgd', 'chain', 'sde', 'ode'"),
        (lambda: choose(None), "engine=None: expected one of"),
        (lambda: choose(_ENGINES.Chain), "call it first"),
        (
            lambda: choose(_ENGINES.SGD(), dtype="float32"),
            "dtype='float32': engine=SGD() has dtype='float64'",
        ),
        (lambda: choose(_ENGINES.SGD("float32"), dtype="float64"), "dtype='float64': engine="),
        (lambda: choose(_ENGINES.SDE(dt=0.1), dt=0.2), "dt=0.2: engine=SDE(dt=0.1) has dt=0.1"),
        (lambda: choose(_ENGINES.Chain(), dt=0.2), "dt=0.2: engine='chain' has no time step"),
        (
            lambda: choose(_ENGINES.Chain(), literal=True),
            "literal=True: engine='chain' draws no samples; use engine='sgd'",
        ),
        (
            lambda: choose(_ENGINES.ODE(), dtype="float32"),
            "dtype='float32': engine='ode' computes in float64",
        ),
        (
            lambda: choose(_ENGINES.MeanField(), mean_field=_REDUCTION),
            "mean_field=MeanField(noise=False): engine=MeanField() has noise=True",
        ),
        (lambda: choose("chain", mean_field=_REDUCTION), "expected a MeanField, with engine="),
        (lambda: choose("mean_field", mean_field="all"), "mean_field='all': expected a MeanField"),
        (lambda: _ENGINES.ODE(rtol=0), "rtol=0: expected a number above 0"),
        (lambda: _ENGINES.ODE(atol="x"), "atol='x': expected a real number"),
        (lambda: _ENGINES.SDE(dt=-1.0), "dt=-1.0: expected a number above 0"),
        (lambda: _ENGINES.SGD(literal=1), "literal=1: expected True or False"),
        (lambda: _ENGINES.SGD("half"), "dtype='half': expected one of 'float64', 'float32'"),
        (lambda: _ENGINES.MeanField(noise="no"), "noise='no': expected True or False"),
        (lambda: choose_full("mean_field"), "engine='mean_field': expected one of 'sgd', 'chain'"),
        (lambda: choose_full(_ENGINES.MeanField()), "expected one of 'sgd', 'chain'"),
    ],
)
def test_contradictions_are_refused_by_name(call, words):
    with pytest.raises((TypeError, ValueError), match=re.escape(words)):
        call()


def test_engines_with_the_models_own_statistics():
    assert FULL_ENGINES == ("sgd", "chain", "sde", "ode")
    assert choose_full(_ENGINES.ODE(rtol=1e-3)) == _ENGINES.ODE(rtol=1e-3)
    assert choose_full("sde") == _ENGINES.SDE()


# -- simulate --------------------------------------------------------------------------------------

_MODEL, _OPTIONS = sl.SpikedTensor(snr=1.2), {"dim": 40, "time": 0.2, "runs": 2, "record": 3}


@pytest.mark.parametrize(
    ("engine", "name", "beside"),
    [
        (_ENGINES.Chain(), "chain", {}),
        (_ENGINES.SGD(dtype="float32"), "sgd", {"dtype": "float32"}),
        (_ENGINES.SGD(literal=True), "sgd", {"literal": True}),
        (_ENGINES.SDE(dt=0.01), "sde", {"dt": 0.01}),
        (_ENGINES.ODE(), "ode", {}),
    ],
)
def test_an_engine_is_its_name_with_options(engine, name, beside):
    one = sl.simulate(_MODEL, None, engine, **_OPTIONS)
    other = sl.simulate(_MODEL, None, name, **beside, **_OPTIONS)
    assert one.identical(other)
    assert one.attrs["identity"] == other.attrs["identity"]


def test_tolerances_of_the_ode_decide_the_result():
    fine, coarse = (
        sl.simulate(_MODEL, None, engine, **_OPTIONS)
        for engine in ("ode", _ENGINES.ODE(rtol=1e-3, atol=1e-5))
    )
    assert fine.attrs["identity"] != coarse.attrs["identity"]
    assert '"rtol":0.001' in coarse.attrs["config"].replace(" ", "")
    assert "rtol" not in fine.attrs["config"]
    difference = np.abs(fine["m"] - coarse["m"]).values.max()
    assert 1e-12 < difference < 1e-2


@pytest.mark.parametrize("engine", [_ENGINES.Chain(), "chain"])
def test_models_without_a_chain_are_refused(engine):
    with pytest.raises(ValueError, match="engine='chain': CustomModel has no exact chain"):
        sl.simulate(regression(), None, engine, **_OPTIONS)


def test_only_real_vectors_can_be_observed():
    with pytest.raises(ValueError, match="observe: engine='ode' has no real parameters"):
        sl.simulate(_MODEL, None, _ENGINES.ODE(), observe=[lambda s: {}], **_OPTIONS)


@pytest.mark.parametrize("dim", [1, 2.5])
def test_dimensions_that_do_not_fit(dim):
    with pytest.raises((TypeError, ValueError), match=f"dim={dim}: expected an integer"):
        sl.simulate(_MODEL, None, "chain", **{**_OPTIONS, "dim": dim})
