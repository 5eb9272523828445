"""What the choice of coordinates must not change, and states at the edge of the domain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.expectations.rules import QuasiMonteCarlo, TruncatedGauss
from sgdlimits.limits.vector_field import jacobian


def _state(width, directions, seed=0, rest=1.0):
    rng = np.random.default_rng(seed)
    M = rng.standard_normal((width, directions))
    factor = rest * rng.standard_normal((width, width)) / width**0.5
    return sl.Statistics(rng.standard_normal(width), M, M @ M.T + factor @ factor.T)


def _permuted(u, order):
    return sl.Statistics(u.v[order], u.M[order], u.Q[order][:, order])


def test_the_order_of_the_neurons_is_immaterial():
    # Rules treat coordinates one after the other, so this holds to the rule's accuracy.
    eff = sl.effective_dynamics(sl.xor_gmm(snr=10.0, width=2))
    u, order = _state(2, 2), np.array([1, 0])
    direct, other = eff.drift(_permuted(u, order)), _permuted(eff.drift(u), order)
    np.testing.assert_allclose(direct.vector, other.vector, atol=1e-6)
    swap = {"1": "2", "2": "1"}
    position = []
    for name in eff.names:
        kind, index = name.split("_")
        moved = swap[index[0]] + index[1:]  # the first index is a neuron; in Q both are
        if kind == "Q":
            moved = "".join(sorted(swap[i] for i in index))
        position.append(eff.names.index(f"{kind}_{moved}"))
    one, two = eff.diffusion(u), eff.diffusion(_permuted(u, order))
    np.testing.assert_allclose(two, one[np.ix_(position, position)], atol=1e-6)


def test_another_basis_of_the_same_means_changes_only_its_overlaps():
    T = np.array([[1.3, 0.4], [-0.2, 0.8]])  # new rows of the frame: F' = T F
    base = sl.xor_gmm(snr=4.0, width=2)
    data = sl.GaussianMixture(
        np.array(base.data.coefficients) @ np.linalg.inv(T),
        np.array(base.data.labels),
        gram=T @ T.T,
        snr=4.0,
    )
    other = sl.MultiIndexModel(data=data, network=base.network, loss=base.loss, ridge=base.ridge)
    u = _state(2, 2)
    one = sl.effective_dynamics(base).drift(u)
    two = sl.effective_dynamics(other).drift(sl.Statistics(u.v, u.M @ T.T, u.Q))
    np.testing.assert_allclose(two.v, one.v, atol=1e-11)
    np.testing.assert_allclose(two.M, one.M @ T.T, atol=1e-11)
    np.testing.assert_allclose(two.Q, one.Q, atol=1e-11)


@pytest.mark.filterwarnings("ignore:.*of its scale only")  # six neurons, few points
@pytest.mark.stat
@pytest.mark.parametrize(
    ("width", "rule"),
    [(1, None), (2, None), (3, None), (4, None), (6, QuasiMonteCarlo(6, 10))],
    ids=["1", "2", "3", "4", "6"],
)
def test_expectations_agree_with_brute_force(width, rule):
    # |z| < 5 over at most 39 numbers: false alarm below 3e-5 a width. Errors of the rule count too.
    model = sl.xor_gmm(snr=10.0, width=width)
    model = sl.MultiIndexModel(
        data=model.data, network=model.network, loss=model.loss, ridge=model.ridge, rule=rule
    )
    sgd, u, draws = sl.OnlineSGD(), _state(width, 2, seed=1), 100_000
    dim = jnp.asarray(1e9)  # the chain's mean is the drift there
    process = sl.Process(model, sgd)
    noise = process.chain_noise(jax.random.key(0), draws, process.chain_constants(10**9))
    state = process.chain_state(u)

    @jax.jit
    def increments(noise):
        def one(noise):
            after = process.chain_statistics(process.chain_step(state, noise, dim, 0.0))
            return (after.vector - process.chain_statistics(state).vector) * dim

        return jax.vmap(one)(noise)

    samples = np.asarray(increments(noise))
    eff = sl.effective_dynamics(model, sgd)
    bound = 5 * samples.std(0) / draws**0.5 + 3 * np.asarray(eff.drift_error(u).vector) + 1e-6
    assert (np.abs(samples.mean(0) - np.asarray(eff.drift(u).vector)) < bound).all()


def test_aligned_neurons_are_no_trouble():
    eff = sl.effective_dynamics(sl.xor_gmm(snr=10.0, width=3))
    exactly = _state(3, 2, rest=0.0)
    nearly = _state(3, 2, rest=1e-7)
    one, two = eff.drift(exactly).vector, eff.drift(nearly).vector
    assert np.isfinite(one).all()
    np.testing.assert_allclose(two, one, atol=1e-4)


def test_the_chain_stays_a_gram_matrix_at_the_smallest_dimension():
    model = sl.xor_gmm(snr=2.0, width=3)
    runs = sl.simulate(model, dim=model.minimum_dim + 1, time=50.0, runs=16, seed=1, record=40)
    u = sl.Statistics(*(jnp.asarray(runs[n].values) for n in ("v", "M", "Q")))
    rest = np.asarray(u.R_perp(jnp.eye(2)))
    assert np.linalg.eigvalsh(rest).min() > -1e-12 * (1 + np.abs(u.Q).max())


def _nodes_a_side(tolerance):
    rule = sl.xor_gmm(width=2, tolerance=tolerance).rule
    assert isinstance(rule, TruncatedGauss)
    return rule.order


def test_a_tolerance_chooses_the_rule_and_impossible_ones_are_refused():
    assert _nodes_a_side(1e-3) == 4
    assert _nodes_a_side(1e-5) == (16, 8)  # fewer nodes than 12 a side, and closer
    with pytest.raises(ValueError, match="tolerance=1e-09"):
        sl.xor_gmm(width=4, tolerance=1e-9)
    base = sl.xor_gmm(width=2)
    with pytest.raises(ValueError, match="leave out rule"):
        sl.MultiIndexModel(
            data=base.data, network=base.network, loss=base.loss, tolerance=1e-3, rule=base.rule
        )


@pytest.mark.parametrize("aligned", [False, True])
def test_the_jacobian_does_not_depend_on_the_order_of_neurons_at_singular_overlaps(aligned):
    data = sl.GaussianMixture([[1.0], [-1.0]], [1.0, -1.0], snr=3.0)
    model = sl.MultiIndexModel(
        data=data,
        network=sl.Network(lambda v, s: v @ jnp.tanh(s), width=2, layer=2),
        loss=lambda z, y: jnp.sqrt(1 + (z - y[0]) ** 2) - 1,
        ridge=0.02,
    )
    sgd = sl.OnlineSGD(step=0.7)
    if aligned:
        v, M, Q = [0.6, 0.6], [[1.03], [1.03]], np.full((2, 2), 1.1)
    else:
        v, M, Q = [1.1, 0.0], [[1.2], [0.0]], np.diag([1.6, 0.0])
    u = sl.Statistics(np.array(v), np.array(M), np.array(Q))
    swapped = sl.Statistics(u.v[::-1], u.M[::-1], u.Q[::-1, ::-1])
    names = u.names
    exchange = str.maketrans("12", "21")
    moved = [
        "Q_12" if name == "Q_12" else name[:2] + name[2:3].translate(exchange) + name[3:]
        if name[0] != "Q" else name.translate(exchange) for name in names
    ]  # fmt: skip
    order = [names.index(name) for name in moved]
    process = sl.Process(model, sgd)
    one, other = (np.asarray(jacobian(process, x)) for x in (u, swapped))
    np.testing.assert_allclose(other, one[np.ix_(order, order)], atol=5e-5)  # of the quadrature
    inside = sl.Statistics(u.v, u.M, u.Q + 1e-4 * np.eye(2))
    np.testing.assert_allclose(one, np.asarray(jacobian(process, inside)), atol=2e-3)
