"""The limit snr = inf: worked values, sliding along walls, and what finite snr tends to."""

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.closed_forms.relu_mixture_fixed_points import bin_mass
from sgdlimits.closed_forms.softmax_mixture_fixed_points import diagonal_overlap
from tests.models import worked_examples as known

_INF = math.inf
_GRAM = [[1, 0.2, 0.1], [0.2, 1, -0.3], [0.1, -0.3, 1]]


def _state(v, M, rest=None, gram=None):
    M = np.array(M, dtype=float)
    rest = np.zeros((len(M), len(M))) if rest is None else np.array(rest)
    gram = np.eye(M.shape[1]) if gram is None else np.array(gram)
    return sl.Statistics(np.array(v, dtype=float), M, rest + M @ np.linalg.solve(gram, M.T))


@cache
def _binary():
    return sl.effective_dynamics(sl.binary_gmm(snr=_INF, ridge=0.1))


@cache
def _xor():
    return sl.effective_dynamics(sl.xor_gmm(snr=_INF, ridge=0.05))


def _xor_start():
    rest = 0.3 * np.eye(4) + 0.1
    return _state(known.XOR_V, np.array(known.XOR_M).T, rest)


# -- worked values ---------------------------------------------------------------------------------


def test_ode_of_the_binary_mixture_at_a_worked_example():
    v, m = known.BINARY_ODE_START
    path = _binary().solve(_state(v, np.array(m)[:, None]), known.BINARY_ODE_TIMES)
    found = np.concatenate([path.v, path.M[..., 0]], axis=1)
    np.testing.assert_allclose(found, known.BINARY_ODE, atol=1e-9)


def test_drift_of_xor_at_a_worked_example():
    h = _xor().drift(_xor_start())
    np.testing.assert_allclose(h.v, known.XOR_DV, atol=1e-14)
    np.testing.assert_allclose(h.M.T, known.XOR_DM, atol=1e-14)


def test_linearised_binary_mixture_at_a_worked_example():
    angle = known.BINARY_LINEAR_ANGLE
    a = math.sqrt(bin_mass(0.5, 0.1)) * np.array([math.cos(angle), math.sin(angle)])
    ou = _binary().linearise(_state(a, a[:, None]))
    np.testing.assert_allclose(ou.drift[:4, :4], known.BINARY_LINEAR_A, atol=1e-12)
    np.testing.assert_allclose(ou.diffusion[:4, :4], known.BINARY_LINEAR_SIGMA, atol=1e-12)
    covariance = ou.covariance([6.0])[0, :4, :4]
    np.testing.assert_allclose(covariance, known.BINARY_LINEAR_COVARIANCE, atol=1e-12)
    assert not ou.stable  # the ring is neutral along itself
    assert ou.pinned.shape == (0, 7)


@pytest.mark.parametrize(("classes", "ridge"), known.DIAGONAL_OVERLAPS)
def test_overlap_of_k_classes_at_worked_examples(classes, ridge):
    expected = known.DIAGONAL_OVERLAPS[classes, ridge]
    assert diagonal_overlap(classes, ridge) == pytest.approx(expected, abs=5e-8)


# -- sliding ---------------------------------------------------------------------------------------


def _wrong_sign(u):
    """Overlaps that fall to zero: m^nu of neurons with v > 0, m^mu of those with v < 0."""
    v, M = np.asarray(u.v), np.asarray(u.M)
    return np.where(v > 0, M[..., 1], M[..., 0])


def test_neurons_of_the_wrong_sign_reach_the_wall_and_stay():
    path = _xor().solve(_xor_start(), [0.2, 4.0, 5.0, 8.0, 20.0, 60.0])
    assert np.abs(_wrong_sign(path))[0].min() > 0.05
    assert np.abs(_wrong_sign(path))[1:].max() < 1e-6
    # The others grow towards their bins: the state as a whole is not at rest.
    right = np.where(np.asarray(path.v) > 0, path.M[..., 0], path.M[..., 1])
    assert (np.diff(np.abs(right), axis=0) > 0).all()


