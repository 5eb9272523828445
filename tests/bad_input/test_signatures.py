"""Every argument of every public callable refuses what its annotation does not allow.

The wrong values follow from the annotation; a callable that nobody listed here fails the test.
"""

import inspect
import time
import traceback
import warnings

import pytest

import sgdlimits as sl
from tests.bad_input.objects import namespace

pytestmark = pytest.mark.usefixtures("as_users_run")

#: Working arguments of each.
_CALLS = {
    "SpikedTensor": "dict()",
    "SpikedStatistics": "dict(m=0.1, r2=1.0)",
    "MultiIndexModel": "dict(data=D, network=N, loss=sl.losses.squared)",
    "GaussianMixture": "dict(coefficients=np.eye(2), labels=np.eye(2))",
    "Teacher": "dict(label=lambda f, z: f[0])",
    "Process": "dict(model=M, algorithm=S)",
    "Network": "dict(function=lambda v, s: s, width=2)",
    "Statistics": "dict(v=[], M=np.zeros((2, 1)), Q=np.eye(2))",
    "binary_gmm": "dict()",
    "xor_gmm": "dict()",
    "k_gmm": "dict(classes=2)",
    "MonteCarlo": "dict()",
    "committee": "dict(width=2, teacher_width=1)",
    "phase_retrieval": "dict()",
    "single_index": "dict()",
    "Activation": "dict(function=jnp.tanh)",
    "Hermite": "dict(series=[0.0, 1.0])",
    "Polynomial": "dict(coefficients=[0.0, 1.0])",
    "QuasiMonteCarlo": "dict(dim=2)",
    "TruncatedGauss": "dict(dim=2, order=4)",
    "risk": "dict(model=C, statistics=UC)",
    "MeanField": "dict()",
    "MeanFieldStatistics": "dict(v=[], M=np.zeros((2, 1)), q=np.ones(2))",
    "OnlineSGD": "dict()",
    "effective_dynamics": "dict(model=M)",
    "OrnsteinUhlenbeck": "dict(drift=-np.eye(2), diffusion=np.eye(2), names=('a', 'b'))",
    "mean_exit_time": "dict(rate=1.0, variance=1.0, level=1.0)",
    "initial": "dict(model=M, dim=20, runs=2, seed=0)",
    "lift": "dict(model=M, statistics=U, dim=20, seed=0)",
    "simulate": "dict(model=M, dim=20, time=0.5)",
    "sample_diffusion": "dict(dynamics=R, initial=U, time=0.5)",
    "audit": "dict(model=M)",
    "compare": "dict(simulation=DS, theory=DS)",
    "convergence_rate": "dict(comparisons=[])",
    "exit_time": "dict(dataset=DS, level=0.5, of='m')",
    "drop_time": "dict(dataset=DS, drop=0.5, of='m')",
    "escape_law": "dict(dynamics=E, saddle=U, name='m', level=0.5, dim=9)",
    "Mediocrity": "dict(step=0.1)",
    "OneNeuron": "dict(step=0.1)",
    "SingleIndexSphere": "dict(student=[0, 1], teacher=[0, 1], step=0.1)",
    "two_time_scales": "dict(student=[0, 1], teacher=[0, 1], ratio=0.1, second_layer=[1.0])",
    "leap": "dict(components=[(1,)])",
    "regime": "dict(width_exponent=0.0, step_exponent=0.0)",
    "explosion_probability": "dict(model=M, sgd=S, dim=20, time=0.5)",
    "sweep": "dict(arguments=P, grid={'snr': [1.0]})",
    "Protocol": "dict(tasks=[(M, 1.0)])",
    "states": "dict(dataset=DS, model=M)",
    "to_table": "dict(ds=DS)",
    "plateau_length": "dict(width=2, dim=100)",
    "critical_snr": "dict(order=3, step=0.5, ridge=0.1)",
    "optimise_schedule": "dict(model=M, time=0.5, initial=U, most_evaluations=1)",
    "save": "dict(dataset=DS, path=tmp / 'new')",
    "load": "dict(path=tmp / 'none')",
    "critical_step": "dict(model=C)",
    "enable_compilation_cache": "dict()",
    "risk_error": "dict(model=C, statistics=UC)",
    "Spectrum": "dict(eigenvalues=[1.0, 2.0])",
    "estimate": "dict(X=np.eye(4), y=np.arange(4.0))",
    "hidden_manifold": "dict(features=np.eye(4), nonlinearity='erf', label=lambda f, z: f[0])",
    "BlockStatistics": "dict(v=[], M=np.zeros((2, 2, 1)), Q=np.stack([np.eye(2)] * 2))",
    "LeastSquares": "dict(covariance=sl.Spectrum([1.0, 2.0]))",
}  # fmt: skip
#: What only this package makes, or raises; ``Committee`` is in the battery.
_MADE_HERE = {
    "AuditReport", "BasinProbabilities", "Committee", "Comparison", "DivergenceWarning",
    "EffectiveDynamics", "EscapeLaw", "FixedPoint", "InaccurateWarning", "RescaledDynamics",
    "SimulationInterrupted", "CustomModel", "SamplesWarning",
    "OptimalSchedule", "ScheduleWarning",
    "plot",  # takes any number of results; its own test has what it refuses
}  # fmt: skip
# Nothing takes these.
_NEVER = (object(), 1j, b"junk", ...)
# (words in an annotation that allow it, value): wrong wherever none of the words is there.
_UNLESS = (
    (("str", "Path", "Sequence", "ArrayLike", "Iterable", "Any", "Mapping"), "no such thing"),
    (("int", "float", "complex", "ArrayLike", "Any", "Iterable"), 3),
    (("Mapping", "Any", "Iterable"), {}),
)
# One number a class, and infinity for the zero-noise limit.
_SNRS = {(name, "snr") for name in ("GaussianMixture", "binary_gmm", "xor_gmm", "k_gmm")}


def _wrong_for(parameter):
    text = inspect.formatannotation(parameter.annotation)
    number = parameter.annotation in (int, float) or isinstance(parameter.default, float)
    wrong = [*_NEVER, *(value for words, value in _UNLESS if not any(w in text for w in words))]
    if number:
        wrong += ["3", float("nan"), float("inf"), None, [1.0, 2.0], True]
    if parameter.annotation is bool:
        wrong += [1, "yes", None]
    return wrong


def _pairs():
    for name in _CALLS:
        for parameter in inspect.signature(getattr(sl, name)).parameters.values():
            yield name, parameter.name


def test_every_public_name_is_here():
    assert set(sl.__all__) - {"__version__"} == set(_CALLS) | _MADE_HERE


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    return namespace(tmp_path_factory.mktemp("signatures"))


@pytest.mark.parametrize(("name", "argument"), list(_pairs()))
def test_what_the_annotation_does_not_allow_is_refused(name, argument, names):
    function, complaints = getattr(sl, name), []
    parameter = inspect.signature(function).parameters[argument]
    for value in _wrong_for(parameter):
        if (name, argument) in _SNRS and value in (float("inf"), [1.0, 2.0]):
            continue
        arguments = {**eval(_CALLS[name], names), argument: value}
        start = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                function(**arguments)
            complaints.append((value, "accepted"))
        except (TypeError, ValueError, OSError) as error:
            if "sgdlimits" not in traceback.extract_tb(error.__traceback__)[-1].filename:
                complaints.append((value, f"a traceback of others: {error!r}"))
            elif time.process_time() - start > 1:
                complaints.append((value, "more than a second"))
        except Exception as error:
            complaints.append((value, repr(error)))
    assert not complaints
