"""Errors of drifts carried along paths: against solutions by far finer rules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

import sgdlimits as sl
from sgdlimits.limits.path_error import carried_squares

# Rules that are too coarse are what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*of its scale only")

_NAMES = ("v", "M", "Q")
_TRUST = 3.0  # times the claim


def _logits(v, s):
    return v.reshape(3, 2) @ jnp.tanh(s)


def _softmax(output, label):
    return jax.nn.logsumexp(output) - jnp.sum(label * output)


def _mixture(rule):
    data = sl.GaussianMixture(
        [[1.0, 0.0], [-0.4, 0.9], [0.2, -1.1]],
        np.eye(3),
        gram=[[1.0, 0.3], [0.3, 0.8]],
        probabilities=[0.5, 0.3, 0.2],
        snr=[0.8, 1.5, 3.0],
    )
    network = sl.Network(_logits, width=2, layer=6)
    return sl.MultiIndexModel(data=data, network=network, loss=_softmax, ridge=0.05, rule=rule)


def _kinked(rule):
    model = sl.xor_gmm(snr=10.0, ridge=0.05, width=4)
    return sl.MultiIndexModel(
        data=model.data, network=model.network, loss=model.loss, ridge=0.05, rule=rule
    )


#: A coarse rule, a fine one, and the horizon.
CASES = {
    "gauss": (_mixture, sl.TruncatedGauss(2, 2), sl.TruncatedGauss(2, 20), 6.0),
    "replicates": (_mixture, sl.QuasiMonteCarlo(2, 5), sl.TruncatedGauss(2, 20), 6.0),
    "crossed kinks": (
        _kinked, sl.QuasiMonteCarlo(4, 7, split=False), sl.TruncatedGauss(4, 5), 10.0
    ),
}  # fmt: skip


def _solve(model, time, engine):
    return sl.simulate(
        model, sl.OnlineSGD(step=0.7), engine, dim=100, time=time, runs=3, seed=1, record=21
    )


def _flat(ds, end=""):
    return np.concatenate([ds[name + end].values[:, 1:].ravel() for name in _NAMES])


@pytest.mark.parametrize("name", CASES)
def test_claimed_errors_cover_the_distance_to_a_finer_rule(name):
    make, coarse, fine, time = CASES[name]
    ours = _solve(make(coarse), time, "ode")
    theirs = _solve(make(fine), time, sl.engines.ODE(errors=False))
    distance, claim = np.abs(_flat(ours) - _flat(theirs)), _flat(ours, "_error")
    assert np.isfinite(claim).all()
    missed = lambda claim: (distance > _TRUST * claim).mean()  # noqa: E731
    assert missed(claim) < 0.03
    assert missed(claim / 20) > 0.1  # and that is a test
    assert np.median(claim / distance) < 100
    assert distance.max() < _TRUST * claim.max()


def test_errors_have_the_dims_of_their_statistics_and_say_what_they_are(tmp_path):
    model = _mixture(sl.QuasiMonteCarlo(2, 3))
    arguments = dict(model=model, dim=60, time=0.5, record=3, engine="ode")
    ds = sl.simulate(**arguments, runs=5, seed=2, out=tmp_path / "run")
    for name in _NAMES:
        error = ds[name + "_error"]
        assert error.dims == ds[name].dims
        assert error.shape == ds[name].shape
        assert error.attrs["of"] == name
        assert name in error.attrs["long_name"]
        assert (error[:, 0] == 0).all()
        assert (error[:, 1:] > 0).all()
    assert sl.load(tmp_path / "run").identical(ds)
    again = sl.simulate(**arguments, runs=2, first_run=3, seed=2)
    np.testing.assert_array_equal(again["M_error"], ds["M_error"][3:])
    swept = sl.sweep(lambda seed: dict(arguments, runs=2, seed=seed), {"seed": [1, 2]})
    assert swept["M_error"].dims == ("seed", *ds["M"].dims)


def test_paths_of_the_sde_carry_the_errors_of_their_drift():
    model = _mixture(sl.QuasiMonteCarlo(2, 3))
    arguments = dict(dim=10**6, time=1.0, runs=2, seed=2, record=3)
    sde = sl.simulate(model, engine=sl.engines.SDE(dt=0.1), **arguments)
    ode = sl.simulate(model, engine="ode", **arguments)
    # Its rule is no coarser here; paths differ by the noise.
    np.testing.assert_allclose(sde["M_error"], ode["M_error"], rtol=0.1, atol=1e-6)
    assert "M_error" not in sl.simulate(
        model, engine=sl.engines.SDE(0.1, errors=False), **arguments
    )


@pytest.mark.parametrize(
    "model",
    [sl.SpikedTensor(snr=2.0), sl.committee(2, 1, "erf"), sl.xor_gmm(snr=np.inf, width=2)],
    ids=["spiked", "erf", "no noise"],
)
def test_formulas_have_no_errors(model):
    assert sl.Process(model, sl.OnlineSGD()).drift_is_exact
    ds = sl.simulate(model, engine="ode", dim=50, time=0.1, record=2)
    assert not [name for name in ds if str(name).endswith("_error")]


def test_rules_that_know_no_error_say_so():
    ds = sl.simulate(_mixture(sl.QuasiMonteCarlo(2, 5, 1)), engine="ode", dim=50, time=0.1)
    assert np.isnan(ds["M_error"][:, 1:]).all()
    assert "unknown" in ds["M_error"].attrs["long_name"]


def test_errors_of_reduced_equations_cover_the_distance_to_a_finer_rule(monkeypatch):
    from sgdlimits.limits import mean_field

    model = sl.committee(6, 2, "erf", noise=0.1)
    monkeypatch.setitem(mean_field._ORDERS, 2, (4, 4))
    ours = sl.simulate(model, engine="mean_field", dim=100, time=12.0, record=11)
    monkeypatch.setitem(mean_field._ORDERS, 2, (16, 12))
    jax.clear_caches()
    theirs = sl.simulate(model, engine="mean_field", dim=100, time=12.0, record=11)
    for name in ("M", "q"):
        distance = abs(ours[name] - theirs[name]).max("neuron")
        claim = ours[name + "_error"].max("neuron")
        assert (distance <= _TRUST * claim + 1e-9).mean() > 0.9
        assert distance.max() > 1e-7
    slow = sl.OnlineSGD(step=0.2)
    exact = sl.simulate(sl.phase_retrieval(3), slow, "mean_field", dim=100, time=0.1, record=2)
    assert "M_error" not in exact


def test_a_constant_deviation_is_carried_exactly_whatever_the_stiffness():
    slope = np.array([[-1e4, 30.0], [0.0, 0.5]])
    deviation, times = np.array([2e-3, 1e-4]), np.array([0.0, 0.1, 0.7, 2.0])
    squares = carried_squares(
        times, np.tile(slope, (4, 1, 1)), np.tile(deviation, (4, 1, 1)).reshape(4, 1, 2)
    )
    generator = np.zeros((3, 3))
    generator[:2, :2], generator[:2, 2] = slope, deviation
    together = np.array([expm(t * generator)[:2, 2] for t in times]) ** 2
    assert (squares >= together * (1 - 1e-9)).all()
    assert (squares <= 2 * together * (1 + 1e-9)).all()
    np.testing.assert_allclose(squares[1], 2 * together[1], rtol=1e-9)  # one interval, twice


def test_what_cancels_is_not_forgotten():
    # It comes in with one sign and then with the other; nothing decays.
    deviations = np.array([1.0, 1.0, -1.0, -1.0]).reshape(4, 1, 1)
    squares = carried_squares(np.array([0.0, 1.0, 1.0, 2.0]), np.zeros((4, 1, 1)), deviations)
    assert squares[-1, 0] == pytest.approx(2.0)
