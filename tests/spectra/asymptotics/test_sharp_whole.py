"""The whole first-layer matrix and the second-layer block against sampled matrices."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits import spectra
from tests.helpers import z_limit
from tests.spectra.sharp_cases import softmax, xor

DIM, ALPHA, RUNS = 300, 4.0, 8


def _sampled(system, kind, seed=0):
    """Eigenvalues (runs, 3 dim), and masses in V of the largest vectors (runs, 8)."""
    rng, k = np.random.default_rng(seed), len(system.W)
    values, masses = [], []
    for _ in range(RUNS):
        M = round(ALPHA * DIM)
        classes = rng.choice(len(system.probabilities), M, p=system.probabilities)
        X = rng.standard_normal((M, DIM)) / system.snr**0.5
        X[:, : system.means.shape[1]] += system.means[classes]
        s = X[:, : system.W.shape[1]] @ system.W.T
        weigh = lambda i, j, s=s, c=classes: system.weights(s, system.v, c, kind, i, j)  # noqa: E731
        blocks = [[(X * weigh(i, j)[:, None]).T @ X / M for j in range(k)] for i in range(k)]
        w, vectors = np.linalg.eigh(np.block(blocks))
        top = vectors[:, ::-1][:, :8].T.reshape(8, k, DIM)[..., : system.W.shape[1]]
        values.append(w[::-1])
        masses.append((top**2).sum((1, 2)))
    return np.array(values), np.array(masses)


@pytest.mark.stat
@pytest.mark.filterwarnings("ignore:.*of its scale only")  # thin tails of the gradient matrix
@pytest.mark.parametrize("kind", ["hessian", "gradient"])
def test_outliers_of_the_whole_matrix(kind):
    """Within 1 % and four standard errors of the sampled means; a wrong alpha is not."""
    system = softmax(probabilities=(0.5, 0.3, 0.2))
    found = spectra.whole(system.model, system.statistics, kind=kind, alpha=ALPHA, dim=DIM)
    values, masses = _sampled(system, kind)
    clear = [o for o in found.outliers if o.mass > 0.6]
    assert len(clear) == (4 if kind == "hessian" else 1)
    for index, outlier in enumerate(clear):
        error = values[:, index].std(ddof=1) / RUNS**0.5
        assert abs(values[:, index].mean() - outlier.value) < 0.01 * outlier.value + 4 * error
        error = masses[:, index].std(ddof=1) / RUNS**0.5
        assert abs(masses[:, index].mean() - outlier.mass) < 0.01 + 4 * error
    next_one = values[:, len(found.outliers)].mean()
    assert next_one < 1.05 * found.right
    wrong = spectra.whole(system.model, system.statistics, kind=kind, alpha=ALPHA / 4, dim=DIM)
    assert abs(values[:, 0].mean() / wrong.outliers[0].value - 1 if wrong.outliers else 1) > 0.05


@pytest.mark.stat
def test_both_sides_of_an_indefinite_matrix():
    """Lowest and highest eigenvalues within 1 % of the size and four standard errors."""
    model = sl.MultiIndexModel(
        data=sl.GaussianMixture([[1.0], [-1.0]], [1, 0], snr=4.0),
        network=sl.Network(lambda v, s: v @ jnp.tanh(s), width=2),
        loss=lambda z, y: (z - y[0]) ** 2 / 2,
    )
    u = sl.Statistics(
        np.array([1.6, -1.2]), np.array([[1.3], [-0.9]]), np.array([[2.2, -1.3], [-1.3, 1.4]])
    )
    found = spectra.whole(model, u, alpha=ALPHA, dim=DIM)
    values = []
    for seed in range(RUNS):
        data = spectra.fresh_samples(model, DIM, round(ALPHA * DIM), seed)
        matrix = spectra.empirical(model, sl.lift(model, u, DIM, seed), data, "W")
        values.append(np.linalg.eigvalsh(matrix.dense()))
    values = np.array(values)
    low = [o.value for o in found.outliers if o.value < found.left]
    high = [o.value for o in found.outliers if o.value > found.right]
    assert low
    assert len(low) + len(high) == len(found.outliers)
    size = found.right - found.left
    for index, expected in [*enumerate(reversed(low)), *((-1 - i, x) for i, x in enumerate(high))]:
        error = values[:, index].std(ddof=1) / RUNS**0.5
        assert abs(values[:, index].mean() - expected) < 0.01 * size + 4 * error
    assert abs(values[:, len(low)].mean() - found.left) < 0.05 * size
    assert abs(values[:, -1 - len(high)].mean() - found.right) < 0.05 * size


@pytest.mark.parametrize("system", [softmax(), xor()])
def test_matrices_without_negative_weights_end_at_zero(system):
    found = spectra.whole(system.model, system.statistics, alpha=2.0, dim=DIM, nodes=2**10)
    assert found.left == 0.0
    assert all(outlier.value > found.right for outlier in found.outliers)
    # By the equations, not by the count of ranks.
    assert abs(found._mirrored.right) < 1e-5 * found.right


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("width", "alpha"), [(2, 4.0), (4, 4.0), (3, 0.5)])
def test_neurons_that_are_all_alike(width, alpha, sign):
    # D = ±I: width copies of one block, whose edges are those of a plain covariance matrix.
    data = sl.GaussianMixture([[1.0, 0], [0, 1]], [[1.0] * width, [0.0] * width], snr=[2.0, 7.0])
    model = sl.MultiIndexModel(
        data=data,
        network=sl.Network(lambda v, s: s, width=width, layer=0),
        loss=lambda output, label: sign * 0.5 * jnp.sum((output - label) ** 2),
    )
    M = np.random.default_rng(1).standard_normal((width, 2))
    u = sl.Statistics(np.zeros(0), M, M @ M.T + np.eye(width))
    found = spectra.whole(model, u, alpha=alpha, nodes=2**9)
    bulk = spectra.asymptotic(model, u, alpha=alpha).bulk
    largest, smallest = (found.right, found.left) if sign > 0 else (-found.left, -found.right)
    assert largest == pytest.approx(abs(bulk.right.x if sign > 0 else bulk.left.x), rel=1e-6)
    if alpha > 1:
        assert smallest == pytest.approx(abs(bulk.left.x if sign > 0 else bulk.right.x), rel=1e-6)
    else:
        assert smallest == 0
    assert (found.density(np.array([sign * 0.5])) > 0).all()


def test_density_of_the_whole_matrix():
    system = softmax(probabilities=(0.5, 0.3, 0.2))
    found = spectra.whole(system.model, system.statistics, alpha=ALPHA, dim=DIM)
    values, _ = _sampled(system, "hessian")
    x = np.linspace(0.1, 0.9, 5) * found.right
    width = found.right / 50
    smeared = width / np.pi / ((values[..., None] - x) ** 2 + width**2)
    np.testing.assert_allclose(found.density(x, width), smeared.mean((0, 1)), rtol=0.05)


def test_one_neuron_is_one_block():
    """Width 1: the matrix equation is the scalar one."""
    model = sl.xor_gmm(10.0, 0.1, 1)
    u = sl.Statistics(np.array([1.4]), np.array([[1.1, 0.2]]), np.array([[1.5]]))
    found = spectra.whole(model, u, alpha=8.0, dim=1000, nodes=2**17)
    block = spectra.asymptotic(model, u, alpha=8.0, dim=1000)
    assert found.right == pytest.approx(block.bulk.right.x, rel=2e-3)
    assert len(found.outliers) == len(block.outliers) > 0
    for one, other in zip(found.outliers, block.outliers, strict=True):
        assert one.value == pytest.approx(other.value, rel=2e-3)
        assert one.mass == pytest.approx(other.mass, abs=2e-3)
        direction = block.direction(neurons=0)
        assert one.overlap(direction[None]) == pytest.approx(other.overlap(direction), abs=2e-3)


@pytest.mark.stat
@pytest.mark.parametrize("kind", ["hessian", "gradient"])
def test_second_layer_eigenvalues_and_their_fluctuations(kind):
    """Means of 6000 sampled matrices, false-alarm rate 1e-3; standard deviations within 8 %.

    Without the repulsion the means are rejected.
    """
    system, samples, runs = xor(), 1000, 6000
    found = spectra.second_layer(system.model, system.statistics, kind=kind)
    rng = np.random.default_rng(2)
    values = []
    for _ in range(runs):
        classes = rng.integers(4, size=samples)
        size = system.W.shape[1]
        x = rng.standard_normal((samples, size)) / system.snr**0.5
        x[:, :2] += system.means[classes]
        hidden = np.maximum(x @ system.W.T, 0)
        output = 1 / (1 + np.exp(-hidden @ system.v))
        y = (classes < 2).astype(float)
        D = output * (1 - output) if kind == "hessian" else (output - y) ** 2
        values.append(np.linalg.eigvalsh((hidden * D[:, None]).T @ hidden / samples)[::-1])
    values = np.array(values)
    deviations = found.deviations(samples)
    expected = found.values + found.shifts(samples)
    z = (values.mean(0) - expected) / (deviations / runs**0.5)
    assert np.abs(z).max() < z_limit(len(z))
    bare = (values.mean(0) - found.values) / (deviations / runs**0.5)
    assert np.abs(bare).max() > 2 * z_limit(len(z))
    np.testing.assert_allclose(values.std(0), deviations, rtol=0.08)


@pytest.mark.usefixtures("as_users_run")
def test_bad_input_is_refused():
    system = softmax()
    with pytest.raises(ValueError, match="no second layer"):
        spectra.second_layer(system.model, system.statistics)
    with pytest.raises(ValueError, match="alpha"):
        spectra.whole(system.model, system.statistics, alpha=0.0)
    quiet = dataclasses.replace(system, model=sl.k_gmm(3, snr=np.inf))
    with pytest.raises(ValueError, match="noise in every class"):
        spectra.whole(quiet.model, quiet.statistics, alpha=1.0)
    model = sl.xor_gmm(10.0, 0.1, 1)
    silent = sl.Statistics(np.zeros(1), np.zeros((1, 2)), np.ones((1, 1)))
    with pytest.raises(ValueError, match="all weights are 0"):
        spectra.whole(model, silent, alpha=1.0)