@pytest.mark.stat
def test_the_exact_chain_without_noise_follows_the_sliding_ode():
    # Fluctuations are of order dim^-1/2 = 0.007 (largest deviation measured: 0.8 dim^-1/2 over
    # three seeds of eight runs). 4 dim^-1/2 is beyond any false alarm; a neuron that crossed the
    # wall or stopped elsewhere would be off by tenths.
    dim, times = 20_000, [1.0, 2.5, 5.0]
    start = _xor_start()
    path = _xor().solve(start, times)
    dataset = sl.simulate(
        _xor().model, engine="chain", dim=dim, time=5.0, runs=8, seed=1, initial=start,
        record=np.array(times),
    )  # fmt: skip
    for name in ("v", "M"):
        error = dataset[name].values[:, 1:] - np.asarray(getattr(path, name))
        assert np.abs(error).max() < 4 * dim**-0.5


def test_rest_decays_exactly_also_on_walls():
    times = np.array([0.5, 3.0, 10.0])
    for eff, start, ridge in (
        (_xor(), _xor_start(), 0.05),
        (_binary(), _state([0.5, -1.2], [[-0.3], [0.1]], [[0.7, 0.2], [0.2, 0.4]]), 0.1),
    ):
        gram = jnp.eye(start.M.shape[-1])
        rest = eff.solve(start, times).R_perp(gram)
        decay = np.exp(-2 * ridge * times)[:, None, None]
        np.testing.assert_allclose(rest, decay * start.R_perp(gram), atol=1e-8)


def test_a_wall_away_from_zero():
    # v |s - 1| on one class of label 1: with v < 0 both sides push towards s = 1. On the wall the
    # output is 0, so that v decays at the rate of the ridge alone.
    def absolute(v, s):
        return jnp.sum(v * jnp.abs(s - 1))

    model = sl.MultiIndexModel(
        data=sl.GaussianMixture([[1.0]], [1], snr=_INF),
        network=sl.Network(absolute, width=1, kinks=(1.0,)),
        loss=lambda z, y: jax.nn.softplus(z) - y[0] * z,
        ridge=0.05,
    )
    eff = sl.effective_dynamics(model)
    for start in (0.6, 1.3):
        path = eff.solve(_state([-1.0], [[start]]), [1.5, 2.0, 4.0])
        np.testing.assert_allclose(path.M[:, 0, 0], 1, atol=1e-6)
        assert float(path.v[2, 0] / path.v[1, 0]) == pytest.approx(math.exp(-0.1), abs=1e-6)
    off = eff.drift(_state([-1.0], [[0.6]]))  # there -dl/dz = sigmoid(0.4) at z = -0.4
    push = 1 / (1 + math.exp(-0.4))
    assert float(off.M[0, 0]) == pytest.approx(push - 0.05 * 0.6, abs=1e-14)
    assert float(off.v[0]) == pytest.approx(push * 0.4 + 0.05, abs=1e-14)


# -- finite snr ------------------------------------------------------------------------------------

_MAKERS = {
    "binary": lambda snr: sl.binary_gmm(snr=snr, ridge=0.1),
    "xor": lambda snr: sl.xor_gmm(snr=snr, ridge=0.1, width=2),
    "k": lambda snr: sl.k_gmm(means_gram=_GRAM, probabilities=[0.5, 0.3, 0.2], snr=snr),
}
_STATES = {
    "binary": _state([1.1, -0.7], [[0.7], [-0.5]], [[0.8, 0.2], [0.2, 0.5]]),
    "xor": _state([1.1, -0.7], [[0.7, -0.4], [-0.5, 0.8]], [[0.4, 0.1], [0.1, 0.3]]),
    "k": _state([], np.eye(3) - 0.3, 0.3 * np.eye(3) + 0.1, _GRAM),
}


def _errors(make, u, levels, noisy):
    """Distance of the drift at each level of snr in the noiseless classes to the limit."""
    snr = lambda level: noisy(level) if noisy else level  # noqa: E731
    limit = sl.effective_dynamics(make(snr(_INF))).drift(u).vector
    return [
        float(jnp.abs(sl.effective_dynamics(make(snr(x))).drift(u).vector - limit).max())
        for x in levels
    ]


@pytest.mark.parametrize("name", _MAKERS)
def test_the_drift_tends_to_that_without_noise_like_one_over_snr(name):
    errors = _errors(_MAKERS[name], _STATES[name], (200.0, 2000.0, 20000.0), None)
    np.testing.assert_allclose(np.array(errors[:-1]) / errors[1:], 10, rtol=0.15)


