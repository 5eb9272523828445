"""Population blocks where labels depend on the fields: sampled means, and Hessians of the risk."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits import spectra
from sgdlimits.expectations.rules import QuasiMonteCarlo, TruncatedGauss
from sgdlimits.statistics.overlaps import Parameters
from tests.helpers import z_limit
from tests.spectra.cases import (
    TEACHERS,
    clear_signs,
    erf,
    labelled_mixture,
    parameters,
    relu,
    signs,
    squares,
)
from tests.spectra.sampled_means import blocks, z_scores

# Few nodes, chosen so that tests are quick.
pytestmark = pytest.mark.filterwarnings("ignore:.*of its scale only")

_DIM = 6


def _small(model, dim, seed=2):
    """Overlaps below one: squares of squares have tails."""
    v, W = parameters(model, dim, seed)
    return Parameters(v, 0.4 * W)


# Batches of 2000 samples, so that the means of squares are close to normal too.
def _scores(model, kind, of_model=None, count=200_000):
    given = _small(model, _DIM)
    options = {"of_model": of_model, "batch": 2000}
    each = [
        z_scores(model, given, block, kind, _DIM, count, 5, **options).ravel()
        for block in blocks(model)
    ]
    return np.concatenate(each)


@pytest.mark.stat
@pytest.mark.parametrize("kind", ["hessian", "gradient"])
@pytest.mark.parametrize("name", TEACHERS)
def test_blocks_are_means_over_samples(name, kind):
    """Every entry of every block; false-alarm rate 1e-3 a case (Bonferroni).

    100 batches: the limit is Student's, 15 % wider.
    """
    scores = _scores(TEACHERS[name](), kind)
    assert np.abs(scores).max() < 1.15 * z_limit(scores.size)
    assert 0.7 < np.sqrt((scores**2).mean()) < 1.3


@pytest.mark.stat
@pytest.mark.parametrize(
    ("model", "other"),
    [
        (erf(noise=0.3), erf(noise=0.33)),
        (squares(noise=0.3), squares(noise=0.5)),
        (signs(), clear_signs()),
        (labelled_mixture(2.0), labelled_mixture(2.1)),
    ],
)
def test_another_law_is_rejected(model, other):
    """Negative control: of label noise by the gradient matrix; of the snr."""
    scores = _scores(model, "gradient", other)
    assert np.abs(scores).max() > 1.15 * z_limit(scores.size)


def _hessian_of_the_risk(model, given, frame):
    """By autodiff of the closed form, in v and then W by rows."""
    layer, shape = model.layer_size, given.W.shape

    def risk(flat):
        state = Parameters(flat[:layer], flat[layer:].reshape(shape))
        return model.risk(model.statistics(state, frame))

    return jax.jit(jax.hessian(risk))(jnp.concatenate([given.v, given.W.ravel()]))


@pytest.mark.parametrize(
    ("model", "tolerance"), [(erf(), 1e-5), (erf(trained=False), 1e-5),
                             (squares(), 1e-11), (relu(), 3e-4)]
)  # fmt: skip
def test_it_is_the_hessian_of_the_closed_form_of_the_risk(model, tolerance):
    """With the surface term, which only ReLU has. Up to the error of nodes: the risk has none."""
    dim = 5
    given, frame = _small(model, dim, seed=3), model.frame(dim)
    expected = _hessian_of_the_risk(model, given, frame)
    found = spectra.population(model, given, "all", surface_term=True).matrix(given, frame)
    np.testing.assert_allclose(found, expected, atol=tolerance)
    without = spectra.population(model, given, "all").matrix(given, frame)
    assert (np.abs(without - found).max() > 0.01) == bool(model.kinks)


def test_statistics_alone_determine_the_eigenvalues():
    for make in (erf, signs, labelled_mixture):
        model, dim = make(), 9
        given, frame = parameters(model, dim), model.frame(dim)
        u = model.statistics(given, frame)
        for kind in ("hessian", "gradient"):
            dense = spectra.population(model, given, "all", kind).matrix(given, frame)
            values = spectra.population(model, u, "all", kind).eigenvalues(dim)
            np.testing.assert_allclose(values, np.linalg.eigvalsh(dense), atol=1e-12)


def test_a_teacher_that_ignores_the_frame_is_a_mixture_of_one_class():
    """The joint nodes against the nodes of s alone."""
    network = sl.Network(lambda v, s: jnp.sum(v * jnp.tanh(s)), width=2)
    loss = lambda output, y: (output - y[0]) ** 2 / 2  # noqa: E731
    laws = sl.Teacher(lambda f, z: 0.7 + 0.0 * z), sl.GaussianMixture([[0.0]], [0.7])
    rules = QuasiMonteCarlo(4, 16, replicates=4), TruncatedGauss(2, 32)
    teacher, mixture = (
        sl.MultiIndexModel(data=law, network=network, loss=loss, rule=rule)
        for law, rule in zip(laws, rules, strict=True)
    )
    u = teacher.statistics(parameters(teacher, 7), teacher.frame(7))
    for block in blocks(teacher):
        for kind in ("hessian", "gradient"):
            one, other = (spectra.population(m, u, block, kind).inner for m in (teacher, mixture))
            np.testing.assert_allclose(one, other, atol=1e-3)  # of Sobol points


@pytest.mark.parametrize("kind", ["hessian", "gradient"])
def test_leading_forms_of_labels_by_a_function(kind):
    model = labelled_mixture()
    u = model.statistics(parameters(model, 8), model.frame(8))
    for block in ((0, 0), (0, 1), "vv", ("v", 0)):
        errors = []
        for snr in (50.0, 800.0):
            found = [f(labelled_mixture(snr), u, block, kind)
                     for f in (spectra.population, spectra.leading)]  # fmt: skip
            errors.append(np.abs(found[0].inner - found[1].inner).max())
        assert errors[1] < errors[0] / 8


def test_what_has_no_meaning_is_refused(as_users_run):
    model = squares()
    u = model.statistics(parameters(model, 6), model.frame(6))
    with pytest.raises(ValueError, match="Teacher: its inputs are noise about no class mean"):
        spectra.leading(model, u, (0, 0))
    with pytest.raises(TypeError, match="Teacher has no snr"):
        spectra.snr_threshold(model, u, alpha=2.0)
    fixed = erf(trained=False)
    u = fixed.statistics(parameters(fixed, 6), fixed.frame(6))
    for block in ("vv", ("v", 0)):
        with pytest.raises(ValueError, match="no second layer that is trained"):
            spectra.population(fixed, u, block)
    with pytest.raises(ValueError, match="no second layer that is trained"):
        spectra.second_layer(fixed, u)
