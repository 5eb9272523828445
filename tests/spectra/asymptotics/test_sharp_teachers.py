"""Sharp asymptotics where labels depend on the fields, against sampled matrices."""

from functools import cache

import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits import spectra
from tests.helpers import z_limit
from tests.spectra.cases import clear_signs, erf, labelled_mixture, signs, squares

#: Sampled matrices are at one size, where tails that limits feel are not seen.
pytestmark = pytest.mark.filterwarnings("ignore:.*of its scale only")

DIM, RUNS = 300, 8
#: As in ``test_sharp_eigenvalues``: outliers closer to others than this are not predicted sharply.
APART = 4.0


def state(model, v, M, rest):
    """Overlaps M with the frame, and the Gram matrix of what is beside it."""
    M = np.array(M)
    Q = M @ np.linalg.solve(np.array(model.data.gram), M.T) + np.array(rest)
    return sl.Statistics(np.array(v, dtype=float), M, Q)


_ERF = erf(noise=0.05, trained=False)
_AT_ERF = state(_ERF, [], [[1.5, 0.2], [0.1, -0.9]], [[0.4, 0.1], [0.1, 0.5]])
_AT_SQUARES = state(squares(), [1.0, 1.0], [[0.3], [0.1]], [[0.5, 0.1], [0.1, 0.4]])
_AT_SIGNS = state(signs(), [1.5, -1.2], [[0.9], [-0.4]], [[0.6, 0.1], [0.1, 0.8]])
_MIXTURE = labelled_mixture(4.0)
_AT_MIXTURE = state(_MIXTURE, [1.5, -1.2], [[0.9, 0.1], [-0.4, 0.6]], [[0.3, 0.1], [0.1, 0.4]])

CASES = {
    "erf, hessian": (_ERF, _AT_ERF, (0, 0), "hessian", 10.0),
    "erf, off-diagonal": (_ERF, _AT_ERF, (0, 1), "hessian", 10.0),
    "erf, gradient": (_ERF, _AT_ERF, (0, 0), "gradient", 10.0),
    "squares, hessian": (squares(0.1), _AT_SQUARES, (0, 0), "hessian", 10.0),
    "signs, gradient": (signs(), _AT_SIGNS, (1, 1), "gradient", 8.0),
    "labelled mixture, hessian": (_MIXTURE, _AT_MIXTURE, (0, 0), "hessian", 8.0),
}


@cache
def sampled(name):
    """Eigenvalues (runs, dim) and squared overlaps of their vectors with direction 0."""
    model, u, block, kind, alpha = CASES[name]
    values, overlaps = [], []
    direction = np.asarray(model.frame(DIM))[0]
    direction = direction / np.linalg.norm(direction)
    for seed in range(RUNS):
        data = spectra.fresh_samples(model, DIM, round(alpha * DIM), seed)
        parameters = sl.lift(model, u, DIM, seed)
        matrix = spectra.empirical(model, parameters, data, block, kind).dense()
        w, vectors = np.linalg.eigh(matrix)
        values.append(w)
        overlaps.append((direction @ vectors) ** 2)
    return np.array(values), np.array(overlaps)


def predicted(name, model=None, factor=1.0):
    """The spectrum, and the outliers that stand apart with their place among the eigenvalues."""
    own, u, block, kind, alpha = CASES[name]
    found = spectra.asymptotic(
        own if model is None else model, u, block, kind=kind, alpha=factor * alpha, dim=DIM
    )
    values = np.array([o.value for o in found.outliers])
    others = np.concatenate([values, [found.bulk.left.x, found.bulk.right.x]])
    apart = []
    for outlier in found.outliers:
        gaps = np.sort(np.abs(others - outlier.value))
        if outlier.mass > 0.45 and gaps[1] > APART * found.deviation(outlier):
            above = sum(o.side == "right" and o.value > outlier.value for o in found.outliers)
            below = sum(o.side == "left" and o.value < outlier.value for o in found.outliers)
            apart.append((DIM - 1 - above if outlier.side == "right" else below, outlier))
    return found, apart


