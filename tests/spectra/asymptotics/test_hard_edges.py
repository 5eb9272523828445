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


@pytest.mark.parametrize(("alpha", "block"), [(0.8, (0, 0)), (6.0, (0, 0)), (0.8, (0, 1))])
def test_edges_and_atom_are_those_of_a_sampled_matrix(alpha, block):
    """Half of the weights are 0: with alpha = 0.8 samples a dimension most eigenvalues are too.

    Edges to 15 % of the width: n^(-2/3) and single samples at this dimension; the atom to two
    roots of DIM.
    """
    found, values = _predicted(alpha, block), _sampled(alpha, block)
    right = sum(o.side == "right" for o in found.outliers)
    left = len(found.outliers) - right
    inside = values[left : DIM - right]
    width = found.bulk.right.x - found.bulk.left.x
    zeros = np.mean(np.abs(values) < 1e-9)
    assert abs(zeros - found.bulk.atom) < 2 * DIM**-0.5
    assert abs(inside[0] - found.bulk.left.x) < 0.15 * width
    assert abs(inside[-1] - found.bulk.right.x) < 0.15 * width
    if zeros > 0 and block == (0, 0):
        assert found.bulk.left.x == found.bulk.left.error == 0.0
        nonzero = np.sort(inside[inside > 1e-9])
        assert abs(nonzero[0] - found.bulk.components[0].x_low) < 0.15 * width
        assert 0 < found.bulk.atom_error < 0.05
    elif block == (0, 0):
        assert found.bulk.left.x > 0
        assert found.bulk.atom == 0


def _linear(sign):
    """Weights +1 or -1: Marchenko and Pastur."""
    data = sl.GaussianMixture([[0.01], [-0.01]], [0, 0], snr=1.0)
    network = sl.Network(lambda v, s: s, width=1, layer=0)
    loss = lambda f, y: sign * (f[0] - y[0]) ** 2 / 2  # noqa: E731
    model = sl.MultiIndexModel(data=data, network=network, loss=loss)
    return model, sl.Statistics(np.zeros(0), np.array([[0.0]]), np.array([[1.0]]))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_hard_and_soft_edges_of_marchenko_and_pastur(sign):
    """Zero is an edge for gamma >= 1 on the side without weights, and only then."""
    model, u = _linear(sign)
    for gamma in (0.5, 1.0, 2.0):
        bulk = spectra.asymptotic(model, u, alpha=1 / gamma, nodes=2**8).bulk
        near, far = (bulk.left, bulk.right) if sign > 0 else (bulk.right, bulk.left)
        soft = (1 - gamma**0.5) ** 2 if gamma < 1 else 0.0
        np.testing.assert_allclose([near.x, far.x], [sign * soft, sign * (1 + gamma**0.5) ** 2],
                                   atol=1e-6)  # fmt: skip
        assert bulk.atom == pytest.approx(max(0, 1 - 1 / gamma), abs=1e-9)
        if gamma > 1:  # the others begin where they would without the atom
            part = bulk.components[0 if sign > 0 else -1]
            first = part.x_low if sign > 0 else part.x_high
            np.testing.assert_allclose(first, sign * (1 - gamma**0.5) ** 2, atol=1e-6)
