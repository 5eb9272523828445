"""Tasks in sequence: one clock, one seed, the risk of each; pieces that fit together."""

import numpy as np
import pytest

import sgdlimits as sl

_GRAM = [[1.0, 0.5], [0.5, 1.0]]
_A, _B = (
    sl.committee(2, 2, "erf", noise=0.01, teacher_gram=_GRAM, teacher_second_layer=layer)
    for layer in ([1, 0], [0, 1])
)
_SGD = sl.OnlineSGD(step=1.0, rule=sl.rules.momentum(decay=1.0))


def _run(protocol, engine="chain", **options):
    return sl.simulate(protocol, _SGD, engine, **{"dim": 60, "runs": 3, "seed": 1} | options)


def test_the_risk_of_every_task_is_recorded_on_one_clock(tmp_path):
    protocol = sl.Protocol([(_A, 20.0), (_B, 20.0)], names=["first", "second"])
    ds = _run(protocol, record=11, out=tmp_path / "tasks")
    assert list(ds.task.values) == ["first", "second"]
    assert (np.diff(ds.time) > 0).all()
    assert (np.diff(ds.step) > 0).all()
    assert float(ds.time[-1]) == pytest.approx(40.0)
    assert int(ds.step[-1]) == 40 * 60
    mean = ds.risk.mean("run")
    middle, end = mean.sel(time=20.0, method="nearest"), mean.isel(time=-1)
    assert middle.sel(task="first") < 0.6 * middle.sel(task="second")  # learned
    assert end.sel(task="second") < 0.6 * end.sel(task="first")  # and forgotten
    assert ds.identical(_run(protocol, record=11, out=tmp_path / "tasks"))
    alone = sl.simulate(_A, _SGD, dim=60, runs=3, seed=1, time=20.0, record=6)
    np.testing.assert_array_equal(ds.M.isel(time=slice(0, 6)), alone.M)


def test_one_task_in_two_parts_is_one_task_for_the_limit():
    schedule = sl.schedules.cosine(30.0)
    sgd = sl.OnlineSGD(step=1.0, schedule=schedule)
    whole = sl.simulate(_A, sgd, "ode", dim=60, time=20.0, runs=2, seed=1, record=5)
    parts = sl.simulate(sl.Protocol([(_A, 10.0), (_A, 10.0)]), sgd, "ode", dim=60, runs=2, seed=1,
                        record=6)  # fmt: skip
    last, end = whole.isel(time=-1), parts.isel(time=-1)
    np.testing.assert_allclose(end.M, last.M, atol=1e-6)
    np.testing.assert_allclose(end.risk.squeeze("task"), last.risk, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*runs diverged")
@pytest.mark.parametrize(("step", "all_of_them"), [(1.0, False), (1.5, True)])
def test_runs_that_diverge_stay_so_and_lose_nothing(step, all_of_them):
    tasks = [(sl.SpikedTensor(3, 2.0), 1.5), (sl.SpikedTensor(3, 1.0), 0.3)]
    options = {"dim": 30, "runs": 40, "seed": 0}
    ds = sl.simulate(sl.Protocol(tasks), sl.OnlineSGD(step=step), record=9, **options)
    alone = sl.simulate(tasks[0][0], sl.OnlineSGD(step=step), time=1.5, **options)
    gone = np.isfinite(alone.diverged.values)
    assert gone.all() if all_of_them else 0 < gone.sum() < 40
    np.testing.assert_array_equal(ds.diverged.values[gone], alone.diverged.values[gone])
    assert np.isnan(ds.r2.values[gone, -1]).all()
    assert np.isnan(ds.risk.values[gone, -1]).all()
    assert np.isfinite(ds.r2.values[:, 0]).all()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sgd", "sde"])
def test_other_engines_agree_with_the_chain(engine):
    protocol = sl.Protocol([(_A, 15.0), (_B, 15.0)])
    one, other = (_run(protocol, e, dim=200, runs=40, record=6) for e in ("chain", engine))
    spread = one.risk.std("run") / np.sqrt(20)
    gap = abs(one.risk.mean("run") - other.risk.mean("run"))
    assert (gap < 4.5 * spread + 2e-3).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sl.Protocol([]), "tasks=\\[\\]: expected at least one"),
        (lambda: sl.Protocol([_A]), "expected pairs"),
        (lambda: sl.Protocol([(_A, 0.0)]), "tasks: time=0.0"),
        (lambda: sl.Protocol([(_A, 1.0), (sl.committee(3, 2), 1.0)]), "expected the same in every"),
        (lambda: sl.Protocol([(_A, 1.0), (sl.committee(2, 2), 1.0)]), "other Gram matrices"),
        (lambda: sl.Protocol([(_A, 1.0)], names=["a", "b"]), "names="),
        (lambda: _run(sl.Protocol([(_A, 1.0)]), "mean_field"), "engine='mean_field'"),
        (lambda: _run(sl.Protocol([(_A, 1.0)]), time=3.0), "time: a Protocol has none"),
        (lambda: sl.simulate(_A, dim=20), "time=None: expected a real number"),
    ],
)
def test_nonsense_is_refused(make, message, as_users_run):
    with pytest.raises((TypeError, ValueError), match=message):
        make()
