"""Comparisons: what is the same agrees as often as stated, what is not is told."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import sgdlimits as sl
from tests.helpers import FALSE_ALARM

MODEL, SGD = sl.SpikedTensor(snr=1.2), sl.OnlineSGD(step=1.0)
KWARGS = {"time": 1.0, "record": 11}


def run(engine, *, model=MODEL, dim=200, runs=64, seed=0, **kwargs):
    return sl.simulate(model, SGD, engine, dim=dim, runs=runs, seed=seed, **(KWARGS | kwargs))


def walks(rng, runs, drift=0.0, seed=0):
    """Random walks: correlated in time, as simulations are."""
    values = rng.standard_normal((runs, 20)).cumsum(1) / 4 + drift * np.arange(20)
    return xr.Dataset(
        {"m": (("run", "time"), values)},
        {"run": np.arange(runs), "time": np.arange(20.0)},
        {"seed": seed, "dim": 100},
    )


@pytest.mark.slow
@pytest.mark.stat
def test_the_band_misses_as_often_as_stated():
    rng, level, trials, runs = np.random.default_rng(0), 0.1, 200, 30
    misses = 0
    for _ in range(trials):
        one, other = walks(rng, runs, seed=0), walks(rng, runs, seed=1)
        misses += not sl.compare(one, other, level=level).agrees
    # Bounds on both sides: the level is kept, and the band is not idly wide.
    assert misses <= stats.binom.isf(FALSE_ALARM, trials, 1.3 * level)
    assert misses >= stats.binom.ppf(FALSE_ALARM, trials, 0.5 * level)


@pytest.mark.stat
@pytest.mark.parametrize("runs", [3, 6, 12])
def test_few_runs_of_many_statistics_are_not_told_apart_too_often(runs):
    rng, level, trials = np.random.default_rng(1), 0.1, 60
    coords = {"run": np.arange(runs), "time": np.arange(20.0)}
    exact = xr.Dataset(
        {"M": (("run", "time", "neuron"), np.zeros((1, 20, 30)))},
        coords | {"run": [0]}, {"seed": 1, "dim": 100},
    )  # fmt: skip
    misses = 0
    for _ in range(trials):
        values = rng.standard_normal((runs, 20, 30)).cumsum(1)
        one = xr.Dataset(
            {"M": (("run", "time", "neuron"), values)}, coords, {"seed": 0, "dim": 100}
        )
        misses += not sl.compare(one, exact, level=level).agrees
    assert misses <= stats.binom.isf(FALSE_ALARM, trials, level)


def test_a_band_wider_than_the_statistics_decides_nothing():
    one = walks(np.random.default_rng(0), 2)
    assert "cannot tell" in sl.compare(one, walks(np.random.default_rng(1), 2, seed=1)).summary()


@pytest.mark.stat
def test_a_drift_that_theory_does_not_have_is_told():
    rng = np.random.default_rng(0)
    found = sum(
        not sl.compare(walks(rng, 100, drift=0.05), walks(rng, 100, seed=1)).agrees
        for _ in range(20)
    )
    assert found == 20  # 0.95 at the end, standard error 0.16


@pytest.mark.stat
def test_chain_and_sgd_agree_and_another_model_does_not():
    real, chain = run("sgd", dim=60, runs=128), run("chain", dim=60, runs=512, seed=1)
    assert sl.compare(real, chain, level=FALSE_ALARM).agrees
    other = run("chain", model=sl.SpikedTensor(snr=2.0, ridge=1.0), dim=60, runs=512, seed=1)
    with pytest.raises(ValueError, match="of another model than the simulation"):
        sl.compare(real, other, level=FALSE_ALARM)
    del other.attrs["model"]
    assert not sl.compare(real, other, level=FALSE_ALARM).agrees


@pytest.mark.stat
def test_pairing_by_seed_takes_the_spread_of_the_starts_out():
    dim = 400
    chain, ode = run("chain", dim=dim), run("ode", dim=dim)
    paired = sl.compare(chain, ode, allowed=10 / dim)
    unpaired = sl.compare(chain, run("ode", dim=dim, seed=1), allowed=10 / dim)
    assert paired.paired
    assert not unpaired.paired
    assert paired.agrees
    first = {"time": 1}
    errors = [
        c.dataset["standard_error"].isel(first).sel(statistic="m") for c in (paired, unpaired)
    ]
    assert errors[0] < 0.8 * errors[1]
    assert not sl.compare(chain, ode.assign(m=ode["m"] + 0.2), allowed=10 / dim).agrees


@pytest.mark.slow
@pytest.mark.stat
def test_single_runs_approach_the_limit_at_the_expected_rate():
    comparisons = [
        sl.compare(run("chain", dim=dim), run("ode", dim=dim), allowed=10 / dim)
        for dim in (100, 400, 1600)
    ]
    rate = sl.convergence_rate(comparisons)
    assert rate.low - 0.1 <= -0.5 <= rate.high + 0.1
    assert rate.high - rate.low < 0.3
    scaled = [c.scaled for c in comparisons]
    assert max(scaled) < 2 * min(scaled)


def test_statistics_with_more_axes_are_labelled_and_drawn():
    model = sl.binary_gmm(snr=5.0)
    chain = run("chain", model=model, dim=50, runs=8)
    result = sl.compare(chain, run("chain", model=model, dim=50, runs=8, seed=1))
    assert "Q[0, 1]" in result.dataset["statistic"].values
    assert len(result.plot().axes) == 6
    assert "sup-distance" in repr(result)
    one = sl.compare(chain, chain, statistics=["v"])
    assert one.distance == 0
    assert list(one.dataset["statistic"].values) == ["v[0]", "v[1]"]


@pytest.mark.usefixtures("as_users_run")
def test_bad_input_is_refused():
    one = run("chain", runs=2)
    with pytest.raises(ValueError, match="recorded at other times"):
        sl.compare(one, run("chain", runs=2, record=5))
    with pytest.raises(ValueError, match=r"statistics=\['x'\]: expected names among m, r2"):
        sl.compare(one, one, statistics=["x"])
    with pytest.raises(ValueError, match="one run has no standard error"):
        sl.compare(one.isel(run=[0]), one)
    with pytest.raises(TypeError, match="theory=3: expected a result of simulate"):
        sl.compare(one, 3)
    with pytest.raises(ValueError, match="some runs diverged"):
        sl.compare(one, one.assign(m=one["m"] * np.nan))
    with pytest.raises(ValueError, match="two different ones"):
        sl.convergence_rate([sl.compare(one, one)])