@pytest.mark.parametrize(
    ("name", "noisy"),
    [
        ("binary", lambda x: [x, 3.0]),
        ("xor", lambda x: [x, 4.0, 2.0, x]),
        ("k", lambda x: [2.0, x, 3.0]),
    ],
)
def test_classes_with_and_without_noise_mix(name, noisy):
    errors = _errors(_MAKERS[name], _STATES[name], (200.0, 2000.0, 20000.0), noisy)
    np.testing.assert_allclose(np.array(errors[:-1]) / errors[1:], 10, rtol=0.15)


def test_sliding_beside_noisy_classes_is_the_limit_of_their_ode():
    # mu without noise, nu with: a neuron with v < 0 slides at m^mu = 0 under what nu does to it.
    # The layer of the wall has width snr^-1/2, and so has the error.
    start = _state([0.9, -0.8], [[0.5, 0.2], [0.1, 0.6]], 0.2 * np.eye(2))

    def end(level):
        eff = sl.effective_dynamics(sl.xor_gmm(snr=[level, level, 5.0, 5.0], ridge=0.05, width=2))
        return eff.solve(start, [4.0])

    limit = end(_INF)
    assert abs(float(limit.M[0, 1, 0])) < 1e-6
    errors = [float(jnp.abs(end(x).vector - limit.vector).max()) for x in (1e3, 1e5)]
    assert errors[0] < 0.05
    assert errors[1] < 0.2 * errors[0]


# -- diffusion -------------------------------------------------------------------------------------


@cache
def _points():
    return _xor().fixed_points()


def test_diffusion_at_the_optimum_of_xor():
    # One neuron per class: the gradient in v_i is -4 alpha v_i with probability 1/4, so its
    # covariance is alpha^2 v_i v_j times 16 (1/4 - 1/16) = 3 or -16/16 = -1.
    u = next(p for p in _points() if p.stable).statistics
    diffusion = np.asarray(_xor().diffusion(u))
    v = np.asarray(u.v)
    expected = 0.05**2 * np.outer(v, v) * (4 * np.eye(4) - 1)
    np.testing.assert_allclose(diffusion[:4, :4], expected, atol=1e-12)


@pytest.mark.parametrize("step", [0.5, 2.0])
def test_diffusion_is_proportional_to_the_step(step):
    u = _STATES["binary"]
    eff = sl.effective_dynamics(_binary().model, sl.OnlineSGD(step=step))
    np.testing.assert_allclose(eff.diffusion(u), step * _binary().diffusion(u), atol=1e-14)


def test_diffusion_with_two_occupied_bins_has_rank_two():
    found = [p for p in _points() if p.dimension == 2 and "bins" in p.label]
    assert len(found) == 6  # pairs of four bins
    for point in found:
        values = np.linalg.eigvalsh(np.asarray(_xor().linearise(point.statistics).diffusion))
        assert (values > 1e-8).sum() == 2
        assert np.abs(values).min() < 1e-12


def test_at_the_optimum_of_xor_the_walls_are_pinned():
    point = next(p for p in _points() if p.stable)
    ou = _xor().linearise(point.statistics)
    assert ou.stable
    # Each neuron is blind to two classes: one wall each.
    assert ou.pinned.shape == (4, 22)
    assert (point.eigenvalues == -np.inf).sum() == 4
    finite = point.eigenvalues[:-4]
    # -2 alpha, but along each amplitude (v_i = m_i): -2 C alpha (1 - 4 alpha).
    slow, own = -2 * 0.05, -2 * bin_mass(0.25, 0.05) * 0.05 * (1 - 4 * 0.05)
    np.testing.assert_allclose(finite, np.sort([slow] * 14 + [own] * 4)[::-1], atol=1e-12)
    for matrix in (ou.drift, ou.diffusion, ou.stationary_covariance()):
        np.testing.assert_allclose(ou.pinned @ np.asarray(matrix), 0, atol=1e-12)
    # v and m of one neuron move together without noise between them.
    names = list(ou.names)
    covariance = ou.stationary_covariance()
    i, j = names.index("v_1"), names.index("M_12")
    assert covariance[i, i] == pytest.approx(covariance[j, j], rel=1e-10)
    assert abs(covariance[i, j]) == pytest.approx(covariance[i, i], rel=1e-10)
