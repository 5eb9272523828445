"""Empirical operators against the Hessian and the gradients of the loss as autodiff gives them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import sgdlimits as sl
from sgdlimits import spectra
from sgdlimits.spectra.sampled.operators import form_together
from sgdlimits.statistics.overlaps import Parameters
from tests.spectra.cases import MODELS, TEACHERS, erf, parameters, softmax, squares, xor

_DIM, _COUNT = 6, 40


def _dense(model, given, X, labels, kind):
    """The matrix of all parameters from the definition: nothing is known of projections here."""
    flat, back = ravel_pytree(given)

    def loss(flat, x, y):
        v, W = back(flat)
        return model.loss(model.network.function(v, W @ x), y)

    if kind == "hessian":
        return np.asarray(
            jax.hessian(lambda flat: jax.vmap(lambda x, y: loss(flat, x, y))(X, labels).mean())(
                flat
            )
        )
    gradients = np.asarray(jax.vmap(lambda x, y: jax.grad(loss)(flat, x, y))(X, labels))
    return gradients.T @ gradients / len(X)


@pytest.mark.parametrize("kind", ["hessian", "gradient"])
@pytest.mark.parametrize("name", [*MODELS, *TEACHERS])
def test_every_block_is_that_of_the_definition(name, kind):
    model = {**MODELS, **TEACHERS}[name]()
    given = parameters(model, _DIM)
    samples = spectra.fresh_samples(model, _DIM, _COUNT, 1)
    X, labels = (
        np.concatenate(x) for x in zip(*((x, y) for _, x, y in samples.chunks()), strict=True)
    )
    whole = _dense(model, given, X, labels, kind)
    layer, width = model.network.layer, model.network.width
    blocks = whole[layer:, layer:].reshape(width, _DIM, width, _DIM)
    expected = {"all": whole, "W": whole[layer:, layer:]}
    expected |= {(i, j): blocks[i, :, j] for i in range(width) for j in range(width)}
    if layer:
        mixed = whole[:layer, layer:].reshape(layer, width, _DIM)
        expected |= {"vv": whole[:layer, :layer]}
        expected |= {("v", j): mixed[:, j] for j in range(width)}
    rng = np.random.default_rng(0)
    for block, matrix in expected.items():
        found = spectra.empirical(model, given, samples, block, kind)
        vectors = rng.standard_normal((matrix.shape[1], 3))
        np.testing.assert_allclose(found @ vectors, matrix @ vectors, atol=1e-12)  # matrix-free
        np.testing.assert_allclose(found @ vectors[:, 0], matrix @ vectors[:, 0], atol=1e-12)
        np.testing.assert_allclose(found.dense(), matrix, atol=1e-12)
        np.testing.assert_allclose(found @ vectors, matrix @ vectors, atol=1e-12)  # formed
        np.testing.assert_allclose(found.T @ (matrix @ vectors), matrix.T @ matrix @ vectors,
                                   atol=1e-11)  # fmt: skip


def test_definite_blocks_say_so():
    model = softmax()
    given, samples = parameters(model, _DIM), spectra.fresh_samples(model, _DIM, _COUNT, 1)
    signs = {("hessian", (0, 0)): 1, ("hessian", (0, 1)): -1, ("gradient", (0, 1)): 0,
             ("gradient", (1, 1)): 1, ("gradient", "all"): 1}  # fmt: skip
    for (kind, block), sign in signs.items():
        assert spectra.empirical(model, given, samples, block, kind).definite == sign


def test_matrices_of_one_set_are_formed_in_one_sweep():
    model = xor()
    given, samples = parameters(model, _DIM), spectra.fresh_samples(model, _DIM, _COUNT, 1)
    together = [spectra.empirical(model, given, samples, (i, i)) for i in range(3)]
    form_together(together)
    for i, matrix in enumerate(together):
        assert matrix.formed
        alone = spectra.empirical(model, given, samples, (i, i)).dense()
        np.testing.assert_array_equal(matrix.dense(), alone)


def test_samples_that_are_not_kept_are_drawn_again_the_same():
    model = softmax()
    dim, count = 700, 5000  # several chunks
    kept = spectra.fresh_samples(model, dim, count, 3)
    drawn = spectra.fresh_samples(model, dim, count, 3, memory=0)
    for _ in range(2):
        for (rows, x, y), (other_rows, other_x, other_y) in zip(
            kept.chunks(), drawn.chunks(), strict=True
        ):
            assert rows == other_rows
            np.testing.assert_array_equal(x, other_x)
            np.testing.assert_array_equal(y, other_y)
    assert drawn._kept is None
    assert kept._kept is not None
    short = spectra.fresh_samples(model, dim, 10, 3)
    np.testing.assert_array_equal(next(short.chunks())[1], next(kept.chunks())[1][:10])
    other = spectra.fresh_samples(model, dim, 10, 3, run=1)
    assert not np.allclose(next(short.chunks())[1], next(other.chunks())[1])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("make", [xor, erf, squares])
def test_training_samples_are_those_that_sgd_was_trained_on(make, dtype):
    model, sgd, dim, seed = make(), sl.OnlineSGD(step=0.2), 30, 7
    start = sl.initial(model, dim, 3, seed)
    result = sl.simulate(
        model, sgd, "sgd", dim=dim, time=1.0, runs=3, seed=seed, record=2, dtype=dtype
    )
    steps = int(result["step"][-1])
    v, W = sl.lift(model, start, dim, seed)
    v, W, delta = v[2], W[2], sgd.delta(dim)
    samples = spectra.training_samples(model, dim, steps, seed, run=2, dtype=dtype)
    gradient = jax.jit(
        jax.grad(lambda v, W, x, y: model.loss(model.network.function(v, W @ x), y), (0, 1))
    )
    for _, X, labels in samples.chunks():
        assert X.dtype == dtype
        for x, y in zip(X.astype(float), labels, strict=True):
            dv, dW = gradient(v, W, jnp.asarray(x), jnp.asarray(y))
            v, W = v - delta * (dv + model.ridge * v), W - delta * (dW + model.ridge * W)
    tolerance = 1e-11 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(result["v"][2, -1], v, atol=tolerance)
    np.testing.assert_allclose(result["Q"][2, -1], W @ W.T, atol=tolerance)


@pytest.mark.parametrize("make", [xor, erf])
def test_training_samples_of_batches(make):
    """A step's key is split into one for every sample of its batch."""
    model, sgd, dim, seed = make(), sl.OnlineSGD(step=0.5, batch=3), 12, 7
    result = sl.simulate(model, sgd, "sgd", dim=dim, time=1.0, runs=2, seed=seed, record=2)
    steps = int(result["step"][-1])
    start = sl.initial(model, dim, 2, seed)
    v, W = (x[1] for x in sl.lift(model, start, dim, seed))
    samples = spectra.training_samples(model, dim, 3 * steps, seed, run=1, batch=3)
    loss = lambda v, W, x, y: model.loss(model.network.function(v, W @ x), y)  # noqa: E731
    gradient = jax.jit(jax.vmap(jax.grad(loss, (0, 1)), in_axes=(None, None, 0, 0)))
    delta = sgd.delta(dim)
    (_, X, labels) = next(samples.chunks())
    for n in range(steps):
        rows = slice(3 * n, 3 * n + 3)
        dv, dW = (g.mean(0) for g in gradient(v, W, X[rows], labels[rows]))
        v, W = v - delta * (dv + model.ridge * v), W - delta * (dW + model.ridge * W)
    np.testing.assert_allclose(result["v"][1, -1], v, atol=1e-11)
    np.testing.assert_allclose(result["Q"][1, -1], W @ W.T, atol=1e-11)
    alone = spectra.training_samples(model, dim, steps, seed, run=1)
    assert not np.allclose(next(alone.chunks())[1][0], X[0])


