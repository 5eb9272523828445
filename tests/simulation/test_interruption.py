"""An interrupted ensemble keeps what it has, and resumes without repeating it."""

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.engines import Chain

_MODEL = sl.SpikedTensor(snr=1.2)
_OPTIONS = {"dim": 40, "time": 0.5, "runs": 600, "seed": 3, "record": 5}


class _Lanes:
    """Counts the lanes computed, and interrupts one of them after some of its records."""

    def __init__(self, monkeypatch, interrupt_at=None, after_records=2):
        self.calls = []
        original = Chain.prepare

        def prepare(engine, problem, lane):
            run_lane = original(engine, problem, lane)

            def interrupted(start, numbers, advanced):
                self.calls.append(len(numbers))
                for count, record in enumerate(run_lane(start, numbers, advanced)):
                    if len(self.calls) - 1 == interrupt_at and count == after_records:
                        raise KeyboardInterrupt
                    yield record

            return interrupted

        monkeypatch.setattr(Chain, "prepare", prepare)


def test_what_was_recorded_is_in_the_exception(monkeypatch):
    whole = sl.simulate(_MODEL, **_OPTIONS)
    _Lanes(monkeypatch, interrupt_at=1)
    with pytest.raises(sl.SimulationInterrupted) as caught:
        sl.simulate(_MODEL, **_OPTIONS)
    partial = caught.value.partial
    assert isinstance(caught.value, KeyboardInterrupt)
    assert partial.sizes == whole.sizes
    # Lane 0 is complete, lane 1 has its start and two records, lane 2 only its start.
    for name in ("m", "r2"):
        kept = np.isfinite(partial[name].values)
        assert kept[:256].all()
        np.testing.assert_array_equal(kept[256:512].all(0), [True, True, True, False, False])
        np.testing.assert_array_equal(kept[512:].all(0), [True, False, False, False, False])
        np.testing.assert_array_equal(partial[name].values[kept], whole[name].values[kept])


def test_a_resumed_ensemble_computes_only_what_is_missing(monkeypatch, tmp_path):
    whole = sl.simulate(_MODEL, **_OPTIONS)
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        lanes = _Lanes(patch, interrupt_at=1)
        with pytest.raises(sl.SimulationInterrupted):
            sl.simulate(_MODEL, **_OPTIONS, out=out)
        assert len(lanes.calls) == 2
    with pytest.raises(FileNotFoundError, match="unfinished run"):
        sl.load(out)
    with monkeypatch.context() as patch:
        lanes = _Lanes(patch)
        resumed = sl.simulate(_MODEL, **_OPTIONS, out=out)
        assert len(lanes.calls) == 2  # of three
        again = sl.simulate(_MODEL, **_OPTIONS, out=out)
        assert len(lanes.calls) == 2  # a finished run is read, not computed
    for dataset in (resumed, again, sl.load(out)):
        np.testing.assert_array_equal(dataset["run"], np.arange(600))
        for name in ("m", "r2", "diverged"):
            np.testing.assert_array_equal(dataset[name], whole[name])
        assert dataset.attrs == whole.attrs


def test_a_diverged_ensemble_is_kept_too(tmp_path):
    model, sgd = sl.SpikedTensor(order=3, snr=3.0), sl.OnlineSGD(step=0.3)
    options = {"dim": 12, "time": 2.5, "runs": 300, "seed": 2, "record": 3, "out": tmp_path / "run"}
    with pytest.warns(sl.DivergenceWarning):
        first = sl.simulate(model, sgd, **options)
    stored = sl.load(tmp_path / "run")
    assert np.isfinite(stored["diverged"]).any()
    np.testing.assert_array_equal(stored["diverged"], first["diverged"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 4}, "seed: 3 -> 4"),
        ({"dim": 41}, "dim: 40 -> 41"),
        ({"runs": 601}, "runs: 600 -> 601"),
        ({"initial": sl.SpikedStatistics(0.1, 1.0)}, r"initial: None -> "),
    ],
)
def test_a_folder_never_answers_for_another_run(tmp_path, change, words):
    sl.simulate(_MODEL, **_OPTIONS, out=tmp_path / "run")
    with pytest.raises(FileExistsError, match=f"holds a different run.*{words}"):
        sl.simulate(_MODEL, **{**_OPTIONS, **change}, out=tmp_path / "run")
    with pytest.raises(FileExistsError, match=r"model.snr: 1.2 -> 1.3"):
        sl.simulate(sl.SpikedTensor(snr=1.3), **_OPTIONS, out=tmp_path / "run")


def test_initial_states_are_part_of_the_identity_at_any_number_of_runs(tmp_path):
    starts = sl.SpikedStatistics(jnp.linspace(0, 0.1, 600), jnp.ones(600))
    other = sl.SpikedStatistics(jnp.linspace(0, 0.1, 600).at[599].set(0.2), jnp.ones(600))
    sl.simulate(_MODEL, **_OPTIONS, initial=starts, out=tmp_path / "run")
    with pytest.raises(FileExistsError, match="sha256"):
        sl.simulate(_MODEL, **_OPTIONS, initial=other, out=tmp_path / "run")


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("important")
    with pytest.raises(FileExistsError, match="not empty and holds no run"):
        sl.simulate(_MODEL, **_OPTIONS, out=tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "important"
