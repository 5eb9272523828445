"""Connected sets of fixed points of mixtures without noise: counts, dimensions, distances."""

import itertools
import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.closed_forms.relu_mixture_fixed_points import bin_mass

_INF = math.inf
_GRAM = np.array([[1, 0.2, 0.1], [0.2, 1, -0.3], [0.1, -0.3, 1]])
_P = np.array([0.5, 0.3, 0.2])


@cache
def _xor(width, ridge=0.05):
    return sl.effective_dynamics(sl.xor_gmm(snr=_INF, ridge=ridge, width=width))


@cache
def _binary(ridge=0.1):
    return sl.effective_dynamics(sl.binary_gmm(snr=_INF, ridge=ridge))


@cache
def _xor_points():
    return _xor(4).fixed_points()


def _formula(eff):
    return eff.process.known_fixed_points()


def _count(things, key):
    values = [key(thing) for thing in things]
    return {value: values.count(value) for value in sorted(set(values))}


# -- counts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "dimensions", "stable"),
    [
        (1, {0: 5}, 4),
        (2, {0: 13, 1: 4}, 12),
        (3, {0: 25, 1: 6, 2: 4}, 24),
        (4, {0: 25, 1: 4, 2: 6, 3: 4}, 24),
        (5, {0: 1, 1: 1, 2: 4, 3: 6, 4: 4}, 1),
        (6, {0: 1, 2: 1, 3: 4, 4: 6, 5: 4}, 1),
    ],
)
def test_components_of_xor(width, dimensions, stable):
    # 5, 17, 35, 39, 16, 16: the occupied bins, and who is where if no neuron is spare. Stable: all
    # bins filled, or as many as there are neurons.
    sets = _formula(_xor(width))
    assert _count(sets, lambda s: s.dimension) == dimensions
    assert sum(bool(s.stable) for s in sets) == stable
    assert len({s.label for s in sets}) == len(sets)
    for one in sets:
        assert float(jnp.abs(_xor(width).drift(one.statistics).vector).max()) < 1e-12


def test_stability_of_the_39_components():
    points = _xor_points()
    kinds = _count(points, lambda p: (p.dimension > 0, p.stable, p.attracting))
    assert kinds == {
        (False, False, False): 1,  # all neurons zero
        (False, True, True): 24,  # one neuron in each bin
        (True, False, True): 14,  # left at the edge, where a neuron loses its mass
    }
    origin = next(p for p in points if p.label == "zero")
    assert not origin.attracting
    np.testing.assert_array_equal(origin.statistics.vector, 0)


def test_components_of_the_binary_mixture():
    points = _binary().fixed_points()
    kinds = _count(points, lambda p: (p.dimension, p.stable, p.attracting))
    assert kinds == {(0, False, False): 1, (0, True, True): 2, (1, False, True): 2}
    C, a = math.log(0.8 / 0.2), 0.1
    for point in points:
        if point.dimension:
            expected = [0, -2 * C * a * (1 - 2 * a)]
        elif point.stable:
            expected = [-2 * C * a * (1 - 2 * a)] * 2
        else:
            continue
        # The remaining directions: neurons off balance, and their rest.
        rest = [-2 * a] * (7 - len(expected))
        np.testing.assert_allclose(
            point.eigenvalues, np.sort(expected + rest)[::-1], atol=1e-7
        )  # fmt: skip


def test_neutral_directions_are_tangent():
    for point in _xor_points():
        tangent, u = point.neutral_directions, point.statistics
        assert tangent.shape == (point.dimension, 22)
        if not point.dimension:
            continue
        np.testing.assert_allclose(tangent @ tangent.T, np.eye(point.dimension), atol=1e-12)
        ou = _xor(4).linearise(u)
        np.testing.assert_allclose(np.asarray(ou.drift) @ tangent.T, 0, atol=1e-10)
        np.testing.assert_allclose(ou.pinned @ tangent.T, 0, atol=1e-10)
        for direction in tangent:
            moved = u.with_vector(u.vector + 1e-4 * direction)
            assert point.distance(moved) < 1e-7  # 1e-8 by curvature


# -- thresholds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ridge", [0.01, 0.1, 0.24])
@pytest.mark.parametrize("probability", [0.5, 0.25, 0.13])
def test_the_mass_of_a_bin_balances_gradient_and_ridge(probability, ridge):
    C = bin_mass(probability, ridge)
    if ridge >= probability / 2:
        assert C == 0
    else:
        assert C > 0
        assert probability / (1 + math.exp(C)) == pytest.approx(ridge, rel=1e-14)
    assert bin_mass(probability, 0.0) == _INF


