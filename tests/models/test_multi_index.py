"""Multi-index models: moments and chain against real steps, drifts against worked values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import sgdlimits as sl
from sgdlimits.randomness.streams import run_keys

_GRAM = [[1, 0.2, 0.1], [0.2, 1, -0.3], [0.1, -0.3, 1]]
_SGD = sl.OnlineSGD(step=1.3, second_layer_rate=0.7)
_MODELS = {
    "binary": sl.binary_gmm(snr=2.0, ridge=0.1),
    "xor": sl.xor_gmm(snr=5.0, ridge=0.05, width=3),
    "k": sl.k_gmm(means_gram=_GRAM, probabilities=[0.5, 0.3, 0.2], snr=0.7, ridge=0.05),
}
_STEPS = 200_000
_FALSE_ALARM = 1e-4  # of each test below, over all its z-scores


def _state(model):
    points = model.search_points(np.random.default_rng(1), 1, 1.3)
    return points[0]


def _sgd(model):
    return _SGD if model.network.layer else sl.OnlineSGD(step=1.3)


def _increments(model, u, dim, kind):
    frame, process = model.frame(dim), sl.Process(model, _sgd(model))
    parameters = model.lift(jax.random.key(0), u, frame)
    constants, size = process.chain_constants(dim), jnp.asarray(float(dim))

    def one(key):
        if kind == "chain":
            noise = jax.tree.map(lambda x: x[0], process.chain_noise(key, 1, constants))
            after = process.chain_step(process.chain_state(u), noise, size, 0.0)
            after = process.chain_statistics(after)
        else:
            after = process.statistics(
                process.step(parameters, frame, key, 0.0, literal=kind == "literal"), frame
            )
        return after.vector - u.vector

    return np.asarray(jax.jit(jax.vmap(one))(run_keys(3, "sgd", jnp.arange(_STEPS))))


@pytest.mark.stat
@pytest.mark.parametrize("kind", ["default", "literal", "chain"])
@pytest.mark.parametrize("name", _MODELS)
def test_one_step_has_the_exact_moments(name, kind):
    """At small dim, where the limit would be off; Bonferroni over all means and covariances."""
    model = _MODELS[name]
    u, dim = _state(model), model.minimum_dim + 3
    moments = sl.effective_dynamics(model, _sgd(model)).one_step_moments(u, dim)
    x = _increments(model, u, dim, kind)
    centred = x - x.mean(0)
    z_mean = (x.mean(0) - np.asarray(moments.mean)) / (x.std(0) / _STEPS**0.5)
    products = centred[:, :, None] * centred[:, None, :]
    z_covariance = (products.mean(0) - np.asarray(moments.covariance)) / (
        products.std(0) / _STEPS**0.5
    )
    scores = np.concatenate([z_mean, z_covariance[np.triu_indices(len(z_mean))]])
    assert np.abs(scores).max() < stats.norm.isf(_FALSE_ALARM / 2 / scores.size)


@pytest.mark.parametrize("name", _MODELS)
def test_moments_tend_to_the_limit_like_one_over_dim(name):
    model = _MODELS[name]
    eff, u = sl.effective_dynamics(model, _sgd(model)), _state(model)
    errors = []
    for dim in (10**3, 10**5):
        moments, delta = eff.one_step_moments(u, dim), eff.sgd.delta(dim)
        drift = np.abs(np.asarray(moments.mean / delta) - np.asarray(eff.drift(u).vector)).max()
        rates = eff.sgd.step * np.asarray(moments.covariance) / delta**2
        errors.append((drift, np.abs(rates - np.asarray(eff.diffusion(u))).max()))
    ratio = np.array(errors[0]) / np.array(errors[1])
    np.testing.assert_allclose(ratio, 100, rtol=0.05)


@pytest.mark.parametrize("name", _MODELS)
def test_drift_is_corrector_minus_population_drift(name):
    model = _MODELS[name]
    eff, u = sl.effective_dynamics(model, _sgd(model)), _state(model)
    expected = eff.corrector(u).vector - eff.population_drift(u).vector
    np.testing.assert_allclose(eff.drift(u).vector, expected, atol=1e-13)
    doubled = sl.effective_dynamics(model, sl.OnlineSGD(step=2.6)).corrector(u).vector
    np.testing.assert_allclose(doubled, 2 * eff.corrector(u).vector, atol=1e-13)


def _with_rest(v, M, rest, gram):
    M, rest = np.array(M), np.array(rest)
    return sl.Statistics(np.array(v), M, rest + M @ np.linalg.solve(gram, M.T))


def _rest_drift(u, h, gram):
    inverse = np.linalg.inv(gram)
    M, dM = np.asarray(u.M), np.asarray(h.M)
    return np.asarray(h.Q) - dM @ inverse @ M.T - M @ inverse @ dM.T


def test_drift_of_the_binary_mixture_at_a_worked_example():
    u = _with_rest([1.1, -0.7], [[0.4], [-0.3]], [[0.8, 0.2], [0.2, 0.5]], np.eye(1))
    h = sl.effective_dynamics(sl.binary_gmm(snr=1.0, ridge=0.1)).drift(u)
    np.testing.assert_allclose(h.v, [-0.11495365576271241, 0.01855948998261049], atol=1e-10)
    np.testing.assert_allclose(h.M[:, 0], [0.12836665501621733, -0.09906641897119342], atol=1e-10)
    expected = [[-0.18664052704072615, -0.05520659852623134],
                [-0.05520659852623134, -0.054226617912406815]]  # fmt: skip
    np.testing.assert_allclose(_rest_drift(u, h, np.eye(1)), expected, atol=1e-10)


def test_drift_of_k_classes_at_a_worked_example():
    M = [[0.6, -0.2, 0.1], [-0.3, 0.5, -0.1], [0.2, -0.4, 0.7]]
    rest = [[0.8, 0.3, -0.1], [0.3, 0.6, 0.2], [-0.1, 0.2, 0.5]]
    u = _with_rest(np.zeros(0), M, rest, np.array(_GRAM))
    h = sl.effective_dynamics(_MODELS["k"]).drift(u)
    np.testing.assert_allclose(
        h.M[0], [0.08592443221570514, 0.04587273396581469, 0.0412962226512982], atol=1e-7
    )
    np.testing.assert_allclose(
        _rest_drift(u, h, np.array(_GRAM))[0],
        [-0.014534517467619308, -0.18810613609205667, 0.06493822906699595], atol=1e-7,
    )  # fmt: skip


@pytest.mark.parametrize("name", _MODELS)
def test_lift_has_its_statistics(name):
    model = _MODELS[name]
    u = _state(model)
    for dim in (model.minimum_dim, 50):
        frame = model.frame(dim)
        lifted = model.statistics(sl.lift(model, u, dim, seed=1), frame)
        np.testing.assert_allclose(lifted.vector, u.vector, atol=1e-12)


def test_permuting_neurons_permutes_the_drift():
    model = _MODELS["xor"]
    eff, u, order = sl.effective_dynamics(model), _state(model), np.array([2, 0, 1])
    permuted = sl.Statistics(u.v[order], u.M[order], u.Q[order][:, order])
    h, k = eff.drift(u), eff.drift(permuted)
    # The rule's nodes depend on the order of the neurons: equal up to its error.
    np.testing.assert_allclose(k.Q, h.Q[order][:, order], atol=1e-7)
    np.testing.assert_allclose(k.v, h.v[order], atol=1e-7)


@pytest.mark.stat
def test_chain_and_sgd_agree_in_law_after_many_steps():
    """Two-sample Kolmogorov-Smirnov, ten statistics, false-alarm rate 1e-3 in all."""
    model, dim, runs = _MODELS["binary"], 12, 512
    ends = [
        sl.simulate(model, engine=engine, dim=dim, time=6.0, runs=runs, record=2, seed=seed)
        for engine, seed in (("chain", 1), ("sgd", 2))
    ]
    columns = [
        np.concatenate(
            [e[name].isel(time=-1).values.reshape(runs, -1) for name in ("v", "M", "Q")], axis=1
        )
        for e in ends
    ]
    p_values = [
        stats.ks_2samp(a, b).pvalue for a, b in zip(columns[0].T, columns[1].T, strict=True)
    ]
    assert min(p_values) > 1e-3 / len(p_values)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sl.binary_gmm(snr=-1.0), "snr=-1.0: expected a number above 0"),
        (lambda: sl.xor_gmm(ridge=-0.1), "ridge=-0.1: expected a number that is at least 0"),
        (lambda: sl.xor_gmm(width=0), "width=0: expected an integer"),
        (lambda: sl.k_gmm(), "classes=None, means_gram=None"),
        (lambda: sl.k_gmm(means_gram=np.ones((2, 2))), "linearly independent"),
        (lambda: sl.k_gmm(classes=2, probabilities=[0.5, 0.6]), "sum to 1"),
        (
            lambda: sl.effective_dynamics(_MODELS["binary"]).drift(
                sl.Statistics([1.0, 1.0], [[1.0], [1.0]], np.eye(2) * 0.5)
            ),
            "not the overlaps of real vectors",
        ),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call()
