"""A run is the same to the last bit, whatever runs are computed beside it."""

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.engines.base import Problem
from sgdlimits.process.initial import draw_initial
from sgdlimits.process.process import Process
from sgdlimits.simulation.grid import Grid
from tests.models.custom_examples import regression

_DIM, _MANY = 40, 70
_PROCESSES = {
    "spiked": (sl.SpikedTensor(order=3, snr=3.0, ridge=0.1), sl.OnlineSGD(0.2)),
    "binary": (sl.binary_gmm(snr=[2.0, 5.0]), sl.OnlineSGD(1.3, second_layer_rate=0.7)),
    "erf": (sl.committee(8, 4, "erf", noise=0.1), sl.OnlineSGD(0.5)),
    "relu": (sl.committee(2, 1, "relu", noise=0.2), sl.OnlineSGD(0.5)),
    "phase": (sl.phase_retrieval(2, 0.3, True), sl.OnlineSGD(0.02)),
    "sphere": (sl.committee(2, 1, "erf", noise=0.2), sl.OnlineSGD(0.8, spherical=True)),
    "batches": (sl.committee(2, 1, "erf", noise=0.2), sl.OnlineSGD(0.8, batch=3)),
    "custom": (
        regression(monte_carlo=sl.MonteCarlo(dim=20, points=3, samples=32)),
        sl.OnlineSGD(0.5),
    ),
}
# What this costs is compilation: every engine at the kinds of programs that it has.
_CASES = [
    *[(name, "sgd") for name in ("spiked", "relu", "batches", "custom")],
    *[(name, "chain") for name in ("spiked", "binary", "erf", "batches")],
    *[(name, "ode") for name in ("spiked", "erf", "sphere", "binary")],
    *[(name, "sde") for name in ("spiked", "phase")],
    ("erf", "mean_field"),
]


def _values(name, engine, runs, first_run=0):
    model, sgd = _PROCESSES[name]
    steps = 3 if engine == "sde" else 20
    options = {"dt": sgd.delta(_DIM)} if engine == "sde" else {}
    dataset = sl.simulate(
        model, sgd, engine, dim=_DIM, time=steps * sgd.delta(_DIM), runs=runs,
        first_run=first_run, seed=7, record=2, risk=engine == "mean_field", **options,
    )  # fmt: skip
    return {key: variable.values for key, variable in dataset.data_vars.items()}


@pytest.mark.parametrize(("name", "engine"), _CASES)
def test_runs_do_not_depend_on_how_many_there_are(name, engine):
    whole = _values(name, engine, _MANY)
    for runs, first in ((1, 0), (3, 0), (20, 0), (1, 41)):
        part = _values(name, engine, runs, first)
        for key, values in part.items():
            np.testing.assert_array_equal(values, whole[key][first : first + runs], err_msg=key)
            assert np.isfinite(values).all() or key == "diverged"
    moved = [not np.array_equal(x[:, 0], x[:, -1]) for k, x in whole.items() if k != "diverged"]
    assert any(moved)


# -- lanes that go by the number of runs -----------------------------------------------------------

_SKEW = [[1.0, 0.2, 0.1], [0.2, 1.2, -0.3], [0.1, -0.3, 0.9]]
_BY_RUNS = {
    "spiked": ("chain", sl.SpikedTensor(order=3, snr=3.0), sl.OnlineSGD(0.2)),
    "diffusion": ("sde", sl.SpikedTensor(snr=2.0), sl.OnlineSGD(0.2)),
    # Labels are products of matrices.
    "teachers": ("chain", sl.committee(4, 3, "erf", None, 0.1, _SKEW), sl.OnlineSGD(0.5)),
    "widest": ("chain", sl.committee(8, 1, "square", noise=0.1), sl.OnlineSGD(0.02)),
    "batches": ("chain", sl.committee(2, 1, "relu", noise=0.1), sl.OnlineSGD(0.5, batch=4)),
}


def _problem(model, sgd):
    grid = Grid.create(150 * sgd.delta(_DIM), sgd.delta(_DIM), 2)
    return Problem(Process(model, sgd), _DIM, 7, grid, None)


@pytest.mark.parametrize("name", _BY_RUNS)
def test_lanes_that_go_by_runs_give_the_same_bits(name):
    engine, model, sgd = _BY_RUNS[name]
    kind, problem = sl.engines.ENGINES[engine](), _problem(model, sgd)
    assert [kind.plan(problem, runs).lane for runs in (1, 17, 1000)] == [16, 64, 256]
    starts, found = draw_initial(problem.process, _DIM, np.arange(256), 7), []
    for lane in (16, 64, 256):
        run_lane = kind.prepare(problem, lane)
        *_, last = run_lane(starts[:lane], jnp.arange(lane), lambda amount: None)
        found.append(np.asarray(last.statistics.vector)[:16])
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


@pytest.mark.parametrize(
    ("model", "sgd"),
    [
        (sl.committee(9, 1, "erf"), sl.OnlineSGD(0.5)),  # steps with products of matrices
        (sl.committee(2, 1, "erf"), sl.OnlineSGD(0.5, batch=8)),  # steps with longer sums
    ],
)
def test_lanes_of_other_chains_do_not_go_by_runs(model, sgd):
    problem = _problem(model, sgd)
    assert [sl.engines.Chain().plan(problem, runs).lane for runs in (1, 17, 1000)] == [16] * 3
