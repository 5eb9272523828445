"""Sharp asymptotics against eigendecompositions of sampled blocks."""

from functools import cache

import numpy as np
import pytest
from scipy import stats

import sgdlimits as sl
from sgdlimits import spectra
from tests.helpers import FALSE_ALARM, z_limit
from tests.spectra.sharp_cases import softmax, xor

pytestmark = pytest.mark.stat

#: Outliers closer to the edge, or to each other, than this many standard deviations are not
#: predicted sharply at finite dimension (level repulsion, smearing of the edge).
APART = 4.0
DIM = 400
RUNS = 8

CASES = {
    "softmax, hessian": (softmax(), (0, 0), "hessian", 8.0),
    "softmax, off-diagonal": (softmax(), (0, 1), "hessian", 8.0),
    "softmax, unequal classes, gradient": (
        softmax(probabilities=(0.5, 0.3, 0.2)),
        (0, 0),
        "gradient",
        20.0,
    ),
    "XOR, hessian": (xor(), (0, 0), "hessian", 16.0),
    "XOR, off-diagonal": (xor(), (0, 2), "hessian", 8.0),
}


def predicted(case, dim, factor=1.0):
    """The spectrum, and the outliers that stand apart."""
    system, block, kind, alpha = case
    found = spectra.asymptotic(
        system.model, system.statistics, block, kind=kind, alpha=factor * alpha, dim=dim
    )
    values = np.array([o.value for o in found.outliers])
    others = np.concatenate([values, [found.bulk.left.x, found.bulk.right.x]])
    apart = []
    for outlier in found.outliers:
        gaps = np.sort(np.abs(others - outlier.value))
        if outlier.mass > 0.45 and gaps[1] > APART * found.deviation(outlier):
            apart.append(outlier)
    return found, apart


@cache
def sampled(name, dim, runs):
    """Eigenvalues (runs, dim) and squared coordinates of their vectors (runs, dim, 6)."""
    system, block, kind, alpha = CASES[name]
    rng = np.random.default_rng(1)
    pairs = [system.eigen(rng, dim, round(alpha * dim), kind, block) for _ in range(runs)]
    return np.array([w for w, _ in pairs]), np.array([v[:6].T ** 2 for _, v in pairs])


def rank_of(outlier, found, dim):
    """Index of the outlier among sorted eigenvalues."""
    above = sum(o.value > outlier.value for o in found.outliers)
    if outlier.side == "right":
        return dim - 1 - above
    return sum(o.value < outlier.value for o in found.outliers)


@pytest.mark.parametrize("name", CASES)
def test_outliers_and_their_vectors(name):
    """Means over samples within noise; false-alarm rate 1e-3 a case, with Bonferroni."""
    dim, runs = DIM, RUNS
    case = CASES[name]
    values, squares = sampled(name, dim, runs)
    found, apart = predicted(case, dim)
    assert apart
    coordinates = case[0].W.shape[1]  # they span V
    limit = z_limit(2 * len(apart))
    for outlier in apart:
        index = rank_of(outlier, found, dim)
        deviation = found.deviation(outlier)
        z = (values[:, index].mean() - outlier.value) / (deviation / runs**0.5)
        assert abs(z) < limit
        # The vector's squared overlap with V; in 400 dimensions its limit is 1/dim off.
        inside = squares[:, index, :coordinates].sum(1)
        error = inside.std(ddof=1) / runs**0.5
        assert abs(inside.mean() - outlier.mass) < limit * error + 2 / dim


def test_a_wrong_number_of_samples_is_rejected():
    """Negative control: half of alpha, by the outliers and by the bulk."""
    name = "softmax, hessian"
    values, _ = sampled(name, DIM, RUNS)
    found, apart = predicted(CASES[name], DIM, factor=0.5)
    z = [
        (values[:, rank_of(o, found, DIM)].mean() - o.value) * RUNS**0.5 / found.deviation(o)
        for o in apart
    ]
    assert np.abs(z).max() > z_limit(2 * len(apart))
    assert distance(values, found) > 8 / DIM


