"""What the edges of a bulk mean where eigenvalues are 0: against sampled matrices, and by law."""

import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits import spectra
from tests.spectra.sharp_cases import xor

DIM, NODES = 200, 2**13


def _sampled(alpha, block=(0, 0), seed=0):
    """Eigenvalues of one matrix of XOR."""
    values, _ = xor().eigen(np.random.default_rng(seed), DIM, round(alpha * DIM), "hessian", block)
    return values


def _predicted(alpha, block=(0, 0)):
    return spectra.asymptotic(
        xor().model, xor().statistics, block, alpha=alpha, dim=DIM, nodes=NODES
    )


@pytest.mark.parametrize(("alpha", "block"), [(0.8, (0, 0)), (6.0, (0, 0)), (1.5, (0, 2))])
def test_edges_and_atom_are_those_of_a_sampled_matrix(alpha, block):
    """Half of the weights are 0: with alpha = 0.8 samples a dimension most eigenvalues are too.

    Edges to 20 % of the width: n^(-2/3) and single samples at this dimension; the atom to two
    roots of DIM.
    """
    found, values = _predicted(alpha, block), _sampled(alpha, block)
    right = sum(o.side == "right" for o in found.outliers)
    left = len(found.outliers) - right
    zeros = np.mean(np.abs(values) < 1e-9)
    assert abs(zeros - found.bulk.atom) < 2 * DIM**-0.5
    assert (zeros > 0.2) == (alpha < 2)
    inside = values[left : DIM - right]
    inside = inside[np.abs(inside) > 1e-9]
    width = found.bulk.right.x - found.bulk.left.x
    assert abs(inside[0] - found.bulk.left.x) < 0.2 * width
    assert abs(inside[-1] - found.bulk.right.x) < 0.2 * width
    signs = np.sign([found.bulk.left.x, found.bulk.right.x])
    np.testing.assert_array_equal(signs, [1, 1] if block == (0, 0) else [-1, -1])
    if alpha < 2:
        assert 0 < found.bulk.atom_error < 0.05
        below = found.bulk.distribution(np.array([-1e-9, 1e-12]))
        assert below[1] - below[0] >= found.bulk.atom - 1e-3


def _linear(sign):
    """Weights +1 or -1: Marchenko and Pastur."""
    data = sl.GaussianMixture([[0.01], [-0.01]], [0, 0], snr=1.0)
    network = sl.Network(lambda v, s: s, width=1, layer=0)
    loss = lambda f, y: sign * (f[0] - y[0]) ** 2 / 2  # noqa: E731
    model = sl.MultiIndexModel(data=data, network=network, loss=loss)
    return model, sl.Statistics(np.zeros(0), np.array([[0.0]]), np.array([[1.0]]))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_hard_and_soft_edges_of_marchenko_and_pastur(sign):
    """Zero is an edge at gamma = 1 only; beyond, the eigenvalues 0 lie apart."""
    model, u = _linear(sign)
    for gamma in (0.5, 1.0, 2.0):
        bulk = spectra.asymptotic(model, u, alpha=1 / gamma, nodes=2**8).bulk
        near, far = (bulk.left, bulk.right) if sign > 0 else (bulk.right, bulk.left)
        ends = [sign * (1 - gamma**0.5) ** 2, sign * (1 + gamma**0.5) ** 2]
        np.testing.assert_allclose([near.x, far.x], ends, atol=1e-6)
        assert bulk.atom == pytest.approx(max(0, 1 - 1 / gamma), abs=1e-9)
        at_zero = bulk.distribution(np.array([-1e-3, 1e-3]))
        if gamma > 1:
            np.testing.assert_allclose(at_zero[1] - at_zero[0], bulk.atom, atol=1e-9)
