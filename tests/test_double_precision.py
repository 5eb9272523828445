"""Double precision that was switched off is refused, wherever work starts."""

import subprocess
import sys

import jax
import pytest

import sgdlimits as sl
from sgdlimits import spectra

_MODEL, _SGD = sl.SpikedTensor(snr=2.0), sl.OnlineSGD()
_U = sl.SpikedStatistics(0.1, 1.0)
_NETWORK = sl.committee(2, 1)
_V = sl.Statistics([], [[0.3], [0.1]], [[1.0, 0.1], [0.1, 1.0]])
_DYNAMICS = sl.effective_dynamics(_MODEL, _SGD)
_LIMIT = _DYNAMICS.rescale("m")

STARTS = {
    **{
        engine: lambda engine=engine: sl.simulate(_NETWORK, engine=engine, dim=20, time=0.1)
        for engine in ("sgd", "chain", "sde", "ode", "mean_field")
    },
    "sweep": lambda: sl.sweep(lambda snr: {}, {"snr": [1.0]}),
    "sample_diffusion": lambda: sl.sample_diffusion(_LIMIT, initial=_U, time=0.1),
    "effective_dynamics": lambda: sl.effective_dynamics(_MODEL),
    "drift": lambda: _DYNAMICS.drift(_U),
    "solve": lambda: _DYNAMICS.solve(_U, [0.1]),
    "fixed_points": lambda: _DYNAMICS.fixed_points(),
    "linearise": lambda: _DYNAMICS.linearise(_U),
    "rescale": lambda: _DYNAMICS.rescale("m"),
    "basins": lambda: _DYNAMICS.basin_probabilities(dim=20, runs=2),
    "process": lambda: sl.Process(_MODEL, _SGD),
    "initial": lambda: sl.initial(_MODEL, 20, 1, 0),
    "lift": lambda: sl.lift(_MODEL, _U, 20, 0),
    "risk": lambda: sl.risk(_NETWORK, _V),
    "audit": lambda: sl.audit(_MODEL),
    "statistics": lambda: sl.SpikedStatistics(0.1, 1.0),
    "population": lambda: spectra.population(_NETWORK, _V),
    "asymptotic": lambda: spectra.asymptotic(_NETWORK, _V, (0, 0), alpha=2.0),
    "whole": lambda: spectra.whole(_NETWORK, _V, alpha=2.0),
    "second layer": lambda: spectra.second_layer(_NETWORK, _V),
    "fresh samples": lambda: spectra.fresh_samples(_NETWORK, 20, 10, 0),
}


@pytest.fixture
def single_precision():
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", True)


@pytest.mark.parametrize("name", STARTS)
def test_single_precision_is_refused(name, single_precision, as_users_run):
    with pytest.raises(RuntimeError, match=r"jax_enable_x64=False.*expected True"):
        STARTS[name]()


def test_the_precision_of_a_result_is_part_of_its_identity():
    arguments = dict(dim=20, time=0.2, record=2)
    double, single = (
        sl.simulate(_MODEL, _SGD, "sgd", dtype=dtype, **arguments)
        for dtype in ("float64", "float32")
    )
    assert (double.attrs["dtype"], single.attrs["dtype"]) == ("float64", "float32")
    assert double.attrs["identity"] != single.attrs["identity"]
    paths = sl.sample_diffusion(_LIMIT, initial=_U, time=0.1, record=2)
    assert '"dtype":"float64"' in paths.attrs["config"]


def test_a_process_that_is_forked_after_use_says_so_instead_of_hanging():
    script = (
        "import os, warnings, sgdlimits as sl\n"
        "warnings.simplefilter('ignore')\n"
        "u = sl.SpikedStatistics(0.1, 1.0)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try:\n"
        "        sl.SpikedStatistics(0.1, 1.0)\n"
        "    except RuntimeError as error:\n"
        "        os._exit(7 if 'spawn' in str(error) else 8)\n"
        "    os._exit(9)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert done.returncode == 7
