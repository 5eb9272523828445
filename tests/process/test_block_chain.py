"""The exact chain with three eigenvalues: the law of one real step, from one state.

Means and second moments of all statistics, |z| < 5 for up to 54 of them: false alarms in 10^5.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl

_THREE = sl.Spectrum([2.0, 0.7, 0.1], fractions=[0.3, 0.3, 0.4])
_BY_CLASS = sl.Spectrum([[2.0, 0.7, 0.1], [0.2, 0.5, 1.5]], fractions=[0.3, 0.3, 0.4])
_DIM, _COUNT = 20, 30_000


def _committee(covariance=_THREE):
    return sl.committee(2, 1, "erf", noise=0.3, ridge=0.2, covariance=covariance)


def _classes(covariance=_BY_CLASS):
    network = sl.Network(lambda v, s: s[0], width=1, layer=0)
    loss = lambda o, y: jnp.logaddexp(0.0, o) - y[0] * o  # noqa: E731
    data = sl.GaussianMixture([[1.0], [-0.5]], [1.0, 0.0], covariance=covariance)
    return sl.MultiIndexModel(data=data, network=network, loss=loss)


def _noisy_signs(covariance=_THREE):
    """Logistic loss on a teacher's noisy labels."""
    network = sl.Network(lambda v, s: s[0], width=1, layer=0)
    loss = lambda o, y: jnp.logaddexp(0.0, o) - y[0] * o  # noqa: E731
    label = lambda f, z: jnp.where(f[0] + 0.5 * z > 0, 1.0, 0.0)  # noqa: E731
    data = sl.Teacher(label, covariance=covariance, hidden=[[0.3]])
    return sl.MultiIndexModel(data=data, network=network, loss=loss)


def _real(process, u, keys):
    frame = process.frame(_DIM)
    state = process.lift(jax.random.key(7), u, frame)

    def one(key):
        return process.statistics(process.step(state, frame, key, 0.0), frame).vector

    return jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=1024))(keys)


def _chain(process, u, key):
    noise = process.chain_noise(key, _COUNT, process.chain_constants(_DIM))
    dim, state = jnp.asarray(float(_DIM)), process.chain_state(u)

    def one(noise):
        return process.chain_statistics(process.chain_step(state, noise, dim, 0.0)).vector

    return jax.jit(jax.vmap(one))(noise)


def _moments(x, centre):
    away = np.asarray(x) - centre
    upper = np.triu_indices(away.shape[1])
    return np.concatenate([away, away[:, upper[0]] * away[:, upper[1]]], axis=1)


def _apart(one, other, centre):
    one, other = _moments(one, centre), _moments(other, centre)
    spread = np.sqrt((one.var(0) + other.var(0)) / _COUNT)
    return (np.abs(one.mean(0) - other.mean(0)) / spread).max()


@pytest.mark.parametrize(
    ("make", "other", "batch"),
    [
        (_committee, _THREE, 1),
        (_classes, _BY_CLASS, 3),
        pytest.param(_noisy_signs, _THREE, 1, marks=pytest.mark.slow),
    ],
    ids=["committee", "classes-in-batches", "noisy-signs"],
)
def test_chain_and_real_vectors_have_one_law(make, other, batch):
    process = sl.Process(make(), sl.OnlineSGD(step=4.0, batch=batch))
    u = sl.initial(make(), _DIM, 1, 5)[0]
    real = _real(process, u, jax.random.split(jax.random.key(1), _COUNT))
    chain = _chain(process, u, jax.random.key(2))
    centre = np.asarray(real).mean(0)
    assert _apart(real, chain, centre) < 5
    wrong = sl.Spectrum(1.2 * other.eigenvalues, fractions=other.fractions)
    control = _chain(sl.Process(make(wrong), process.algorithm), u, jax.random.key(2))
    assert _apart(real, control, centre) > 6


@pytest.mark.parametrize("width", [2, 9])
def test_written_out_and_matrix_form_agree_with_the_isotropic_chain(width):
    # Equal eigenvalues in one block: the chain of the same law, whatever its program.
    sgd = sl.OnlineSGD(step=2.0)
    one = sl.committee(width, 1, "erf", noise=0.3, covariance=sl.Spectrum([1.0]))
    isotropic = sl.committee(width, 1, "erf", noise=0.3)
    u = sl.initial(one, 40, 1, 3)[0]
    process = sl.Process(one, sgd)
    noise = process.chain_noise(jax.random.key(0), 1, process.chain_constants(40))
    noise = jax.tree.map(lambda x: x[0], noise)
    dim = jnp.asarray(40.0)
    mine = process.chain_statistics(process.chain_step(process.chain_state(u), noise, dim, 0.0))
    other = sl.Process(isotropic, sgd)
    same = other.chain_noise(jax.random.key(0), 1, other.chain_constants(40))
    same = jax.tree.map(lambda x: x[0], same)._replace(
        e=noise.e[0], xi=noise.xi[0], deviation=noise.deviation[0], label=noise.label,
        outside=noise.outside[0],
    )  # fmt: skip
    state = other.chain_state(sl.Statistics(u.v, u.M[0], u.Q[0]))
    known = other.chain_statistics(other.chain_step(state, same, dim, 0.0))
    np.testing.assert_allclose(mine.M[0], known.M, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(mine.Q[0], known.Q, rtol=1e-10, atol=1e-13)


def test_blocks_that_are_too_small_or_too_many():
    small = sl.committee(2, 1, "erf", covariance=sl.Spectrum([1.0, 2.0], fractions=[0.9, 0.1]))
    with pytest.raises(
        ValueError, match=r"block 1 .* 2 dimensions.*2 rows and 1 directions.*>= 30"
    ):
        sl.simulate(small, dim=20, time=1.0)
    # Vectors have no such limit.
    sl.simulate(small, engine="sgd", dim=20, time=0.1, record=2)
    many = sl.committee(1, 1, "erf", covariance=sl.Spectrum.power_law(1.0, 100))
    with pytest.raises(ValueError, match="100 eigenvalues; engine='chain'"):
        sl.simulate(many, dim=1000, time=1.0)


def test_one_eigenvalue_for_every_dimension():
    # A row has no rest in a block of one dimension: Q_j = M_j^2/G_j, in starts and along real SGD.
    model = sl.committee(1, 1, "erf", covariance=sl.Spectrum.power_law(1.0, 50))
    result = sl.simulate(model, engine="sgd", dim=50, time=0.2, runs=2, record=2)
    M, Q = (result[x].values[..., 0, 0] for x in "MQ")
    np.testing.assert_allclose(Q, 50 * M**2, rtol=1e-8)
    u = sl.initial(model, 50, 1, 0)[0]
    sl.lift(model, u, 50, seed=0)
    wide = sl.BlockStatistics(u.v, u.M, u.Q + 0.1)
    with pytest.raises(ValueError, match=r"block 0 .* has 1 dimensions, .* span 2"):
        sl.simulate(model, engine="sgd", dim=50, time=0.2, initial=wide)
    with pytest.raises(ValueError, match="span 2"):
        sl.lift(model, wide, 50, seed=0)
    sl.lift(model, wide, 100, seed=0)