def test_given_samples_in_single_precision():
    model = softmax()
    given = parameters(model, 50)
    rng = np.random.default_rng(0)
    X, labels = rng.standard_normal((200, 50)), np.eye(3)[rng.integers(0, 3, 200)]
    double = spectra.empirical(model, given, spectra.GivenSamples(X, labels), (0, 1))
    single = spectra.empirical(
        model, given, spectra.GivenSamples(X.astype(np.float32), labels), (0, 1)
    )
    np.testing.assert_allclose(single.dense(), double.dense(), atol=1e-6)
    assert single.dense().dtype == np.float64


def test_bad_input_is_refused_by_name(as_users_run):
    model, samples = softmax(), spectra.fresh_samples(softmax(), _DIM, 3, 0)
    given = parameters(model, _DIM)

    def call(model=model, given=given, samples=samples, block=(0, 0), kind="hessian"):
        return spectra.empirical(model, given, samples, block, kind)

    refused = [
        ({"model": sl.SpikedTensor()}, "expected a MultiIndexModel"),
        ({"given": 3}, r"parameters: expected Parameters\(v, W\)"),
        ({"given": Parameters(jnp.zeros(1), given.W)}, r"parameters: v and W have shapes \(1,\)"),
        ({"given": Parameters(given.v, given.W * np.nan)}, "must be finite"),
        ({"samples": np.ones((3, _DIM))}, "expected fresh_samples"),
        ({"samples": spectra.fresh_samples(model, 8, 3, 0)}, "samples have dimension 8"),
        ({"block": (0, 3)}, "expected an integer that is between 0 and 2"),
        ({"block": "ww"}, "block='ww': expected"),
        ({"block": "vv"}, "no second layer"),
        ({"block": ("v", 0)}, "no second layer"),
        ({"kind": "fisher"}, "kind='fisher': expected one of 'hessian', 'gradient'"),
    ]
    for change, message in refused:
        with pytest.raises((TypeError, ValueError), match=message):
            call(**change)
    with pytest.raises(ValueError, match=r"X, labels have shapes"):
        spectra.GivenSamples(np.ones((3, 2)), np.ones(2))
    with pytest.raises(ValueError, match="expected finite"):
        spectra.GivenSamples(np.full((3, 2), np.nan), np.ones(3))
    with pytest.raises(ValueError, match="labels have 1 entries"):
        call(samples=spectra.GivenSamples(np.ones((3, _DIM)), np.ones(3)))
    with pytest.raises(ValueError, match="count=0: expected an integer that is at least 1"):
        spectra.fresh_samples(model, _DIM, 0, 0)
    rectangular = spectra.empirical(
        xor(), parameters(xor(), 9), spectra.fresh_samples(xor(), 9, 5, 0), ("v", 1)
    )
    with pytest.raises(ValueError, match="no eigenvalues; use singular_values"):
        rectangular.eigenvalues()
    assert rectangular.singular_values().shape == (3,)
