"""Sharp asymptotics against closed forms, sum rules, independent equations and worked values."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

import sgdlimits as sl
from sgdlimits import spectra
from sgdlimits.spectra.asymptotics.thresholds import thresholds_of_law
from sgdlimits.spectra.asymptotics.weight_law import WeightLaw
from tests.spectra.sharp_cases import softmax, xor

NODES = 2**14


def constant_weights(spike: float, snr: float, sign: float = 1.0):
    """D = sign, and X Gaussian along one direction with variance (1 + spike)/snr.

    Twelve classes at Gauss-Hermite nodes have the moments of a Gaussian up to order 23.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    data = sl.GaussianMixture(
        nodes[:, None] * (spike / snr) ** 0.5,
        np.zeros(12),
        probabilities=weights / weights.sum(),
        snr=snr,
    )
    network = sl.Network(lambda v, s: s, width=1, layer=0)
    model = sl.MultiIndexModel(
        data=data, network=network, loss=lambda f, y: sign * (f[0] - y[0]) ** 2 / 2
    )
    return model, sl.Statistics(np.zeros(0), np.array([[0.0]]), np.array([[1.0]]))


# -- constant weights: Marchenko and Pastur, Baik, Ben Arous and Peche, Paul ----------------------


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("gamma", [0.2, 1.7])
def test_constant_weights_give_marchenko_pastur(gamma, sign):
    snr = 2.5
    model, u = constant_weights(0.1, snr, sign)
    bulk = spectra.asymptotic(model, u, alpha=1 / gamma, nodes=NODES).bulk
    low, high = (1 - gamma**0.5) ** 2 / snr, (1 + gamma**0.5) ** 2 / snr
    ends = [low, high] if sign > 0 else [-high, -low]
    assert_allclose([bulk.left.x, bulk.right.x], ends, rtol=1e-10)
    assert_allclose(bulk.atom, max(0, 1 - 1 / gamma), atol=1e-12)
    x = np.linspace(low, high, 9)[1:-1]
    density = snr * np.sqrt((high - x) * (x - low)) / (2 * np.pi * gamma * x)
    assert_allclose(bulk.density(sign * x), density, rtol=2e-4)
    exact = lambda x: snr * np.sqrt((high - x) * (x - low)) / (2 * np.pi * gamma * x)  # noqa: E731
    below = np.array([quad(exact, low, end)[0] for end in x])
    expected = bulk.atom + below if sign > 0 else 1 - bulk.atom - below
    assert_allclose(bulk.distribution(sign * x), expected, atol=2e-6)
    assert_allclose(bulk.distribution(np.array([-9.0, 9.0])), [0, 1], atol=1e-12)
    assert bulk.gaps == ()


@pytest.mark.parametrize("gamma", [0.2, 1.7])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_constant_weights_give_the_spiked_covariance(gamma, sign):
    snr, spike = 2.5, 3.1
    model, u = constant_weights(spike, snr, sign)
    found = spectra.asymptotic(model, u, alpha=1 / gamma, nodes=NODES)
    (outlier,) = found.outliers
    assert outlier.side == ("right" if sign > 0 else "left")
    assert_allclose(outlier.value, sign * (1 + spike) * (1 + gamma / spike) / snr, rtol=1e-9)
    mass = (1 - gamma / spike**2) / (1 + gamma / spike)
    assert_allclose(outlier.mass, mass, rtol=1e-9)
    assert_allclose(outlier.overlap(found.direction(frame=0)), mass, rtol=1e-9)
    variance = 2 * (1 + spike) ** 2 * (1 - gamma / spike**2) / snr**2  # Paul (2007)
    assert_allclose(outlier.deviation**2, variance, rtol=1e-8)