def distance(values, found):
    """Kolmogorov distance of the pooled bulk from its limit."""
    right = sum(o.side == "right" for o in found.outliers)
    left = len(found.outliers) - right
    bulk = np.sort(values[:, left : values.shape[1] - right].ravel())
    x = np.linspace(found.bulk.left.x, found.bulk.right.x, 400)
    return np.abs(found.bulk.distribution(x) - np.searchsorted(bulk, x) / len(bulk)).max()


@pytest.mark.parametrize("name", CASES)
def test_bulk(name):
    """Eigenvalues are rigid: pooled over runs they follow the limit to O(rank/dim).

    Random numbers of samples per class add about 1 % at unequal classes.
    """
    dim, runs = DIM, RUNS
    case = CASES[name]
    values, _ = sampled(name, dim, runs)
    found, _ = predicted(case, dim)
    assert distance(values, found) < 8 / dim


@pytest.mark.parametrize("name", ["softmax, hessian", "XOR, hessian"])
def test_edge_of_the_bulk(name):
    """The largest eigenvalue of the bulk: Tracy-Widom mean at finite size, within 1 % of it.

    Corrections are of relative order n^(-2/3) = 2 %, times the distance of the mean from the edge.
    """
    dim, runs = DIM, RUNS
    case = CASES[name]
    values, _ = sampled(name, dim, runs)
    found, _ = predicted(case, dim)
    right = sum(o.side == "right" for o in found.outliers)
    mean, deviation = found.extreme("right")
    error = values[:, dim - 1 - right].mean() - mean
    assert abs(error) < z_limit(1) * deviation / runs**0.5 + 0.01 * found.bulk.right.x


@pytest.mark.parametrize("name", ["softmax, hessian", "XOR, hessian"])
def test_fluctuations(name):
    """Sample variance of the top eigenvalue: chi-square limits at 1e-3, and 10 % for 1/dim."""
    dim, runs = 100, 200
    case = CASES[name]
    values, _ = sampled(name, dim, runs)
    found, _ = predicted(case, dim)
    top = found.outliers[0]
    ratio = values[:, -1].var(ddof=1) / found.deviation(top) ** 2
    low, high = stats.chi2.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], runs - 1) / (runs - 1)
    assert low * 0.9 < ratio < high * 1.1


@pytest.mark.parametrize("count", [1, 3, 10])
@pytest.mark.parametrize("alpha", [1.5, 8.0])
def test_alignment(alpha, count):
    """Part of a neuron in E_k: k below, at and above the number of outliers."""
    dim, runs = DIM, RUNS
    system = softmax()
    rng = np.random.default_rng(5)
    w = np.zeros(dim)
    w[:6] = system.W[0] / np.linalg.norm(system.W[0])
    measured = []
    for _ in range(runs):
        values, vectors = system.eigen(rng, dim, round(alpha * dim), "hessian", (0, 0))
        order = np.argsort(-np.abs(values))[:count]
        measured.append(((w @ vectors[:, order]) ** 2).sum())
    found = spectra.asymptotic(system.model, system.statistics, alpha=alpha, dim=dim)
    expected = found.captured(found.direction(neurons=0), count)
    error = np.std(measured, ddof=1) / runs**0.5
    # Near the edge a finite matrix smears the measure over n^(-2/3) of the bulk.
    assert abs(np.mean(measured) - expected) < z_limit(6) * error + 2 * (dim ** (-2 / 3))


def test_a_relu_neuron_matters_however_small_it_is():
    M = np.array([[1.2, 0], [0.8, 0], [0, 0]])
    edges = []
    for size in (1e-3, 1e-7):
        Q = M @ M.T + np.diag([0.02, 0.03, 0.25 * size**2])
        u = sl.Statistics(np.array([1.0, -1.2, 0.7]), M, Q)
        model = sl.xor_gmm(snr=10.0, width=3)
        found = spectra.asymptotic(model, u, (2, 2), alpha=8.0)
        edges.append([found.bulk.right.x, *(outlier.value for outlier in found.outliers)])
    np.testing.assert_allclose(*edges, rtol=1e-3)
