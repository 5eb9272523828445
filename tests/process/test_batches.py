"""What batches, schedules and rules do to limits and moments: identities and known values."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl

_XOR = sl.xor_gmm(snr=[2.0, 1.0, 3.0, 2.0], ridge=0.1, width=2)
_ERF = sl.committee(3, 2, "erf", None, 0.2, [[1, 0.3], [0.3, 0.8]], [1.2, 0.7], True, ridge=0.05)
_SPIKED = sl.SpikedTensor(order=3, snr=2.0, ridge=0.2)
_MODELS = {"xor": _XOR, "erf": _ERF, "spiked": _SPIKED}


def _state(model):
    return sl.Process(model, sl.OnlineSGD()).search_points(np.random.default_rng(2), 1)[0]


@pytest.mark.parametrize("name", _MODELS)
def test_a_batch_has_the_limit_of_one_sample_at_a_shorter_step(name):
    # Corrector and diffusion at step/B; the population drift does not know.
    model, u = _MODELS[name], _state(_MODELS[name])
    batch = sl.effective_dynamics(model, sl.OnlineSGD(step=0.9, batch=3))
    single = sl.effective_dynamics(model, sl.OnlineSGD(step=0.3))
    for one, other in (
        (batch.drift(u).vector, single.drift(u).vector),
        (batch.corrector(u).vector, single.corrector(u).vector),
        (batch.diffusion(u), single.diffusion(u)),
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    whole = sl.effective_dynamics(model, sl.OnlineSGD(step=0.9))
    assert np.abs(whole.drift(u).vector - batch.drift(u).vector).max() > 3e-3


@pytest.mark.parametrize("name", _MODELS)
def test_a_schedule_slows_the_limit_down(name):
    model, u, time = _MODELS[name], _state(_MODELS[name]), 3.0
    slowed = sl.effective_dynamics(model, sl.OnlineSGD(step=0.9, schedule=sl.schedules.power(0.5)))
    shorter = sl.effective_dynamics(model, sl.OnlineSGD(step=0.9 / 2))  # the factor is 1/2 there
    pairs = (
        (slowed.drift(u, time).vector, shorter.drift(u).vector),
        (slowed.population_drift(u, time).vector, shorter.population_drift(u).vector),
        (slowed.corrector(u, time).vector, shorter.corrector(u).vector),
        (slowed.diffusion(u, time), shorter.diffusion(u)),
    )
    for found, unslowed in pairs:
        np.testing.assert_allclose(found, np.asarray(unslowed) / 2, rtol=1e-12, atol=1e-14)
    plain = sl.effective_dynamics(model, sl.OnlineSGD(step=0.9))
    np.testing.assert_array_equal(slowed.drift(u).vector, plain.drift(u).vector)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_mean_of_a_batch_step_of_least_squares(batch):
    # g = s - f - z for one linear neuron: E of the new Q by Isserlis,
    # Q' = Q - 2 delta (Q - m) + delta^2 ((1 - 1/B) |w - w*|^2 + (d + 2) R/B + d noise/B).
    model = sl.MultiIndexModel(
        data=sl.Teacher(label=lambda f, z: f[0] + 0.5 * z),
        network=sl.Network(lambda v, s: s[0], width=1, layer=0),
        loss=sl.losses.squared,
        rule=sl.TruncatedGauss(3, 4),
    )
    m, q, dim = 0.3, 0.8, 12
    eff = sl.effective_dynamics(model, sl.OnlineSGD(step=1.7, batch=batch))
    mean = eff.one_step_moments(sl.Statistics(jnp.zeros(0), [[m]], [[q]]), dim).mean
    delta, R = 1.7 / dim, q - 2 * m + 1
    square = (1 - 1 / batch) * R + ((dim + 2) * R + dim * 0.25) / batch
    expected = [delta * (1 - m), -2 * delta * (q - m) + delta**2 * square]
    np.testing.assert_allclose(mean, expected, rtol=1e-12)


def test_the_largest_stable_step_of_least_squares_grows_with_the_batch():
    # gamma_c(B) = 2 B for isotropic inputs: the excess risk R has dR/dt = -2 R + (step/B) R.
    model = sl.MultiIndexModel(
        data=sl.Teacher(label=lambda f, z: f[0]),
        network=sl.Network(lambda v, s: s[0], width=1, layer=0),
        loss=sl.losses.squared,
        rule=sl.TruncatedGauss(3, 3),
    )
    u = sl.Statistics(jnp.zeros(0), [[0.0]], [[0.0]])
    for batch in (1, 4):
        for step, falls in ((1.9 * batch, True), (2.1 * batch, False)):
            eff = sl.effective_dynamics(model, sl.OnlineSGD(step=step, batch=batch))
            end = eff.solve(u, [20.0])
            excess = float(end.Q[0, 0, 0] - 2 * end.M[0, 0, 0] + 1)
            assert (excess < 1) == falls


def test_formulas_of_fixed_points_know_the_batch_and_refuse_schedules():
    eff = sl.effective_dynamics(sl.SpikedTensor(snr=1.5), sl.OnlineSGD(step=3.0, batch=3))
    one = sl.effective_dynamics(sl.SpikedTensor(snr=1.5), sl.OnlineSGD(step=1.0))
    for a, b in zip(eff.fixed_points("formula"), one.fixed_points("formula"), strict=True):
        np.testing.assert_allclose(a.statistics.vector, b.statistics.vector)
    slowed = dataclasses.replace(eff.sgd, schedule=sl.schedules.cosine(2.0))
    with pytest.raises(
        ValueError, match=r"schedule=.*fixed_points is for drifts that do not change"
    ):
        sl.effective_dynamics(sl.SpikedTensor(), slowed).fixed_points()


class Decay(sl.rules.AbstractRule):
    """Decoupled weight decay."""

    a: float

    def update(self, parameters, gradient, delta, time):
        return (1 - delta * self.a) * parameters - delta * gradient


@pytest.mark.parametrize("name", _MODELS)
def test_decoupled_decay_is_a_ridge_in_the_limit(name):
    # And the chain at finite dim differs from that of a ridge by nothing: both are
    # (1 - delta a) theta - delta gradient.
    model, u = _MODELS[name], _state(_MODELS[name])
    fields = {"ridge": float(model.ridge) + 0.3}
    if name == "erf":
        more = sl.committee(
            3, 2, "erf", None, 0.2, [[1, 0.3], [0.3, 0.8]], [1.2, 0.7], True, **fields
        )
    else:
        more = dataclasses.replace(model, **fields)
    decay = sl.effective_dynamics(model, sl.OnlineSGD(step=0.9, rule=Decay(a=0.3)))
    ridge = sl.effective_dynamics(more, sl.OnlineSGD(step=0.9))
    np.testing.assert_allclose(decay.drift(u).vector, ridge.drift(u).vector, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(decay.diffusion(u), ridge.diffusion(u), rtol=1e-10, atol=1e-13)
    for one, other in zip(decay.one_step_moments(u, 9), ridge.one_step_moments(u, 9), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    options = {"dim": 40, "time": 0.5, "initial": u, "runs": 2, "record": 3}
    runs = [sl.simulate(e.model, e.sgd, "chain", **options) for e in (decay, ridge)]
    for field in type(u).dims:
        np.testing.assert_allclose(runs[0][field], runs[1][field], rtol=1e-9, atol=1e-12)