def test_the_transition_of_constant_weights():
    snr, spike = 2.5, 0.7
    model, u = constant_weights(spike, snr)
    needed = spectra.outlier_thresholds(model, u, nodes=NODES)
    assert_allclose(needed[0], 1 / spike**2, rtol=1e-6)
    assert np.isinf(needed[1])
    assert np.isinf(spectra.outlier_thresholds(model, u, side="left", nodes=NODES)).all()
    for factor, count in ((0.99, 0), (1.01, 1)):
        found = spectra.asymptotic(model, u, alpha=factor / spike**2, nodes=NODES)
        assert len(found.outliers) == count


def test_constant_weights_cost_the_tracy_widom_scale():
    gamma, snr = 0.3, 2.5
    model, u = constant_weights(0.1, snr)
    edge = spectra.asymptotic(model, u, alpha=1 / gamma, nodes=NODES).bulk.right
    johnstone = (1 + gamma**0.5) * (1 + gamma**-0.5) ** (1 / 3) * gamma ** (2 / 3) / snr
    assert_allclose(edge.scale, johnstone, rtol=1e-8)


# -- any weights: sum rules and another equation --------------------------------------------------

BLOCKS = [
    (softmax(), (0, 0), "hessian"),
    (softmax(probabilities=(0.5, 0.3, 0.2)), (0, 1), "gradient"),
    (xor(), (0, 1), "hessian"),
    (xor(), (2, 2), "gradient"),
]


@pytest.mark.parametrize(("system", "block", "kind"), BLOCKS)
@pytest.mark.parametrize("alpha", [0.7, 5.0])
def test_moments_of_the_bulk(system, block, kind, alpha):
    found = spectra.asymptotic(
        system.model, system.statistics, block, kind=kind, alpha=alpha, nodes=NODES
    )
    bulk, law = found.bulk, found.law
    x = np.concatenate([np.linspace(p.x_low, p.x_high, 40001) for p in bulk.components])
    mass = np.diff(bulk.distribution(x))
    centre = (x[1:] + x[:-1]) / 2
    assert_allclose(mass.sum(), 1 - (bulk.atom if bulk.left.x > 0 else 0), atol=1e-6)
    first = law.expect(law.t)
    assert_allclose(mass @ centre, first, atol=2e-4 * law.expect(abs(law.t)))
    second = law.expect(law.t**2) / alpha + first**2
    assert_allclose(mass @ centre**2, second, rtol=2e-4)
    with_density = np.trapezoid(bulk.density(x) * x**2, x)
    assert_allclose(with_density, second, rtol=1e-2)  # peaks at single nodes in thin tails


@pytest.mark.parametrize(("system", "block", "kind"), BLOCKS)
def test_the_fixed_point_equation_at_complex_z(system, block, kind):
    """m = 1/(z - E[t/(1 - gamma m t)]), which is a contraction far from the real axis."""
    alpha = 2.0
    bulk = spectra.asymptotic(
        system.model, system.statistics, block, kind=kind, alpha=alpha, nodes=NODES
    ).bulk
    law = bulk.companion.law
    scale = max(abs(bulk.left.x), bulk.right.x)
    z = scale * np.array([0.4 + 0.5j, -0.2 + 0.5j, 1.2 + 0.6j])
    m = 1 / z
    for _ in range(400):
        m = 1 / (z - law.expect(law.t / (1 - m[:, None] * law.t / alpha)))
    x = np.concatenate([np.linspace(p.x_low, p.x_high, 40001) for p in bulk.components])
    mass, centre = np.diff(bulk.distribution(x)), (x[1:] + x[:-1]) / 2
    stieltjes = (mass / (z[:, None] - centre)).sum(1)
    if bulk.left.x > 0:  # otherwise the atom is a step of the distribution inside
        stieltjes += bulk.atom / z
    assert_allclose(stieltjes, m, rtol=1e-4)


# Without a cut, thin tails end in single nodes, each an unresolved resonance: not that block here.
@pytest.mark.parametrize(("system", "block", "kind"), [BLOCKS[0], *BLOCKS[2:]])
def test_outliers_and_bulk_carry_every_direction(system, block, kind):
    found = spectra.asymptotic(
        system.model, system.statistics, block, kind=kind, alpha=4.0, dim=10**9, nodes=NODES
    )
    for e in (found.direction(neurons=0), found.direction(frame=1)):
        total = sum(o.overlap(e) for o in found.outliers) + found.eigenspace.share(e)
        # The sum over 161 points a component.
        assert_allclose(total + _in_kernel(found, e), 1, atol=3e-3)


