"""Population blocks against sampled means, worked values, and the Hessian of the loss itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits import spectra
from sgdlimits.expectations.rules import TruncatedGauss
from sgdlimits.statistics.overlaps import Parameters
from tests.helpers import z_limit
from tests.spectra.cases import MODELS, parameters, softmax, xor
from tests.spectra.sampled_means import blocks, z_scores

_DIM = 7


@pytest.mark.stat
@pytest.mark.filterwarnings("ignore:.*of its scale only")  # the rule that "smooth" chooses
@pytest.mark.parametrize("kind", ["hessian", "gradient"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("snr", [0.7, 6.0])
def test_blocks_are_means_over_samples(name, snr, kind):
    # Every entry of every block; false-alarm rate 1e-3 a case (Bonferroni). Batches have about 400
    # samples, so their means are close to normal; 100 batches: the limit is Student's, 15 % wider.
    model = MODELS[name](snr=snr)
    given = parameters(model, _DIM, seed=2)
    scores = np.concatenate(
        [z_scores(model, given, block, kind, _DIM, 40_000, 5).ravel() for block in blocks(model)]
    )
    assert np.abs(scores).max() < 1.15 * z_limit(scores.size)
    assert 0.7 < np.sqrt((scores**2).mean()) < 1.3


@pytest.mark.stat
def test_a_wrong_snr_is_rejected():
    given = parameters(xor(), _DIM, seed=2)
    scores = z_scores(xor(snr=3.0), given, (0, 0), "hessian", _DIM, 20_000, 5, xor(snr=3.3))
    assert np.abs(scores).max() > 1.15 * z_limit(scores.size)


def test_statistics_alone_determine_the_eigenvalues():
    for make in MODELS.values():
        model = make()
        given, frame = parameters(model, 9), model.frame(9)
        u = model.statistics(given, frame)
        for block in blocks(model):
            for kind in ("hessian", "gradient"):
                small = spectra.population(model, u, block, kind)
                dense = spectra.population(model, given, block, kind).matrix(given, frame)
                if block == ("v", 1):
                    found, exact = small.singular_values(), np.linalg.svd(dense)[1]
                    np.testing.assert_allclose(found[: len(exact)], exact, atol=1e-12)
                else:
                    np.testing.assert_allclose(
                        small.eigenvalues(9), np.linalg.eigvalsh(dense), atol=1e-12
                    )


def test_the_whole_matrix_is_made_of_itsblocks():
    model, dim = xor(), 8
    given, frame = parameters(model, dim), model.frame(dim)
    for kind in ("hessian", "gradient"):
        whole = spectra.population(model, given, "all", kind)
        matrix = whole.matrix(given, frame)
        first = spectra.population(model, given, "W", kind).matrix(given, frame)
        np.testing.assert_allclose(matrix[3:, 3:], first, atol=1e-13)
        for i, j in ((0, 0), (0, 2), (2, 1)):
            block = spectra.population(model, given, (i, j), kind).matrix(given, frame)
            rows, columns = (slice(n * dim, (n + 1) * dim) for n in (i, j))
            np.testing.assert_allclose(first[rows, columns], block, atol=1e-12)
        second = spectra.population(model, given, "vv", kind).matrix(given, frame)
        mixed = spectra.population(model, given, ("v", 1), kind).matrix(given, frame)
        np.testing.assert_allclose(matrix[:3, :3], second, atol=1e-13)
        np.testing.assert_allclose(matrix[:3, 3 + dim : 3 + 2 * dim], mixed, atol=1e-13)
        np.testing.assert_allclose(whole.eigenvalues(dim), np.linalg.eigvalsh(matrix), atol=1e-12)


def test_worked_values_of_softmax():
    W = [
        [0.6, -0.2, 0.1, 0.5, 0.2],
        [-0.3, 0.5, -0.1, 0.1, 0.6, -0.2],
        [0.2, -0.4, 0.7, -0.3, 0.1, 0.4],
    ]
    W = np.array([row + [0.0] * (8 - len(row)) for row in W])
    expected = [
        0.15613511532599583, 0.18076262874649243, 0.188118678653592, 0.188118678653592,
        0.18811867865359205, 0.207418543384164, 0.2228524211066138, 0.2990959955044369,
    ]  # fmt: skip
    found = spectra.population(softmax(snr=1.0), Parameters(np.zeros(0), W), (0, 0))
    np.testing.assert_allclose(found.eigenvalues(8), expected, atol=1e-9)


def test_worked_values_of_xor():
    W = np.zeros((3, 8))
    W[:, :5] = [[0.7, 0.2, 0.5, 0.1, 0], [-0.3, 0.8, 0.1, 0.6, 0.2], [0.2, -0.5, -0.2, 0.3, 0.5]]
    expected = [
        0.053555736336527784, 0.05529559268056232, 0.05582583855450938, 0.05590230706139651,
        0.05590230706139651, 0.05590230706139651, 0.10773966710115883, 0.14137119065528606,
    ]  # fmt: skip
    found = spectra.population(xor(snr=3.0), Parameters(np.array([1.3, -1.1, 0.8]), W), (0, 0))
    np.testing.assert_allclose(found.eigenvalues(8), expected, atol=1e-9)


def _population_loss(model, order):
    """E[loss] as a function of real parameters, on nodes that never cross a kink."""
    rule = TruncatedGauss(model.network.width, order)

    def loss(v, W, frame):
        factor = jnp.linalg.cholesky(W @ W.T)
        total = 0.0
        for c, p in enumerate(model.data.probabilities):
            mean = W @ frame.T @ jnp.asarray(model.data.coefficients[c])
            sigma = model.data.deviations[c]
            nodes = rule.nodes(mean, sigma * factor, model.network.kinks)
            s = mean + (sigma * factor @ nodes.z[0]).T
            label = jnp.asarray(model.data.labels[c])
            total += (
                p * nodes.weight[0] @ jax.vmap(lambda s, y=label: model.sample_loss(v, s, y))(s)
            )
        return total

    return loss


@pytest.mark.parametrize(("model", "order"), [(softmax(), 6), (xor(width=2), 12)])
def test_with_the_surface_term_it_is_the_hessian_of_the_population_loss(model, order):
    # The nodes move smoothly with the parameters, so autodiff gives the derivative of the integral
    # and not only of its integrand. Its accuracy is that of the quadrature of a kinked integrand.
    dim, p = 5, model.network.width
    given, frame = parameters(model, dim, seed=4), model.frame(dim)
    loss = jax.jit(_population_loss(model, order))
    hessian = jax.jit(jax.hessian(lambda W: loss(given.v, W, frame)))(given.W)
    steps = 1e-4 * np.random.default_rng(0).standard_normal((2, p, dim))
    for j in range(p):
        block = spectra.population(model, given, (0, j), surface_term=True)
        np.testing.assert_allclose(block.matrix(given, frame), hessian[0, :, j], atol=1e-5)
    # Finite differences of the loss itself, along two directions at once.
    a, b = steps
    values = [float(loss(given.v, given.W + x, frame)) for x in (a + b, a - b, b - a, -a - b)]
    mixed = (values[0] - values[1] - values[2] + values[3]) / 4
    whole = spectra.population(model, given, "W", surface_term=True).matrix(given, frame)
    scale = np.abs(a.ravel() @ whole @ b.ravel()) + 1e-9
    assert abs(mixed - a.ravel() @ whole @ b.ravel()) < 2e-4 * scale + 1e-13


def test_without_it_relu_differs_by_what_grows_with_the_snr():
    given = Parameters(jnp.asarray([1.0, -0.8]), jnp.asarray([[0.0, 0.0, 1.0], [0.3, 0.9, 0.1]]))
    sizes = []
    for snr in (10.0, 1000.0):
        model = xor(snr=snr, width=2)
        both = [spectra.population(model, given, (0, 0), surface_term=s) for s in (True, False)]
        sizes.append(np.abs(both[0].inner - both[1].inner).max())
    assert sizes[1] / sizes[0] == pytest.approx(10, rel=0.1)  # sqrt(snr) where an overlap is zero
    smooth = MODELS["smooth"]()
    given = parameters(smooth, 6)
    with_term = spectra.population(smooth, given, (0, 0), surface_term=True)
    np.testing.assert_array_equal(
        with_term.inner, spectra.population(smooth, given, (0, 0)).inner
    )  # fmt: skip


def test_aligned_neurons_are_no_obstacle():
    model = xor(width=3)
    W = jnp.asarray([[1.0, 0.2, 0.3, 0, 0, 0], [2.0, 0.4, 0.6, 0, 0, 0], [0, 1.0, 0, 0, 0, 0.0]])
    v = jnp.asarray([1.0, 0.5, -1.0])
    near = W + 1e-7 * jnp.asarray(np.random.default_rng(0).standard_normal(W.shape))
    for block in ((0, 1), (2, 2), "vv", ("v", 0)):
        exact, moved = (
            spectra.population(model, Parameters(v, w), block).matrix(
                Parameters(v, w), model.frame(6)
            )
            for w in (W, near)
        )
        np.testing.assert_allclose(exact, moved, atol=1e-5)


@pytest.mark.parametrize("kind", ["hessian", "gradient"])
def test_leading_forms_at_large_snr(kind):
    u = sl.Statistics([1.2, -0.9], [[1.0, 0.4], [-0.5, 0.9]], [[1.46, -0.14], [-0.14, 1.36]])
    for block in ((0, 0), (0, 1), "vv", ("v", 0)):
        errors = []
        for snr in (50.0, 800.0):
            model = xor(snr=snr, width=2)
            exact, form = (f(model, u, block, kind) for f in (spectra.population, spectra.leading))
            errors.append(np.abs(exact.inner - form.inner).max())
        assert errors[1] < errors[0] / 10  # O(1/snr) with all overlaps of order one
        limit = spectra.leading(sl.xor_gmm(snr=np.inf, width=2), u, block, kind)
        np.testing.assert_allclose(limit.inner, form.inner, atol=1e-12)


def test_leading_form_of_a_neuron_without_overlap_is_half_on():
    u = sl.Statistics([1.0, 0.5], np.zeros((2, 2)), np.eye(2))
    for snr in (100.0, np.inf):
        inner = spectra.leading(xor(snr=snr, width=2), u, (0, 0)).inner
        # v^2/4 sum over classes of sigma'(0) F(0): (1/4)(2)(1/4)(1/2) on either mean.
        np.testing.assert_allclose(np.diag(inner)[:2], [1 / 16, 1 / 16], atol=1e-12)


def test_leading_form_at_infinite_snr_is_the_limit():
    M = np.array([[1.0, 0], [1.0, 0]])  # both neurons blind to the second pair of classes
    rest = np.array([[0.5, 0.45], [0.45, 0.5]])
    u = sl.Statistics(np.array([1.0, 0.5]), M, M @ M.T + rest)
    at = [spectra.leading(sl.xor_gmm(snr=snr, width=2), u, (0, 1)) for snr in (np.inf, 1e12)]
    np.testing.assert_allclose(at[0].eigenvalues(9), at[1].eigenvalues(9), atol=1e-5)


def test_the_surface_term_of_a_network_with_two_kinks():
    network = sl.Network(
        lambda v, s: jnp.sum(v * jnp.clip(s, -1, 1)), width=2, layer=2, kinks=(-1.0, 1.0)
    )
    loss = lambda output, y: jnp.logaddexp(0.0, output) - y[0] * output  # noqa: E731
    data = sl.GaussianMixture([[1.0], [-1.0]], [1.0, 0.0], snr=2.0)
    model = sl.MultiIndexModel(data=data, network=network, loss=loss)
    M = np.array([[0.8], [-0.5]])
    u = sl.Statistics(np.array([1.0, -0.7]), M, M @ M.T + np.array([[0.6, 0.2], [0.2, 0.9]]))
    parameters = sl.lift(model, u, 8, seed=0)
    block = spectra.population(model, parameters, (0, 0), surface_term=True)
    frame, count = model.frame(8), 400_000

    def gradient(W):  # of the loss on common samples, whose kinks move with W
        s = x @ W.T
        return jax.grad(lambda s: jax.vmap(model.sample_loss, (None, 0, 0))(v, s, y).sum())(s)

    key_class, key_noise = jax.random.split(jax.random.key(1))
    index = jax.random.bernoulli(key_class, 0.5, (count,)).astype(int)
    x = jnp.array([[1.0], [-1.0]])[index] @ frame
    x = x + jax.random.normal(key_noise, x.shape) / np.sqrt(2.0)
    y, (v, W) = jnp.array([[1.0], [0.0]])[index], parameters
    direction = np.asarray(W[0] / jnp.linalg.norm(W[0]))
    step = 0.02 * jnp.zeros_like(W).at[0].set(direction)
    change = (gradient(W + step)[:, 0] - gradient(W - step)[:, 0]) * (x @ direction) / 0.04
    error = float(change.std() / count**0.5)
    expected = direction @ block.matrix(parameters, frame) @ direction
    assert abs(float(change.mean()) - expected) < z_limit(1) * error
    without = spectra.population(model, parameters, (0, 0)).matrix(parameters, frame)
    without = direction @ without @ direction
    assert abs(float(change.mean()) - without) > z_limit(1) * error


def test_values_at_the_optimum_of_xor():
    a = 0.05
    model = sl.xor_gmm(snr=np.inf, ridge=a, width=4)
    C = np.log((1 - 4 * a) / (4 * a))
    r = np.sqrt(C)
    M = r * np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    u = sl.Statistics(r * np.array([1, 1, -1, -1]), M, M @ M.T)
    expected = {"hessian": a * (1 - 4 * a) * C, "gradient": 4 * a**2 * C}
    for kind, value in expected.items():
        second = spectra.leading(model, u, "vv", kind).inner
        np.testing.assert_allclose(second, value * np.eye(4), atol=1e-12)
    # Neuron 1 sees mu, and is half on at +-nu, where s_1 is on its kink: limits of finite snr.
    for kind, value in expected.items():
        first = spectra.leading(model, u, (0, 0), kind).inner
        np.testing.assert_allclose(np.diag(first)[:2], [value, value], atol=1e-12)


def test_bad_input_is_refused_by_name(as_users_run):
    model = xor()
    u = model.statistics(parameters(model, 6), model.frame(6))
    with pytest.raises(ValueError, match="a class without noise"):
        spectra.population(xor(snr=np.inf), u, (0, 0))
    with pytest.raises(ValueError, match="only the Hessian has one"):
        spectra.population(model, u, (0, 0), "gradient", surface_term=True)
    with pytest.raises(ValueError, match=r"expected \(i, j\), 'vv' or"):
        spectra.leading(model, u, "all")
    with pytest.raises(ValueError, match="not the overlaps of real vectors"):
        spectra.population(model, sl.Statistics(u.v, u.M, 0 * u.Q), (0, 0))
    with pytest.raises(ValueError, match="expected one state"):
        spectra.population(model, jax.tree.map(lambda x: x[None], u), (0, 0))
    with pytest.raises(ValueError, match="dim=3: expected an integer that is at least 5"):
        spectra.population(model, u, (0, 0)).eigenvalues(3)
    with pytest.raises(ValueError, match="not square"):
        spectra.population(model, u, ("v", 0)).eigenvalues(9)
