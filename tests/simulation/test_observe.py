"""Observers: called on the real parameters at the recorded times, joined to the result, kept."""

import equinox as eqx
import jax
import numpy as np
import pytest
import xarray as xr

import sgdlimits as sl
from sgdlimits.simulation.observe import Snapshot

_OPTIONS = {"dim": 20, "time": 1.0, "runs": 3, "record": 5, "seed": 4, "engine": "sgd"}


def _model():
    return sl.k_gmm(3, snr=5.0, ridge=0.1)


def _overlaps(snapshot):
    return {"again": xr.DataArray(np.asarray(snapshot.parameters.W @ snapshot.frame.T), dims="ab")}


class Recorded(eqx.Module):
    """Overlaps and the time, with a factor."""

    factor: float = 1.0

    def __call__(self, snapshot: Snapshot):
        W = snapshot.parameters.W
        return {
            "again": xr.DataArray(
                self.factor * np.asarray(W @ snapshot.frame.T), dims=("neuron", "direction")
            ),
            "when": np.array([snapshot.time, snapshot.step, snapshot.run]),
        }


def test_observations_are_of_the_real_parameters_of_every_run_and_record():
    plain = sl.simulate(_model(), **_OPTIONS)
    observed = sl.simulate(_model(), observe=[Recorded()], **_OPTIONS)
    for name in plain.data_vars:
        np.testing.assert_array_equal(plain[name], observed[name])  # looking changes nothing
    np.testing.assert_allclose(observed["again"], observed["M"], atol=1e-12)
    assert observed["again"].dims == ("run", "time", "neuron", "direction")
    for run in range(3):
        np.testing.assert_array_equal(observed["when"][run, :, 0], observed["time"])
        np.testing.assert_array_equal(observed["when"][run, :, 1], observed["step"])
        np.testing.assert_array_equal(observed["when"][run, :, 2], run)


def test_observers_see_double_precision_and_keep_a_memo_from_record_to_record():
    seen = []

    def observer(snapshot):
        assert snapshot.parameters.W.dtype == np.float64
        snapshot.memo["count"] = snapshot.memo.get("count", 0) + 1
        seen.append((snapshot.run, snapshot.memo["count"]))
        return {}

    sl.simulate(_model(), observe=[observer], dtype="float32", **_OPTIONS)
    assert sorted(seen) == [(run, count) for run in range(3) for count in range(1, 6)]


def test_a_kept_result_answers_for_its_observers_only(tmp_path):
    first = sl.simulate(_model(), observe=[Recorded()], out=tmp_path / "run", **_OPTIONS)
    again = sl.simulate(_model(), observe=[Recorded()], out=tmp_path / "run", **_OPTIONS)
    xr.testing.assert_identical(first, again)
    with pytest.raises(FileExistsError, match="observe"):
        sl.simulate(_model(), observe=[Recorded(2.0)], out=tmp_path / "run", **_OPTIONS)
    with pytest.raises(FileExistsError, match="observe"):
        sl.simulate(_model(), out=tmp_path / "run", **_OPTIONS)


def test_diverged_runs_are_not_observed():
    def observer(snapshot):
        assert np.isfinite(np.asarray(snapshot.parameters)).all()
        return {"seen": np.ones(())}

    model, sgd = sl.SpikedTensor(order=3, snr=1.0), sl.OnlineSGD(step=20.0)
    start = sl.SpikedStatistics(1.0, 10.0)
    with pytest.warns(sl.DivergenceWarning):
        result = sl.simulate(
            model, sgd, "sgd", dim=10, time=20.0, initial=start, record=5, observe=[observer]
        )
    alive = np.isfinite(result["m"].values)
    assert alive[0, 0]
    assert not alive[0, -1]
    np.testing.assert_array_equal(np.isfinite(result["seen"].values), alive)


def test_an_interruption_keeps_what_was_observed():
    def observer(snapshot):
        if snapshot.step > 5:
            raise KeyboardInterrupt
        return {"seen": np.ones(2)}

    with pytest.raises(sl.SimulationInterrupted) as caught:
        sl.simulate(_model(), observe=[observer], **_OPTIONS)
    seen = caught.value.partial["seen"]
    assert seen.shape == (3, 5, 2)
    assert np.isnan(seen[:, 2:]).all()
    assert (seen[0, :2] == 1).all()


def test_bad_observers_are_refused_before_work_starts(as_users_run, monkeypatch):
    options = {**_OPTIONS, "dim": 10}
    monkeypatch.setattr(jax.lax, "fori_loop", None)
    with pytest.raises(TypeError, match="expected a list of functions"):
        sl.simulate(_model(), observe="hessian", **options)
    with pytest.raises(TypeError, match="3 is not a function of a Snapshot"):
        sl.simulate(_model(), observe=[3], **options)
    with pytest.raises(ValueError, match="engine='chain' has no real parameters"):
        sl.simulate(_model(), observe=[_overlaps], **{**options, "engine": "chain"})


@pytest.mark.parametrize(
    ("observer", "message"),
    [
        (lambda s: {"M": np.zeros(2)}, "'M' is the name of another variable"),
        (lambda s: {"x": np.zeros(1 + s.step)}, r"'x' has shape \(6,\) at time"),
        (lambda s: {f"x{s.step}": 0.0}, "must always give the same"),
        (lambda s: {"x": xr.DataArray(np.zeros(5), dims="neuron")}, "rename the dimension"),
    ],
)
def test_observations_that_do_not_fit_are_refused(observer, message):
    with pytest.raises(ValueError, match=message):
        sl.simulate(_model(), observe=[observer], **_OPTIONS)


def test_two_observers_may_not_give_one_name():
    with pytest.raises(ValueError, match="two observers give 'x'"):
        sl.simulate(_model(), observe=[lambda s: {"x": 0.0}] * 2, **_OPTIONS)