def _in_kernel(found, e):
    """Share of e in the atom at 0: the residue of (z - B)^-1 at a = 0."""
    if found.bulk.atom == 0:
        return 0.0
    law = found.law
    inside = law.t != 0
    lost = law.second[inside].sum(0)
    slack = 1 / found.alpha - law.mass[inside].sum()
    return slack * e @ np.linalg.inv(slack * np.eye(len(e)) + lost) @ e


def test_no_outlier_in_a_direction_that_is_noise():
    """Softmax weights depend on differences of neurons: their mean direction never detaches."""
    system = softmax()
    law = WeightLaw.create(system.model, system.statistics, nodes=NODES)
    assert np.isinf(thresholds_of_law(law, 1)[3:]).all()


def test_a_class_without_noise_is_the_limit_of_little_noise():
    system, u = softmax(), softmax().statistics
    values = []
    for snr in (np.inf, 1e7):
        data = sl.GaussianMixture(np.eye(3), np.eye(3), snr=[10.0, 5.0, snr])
        model = sl.MultiIndexModel(data=data, network=system.model.network, loss=system.model.loss)
        found = spectra.asymptotic(model, u, alpha=3.0, nodes=2**16)
        values.append([*(o.value for o in found.outliers), found.bulk.right.x])
    assert_allclose(values[0], values[1], rtol=1e-4)


def test_a_gap_in_the_bulk():
    """Two classes of very different noise: two components, each Marchenko-Pastur like."""
    data = sl.GaussianMixture([[0.01], [-0.01]], [0, 0], snr=[1.0, 50.0])
    model = sl.MultiIndexModel(
        data=data,
        network=sl.Network(lambda v, s: s, width=1, layer=0),
        loss=lambda f, y: (f[0] - y[0]) ** 2 * (1 - 0.999 * y[0]) / 2,
    )
    # With alpha < 1/2 the noisy class has too few samples to fill the space: the rest of the
    # eigenvalues, a share 1 - alpha/2, are those of the quiet one and zero.
    u = sl.Statistics(np.zeros(0), np.array([[0.0]]), np.array([[1.0]]))
    found = spectra.asymptotic(model, u, alpha=0.4, nodes=NODES)
    lower, upper = found.bulk.components
    assert lower.x_high < upper.x_low
    assert_allclose(found.bulk.atom, 1 - 0.4)
    share = found.bulk.distribution(np.array([(lower.x_high + upper.x_low) / 2]))
    assert_allclose(share, 1 - 0.2, atol=1e-9)


# -- worked values --------------------------------------------------------------------------------


def test_worked_values_of_softmax():
    """k = 3, aligned, alpha = 2: computed independently by quadrature."""
    system = softmax()
    found = spectra.asymptotic(system.model, system.statistics, alpha=2.0)
    bulk = found.bulk
    assert_allclose(found.law.expect(found.law.t) * 10, 0.10871467559811732, rtol=1e-5)
    edges = [0.0006651537533086546, 0.03860689295189976]
    assert_allclose([bulk.left.x, bulk.right.x], edges, rtol=2e-5)
    scales = [0.001109082361119937, 0.025087554280833438]
    assert_allclose([bulk.left.scale, bulk.right.scale], scales, rtol=5e-5)
    x = np.array([0.010150588552956431, 0.019636023352604205, 0.02912145815225198])
    density = [34.607608904167314, 17.885279815887383, 9.529130823685675]
    assert_allclose(bulk.density(x), density, rtol=5e-5)
    rows = [
        [0.06506956440583964, 0.8015998209741777, 0.6833090599461966, 0.54210479711173],
        [0.044126881831258805, 0.6141197826795054, 0.0, 0.0],
        [0.03864729426510355, 0.1204706911005946, 0.018657359683880083, 0.03959168711584147],
    ]
    mean, neuron = found.direction(frame=0), found.direction(neurons=0)
    computed = [[o.value, o.mass, o.overlap(mean), o.overlap(neuron)] for o in found.outliers]
    assert_allclose(np.array(computed)[:2], rows[:2], rtol=1e-4, atol=1e-6)
    # The third is 0.1 % off the edge, where masses grow from 0 like a square root.
    assert_allclose(computed[2], rows[2], rtol=5e-3)
    assert_allclose(computed[2][0], rows[2][0], rtol=3e-5)
    deviations = [0.07574176093555526, 0.04049499150924398, 0.020067768969328173]
    assert_allclose([o.deviation for o in found.outliers], deviations, rtol=2e-4)