def z_of_values(name, found, apart):
    values, _ = sampled(name)
    return np.array(
        [(values[:, i].mean() - o.value) * RUNS**0.5 / found.deviation(o) for i, o in apart]
    )


def distance(values, found):
    """Kolmogorov distance of the pooled bulk from its limit."""
    right = sum(o.side == "right" for o in found.outliers)
    left = len(found.outliers) - right
    bulk = np.sort(values[:, left : values.shape[1] - right].ravel())
    x = np.linspace(found.bulk.left.x, found.bulk.right.x, 400)
    return np.abs(found.bulk.distribution(x) - np.searchsorted(bulk, x) / len(bulk)).max()


@pytest.mark.stat
@pytest.mark.parametrize("name", CASES)
def test_outliers_and_what_they_see_of_the_teacher(name):
    """Means over samples within noise; false-alarm rate 1e-3 a case, with Bonferroni."""
    found, apart = predicted(name)
    assert apart
    limit = z_limit(2 * len(apart))
    assert np.abs(z_of_values(name, found, apart)).max() < limit
    _, overlaps = sampled(name)
    e = found.direction(frame=0)
    for index, outlier in apart:
        error = overlaps[:, index].std(ddof=1) / RUNS**0.5
        gap = abs(overlaps[:, index].mean() - outlier.overlap(e))
        assert gap < limit * error + 3 / DIM


@pytest.mark.stat
@pytest.mark.parametrize("name", CASES)
def test_bulk(name):
    """Eigenvalues are rigid: pooled over runs they follow the limit."""
    found, _ = predicted(name)
    values, _ = sampled(name)
    assert distance(values, found) < 0.02
    size = found.bulk.right.x - found.bulk.left.x
    right = sum(o.side == "right" for o in found.outliers)
    left = len(found.outliers) - right
    if found.bulk.right.tail_noise < 0.3:
        assert abs(values[:, -1 - right].mean() - found.bulk.right.x) < 0.04 * size
    if found.bulk.left.tail_noise < 0.3:
        assert abs(values[:, left].mean() - found.bulk.left.x) < 0.04 * size


@pytest.mark.stat
@pytest.mark.parametrize(
    ("name", "other", "factor"),
    [
        ("erf, hessian", None, 0.5),
        ("squares, hessian", None, 0.5),
        ("signs, gradient", clear_signs(), 1.0),
        ("labelled mixture, hessian", labelled_mixture(4.6), 1.0),
        ("erf, gradient", erf(noise=0.06, trained=False), 1.0),
    ],
)
def test_another_law_or_number_of_samples_is_rejected(name, other, factor):
    """Negative control: half of alpha, labels without noise or with more, another snr."""
    found, apart = predicted(name, other, factor)
    values, _ = sampled(name)
    z = z_of_values(name, found, apart)
    assert (np.abs(z) > z_limit(2 * max(1, len(apart)))).any() or distance(values, found) > 0.03


@pytest.mark.stat
def test_the_whole_matrix_of_a_committee():
    """Eigenvalues outside the bulk within 1 % of the size and four standard errors."""
    alpha = 10.0
    found = spectra.whole(_ERF, _AT_ERF, alpha=alpha, dim=DIM)
    values = []
    for seed in range(RUNS):
        data = spectra.fresh_samples(_ERF, DIM, round(alpha * DIM), seed)
        matrix = spectra.empirical(_ERF, sl.lift(_ERF, _AT_ERF, DIM, seed), data, "W")
        values.append(np.linalg.eigvalsh(matrix.dense()))
    values, size = np.array(values), found.right - found.left
    low = [o.value for o in found.outliers if o.value < found.left]
    high = [o.value for o in found.outliers if o.value > found.right]
    assert low or high
    for index, expected in [*enumerate(reversed(low)), *((-1 - i, x) for i, x in enumerate(high))]:
        error = values[:, index].std(ddof=1) / RUNS**0.5
        assert abs(values[:, index].mean() - expected) < 0.01 * size + 4 * error
    assert abs(values[:, len(low)].mean() - found.left) < 0.05 * size
    assert abs(values[:, -1 - len(high)].mean() - found.right) < 0.05 * size


