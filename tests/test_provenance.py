"""Descriptions and identities: equal exactly when every input is."""

import sys

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sgdlimits as sl
from sgdlimits.provenance import canonical, describe, differences, identity

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(_PLAIN)
def test_descriptions_survive_json(thing):
    import json

    assert identity(json.loads(json.dumps(thing))) == identity(thing)


@given(st.floats(-1e300, 1e300))
def test_the_last_bit_of_a_number_counts(x):
    assert identity({"x": x}) != identity({"x": np.nextafter(x, np.inf)})


def test_key_order_does_not_count():
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})


def test_modules_are_described_by_name_and_fields():
    assert describe(sl.SpikedTensor(order=3, snr=2.5)) == {
        "type": "SpikedTensor", "order": 3, "snr": 2.5, "ridge": 0.0
    }  # fmt: skip


@pytest.mark.parametrize("snr", [jnp.asarray(1.5), np.float64(1.5), np.float32(1.5)])
def test_number_types_do_not_count(snr, as_users_run):
    assert describe(sl.SpikedTensor(snr=snr)) == describe(sl.SpikedTensor(snr=1.5))


def test_large_arrays_are_described_by_a_hash_of_their_content():
    one, other = np.zeros(100), np.zeros(100)
    other[57] = 1e-300
    assert describe(one)["shape"] == [100]
    assert describe(one) == describe(one.copy()) != describe(other)
    assert describe(one) != describe(one.astype(np.float32))
    assert describe(np.arange(3)) == [0, 1, 2]


def test_functions_are_described_by_their_source():
    def one(x):
        return x

    def other(x):
        return x + 1

    assert describe(one)["sha256"] != describe(other)["sha256"]
    with pytest.raises(TypeError, match="no source to identify it by"):
        describe(len)


_FACTOR = 1.0


def _scale():
    return _FACTOR


def _reads_a_global(x):
    return _FACTOR * x


def _calls_a_neighbour(x):
    return _scale() * x


class _Slope:
    def __init__(self, value):
        self.value = value

    def __call__(self, x):
        return self.value * x


class _Line(eqx.Module):
    slope: float

    def at(self, x):
        return self.slope * x


@pytest.mark.parametrize("function", [_reads_a_global, _calls_a_neighbour])
def test_a_function_that_reads_another_global_is_another_function(function, monkeypatch):
    before = describe(function)
    assert describe(function) == before
    monkeypatch.setattr(sys.modules[__name__], "_FACTOR", 2.0)
    assert describe(function) != before


def test_default_arguments_and_objects_of_methods_count():
    def power(exponent):
        def function(x, exponent=exponent, *, shift=0.0):
            return x**exponent + shift

        return function

    assert describe(power(2)) == describe(power(2))
    assert describe(power(2)) != describe(power(3))
    assert describe(_Line(1.0).at) == describe(_Line(1.0).at)
    assert describe(_Line(1.0).at) != describe(_Line(2.0).at)
    with pytest.raises(TypeError, match=r"cannot be described|no source"):
        describe(_Slope(1.0))


def _first(x):
    return _BOTH["second"](x)


def _second(x):
    return _BOTH["first"](x)


_BOTH = {"first": _first, "second": _second}


def test_functions_that_refer_to_each_other_or_themselves_are_described():
    def factorial(n):
        return 1 if n == 0 else n * factorial(n - 1)

    assert describe(factorial)["captured"]["factorial"]["function"].endswith("factorial")
    assert describe(_first) != describe(_second)


def test_lambdas_on_one_line_are_told_apart():
    first, second = lambda x: x + 1, lambda x: x + 2
    assert describe(first) != describe(second)


def test_things_without_a_description_are_refused():
    with pytest.raises(TypeError, match="cannot be described"):
        describe(object())


def test_differences_name_the_place():
    one = {"a": 1, "b": {"c": 2, "d": 3}}
    other = {"a": 1, "b": {"c": 5, "d": 3}, "e": 0}
    assert differences(one, other) == ["b.c: 2 -> 5", "e: None -> 0"]
    assert differences(one, one) == []
