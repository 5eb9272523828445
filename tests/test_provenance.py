"""Descriptions and identities: equal exactly when every input is."""

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


def test_things_without_a_description_are_refused():
    with pytest.raises(TypeError, match="cannot be described"):
        describe(object())


def test_differences_name_the_place():
    one = {"a": 1, "b": {"c": 2, "d": 3}}
    other = {"a": 1, "b": {"c": 5, "d": 3}, "e": 0}
    assert differences(one, other) == ["b.c: 2 -> 5", "e: None -> 0"]
    assert differences(one, one) == []