@pytest.mark.stat
@pytest.mark.parametrize("kind", ["hessian", "gradient"])
def test_second_layer_of_a_committee(kind):
    """Means of 4000 matrices, false-alarm rate 1e-3; standard deviations within 8 %.

    Sampled by hand: f = (1/2) v.erf(s/sqrt 2), y = (1/2) a.erf(f/sqrt 2) + sqrt(0.3) z.
    """
    from scipy.special import erf as erf_of

    model, samples, runs = erf(), 1000, 4000
    u = state(model, [1.2, -0.7], _AT_ERF.M, [[0.4, 0.1], [0.1, 0.5]])
    found = spectra.second_layer(model, u, kind=kind)
    np.testing.assert_allclose(
        np.sort(found.values), spectra.population(model, u, "vv", kind).eigenvalues(9), atol=1e-6
    )
    cov = np.block([[u.Q, u.M], [u.M.T, np.array(model.gram)]])
    root, rng, values = np.linalg.cholesky(cov), np.random.default_rng(2), []
    for _ in range(runs):
        hidden = erf_of(rng.standard_normal((samples, 4)) @ root.T / 2**0.5)
        label = hidden[:, 2:] @ [0.5, -0.25] + 0.3**0.5 * rng.standard_normal(samples)
        h = hidden[:, :2] / 2
        if kind == "gradient":
            h = h * (label - h @ [1.2, -0.7])[:, None]
        values.append(np.linalg.eigvalsh(h.T @ h / samples)[::-1])
    values, deviations = np.array(values), found.deviations(samples)
    z = (values.mean(0) - found.values - found.shifts(samples)) / (deviations / runs**0.5)
    assert np.abs(z).max() < z_limit(len(z))
    np.testing.assert_allclose(values.std(0), deviations, rtol=0.08)


def test_along_is_the_spectrum_at_every_state_of_a_committee():
    dynamics = sl.effective_dynamics(squares(), sl.OnlineSGD(step=0.02))
    options = dict(kind="hessian", alpha=10.0, dim=300, nodes=2**14)
    times = np.array([0.0, 2.0])
    found = spectra.along(dynamics, _AT_SQUARES, times, (0, 0), **options)
    path = dynamics.solve(_AT_SQUARES, times, rtol=1e-7, atol=1e-9)
    u = sl.Statistics(*(np.asarray(x)[1] for x in (path.v, path.M, path.Q)))
    last = spectra.asymptotic(squares(), u, (0, 0), **options)
    by_size = sorted(last.outliers, key=lambda o: -abs(o.value))
    row = found.isel(time=1)
    count = int(row["separated"])
    assert count == len(by_size) > 0
    np.testing.assert_allclose(row["value"].values[:count], [o.value for o in by_size], rtol=1e-5)
    overlap = by_size[0].overlap(last.direction(frame=0))
    np.testing.assert_allclose(row["overlap_direction"][0, 0], overlap, rtol=1e-5)


def test_thresholds_of_a_teacher_are_where_outliers_appear():
    model, u, block, kind, _ = CASES["squares, hessian"]
    needed = spectra.outlier_thresholds(model, u, block, kind=kind, side="left", nodes=2**14)
    assert np.isfinite(needed[0])
    for factor, separated in ((0.98, False), (1.02, True)):
        found = spectra.asymptotic(
            model, u, block, kind=kind, alpha=factor * needed[0], nodes=2**14
        )
        assert any(o.side == "left" for o in found.outliers) == separated
