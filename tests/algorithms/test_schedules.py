"""Schedules: their values, their clock, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl

_STAIRS = sl.schedules.piecewise([1, 3], [1, 0.5, 0.1])


@pytest.mark.parametrize(
    ("schedule", "times", "values"),
    [
        (sl.schedules.power(0.5, scale=2.0), [0, 2, 6], [1, 2**-0.5, 0.5]),
        (sl.schedules.cosine(4.0, final=0.1), [0, 2, 4, 9], [1, 0.55, 0.1, 0.1]),
        (sl.schedules.warmup(2.0, start=0.2), [0, 1, 2, 3], [0.2, 0.6, 1, 1]),
        (_STAIRS, [0, 0.99, 1, 2, 3, 9], [1, 1, 0.5, 0.5, 0.1, 0.1]),
        (sl.schedules.from_optax(lambda n: 1 / (1 + n), 0.5), [0, 0.5, 1.5], [1, 0.5, 0.25]),
    ],
)
def test_values(schedule, times, values):
    found = [float(schedule(jnp.asarray(float(t)))) for t in times]
    np.testing.assert_allclose(found, values, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.vmap(schedule))(jnp.asarray(times, float)), found)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sl.schedules.power(-1), "exponent=-1: expected a number that is at least 0"),
        (lambda: sl.schedules.cosine(0), "time=0: expected a number above 0"),
        (lambda: sl.schedules.piecewise([1], [1.0]), "values=.*one more than the 1 times"),
        (lambda: sl.schedules.piecewise([2, 1], [1, 1, 1]), "times=.*expected increasing times"),
        (lambda: sl.OnlineSGD(schedule=lambda t: -1.0), "schedule=.*gives -1.0"),
        (lambda: sl.OnlineSGD(schedule=lambda t: jnp.ones(2)), r"schedule=.*failed at t = 0"),
        (lambda: sl.OnlineSGD(schedule=lambda t: np.sin(t)), "schedule=.*failed at t = 0"),
        (lambda: sl.OnlineSGD(batch=0), "batch=0: expected an integer that is at least 1"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_nonsense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": 0.1}, "schedule=0.1: expected a function t -> factor; .* change step"),
        ({"batch": 2.0}, "batch=2.0: expected an integer"),
        ({"rule": "adam"}, "rule='adam': expected one of sgdlimits.rules"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_other_kinds_are_refused(change, message):
    with pytest.raises(TypeError, match=message):
        sl.OnlineSGD(**change)


def test_plain_algorithms_are_described_as_they_were():
    # Stored runs answer for their inputs: fields that came later are left out at their defaults.
    from sgdlimits.provenance import describe

    plain = {"type": "OnlineSGD", "step": 1.0, "spherical": False, "second_layer_rate": 1.0}
    assert describe(sl.OnlineSGD()) == plain
    assert describe(sl.OnlineSGD(batch=2))["batch"] == 2
    assert describe(sl.OnlineSGD(schedule=sl.schedules.cosine(1.0)))["schedule"]["time"] == 1.0
