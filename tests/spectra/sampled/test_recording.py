"""Spectra recorded along a run are those of the run's parameters and samples."""

import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits import spectra
from tests.spectra.cases import erf


def test_recorded_spectra_are_those_of_the_parameters_at_that_time():
    model, dim, count = sl.binary_gmm(snr=5.0, ridge=0.1), 12, 60
    seen = []
    observe = [
        spectra.Spectrum([(0, 0), (1, 1)], spectra.TestData(count, seed=3), k=3),
        spectra.Spectrum(["vv"], spectra.TrainingData(), k=1, full=True, prefix="train_"),
        lambda s: seen.append((s.run, s.parameters)) or {},
    ]
    result = sl.simulate(
        model, engine="sgd", dim=dim, time=2.0, runs=2, record=3, seed=1, observe=observe
    )
    assert list(result["block"].values) == ["W1W1", "W2W2"]
    run, parameters = seen[-1]
    test = spectra.fresh_samples(model, dim, count, 3, run=run)
    pairs = spectra.top(spectra.empirical(model, parameters, test, (1, 1), "gradient"), 3)
    np.testing.assert_allclose(result["gradient_eigenvalues"][run, -1, 1], pairs.values, rtol=1e-9)
    rho = spectra.alignment(parameters.W[1], pairs.vectors)
    assert float(result["gradient_alignment"][run, -1, 1]) == pytest.approx(rho)
    batch = spectra.training_samples(model, dim, 2 * dim, 1, run=run)
    values = spectra.empirical(model, parameters, batch, "vv").eigenvalues()
    np.testing.assert_allclose(result["train_hessian_spectrum"][run, -1, 0], values, rtol=1e-9)


def test_spectra_of_a_committee_are_recorded():
    model, sgd, dim = erf(), sl.OnlineSGD(step=0.5, batch=2), 10
    seen = []
    observe = [
        spectra.Spectrum([(0, 1)], spectra.TestData(40), k=2, kinds=["gradient"]),
        spectra.Spectrum(["vv"], spectra.TrainingData(), k=1, full=True, prefix="train_"),
        lambda s: seen.append(s.parameters) or {},
    ]
    result = sl.simulate(
        model, sgd, "sgd", dim=dim, time=1.0, runs=1, record=2, seed=1, observe=observe
    )
    test = spectra.fresh_samples(model, dim, 40, 0)
    values = spectra.top(spectra.empirical(model, seen[-1], test, (0, 1), "gradient"), 2).values
    np.testing.assert_allclose(result["gradient_eigenvalues"][0, -1, 0], values, rtol=1e-9)
    count = 2 * int(result["step"][-1])
    batch = spectra.training_samples(model, dim, count, 1, batch=2)
    values = spectra.empirical(model, seen[-1], batch, "vv").eigenvalues()
    np.testing.assert_allclose(result["train_hessian_spectrum"][0, -1, 0], values, rtol=1e-9)


def test_a_batch_that_is_not_the_runs_is_refused():
    watch = spectra.Spectrum([(0, 0)], spectra.TrainingData(batch=3), k=1)
    sgd = sl.OnlineSGD(step=0.5, batch=2)
    with pytest.raises(ValueError, match="batch=3: the run's algorithm takes 2 samples a step"):
        sl.simulate(erf(), sgd, "sgd", dim=10, time=1.0, observe=[watch])


def test_bad_settings_are_refused(as_users_run):
    with pytest.raises(TypeError, match="expected TestData"):
        spectra.Spectrum(["vv"], 100, k=2)
    with pytest.raises(ValueError, match="expected a list of blocks"):
        spectra.Spectrum([], spectra.TestData(10), k=2)
    with pytest.raises(ValueError, match="kinds: 'fisher'"):
        spectra.Spectrum(["vv"], spectra.TestData(10), k=2, kinds=["fisher"])


def test_blocks_of_several_sizes_are_refused_at_the_start():
    observer = spectra.Spectrum([(0, 0), "vv"], spectra.TestData(10), k=1)
    with pytest.raises(ValueError, match=r"blocks: their sizes are .*'vv': 4"):
        sl.simulate(sl.xor_gmm(snr=5.0), engine="sgd", dim=10, time=1.0, observe=[observer])


@pytest.mark.parametrize(
    ("blocks", "k", "message"),
    [
        ([(0, 1), (2, 2)], 11, "k=11: expected an integer that is between 1 and 10"),
        (["vv"], 5, "k=5: expected an integer that is between 1 and 4"),
        ([("v", 0)], 1, "vW1 is 4 by 10 and has no eigenvalues"),
        ([(0, 4)], 1, "block=4: expected an integer that is between 0 and 3"),
    ],
)
def test_what_the_model_has_not_is_refused_before_the_first_step(blocks, k, message, monkeypatch):
    monkeypatch.setattr(spectra.TestData, "samples", lambda *_: pytest.fail("work was begun"))
    watch = spectra.Spectrum(blocks, spectra.TestData(10), k=k)
    with pytest.raises(ValueError, match=message):
        sl.simulate(sl.xor_gmm(snr=5.0), engine="sgd", dim=10, time=1.0, observe=[watch])
