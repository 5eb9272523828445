"""Derivatives through the limits, against differences of the numbers that users get."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl

# Annotations say float; placeholders of transformations are none.
pytestmark = pytest.mark.usefixtures("as_users_run")


def _spiked(snr=1.5, ridge=0.1, step=0.7):
    return sl.SpikedTensor(3, snr, ridge), sl.OnlineSGD(step=step)


_CASES = {
    "snr": (lambda x: _spiked(snr=x), 1.5),
    "ridge": (lambda x: _spiked(ridge=x), 0.1),
    "step": (lambda x: _spiked(step=x), 0.7),
    "schedule": (
        lambda x: (_spiked()[0], sl.OnlineSGD(schedule=lambda t: jnp.exp(-x * t))), 0.4,
    ),
    "rule": (lambda x: (_spiked()[0], sl.OnlineSGD(rule=sl.rules.momentum(decay=x))), 1.0),
}  # fmt: skip
_SLOW = {
    "noise": (lambda x: (sl.committee(2, 1, "erf", noise=x), sl.OnlineSGD(step=0.5)), 0.1),
    "found kinks": (lambda x: (sl.committee(2, 1, jnp.abs, noise=x), sl.OnlineSGD(step=0.5)), 0.1),
    "mixture": (lambda x: (sl.binary_gmm(snr=x, ridge=0.1), sl.OnlineSGD(step=0.5)), 3.0),
    "class": (lambda x: (sl.k_gmm(3, snr=[x, 2.0, 3.0]), sl.OnlineSGD(step=0.5)), 4.0),
}


def _end(make, x):
    model, sgd = make(x)
    start = sl.initial(sl.SpikedTensor(3) if x is None else make(1.0)[0], 50, 1, seed=0)[0]
    return sl.effective_dynamics(model, sgd).solve(start, [0.7]).vector.sum()


def _check(make, x):
    gradient = float(jax.grad(lambda x: _end(make, x))(x))
    difference = float(_end(make, x + 1e-5) - _end(make, x - 1e-5)) / 2e-5
    assert abs(gradient) > 1e-6
    assert gradient == pytest.approx(difference, rel=1e-5)


@pytest.mark.parametrize("name", _CASES)
def test_solutions_can_be_differentiated(name):
    _check(*_CASES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", _SLOW)
def test_solutions_of_other_families_can_be_differentiated(name):
    _check(*_SLOW[name])


def test_solutions_can_be_mapped_and_differentiated_in_the_start():
    model, sgd = _spiked()
    dynamics, start = sl.effective_dynamics(model, sgd), sl.initial(model, 50, 3, seed=0)
    end = lambda y: dynamics.solve(start[0].with_vector(y), [0.7]).vector[0]  # noqa: E731
    jacobians = jax.vmap(jax.jacrev(end))(start.vector)
    change = 1e-6 * jnp.array([1.0, 2.0])
    moved = dynamics.solve(start.with_vector(start.vector + change), [0.7]).vector[0]
    before = dynamics.solve(start, [0.7]).vector[0]
    np.testing.assert_allclose(moved - before, jacobians @ change, rtol=1e-4)
