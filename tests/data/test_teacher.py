"""Labels that are functions of fields: a teacher by hand is the committee, and other identities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl

_GRAM = [[1.0, 0.3], [0.3, 0.8]]
_U = sl.Statistics([0.9, 1.2], [[0.3, -0.2], [0.1, 0.4]], [[0.9, 0.2], [0.2, 0.7]])


def _by_hand(noise=0.2, **options):
    erf = lambda s: jax.scipy.special.erf(s / 2**0.5)  # noqa: E731
    a = jnp.array([1.2, 0.7])

    def label(f, z):
        return jnp.sum(a * erf(f)) / 2 + noise**0.5 * z

    return sl.MultiIndexModel(
        data=sl.Teacher(label=label, gram=_GRAM),
        network=sl.Network(lambda v, s: jnp.sum(v * erf(s)) / 2, width=2),
        loss=sl.losses.squared,
        **options,
    )


def _committee():
    return sl.committee(2, 2, "erf", None, 0.2, _GRAM, [1.2, 0.7], train_second_layer=True)


def test_a_committee_by_hand_is_the_committee():
    # Closed forms of one against Sobol points of the other, which say their error.
    sgd = sl.OnlineSGD(step=0.8, second_layer_rate=0.5)
    hand, formula = (sl.effective_dynamics(m, sgd) for m in (_by_hand(), _committee()))
    difference = np.abs(hand.drift(_U).vector - formula.drift(_U).vector)
    error = np.asarray(hand.drift_error(_U).vector)
    assert (difference < 5 * error + 1e-12).all()
    assert 0 < error.max() < 1e-3
    np.testing.assert_allclose(hand.diffusion(_U), formula.diffusion(_U), atol=2e-3)
    assert float(sl.risk(hand.model, _U)) == pytest.approx(
        float(sl.risk(formula.model, _U)), abs=1e-4
    )


def test_the_chains_of_both_are_the_same_bit_for_bit_up_to_rounding():
    sgd = sl.OnlineSGD(step=0.8, batch=2)
    options = {"dim": 30, "time": 1.0, "runs": 3, "initial": _U, "record": 5}
    for engine in ("chain", "sgd"):
        one, other = (
            sl.simulate(model, sgd, engine, **options) for model in (_by_hand(), _committee())
        )
        np.testing.assert_allclose(one.Q, other.Q, rtol=1e-9)
        np.testing.assert_allclose(one.v, other.v, rtol=1e-9)


def test_labels_of_a_mixture_as_a_function_are_its_table():
    table = sl.k_gmm(3, probabilities=[0.5, 0.3, 0.2], snr=[0.7, 1.0, 2.0], ridge=0.05)
    data = table.data
    function = sl.MultiIndexModel(
        data=sl.GaussianMixture(
            np.array(data.coefficients),
            lambda c, f, z: jnp.eye(3)[c],
            probabilities=[0.5, 0.3, 0.2],
            snr=[0.7, 1.0, 2.0],
        ),
        network=table.network,
        loss=table.loss,
        ridge=0.05,
    )
    sgd = sl.OnlineSGD(step=1.3)
    u = sl.Process(table, sgd).search_points(np.random.default_rng(0), 1)[0]
    one, other = (sl.effective_dynamics(m, sgd) for m in (table, function))
    gap = np.abs(one.drift(u).vector - other.drift(u).vector)
    assert (gap < 5 * np.asarray(other.drift_error(u).vector) + 1e-9).all()
    runs = [
        sl.simulate(m, sgd, "chain", dim=20, time=0.5, initial=u, record=2)
        for m in (table, function)
    ]
    assert runs[0].M.shape == runs[1].M.shape


def test_a_label_may_be_a_vector():
    assert sl.Teacher(label=lambda f, z: f, gram=_GRAM).outputs == 2


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (lambda f: f[0], "label: failed at f of shape"),
        (lambda f, z: jnp.ones((2, 2)), r"label: gives shape \(2, 2\)"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_nonsense_is_refused(label, message):
    with pytest.raises(ValueError, match=message):
        sl.Teacher(label=label)
