"""Spectra: what they hold, what they refuse; frames in blocks; samples with the covariance."""

import jax
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.data.blocks import blocks_of


def test_a_power_law_and_its_scale():
    law = sl.Spectrum.power_law(1.5, 4)
    np.testing.assert_allclose(law.eigenvalues[0], np.arange(1.0, 5) ** -1.5)
    growing = sl.Spectrum.power_law(-1.1, 8)
    np.testing.assert_allclose(growing.eigenvalues[0], (np.arange(1.0, 9) / 8) ** 1.1)
    np.testing.assert_allclose(sl.Spectrum.power_law(2.0, 50, mean=3.0).mean, [3.0])
    assert sum(law.fractions) == 1


def test_of_samples():
    rng = np.random.default_rng(0)
    x = 3 + rng.standard_normal((4000, 4)) * np.sqrt([4.0, 1.0, 1.0, 0.25])
    every = sl.Spectrum.of(x)
    np.testing.assert_allclose(every.eigenvalues[0], [4, 1, 1, 0.25], rtol=0.1)
    grouped = sl.Spectrum.of(x, blocks=2)
    np.testing.assert_allclose(grouped.eigenvalues[0, 0], np.mean(every.eigenvalues[0, :2]))
    np.testing.assert_allclose(grouped.mean, np.trace(np.cov(x.T)) / 4)
    with pytest.warns(UserWarning, match="39 of 4 features"):
        sl.Spectrum.of(x[:39])


def test_sizes_are_whole_and_add_up():
    law = sl.Spectrum([3.0, 2.0, 1.0], fractions=[0.25, 0.35, 0.4])
    assert law.sizes(100).tolist() == [25, 35, 40]
    assert law.sizes(7).tolist() == [2, 2, 3]
    for dim in range(5, 60):
        assert law.sizes(dim).sum() == dim
        assert (np.abs(law.sizes(dim) - dim * np.array(law.fractions)) < 1).all()


def test_it_is_shown_as_it_is_written_where_it_fits():
    assert repr(sl.Spectrum([2, 1])) == "Spectrum([2.0, 1.0], fractions=[0.5, 0.5])"
    assert "100 eigenvalues: 0.01 to 1" in repr(sl.Spectrum.power_law(1, 100))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sl.Spectrum([]), r"eigenvalues has shape \(0,\)"),
        (lambda: sl.Spectrum([1.0, -0.1]), "smallest -0.1"),
        (lambda: sl.Spectrum([np.inf]), "largest inf"),
        (lambda: sl.Spectrum([[0.0, 0.0], [1.0, 1.0]]), "all are 0 in a class"),
        (lambda: sl.Spectrum("abc"), "eigenvalues='abc': expected an array of numbers"),
        (lambda: sl.Spectrum([1.0, 2.0], fractions=[1.0]), r"fractions has shape \(1,\)"),
        (lambda: sl.Spectrum([1.0, 2.0], fractions=[0.5, 0.6]), "sum 1.1"),
        (lambda: sl.Spectrum([1.0, 2.0], fractions=[0.0, 1.0]), "fractions: smallest 0"),
        (lambda: sl.Spectrum.power_law(1.0, 0), "blocks=0"),
        (lambda: sl.Spectrum.power_law(1.0, 3, largest=0.0), "largest=0.0"),
        (lambda: sl.Spectrum.of(np.ones(3)), r"samples has shape \(3,\)"),
        (lambda: blocks_of(1.0, None, None, 1), "covariance=1.0: expected a Spectrum"),
        (
            lambda: sl.Teacher(lambda f, z: f[0], covariance=sl.Spectrum([[1.0], [2.0]])),
            "2 sets of eigenvalues for 1 class",
        ),
        (
            lambda: sl.Teacher(lambda f, z: f[0], gram=np.ones((2, 1, 1))),
            "needs a covariance",
        ),
        (
            lambda: sl.Teacher(
                lambda f, z: f[0], gram=np.ones((2, 1, 1)), covariance=sl.Spectrum([1, 1, 1.0])
            ),
            r"expected \(3, r, r\)",
        ),
        (
            lambda: sl.Teacher(
                lambda f, z: f[0], gram=[[[2.0]], [[-1.0]]], covariance=sl.Spectrum([1, 1.0])
            ),
            "eigenvalue -1 in a block",
        ),
        (
            lambda: sl.GaussianMixture([[1.0]], [1.0], snr=np.inf, covariance=sl.Spectrum([1.0])),
            "snr=inf: without noise there is no covariance",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_frames_and_samples_in_blocks():
    # The second block has one dimension, and a direction of its own part of the frame.
    law = sl.Spectrum([4.0, 0.0, 1.0], fractions=[0.5, 0.1, 0.4])
    gram = [[[0.6, 0.2], [0.2, 0.5]], [[0.1, 0.1], [0.1, 0.1]], [[0.0, 0.0], [0.0, 0.2]]]
    data = sl.GaussianMixture([[1.0, 0.0]], [1.0], gram=gram, snr=2.0, covariance=law)
    frame = data.frame(10)
    parts = data.in_blocks().along(frame)
    np.testing.assert_allclose(parts @ np.swapaxes(parts, 1, 2), gram, atol=1e-12)
    draw = jax.vmap(lambda key: data.sample(key, frame, np.float64)[0])
    x = np.asarray(draw(jax.random.split(jax.random.key(0), 20_000)))
    np.testing.assert_allclose(x.mean(0), frame[0], atol=5 * np.sqrt(2 / 20_000))
    expected = np.repeat([2.0, 0.0, 0.5], [5, 1, 4])
    np.testing.assert_allclose(x.var(0), expected, rtol=5 * np.sqrt(2 / 20_000), atol=1e-20)
    assert data.in_blocks().minimum_dim == 10  # one dimension in the block of a tenth
