"""Gaussian laws of hidden manifolds: their covariances against draws, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl


def _features(dim, latent, seed=0):
    A = np.random.default_rng(seed).standard_normal((dim, latent))
    return A / np.linalg.norm(A, axis=1, keepdims=True)


def _label(f, z):
    return f[0] + 0.1 * z


def test_covariances_are_those_of_draws():
    # 30 000 draws: variances of blocks to 1 %.
    A = 1.5 * _features(60, 40)
    teacher = np.random.default_rng(1).standard_normal((1, 40)) / 40**0.5
    law = sl.hidden_manifold(A, "erf", _label, teacher=teacher, blocks=6)
    X, y = jax.vmap(law.real_sample)(jax.random.split(jax.random.key(0), 30_000))
    X, y = np.asarray(X), np.asarray(y)[:, 0]
    values = np.asarray(law.covariance.eigenvalues[0])
    sizes = law.covariance.sizes(60)
    blocks = np.split(np.arange(60), np.cumsum(sizes)[:-1])
    seen = np.array([(X[:, b] ** 2).mean() for b in blocks])
    np.testing.assert_allclose(seen, values, rtol=0.02)
    # E[X y] = lambda F, coordinate by coordinate, for the label sees f alone.
    cross = X.T @ y / len(y)
    frame = law.manifold.frame[0] * np.repeat(values, sizes)
    np.testing.assert_allclose(cross, frame, atol=5 * X.std(0).max() * y.std() / 30_000**0.5)
    assert np.abs(frame).max() > 0.1
    # Fields keep their variance, seen and hidden.
    total = np.tensordot(values, np.asarray(law.blocks.gram), axes=1) + np.array(law.hidden)
    np.testing.assert_allclose(total, teacher @ teacher.T, rtol=1e-10)
    assert 0 < law.manifold.missing[0] < 1


def test_a_linear_map_onto_all_coordinates_hides_nothing():
    A = np.linalg.qr(np.random.default_rng(2).standard_normal((12, 12)))[0]
    law = sl.hidden_manifold(A, lambda a: a, _label, blocks=3)
    np.testing.assert_allclose(law.covariance.eigenvalues, 1, rtol=1e-8)
    np.testing.assert_allclose(law.hidden, 0, atol=1e-8)


def test_committees_see_the_hidden_part_by_formula():
    # Against quadrature at the same law: closed forms at the whole fields of the teacher.
    spectrum = sl.Spectrum([1.5, 0.4])
    same = {"covariance": spectrum, "hidden": [[0.5]]}
    formula = sl.committee(2, 1, "erf", noise=0.2, second_layer=[2.0, 2.0], **same)
    root = np.sqrt(0.2)
    label = lambda f, z: jax.scipy.special.erf(f[0] / 2**0.5) + root * z  # noqa: E731
    erf = lambda s: jnp.sum(jax.scipy.special.erf(s / 2**0.5))  # noqa: E731
    by_hand = sl.MultiIndexModel(
        data=sl.Teacher(label, **same), network=sl.Network(lambda v, s: erf(s), width=2, layer=0),
        loss=lambda o, y: (y[0] - o) ** 2 / 2, rule=sl.QuasiMonteCarlo(5, 12),
    )  # fmt: skip
    u = sl.initial(formula, 20, 1, 0)[0]
    one, other = (sl.effective_dynamics(m).drift(u).vector for m in (formula, by_hand))
    np.testing.assert_allclose(one, other, atol=3e-3)
    bare = sl.committee(2, 1, "erf", noise=0.2, second_layer=[2.0, 2.0], covariance=spectrum)
    assert np.abs(sl.effective_dynamics(bare).drift(u).vector - other).max() > 2e-2


def test_bad_input():
    A = _features(4, 3)
    with pytest.raises(ValueError, match=r"features has shape \(4,\)"):
        sl.hidden_manifold(A[:, 0], "erf", _label)
    with pytest.raises(ValueError, match=r"teacher has shape \(1, 2\): expected \(directions, 3\)"):
        sl.hidden_manifold(A, "erf", _label, teacher=[[1.0, 0.0]])
    with pytest.raises(ValueError, match=r"nonlinearity='relu': inputs have means"):
        sl.hidden_manifold(A, "relu", _label)
    with pytest.raises(ValueError, match="blocks=5"):
        sl.hidden_manifold(A, "erf", _label, blocks=5)
    with pytest.raises(ValueError, match="hidden: needs a covariance"):
        sl.committee(1, 1, hidden=[[0.1]])