def test_worked_thresholds():
    """snr and samples per dimension at which outliers separate, computed independently."""
    u = sl.Statistics(np.zeros(0), np.zeros((3, 3)), np.eye(3))
    found = [spectra.snr_threshold(sl.k_gmm(3), u, alpha=2.0, index=i, nodes=2**14) for i in (0, 2)]
    assert_allclose(found, [2.0668, 2.2609], atol=3e-4)
    system = softmax()
    needed = spectra.outlier_thresholds(system.model, system.statistics)
    assert_allclose(needed[:3], [0.18, 0.80, 1.92], atol=6e-3)
    cut = spectra.outlier_thresholds(system.model, system.statistics, kind="gradient", dim=1000)
    assert_allclose(cut[:3], [3.1, 12.7, 178], rtol=0.03)


def test_thresholds_are_where_outliers_appear():
    system = xor()
    needed = spectra.outlier_thresholds(system.model, system.statistics, nodes=NODES)
    for index in np.flatnonzero(np.isfinite(needed))[:2]:
        for factor, separated in ((0.98, False), (1.02, True)):
            found = spectra.asymptotic(
                system.model, system.statistics, alpha=factor * needed[index], nodes=NODES
            )
            right = sum(o.side == "right" for o in found.outliers)
            assert (right > index) == separated


# -- alignment and trajectories -------------------------------------------------------------------


def test_captured_counts_outliers_then_bulk():
    system = softmax()
    found = spectra.asymptotic(system.model, system.statistics, alpha=8.0, dim=400, nodes=2**16)
    e = found.direction(neurons=0)
    assert len(found.outliers) == 3
    by_outliers = np.cumsum([o.overlap(e) for o in found.outliers])
    assert_allclose([found.captured(e, k) for k in (1, 2, 3)], by_outliers, rtol=1e-12)
    values = [found.captured(e, k) for k in (3, 4, 20, 200, 397)]
    assert (np.diff(values) > 0).all()
    assert_allclose(values[-1], 1, atol=3e-3)


def test_along_is_the_spectrum_at_every_state():
    model = sl.k_gmm(2, snr=5.0, ridge=0.02)
    dynamics = sl.effective_dynamics(model, sl.OnlineSGD(step=0.5))
    start = sl.Statistics(np.zeros(0), np.zeros((2, 2)), np.diag([1.0, 0.9]))
    times = np.array([0.0, 6.0])
    options = dict(kind="gradient", alpha=6.0, dim=300, nodes=NODES)
    found = spectra.along(dynamics, start, times, (1, 1), count=2, thresholds=True, **options)
    path = dynamics.solve(start, times, rtol=1e-7, atol=1e-9)
    u = sl.Statistics(*(np.asarray(x)[1] for x in (path.v, path.M, path.Q)))
    last = spectra.asymptotic(model, u, (1, 1), **options)
    by_size = sorted(last.outliers, key=lambda o: -abs(o.value))
    row = found.isel(time=1)
    count = int(row["separated"])
    assert count == len(by_size)
    assert count > 0
    assert_allclose(row["value"].values[:count], [o.value for o in by_size], rtol=1e-6)
    assert np.isnan(row["value"].values[count:]).all()
    assert_allclose(row["edge"].sel(side="right"), last.bulk.right.x, rtol=1e-8)
    e = last.direction(neurons=1)
    assert_allclose(row["captured"][1], last.captured(e, 2), rtol=1e-6)
    assert_allclose(row["overlap_neuron"][0, 1], by_size[0].overlap(e), rtol=1e-6)
    needed = spectra.outlier_thresholds(model, u, (1, 1), kind="gradient", dim=300, nodes=NODES)
    assert_allclose(row["threshold"].values[: len(needed)], needed, rtol=1e-6)
    assert found.attrs["block"] == [1, 1]


