"""Audits of good and bad models: verdicts with their error rates, formulas, suggestions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import sgdlimits as sl
from sgdlimits.auditing.closure import Spread
from sgdlimits.auditing.powers import ZERO, fit_power
from tests.helpers import FALSE_ALARM
from tests.models.custom_examples import NOISE, regression

SGD = sl.OnlineSGD(step=0.5)
SMALL = {"dims": (10, 20), "fibres": 2, "points": 4, "samples": 60}


def variances(dim):
    return jnp.where(jnp.arange(dim) % 2 == 0, 1.8, 0.2)


def anisotropic(**kwargs):
    """Linear regression on N(0, D): the drift of |w|^2 needs <w, D w>."""

    def sample(key, dim):
        key_x, key_z = jax.random.split(key)
        x = jnp.sqrt(variances(dim)) * jax.random.normal(key_x, (dim,))
        return x, x[0] + NOISE * jax.random.normal(key_z)

    return regression(sample=sample, directions=lambda dim: jnp.eye(dim)[:1], **kwargs)


# -- error rates -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.stat
def test_a_closed_model_is_doubted_no_more_often_than_stated():
    level, seeds = 0.2, 50
    model = regression(directions=lambda dim: jnp.eye(dim)[:1])
    doubts = 0
    for seed in range(seeds):
        report = sl.audit(model, SGD, seed=seed, level=level, **SMALL)
        share = level / 6  # two statistics, three quantities
        doubts += any(s.p < share for each in report.spreads.values() for s in each)
    # More doubts than this have probability below FALSE_ALARM if the level is kept.
    assert doubts <= stats.binom.isf(FALSE_ALARM, seeds, level)


@pytest.mark.slow
@pytest.mark.stat
def test_a_model_that_does_not_close_is_found_out_nearly_always():
    model, seeds = anisotropic(), 12
    found = 0
    for seed in range(seeds):
        report = sl.audit(model, SGD, seed=seed, dims=(10, 20), fibres=2, points=8, samples=300)
        found += "q" in report.open_statistics
    # A power of 0.95 or more gives fewer than this with probability below FALSE_ALARM.
    assert found >= stats.binom.ppf(FALSE_ALARM, seeds, 0.95)


def mildly_anisotropic():
    """The same on variances between 0.3 and 1.7: the spread within fibres is 5 to 10 %."""

    def sample(key, dim):
        key_x, key_z = jax.random.split(key)
        x = jnp.sqrt(jnp.linspace(0.3, 1.7, dim)) * jax.random.normal(key_x, (dim,))
        return x, x[0] + NOISE * jax.random.normal(key_z)

    return regression(sample=sample, directions=lambda dim: jnp.eye(dim)[:1])


def _verdicts(seeds):
    isotropic = regression(directions=lambda dim: jnp.eye(dim)[:1])
    for seed in seeds:
        found = sl.audit(mildly_anisotropic(), SGD, seed=seed)
        assert "q" in found.open_statistics
        closed = sl.audit(isotropic, SGD, seed=seed)
        assert closed.closes
        assert closed.looks == 2
        assert closed.dataset.sizes["point"] == 20
        assert max(closed.detectable(name) for name in closed.names) < 0.1
        assert "found with probability 0.9" in closed.summary()


@pytest.mark.stat
def test_by_default_more_samples_are_taken_where_few_would_miss_what_matters():
    # Seed 2 is missed by 10 points of 1000 samples.
    report = sl.audit(mildly_anisotropic(), SGD, seed=2)
    assert "q" in report.open_statistics
    assert report.dataset.sizes["point"] == 20


@pytest.mark.slow
@pytest.mark.stat
def test_the_default_finds_a_mild_spread_at_every_seed():
    _verdicts(range(10))  # a closing case is doubted at rate 0.01 each; none was at these seeds


@pytest.mark.stat
@pytest.mark.parametrize("shape", [(3, 10, 1000), (1, 20, 200)])
def test_detectable_spreads_are_found_as_often_as_stated(shape):
    # 2000 tests of normal spreads of the stated size; 4.5 standard errors of the fraction.
    fibres, points, samples = shape
    trials, noise, level = 2000, 0.2, 0.01
    spread = Spread(1.0, np.zeros(1), np.ones(1), ZERO, noise, shape)
    rng = np.random.default_rng(1)
    total = np.hypot(noise, spread.detectable(level))
    means = total * rng.standard_normal((trials, fibres, points))
    freedom = points - 1, points * (samples - 1)
    within = noise**2 * rng.chisquare(freedom[1], (trials, fibres)) / freedom[1]
    p = stats.f.sf(means.var(-1, ddof=1) / within, *freedom).min(1) * fibres
    assert abs((p < level).mean() - 0.9) < 4.5 * (0.9 * 0.1 / trials) ** 0.5


# -- good models -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spiked():
    return sl.audit(sl.SpikedTensor(snr=1.2), dims=(20, 40, 80), points=6, samples=400, seed=1)


@pytest.mark.stat
def test_spiked_matrices_close_at_the_critical_step_one_over_n(spiked):
    assert spiked.closes
    assert spiked.noise_closes
    assert spiked.localizable == "holds"
    assert spiked.critical.low - 0.15 <= 1 <= spiked.critical.high + 0.15
    assert [spiked.step_at(a) for a in (0.5, 1.0, 1.5)] == ["too large", "critical", "subcritical"]
    assert spiked.step == "critical"
    assert spiked.formulas_agree
    assert spiked.passed
    corrector = dict(zip(spiked.names, spiked.powers["corrector"], strict=True))
    assert corrector["m"].vanishing


@pytest.mark.stat
def test_a_statistic_that_bends_too_much_is_not_localizable():
    def rippled(w):  # its second and third derivatives are of order n and n^2
        return {"m": w[0] + jnp.sin(w.size * w[0]) / w.size, "q": jnp.sum(w * w)}

    options = SMALL | {"dims": (10, 30, 90), "points": 20}
    report = sl.audit(regression(statistics=rippled), SGD, **options)
    verdicts = {condition.name: condition.verdict for condition in report.conditions}
    assert verdicts["(1) largest ‖∇²u‖"] != "holds"
    assert verdicts["(1) largest ‖∇³u‖"] == "fails"
    assert report.localizable == "fails"
    assert not report.passed
    assert sl.audit(regression(), SGD, **SMALL).conditions[0].verdict == "holds"


@pytest.mark.stat
def test_inputs_that_are_not_gaussian_matter_along_coordinates_alone():
    def signs(key, dim):
        x = jax.random.rademacher(key, (dim,)).astype(float)
        return x, jnp.tanh(jnp.sum(x) / jnp.sqrt(dim))

    model = sl.CustomModel(
        loss=lambda w, y: 0.5 * (jnp.tanh(w @ y[0]) - y[1]) ** 2,
        sample=signs,
        statistics=lambda w: {"m": jnp.sum(w) / jnp.sqrt(w.size), "q": w @ w},
        initial=lambda key, dim: jax.random.normal(key, (dim,)) / jnp.sqrt(dim),
        directions=lambda dim: jnp.ones((1, dim)) / jnp.sqrt(dim),
    )
    options = {"dims": (50, 100), "samples": 2000, "level": FALSE_ALARM}
    assert sl.audit(model, **options).closes
    aligned = sl.audit(model, coordinates=True, **options)
    assert "m" in aligned.open_statistics
    # The only candidate that varies within fibres, named once for each statistic.
    assert [s.candidate for s in aligned.suggestions] == ["sum of x^4"] * len(
        aligned.open_statistics
    )


@pytest.mark.usefixtures("as_users_run")
def test_a_candidate_that_is_not_finite_is_named():
    options = {"dims": (10, 20), "fibres": 2, "points": 6, "samples": 200, "without": ("r2",)}
    with pytest.raises(ValueError, match=r"candidates\['log'\]: not finite"):
        sl.audit(sl.SpikedTensor(snr=2.0), candidates={"log": lambda p: jnp.log(p[0])}, **options)


def test_the_report_holds_what_was_measured(spiked):
    ds = spiked.dataset
    assert dict(ds.sizes) == {
        "dim": 3, "fibre": 3, "point": 6, "statistic": 2, "other_statistic": 2
    }  # fmt: skip
    drift = ds["corrector"] - ds["population_drift"]
    np.testing.assert_allclose(ds["drift"], drift, rtol=1e-12)
    assert (ds["drift_error"] > 0).all()
    exact = sl.effective_dynamics(sl.SpikedTensor(snr=1.2))
    states = sl.SpikedStatistics(ds["target"].values[:, 0], ds["target"].values[:, 1])
    expected = np.asarray(exact.population_drift(states).vector)
    measured = ds["population_drift"].isel(dim=-1).mean("point").values
    assert np.abs(measured - expected).max() < 0.15 * np.abs(expected).max()
    text = spiked.markdown()
    assert f"| m | closes | {spiked.detectable('m'):.1%} | closes |" in text
    assert "Against the model's formulas" in text
    assert "The statistics close" in repr(spiked)
    assert len(spiked.tables()) == 4
    assert len(spiked.plot().axes) == 3


class WrongCorrector(sl.SpikedTensor):
    """A corrector that is a quarter too small."""

    def increment_moments(self, u, plain, dim):
        mean, covariance = super().increment_moments(u, plain, dim)
        corrector = plain.step * self.expectations(u).gg[0, 0]
        return mean - 0.25 * jnp.stack([jnp.zeros_like(u.m), corrector]), covariance


@pytest.mark.stat
def test_wrong_formulas_are_noticed():
    report = sl.audit(WrongCorrector(snr=1.2), dims=(20, 40), points=4, samples=200)
    assert report.formulas_agree is False
    assert not report.passed
    assert report.closes


# -- bad models ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.stat
def test_tensor_pca_seen_through_its_overlap_alone_does_not_close():
    report = sl.audit(sl.SpikedTensor(snr=1.2), dims=(20, 40), samples=300, without=["r2"])
    assert report.open_statistics == ("m",)
    assert not report.passed
    assert report.suggestions[0].candidate == "<x, x>"
    assert report.exact is None
    assert "m do not close" in report.summary()


@pytest.mark.stat
def test_a_binary_mixture_misses_the_overlap_of_its_neurons():
    model = sl.binary_gmm(snr=1.0)
    report = sl.audit(model, dims=(20, 40), points=12, samples=1000, without=["Q_12"])
    assert not report.closes
    assert "<W_1, W_2>" in {s.candidate for s in report.suggestions}


@pytest.mark.stat
def test_a_step_that_is_too_large_is_called_so():
    report = sl.audit(sl.SpikedTensor(snr=1.2), dims=(20, 80), points=4, scaling=0.5, samples=200)
    assert report.step == "too large"
    assert not report.passed
    assert report.formulas_agree


@pytest.mark.slow
@pytest.mark.stat
def test_anisotropic_data_and_the_candidate_that_repairs_them():
    weighted = lambda w: jnp.sum(variances(w.size) * w * w)  # noqa: E731
    report = sl.audit(
        anisotropic(), SGD, dims=(20, 40), points=12, samples=600,
        candidates={"<w, D w>": weighted},
    )  # fmt: skip
    assert "q" in report.open_statistics
    best = next(s for s in report.suggestions if s.statistic == "q")
    assert best.candidate == "<w, D w>"
    assert best.explained > 0.6


# -- pieces ----------------------------------------------------------------------------------------


@pytest.mark.stat
def test_intervals_of_powers_cover_as_often_as_stated():
    rng, dims, trials = np.random.default_rng(0), np.array([50.0, 100.0, 200.0, 400.0]), 2000
    errors = 0.03 * dims**0.7
    covered = 0
    for _ in range(trials):
        power = fit_power(dims, dims**0.7 + errors * rng.standard_normal(4), errors)
        covered += power.low <= 0.7 <= power.high
    assert covered >= stats.binom.ppf(FALSE_ALARM, trials, 0.95)


def test_verdicts_on_powers():
    dims = np.array([10.0, 100.0, 1000.0])
    one = fit_power(dims, dims, 1e-3 * dims)
    assert one.exponent == pytest.approx(1)
    assert (one.at_most(1.0), one.at_most(0.5), one.below(1.0), one.below(2.0)) == (
        "holds", "fails", "fails", "holds",
    )  # fmt: skip
    wide = fit_power(dims, dims, np.array([2.4, 24.0, 240.0]))
    assert wide.at_most(0.9) == "undecided"
    assert fit_power(dims, np.full(3, 0.1), np.full(3, 0.1)).vanishing


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dims": (50,)}, ValueError, r"dims=\[50\]: expected two or more increasing"),
        ({"dims": (50, 40)}, ValueError, "expected two or more increasing"),
        ({"dims": (1, 40)}, ValueError, "dims=1: expected an integer"),
        ({"scaling": 0}, ValueError, "scaling=0: expected a number above 0"),
        ({"points": 2}, ValueError, "points=2: expected an integer that is at least 3"),
        ({"without": ["x"]}, ValueError, r"without=\['x'\]: expected names among m, r2"),
        ({"without": ["m", "r2"]}, ValueError, "leaves no statistic"),
        ({"at": 3}, TypeError, "at=3: expected SpikedStatistics"),
        ({"at": sl.SpikedStatistics(0.1, -1.0)}, ValueError, "was reached from 0 of"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_bad_input_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        sl.audit(sl.SpikedTensor(), **({"dims": (10, 20)} | arguments))


@pytest.mark.usefixtures("as_users_run")
def test_things_that_are_no_models_are_refused():
    with pytest.raises(TypeError, match="model=3"):
        sl.audit(3)
    with pytest.raises(TypeError, match="sgd=1: expected an OnlineSGD"):
        sl.audit(sl.SpikedTensor(), 1)