@pytest.mark.parametrize(
    ("eff", "below", "at", "above"),
    [(_binary, 0.2499, 0.25, 0.3), (lambda ridge: _xor(2, ridge), 0.1249, 0.125, 0.2)],
    ids=["binary", "xor"],
)
def test_only_zero_is_left_beyond_the_threshold(eff, below, at, above):
    assert len(_formula(eff(below))) > 1
    assert [s.label for s in _formula(eff(at))] == ["zero"]
    (zero,) = eff(at).fixed_points()  # where a cubic term decides
    assert zero.attracting
    (zero,) = eff(above).fixed_points()
    np.testing.assert_array_equal(zero.statistics.vector, 0)
    assert zero.stable
    assert zero.attracting
    start = eff(above).process.search_points(np.random.default_rng(0), 8)
    assert float(jnp.abs(eff(above).solve(start, [600.0]).vector).max()) < 1e-6


# -- search ----------------------------------------------------------------------------------------


def _assert_search_finds_the_formula(eff, **options):
    formula, search = eff.fixed_points("formula"), eff.fixed_points("search", **options)

    def kinds(points):
        return _count(points, lambda p: (p.dimension, p.stable))

    assert kinds(search) == kinds(formula)
    # Each found component is in exactly one by formula, and they are all different.
    near = np.array([[p.distance(q.statistics) < 1e-5 for p in formula] for q in search])
    np.testing.assert_array_equal(near.sum(0), 1)
    np.testing.assert_array_equal(near.sum(1), 1)


@pytest.mark.slow
def test_search_finds_the_components_of_the_binary_mixture():
    _assert_search_finds_the_formula(_binary(), starts=128)


@pytest.mark.slow
def test_search_finds_the_components_of_xor_with_one_neuron():
    _assert_search_finds_the_formula(_xor(1), starts=128)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "starts"), [(2, 1024), (3, 2048)])
def test_search_finds_the_components_of_xor(width, starts):
    _assert_search_finds_the_formula(_xor(width), starts=starts)


# -- distance --------------------------------------------------------------------------------------


def _member(bins, masses, home, amplitudes, spec):
    """Neurons with these homes (index into bins, None for zero) and relative amplitudes."""
    v, M = np.zeros(len(home)), np.zeros((len(home), spec.directions))
    for k, c in enumerate(bins):
        mine = [i for i, h in enumerate(home) if h == k]
        norm = math.sqrt(sum(amplitudes[i] ** 2 for i in mine))
        for i in mine:
            a = math.sqrt(masses[c]) * amplitudes[i] / norm
            v[i] = a * (1 if spec.labels[c][0] > 0.5 else -1)
            M[i] = a * np.array(spec.coefficients[c])
    return v, M


def _as_statistics(v, M):
    return sl.Statistics(v, M, M @ np.swapaxes(M, -1, -2))


def _spread(bins, width, rng):
    """All ways to put the neurons into the bins or to zero, no bin left empty."""
    options = [*range(len(bins)), None]
    for home in itertools.product(options, repeat=width):
        if set(range(len(bins))) <= set(home):
            yield home, rng.uniform(0.2, 1, width)


@pytest.mark.parametrize("bins", [(0,), (1, 3), (0, 1, 2)])
def test_the_distance_is_zero_on_a_continuum_with_its_edges(bins):
    data, rng = _xor(4).model.data, np.random.default_rng(0)
    name = "bins {" + ", ".join(f"class {c + 1}" for c in bins) + "}"
    component = next(s for s in _formula(_xor(4)) if s.label == name)
    masses = [bin_mass(0.25, 0.05)] * 4
    members = [_member(bins, masses, *one, data) for one in _spread(bins, 4, rng)]
    u = _as_statistics(*(np.stack(x) for x in zip(*members, strict=True)))
    assert component.distance(u).shape == (len(members),)
    np.testing.assert_allclose(component.distance(u), 0, atol=1e-7)
    assert float(jnp.abs(_xor(4).drift(u).vector).max()) < 1e-12
    for other in _formula(_xor(4)):
        if other.label != name:
            assert other.distance(u).min() > 0.5


