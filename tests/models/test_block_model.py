"""Several eigenvalues: drift and noise of one real step; the isotropic model as a special case.

Monte Carlo: |z| < 5 for some hundred numbers a case, false alarms in 10^4; controls exceed it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits._tracing import dynamic
from sgdlimits.limits.flow import solve_vectors
from sgdlimits.spectra.blocks import check_multi_index

_SHARES = [0.25, 0.35, 0.4]
_THREE = sl.Spectrum([2.0, 0.7, 0.1], fractions=_SHARES)
_BY_CLASS = sl.Spectrum([[2.0, 0.7, 0.1], [0.2, 0.5, 1.5]], fractions=_SHARES)
_ONES = sl.Spectrum([1.0, 1.0, 1.0], fractions=_SHARES)
_TWO_ROWS = [[1.0, 0.3], [0.3, 0.8]]


def _committee(covariance=None, **options):
    options = {"train_second_layer": True, "ridge": 0.1, "noise": 0.1, **options}
    return sl.committee(2, 1, "erf", covariance=covariance, **options)


def _logistic(output, label):
    return jnp.logaddexp(0.0, output) - label[0] * output


def _mixture(covariance=None, gram=_TWO_ROWS, snr=(1.0, 2.0)):
    data = sl.GaussianMixture(
        [[1.0, 0.0], [-0.3, 0.8]], [1.0, 0.0], gram=np.array(gram), snr=np.array(snr),
        probabilities=[0.3, 0.7], covariance=covariance,
    )  # fmt: skip
    network = sl.Network(lambda v, s: s[0], width=1, layer=0)
    return sl.MultiIndexModel(data=data, network=network, loss=_logistic)


def _by_hand(covariance=None):
    """A logistic student of noisy signs: labels that see the fields, by quadrature."""
    label = lambda f, z: jnp.where(f[0] + 0.5 * z > 0, 1.0, 0.0)  # noqa: E731
    network = sl.Network(lambda v, s: s[0], width=1, layer=0)
    data = sl.Teacher(label, covariance=covariance)
    return sl.MultiIndexModel(data=data, network=network, loss=_logistic)


def _total(u):
    return sl.Statistics(u.v, u.M.sum(-3), u.Q.sum(-3))


def _increments(model, sgd, u, dim, count):
    """Of the statistics in one real step, divided by delta."""
    process = sl.Process(model, sgd)
    frame = process.frame(dim)
    state = process.lift(jax.random.key(3), u, frame)
    start = process.statistics(state, frame).vector
    np.testing.assert_allclose(start, u.vector, atol=1e-10)

    def one(key):
        moved = process.step(state, frame, key, 0.0)
        return (process.statistics(moved, frame).vector - start) / process.delta(dim)

    keys = jax.random.split(jax.random.key(4), count)
    return np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=128))(keys))


def _z(samples, expected):
    return np.abs(samples.mean(0) - expected) / (samples.std(0) / len(samples) ** 0.5)


@pytest.mark.parametrize(
    ("make", "covariance", "step"),
    [(_committee, _THREE, 0.8), (_mixture, _BY_CLASS, 1.5)],
    ids=["committee", "classes"],
)
def test_drift_and_diffusion_are_those_of_one_real_step(make, covariance, step):
    model, sgd = make(covariance), sl.OnlineSGD(step=step)
    u = sl.initial(model, 12, 1, 0)[0]  # overlaps of order one
    samples = _increments(model, sgd, u, 300, 4000)
    limit = sl.effective_dynamics(model, sgd)
    drift = np.asarray(limit.drift(u).vector)
    assert _z(samples, drift).max() < 5
    # Controls: no inflation by the noise; and other eigenvalues.
    assert _z(samples, -np.asarray(limit.population_drift(u).vector)).max() > 6
    other = make(sl.Spectrum(2 * covariance.eigenvalues[:, ::-1], fractions=_SHARES))
    assert _z(samples, np.asarray(sl.effective_dynamics(other, sgd).drift(u).vector)).max() > 6
    # Products of increments have the covariance that the limit says, to O(1/dim).
    upper = np.triu_indices(samples.shape[1])
    away = samples - samples.mean(0)
    products = step * away[:, upper[0]] * away[:, upper[1]]
    diffusion = np.asarray(limit.diffusion(u))
    assert _z(products, diffusion[upper]).max() < 5
    assert _z(products, 1.2 * diffusion[upper]).max() > 6


@pytest.mark.parametrize("make", [_committee, _mixture, _by_hand])
def test_equal_eigenvalues_give_the_isotropic_numbers(make):
    sgd = sl.OnlineSGD(step=0.8, batch=2)
    model, isotropic = make(_ONES), make()
    u = sl.initial(model, 60, 3, 1)
    mine, other = (sl.effective_dynamics(m, sgd) for m in (model, isotropic))
    drift, known = mine.drift(u), other.drift(_total(u))
    np.testing.assert_allclose(_total(drift).vector, known.vector, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(
        sl.risk(model, u), sl.risk(isotropic, _total(u)), rtol=1e-10, atol=1e-12
    )


def test_errors_of_quadratures_are_carried():
    sgd = sl.OnlineSGD(step=0.8)
    model, isotropic = _by_hand(sl.Spectrum([1.0])), _by_hand()
    u = sl.initial(model, 60, 1, 1)[0]
    mine = sl.effective_dynamics(model, sgd).drift_error(u)
    other = sl.effective_dynamics(isotropic, sgd).drift_error(_total(u))
    assert 0 < float(other.M[0, 0])
    np.testing.assert_allclose(mine.vector, other.vector, rtol=1e-6)
    formula = sl.effective_dynamics(_committee(_THREE), sgd)
    u = sl.initial(_committee(_THREE), 60, 1, 1)[0]
    assert not np.any(formula.drift_error(u).vector)


def test_aligned_neurons():
    # The covariance of the fields is singular; slopes on its range are enough.
    model, sgd = _committee(_THREE), sl.OnlineSGD(step=0.8)
    u = sl.initial(model, 60, 1, 2)[0]
    twice = sl.BlockStatistics(jnp.ones(2), u.M[:, [0, 0]], u.Q[:, [0, 0]][:, :, [0, 0]])
    near = sl.BlockStatistics(twice.v, twice.M, twice.Q + 1e-7 * jnp.eye(2))
    limit = sl.effective_dynamics(model, sgd)
    at, beside = limit.drift(twice), limit.drift(near)
    np.testing.assert_allclose(at.vector, beside.vector, atol=1e-5)
    np.testing.assert_allclose(at.M[:, 0], at.M[:, 1], atol=1e-10)


def test_a_gram_matrix_per_block_decides_where_the_signal_is():
    # The teacher lives where inputs vary most: it is learned faster than one spread evenly.
    gram = np.array([1.0, 0.0, 0.0])[:, None, None]
    seen = sl.committee(1, 1, "erf", covariance=_THREE, teacher_gram=gram)
    even = sl.committee(1, 1, "erf", covariance=_THREE)
    u = sl.initial(seen, 400, 1, 0)[0]
    assert not np.any(u.M[1:])
    # From nothing known both learn as their teacher's field varies: 2 against 0.785 per variance.
    nothing = sl.BlockStatistics(u.v, 0 * u.M, u.Q)
    speed = [sl.effective_dynamics(m).drift(nothing).M[:, 0, 0] for m in (seen, even)]
    variances, total = np.array([2.0, 0.7, 0.1]), np.array([2.0, 0.785])
    np.testing.assert_allclose(speed[0][1:], 0, atol=1e-15)
    scale = [np.sqrt(1 + x) for x in total]  # of erf's mean slope
    np.testing.assert_allclose(
        (speed[1] / speed[0][0])[0],
        0.25 * variances[0] / variances[0] * scale[0] / scale[1],
        rtol=1e-12,
    )


def test_results_hold_totals():
    model = _committee(_THREE)
    result = sl.simulate(model, engine="chain", dim=60, time=0.2, runs=2, record=2)
    assert result.M.dims == ("run", "time", "block", "neuron", "direction")
    np.testing.assert_allclose(result.M_total, result.M.sum("block"))
    weighted = (result.Q * result.eigenvalue).sum("block")
    np.testing.assert_allclose(result.Q_field, weighted)
    assert result.fraction.values.tolist() == _SHARES
    risk = sl.risk(model, sl.BlockStatistics(*(result[x].values for x in ("v", "M", "Q"))))
    np.testing.assert_allclose(result.risk, risk)


_REFUSED = {
    "rule=sign": lambda m: sl.Process(m, sl.OnlineSGD(rule=sl.rules.sign())),
    "diffusion": lambda m: sl.simulate(
        m, sl.OnlineSGD(rule=sl.rules.momentum(decay=1.0)), "sde", dim=60, time=0.1
    ),
    "mean_field": lambda m: sl.simulate(m, engine="mean_field", dim=60, time=1.0),
    "spectra": lambda m: check_multi_index(m),
    "rescale": lambda m: sl.effective_dynamics(m).rescale("M_11_block1"),
    "audit": lambda m: sl.audit(m, sl.OnlineSGD()),
    "testing.check": lambda m: sl.testing.check(m, sl.OnlineSGD()),
}


@pytest.mark.parametrize("what", _REFUSED)
def test_what_is_not_there_is_refused_by_name(what):
    with pytest.raises(ValueError, match=rf"{what}.*with a covariance"):
        _REFUSED[what](_committee(_THREE))


def test_states_that_no_vectors_have():
    model = _committee(_THREE)
    u = sl.initial(model, 60, 1, 0)[0]
    with pytest.raises(TypeError, match="BlockStatistics"):
        sl.simulate(model, dim=60, time=1.0, initial=_total(u))
    wrong = sl.BlockStatistics(u.v, u.M, u.Q.at[1].add(-1.0))
    with pytest.raises(ValueError, match=r"in block 1 .* eigenvalue"):
        sl.simulate(model, dim=60, time=1.0, initial=wrong)
    with pytest.raises(ValueError, match=r"M has shape \(2, 2, 1\), expected \(3, 2, 1\)"):
        model.check_statistics(sl.BlockStatistics(u.v, u.M[:2], u.Q))
    with pytest.raises(ValueError, match="dim=2"):
        sl.simulate(model, dim=2, time=1.0)


@pytest.mark.slow
def test_the_sde_has_the_spread_of_the_chain():
    # Batches, a schedule, a second layer; 512 runs: spreads are known to 3 %, means to 4 % of it.
    model = _committee(_THREE)
    sgd = sl.OnlineSGD(step=1.0, batch=2, schedule=sl.schedules.power(0.3), second_layer_rate=0.5)
    u = sl.initial(model, 12, 1, 0)[0]
    fixed = {"dim": 400, "time": 2.0, "runs": 512, "record": 2, "initial": u}
    chain = sl.simulate(model, sgd, "chain", **fixed).isel(time=-1)
    sde = sl.simulate(model, sgd, "sde", dt=0.05, **fixed).isel(time=-1)
    for name in ("v", "M", "Q"):
        one, other = chain[name], sde[name]
        spread = one.std("run")
        np.testing.assert_allclose(other.std("run"), spread, rtol=0.2)
        assert float(np.abs((one.mean("run") - other.mean("run")) / spread).max()) < 0.5
    doubled = sl.OnlineSGD(step=1.0, batch=1, schedule=sgd.schedule, second_layer_rate=0.5)
    control = sl.simulate(model, doubled, "sde", dt=0.05, **fixed).isel(time=-1)
    assert float((control.M.std("run") / chain.M.std("run")).min()) > 1.25


def test_what_is_learned_to_the_end_is_no_obstacle():
    # Without noise fields of students and teachers become one, and C singular: few steps all the
    # same. Control of the cause: 2^11 would do for none of the paths that hang on rounding.
    spectrum = sl.Spectrum([1.5, 0.5])
    model = sl.committee(1, 1, "erf", noise=0.0, covariance=spectrum)
    process = sl.Process(model, sl.OnlineSGD(0.5))
    u = sl.initial(model, 200, 1, 0)[0]
    path = solve_vectors(
        dynamic(process), u.vector[None], jnp.asarray([200.0]), 1e-9, 1e-11, most_steps=2**11
    )
    end = u.with_vector(path[-1, 0])
    assert abs(float(sl.risk(model, end))) < 1e-9