@pytest.mark.parametrize("alpha", [0.4, 6.0])
@pytest.mark.parametrize("block", [(0, 0), (0, 2), (0, 1)])
def test_every_eigenvalue_is_counted(alpha, block):
    """dim of them in all; with an atom, as many that are not 0 as samples of weight not 0."""
    system = xor()
    found = spectra.asymptotic(
        system.model, system.statistics, block, alpha=alpha, dim=200, nodes=NODES
    )
    count = found.eigenspace.count_above
    assert_allclose([count(-1.0), count(1.0)], [200, 0], atol=1e-9)
    if found.bulk.atom > 0:
        nonzero = found.law.positive + found.law.negative
        assert_allclose(count(-1e-12) - count(1e-12), 200 - alpha * 200 * nonzero, atol=0.1)
    right = sum(o.side == "right" for o in found.outliers)
    if found.bulk.right.x > 0:
        assert_allclose(count(found.bulk.right.x * 1.000001), right, atol=1e-9)
    x = np.linspace(found.bulk.left.x, found.bulk.right.x, 50)
    # The correction of order 1 is not monotone at an edge of single nodes.
    if alpha > 1:
        assert (np.diff([count(value) for value in x]) < 1e-9).all()


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alpha": 0.0}, "alpha=0.0"),
        ({"alpha": 2.0, "dim": 4}, "dim=4"),
        ({"alpha": 2.0, "block": (0, 3)}, "block=3"),
        ({"alpha": 2.0, "kind": "fisher"}, "kind='fisher'"),
        ({"alpha": 2.0, "nodes": 0}, "nodes=0"),
    ],
)
def test_bad_input(change, words, as_users_run):
    system = softmax()
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        spectra.asymptotic(system.model, system.statistics, **change)


def test_bad_input_of_the_others(as_users_run):
    system = softmax()
    model, u = system.model, system.statistics
    with pytest.raises(ValueError, match="bracket"):
        spectra.snr_threshold(model, u, alpha=2.0, bracket=(20.0, 30.0), nodes=NODES)
    with pytest.raises(ValueError, match="side='top'"):
        spectra.outlier_thresholds(model, u, side="top")
    found = spectra.asymptotic(model, u, alpha=2.0, nodes=NODES)
    with pytest.raises(ValueError, match="dim=None"):
        found.captured(found.direction(neurons=0), 2)
    with pytest.raises(ValueError, match="dim=None"):
        found.deviation(found.outliers[0])
    with pytest.raises(ValueError, match="combination is zero"):
        found.direction()
    with pytest.raises(ValueError, match="noise"):
        spectra.asymptotic(sl.k_gmm(3, snr=np.inf), u, alpha=2.0)
    with pytest.raises(TypeError, match="MultiIndexModel"):
        spectra.outlier_thresholds(sl.SpikedTensor(), u)
    batch = sl.Statistics(*(np.asarray(x)[None] for x in (u.v, u.M, u.Q)))
    with pytest.raises(ValueError, match="one state"):
        spectra.asymptotic(model, batch, alpha=2.0)


def test_with_snr_changes_nothing_else():
    model = softmax(probabilities=(0.5, 0.3, 0.2)).model
    changed = model.data.with_snr(3.0)
    assert changed.snr == (3.0, 3.0, 3.0)
    assert changed.probabilities == model.data.probabilities
    assert changed.coefficients == model.data.coefficients