@pytest.mark.parametrize("bins", [(0,), (1, 3)])
def test_near_a_continuum_the_distance_is_that_to_the_nearest_point(bins):
    # By brute force: over all homes of the three neurons, the best amplitudes in each bin.
    data, rng, width, C = _xor(3).model.data, np.random.default_rng(1), 3, bin_mass(0.25, 0.05)
    name = "bins {" + ", ".join(f"class {c + 1}" for c in bins) + "}"
    component = next(s for s in _formula(_xor(3)) if s.label == name)
    for home, amplitudes in _spread(bins, width, rng):
        v, M = _member(bins, [C] * 4, home, amplitudes, data)
        v, M = v + 0.02 * rng.standard_normal(v.shape), M + 0.02 * rng.standard_normal(M.shape)
        sign = np.array([1 if data.labels[c][0] > 0.5 else -1 for c in bins])
        overlap = v[:, None] * sign + M @ np.array(data.coefficients).T[:, list(bins)]
        best = -np.inf
        for homes in itertools.product(range(len(bins)), repeat=width):
            gain = sum(
                np.linalg.norm(np.maximum(overlap[np.array(homes) == k, k], 0))
                for k in range(len(bins))
            )
            best = max(best, math.sqrt(C) * gain)
        expected = math.sqrt((v**2).sum() + (M**2).sum() + 2 * len(bins) * C - 2 * best)
        assert float(component.distance(_as_statistics(v, M))) == pytest.approx(expected, abs=1e-9)


def test_components_of_placed_neurons_are_points():
    sets = [s for s in _formula(_xor(3)) if s.stable]
    order = np.array([1, 2, 0])
    for one in sets:
        u = one.statistics
        permuted = sl.Statistics(u.v[order], u.M[order], u.Q[order][:, order])
        assert float(one.distance(u)) < 1e-7
        assert float(one.distance(permuted)) > 1
        assert sum(float(other.distance(permuted)) < 1e-7 for other in sets) == 1


def test_the_distance_is_positive_off_the_set():
    u = _xor(4).process.search_points(np.random.default_rng(2), 200)
    u = u[np.flatnonzero((np.asarray(u.v) != 0).any(-1))]  # some are zero: a fixed point
    for one in _formula(_xor(4)):
        assert one.distance(u).min() > 1e-4


def test_a_neuron_between_two_bins_is_in_neither():
    # As near to class 1 as to class 2: it must not count for both.
    C = bin_mass(0.25, 0.05)
    component = next(s for s in _formula(_xor(3)) if s.label == "bins {class 1, class 2}")
    u = _as_statistics(np.array([2 * math.sqrt(C), 0, 0]), np.zeros((3, 2)))
    assert float(component.distance(u)) > 0.5 * math.sqrt(C)


# -- k classes -------------------------------------------------------------------------------------


@cache
def _classes():
    model = sl.k_gmm(means_gram=_GRAM, probabilities=_P, snr=_INF, ridge=0.05)
    return sl.effective_dynamics(model)


def _random_states(count):
    return _classes().process.search_points(np.random.default_rng(3), count)


def test_the_energy_falls_along_solutions():
    eff = _classes()
    path = eff.solve(_random_states(16), np.linspace(0, 40, 81))
    steps = np.diff(np.asarray(eff.model.energy(path)), axis=0)
    assert (steps < 0).all()


def test_the_energy_falls_at_the_rate_of_the_formula():
    # dE/dt = -tr(A G A^T) - beta^2 tr R, A_ac = p_c pi_a(c) - p_a delta_ac + beta (M G^-1)_ac.
    eff, beta = _classes(), 0.05
    u = _random_states(16)
    rates = []
    for index in range(16):
        state = u[index]
        rates.append(jax.jvp(eff.model.energy, (state,), (eff.drift(state),))[1])
    M = np.asarray(u.M)
    softmax = np.exp(M) / np.exp(M).sum(-2, keepdims=True)
    A = _P * softmax - np.diag(_P) + beta * M @ np.linalg.inv(_GRAM)
    inner = np.trace(A @ _GRAM @ np.swapaxes(A, -1, -2), axis1=-2, axis2=-1)
    rest = np.trace(np.asarray(u.R_perp(jnp.asarray(_GRAM))), axis1=-2, axis2=-1)
    np.testing.assert_allclose(rates, -inner - beta**2 * rest, rtol=1e-10)


def test_the_fixed_point_of_three_classes_is_found_by_search():
    eff = sl.effective_dynamics(sl.k_gmm(3, snr=_INF, ridge=0.05))
    (formula,), (search,) = eff.fixed_points("formula"), eff.fixed_points("search", starts=32)
    np.testing.assert_allclose(search.statistics.vector, formula.statistics.vector, atol=1e-9)
    assert formula.stable
    assert search.stable


@pytest.mark.slow
def test_three_classes_with_other_means_have_one_fixed_point():
    (point,) = _classes().fixed_points("search", starts=32)
    assert point.stable
    # All solutions end there, and there the energy is least.
    ends = _classes().solve(_random_states(4), [1000.0])
    gaps = np.asarray(ends.vector[0] - point.statistics.vector)
    np.testing.assert_allclose(gaps, 0, atol=1e-7)
    energy = _classes().model.energy
    assert (energy(_random_states(64)) > energy(point.statistics)).all()
