"""Laws from samples, and hidden parts of teachers."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.data.estimated import ledoit_wolf


def _classes(count, rng, turned=False):
    d = 6
    basis, _ = np.linalg.qr(rng.standard_normal((d, d)))
    other = np.linalg.qr(rng.standard_normal((d, d)))[0] if turned else basis
    means = np.array([[2.0, 0, 0, 0, 0, 0.5], [-1.0, 1.0, 0, 0, 0, 0]])
    scales = np.array([[3.0, 2, 1, 1, 0.5, 0.5], [1.0, 1, 1, 0.2, 0.2, 0.1]]) ** 0.5
    y = (rng.uniform(size=count) < 0.3).astype(int)
    z = rng.standard_normal((count, d)) * scales[y]
    noise = np.where(y[:, None] == 0, z @ basis.T, z @ other.T)
    return means[y] + noise, y, means, scales**2


def test_classes_with_covariances_of_their_own():
    X, y, means, variances = _classes(40_000, np.random.default_rng(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        law = sl.estimate(X, y, blocks=6)
    np.testing.assert_allclose(law.probabilities, [0.7, 0.3], atol=0.01)
    found = np.asarray(law.coefficients) @ np.asarray(law.gram) @ np.asarray(law.coefficients).T
    np.testing.assert_allclose(found, means @ means.T, atol=0.15)
    # Common directions: the pooled variances decide the order.
    np.testing.assert_allclose(
        np.sort(law.covariance.eigenvalues, axis=1), np.sort(variances, axis=1), rtol=0.1, atol=0.03
    )
    assert law.report.apart < 0.003
    assert abs(law.report.kurtosis) < 1
    assert law.report.samples == 40_000
    # Samples in the law's coordinates are block by block uncorrelated.
    turned = law.report.coordinates(X)
    np.testing.assert_allclose(turned[y == 0].mean(0) @ turned[y == 0].mean(0), means[0] @ means[0],
                               rtol=0.1)  # fmt: skip


def test_what_a_law_cannot_hold_is_said():
    rng = np.random.default_rng(1)
    X, y, *_ = _classes(2000, rng, turned=True)
    with pytest.warns(sl.SamplesWarning, match="do not commute"):
        assert sl.estimate(X, y).report.apart > 0.03
    with pytest.warns(sl.SamplesWarning, match="samples of 6 features"):
        sl.estimate(X[:60], y[:60])
    heavy = rng.standard_t(5, size=(3000, 3))
    with pytest.warns(sl.SamplesWarning, match="not Gaussian"):
        sl.estimate(heavy, heavy[:, 0] + rng.standard_normal(3000))
    with pytest.raises(ValueError, match=r"X has shape \(5,\)"):
        sl.estimate(np.ones(5), np.ones(5))
    with pytest.raises(ValueError, match="task='x'"):
        sl.estimate(X, y, task="x")


def test_regression_is_a_teacher_and_what_it_leaves():
    rng = np.random.default_rng(2)
    scales, w = np.array([3.0, 1.0, 1.0, 0.3]), np.array([0.5, -1.0, 0.0, 2.0])
    X = 1 + rng.standard_normal((20_000, 4)) * scales
    # A part that no linear teacher sees: a square.
    y = 4 + (X - 1) @ w + 0.5 * ((X[:, 1] - 1) ** 2 - 1)
    law = sl.estimate(X, y, blocks=4)
    np.testing.assert_allclose(law.hidden, [[0.5]], rtol=0.1)
    np.testing.assert_allclose(law.covariance.eigenvalues[0], [9, 1, 1, 0.09], rtol=0.05)
    assert np.asarray(law.gram)[0, 0] == pytest.approx(w @ w, rel=0.02)
    assert law.report.residual == pytest.approx(0.5 / (y.var()), rel=0.1)
    # The least risk of a linear student is half of the hidden variance.
    student = sl.Network(lambda v, s: s[0], width=1, layer=0)
    loss = lambda o, y: (y[0] - 4.0 - o) ** 2 / 2  # noqa: E731
    model = sl.MultiIndexModel(data=law, network=student, loss=loss)
    G = law.blocks.gram
    at_teacher = sl.BlockStatistics(jnp.zeros(0), G, G)
    assert float(sl.risk(model, at_teacher)) == pytest.approx(0.25, rel=0.1)


def test_a_hidden_part_of_the_teacher():
    # Of a linear label it is noise, the same as Gaussian label noise of its variance.
    def model(hidden, noise):
        label = lambda f, z: f[0] + noise**0.5 * z  # noqa: E731
        return sl.MultiIndexModel(
            data=sl.Teacher(label, hidden=hidden),
            network=sl.Network(lambda v, s: s[0], width=1, layer=0),
            loss=sl.losses.squared,
        )

    u = sl.Statistics(jnp.zeros(0), [[0.3]], [[0.8]])
    drift = [
        sl.effective_dynamics(m).drift(u).vector for m in (model(0.5, 0.25), model(None, 0.75))
    ]
    np.testing.assert_allclose(*drift, atol=2e-3)
    bare = sl.effective_dynamics(model(None, 0.25)).drift(u).vector
    assert np.abs(drift[0] - bare).max() > 0.3
    law = sl.Teacher(lambda f, z: f, gram=np.eye(2), hidden=[[1.0, 1.0], [1.0, 1.0]])
    frame = law.frame(3)
    keys = jax.random.split(jax.random.key(0), 4000)
    x, y = jax.vmap(lambda key: law.sample(key, frame, np.float64))(keys)
    rest = np.asarray(y - x @ frame.T)
    np.testing.assert_allclose(rest[:, 0], rest[:, 1], atol=1e-9)
    assert rest[:, 0].var() == pytest.approx(1, rel=0.12)
    with pytest.raises(ValueError, match=r"hidden has shape \(1, 1\): expected .* \(2, 2\)"):
        sl.Teacher(lambda f, z: f, gram=np.eye(2), hidden=1.0)
    with pytest.raises(ValueError, match="hidden: eigenvalue -1"):
        sl.Teacher(lambda f, z: f, hidden=-1.0)


def _error(law, scales):
    """Of the eigenvalues, root mean square over dimensions."""
    found = np.repeat(np.asarray(law.covariance.eigenvalues[0]), law.covariance.sizes(len(scales)))
    return float(np.sqrt(np.mean((found - np.sort(scales**2)[::-1]) ** 2)))


def test_few_samples_are_shrunk():
    # 30 samples of 40 features: the spectrum of so few is far too wide.
    rng, scales = np.random.default_rng(3), np.linspace(0.8, 1.2, 40)
    X = rng.standard_normal((30, 40)) * scales
    y = X[:, 0] + rng.standard_normal(30)
    with pytest.warns(sl.SamplesWarning, match="30 samples of 40 features"):
        shrunk, bare = (sl.estimate(X, y, blocks=40, shrinkage=s) for s in ("auto", 0.0))
    assert 0.5 < shrunk.report.shrinkage[0] <= 1
    assert bare.report.shrinkage == (0.0,)
    assert _error(shrunk, scales) < 0.3 * _error(bare, scales)
    # Least squares through fewer samples than features leaves nothing, and knows nothing.
    assert float(shrunk.hidden[0][0]) > 0.3
    many = rng.standard_normal((4000, 40)) * scales
    assert sl.estimate(many, many[:, 0], blocks=8).report.shrinkage == (0.0,)


def test_shrinkage_is_that_of_ledoit_and_wolf():
    covariance = pytest.importorskip("sklearn.covariance")
    x = np.random.default_rng(4).standard_normal((25, 7)) * np.arange(1, 8)
    known = covariance.ledoit_wolf_shrinkage(x, assume_centered=True)
    assert ledoit_wolf(x) == pytest.approx(known, rel=1e-12)


def test_shrinkage_by_hand_and_bad_ones():
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((200, 4)) * [3.0, 1.0, 1.0, 0.5], np.repeat([0, 1], 100)
    X[y == 1, 0] += 2
    half, bare = (sl.estimate(X, y, blocks=4, shrinkage=s).covariance for s in (0.5, 0.0))
    mean = np.asarray(bare.eigenvalues).mean(1, keepdims=True)
    np.testing.assert_allclose(half.eigenvalues, (bare.eigenvalues + mean) / 2, rtol=1e-12)
    with pytest.raises(ValueError, match=r"shrinkage=1.5: expected a number from 0 to 1"):
        sl.estimate(X, y, shrinkage=1.5)
    with pytest.raises(ValueError, match="shrinkage='much'"):
        sl.estimate(X, y, shrinkage="much")
