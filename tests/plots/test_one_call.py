"""Pictures of results: what is drawn, by whom, and what is refused. Results are made by hand."""

import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import sgdlimits as sl

mpl.use("Agg")


def _result(engine, runs, seed=0, times=9):
    rng = np.random.default_rng(seed)
    M = rng.standard_normal((runs, times, 2, 3))
    half = rng.standard_normal((runs, times, 2, 2))
    return xr.Dataset(
        {
            "M": (("run", "time", "neuron", "direction"), M, {"symbol": "$M$"}),
            "Q": (("run", "time", "neuron", "neuron2"), half + half.swapaxes(2, 3)),
            "M_error": (("run", "time", "neuron", "direction"), 0 * M),
            "risk": (("run", "time"), rng.random((runs, times)), {"symbol": r"$\mathcal{R}$"}),
            "diverged": (("run",), np.full(runs, np.nan)),
        },
        {"run": np.arange(runs), "time": np.linspace(0, 1, times)},
        {"engine": engine, "dim": 50},
    )


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_every_statistic_has_a_panel_and_every_component_a_line():
    axes = sl.plot(_result("chain", 20), _result("ode", 1))
    assert [axis.get_ylabel() for axis in axes] == ["$M$", "Q", r"$\mathcal{R}$"]
    # Medians of the chain and the solution: six overlaps, three products, one risk of each.
    assert [len(axis.lines) for axis in axes] == [12, 6, 2]
    assert [len(axis.collections) for axis in axes] == [6, 3, 1]
    names = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert names[:2] == ["$M_{11}$", "$M_{12}$"]
    engines = [text.get_text() for text in axes[0].figure.legends[0].get_texts()]
    assert engines == ["exact chain, d = 50", "limit (ODE)"]
    axes[0].figure.canvas.draw()  # nothing in it fails


def test_bands_are_quantiles_of_the_runs_that_live():
    result = _result("sgd", 40)
    result["risk"][:5, 4:] = np.nan
    (axis,) = sl.plot(result, names="risk", quantiles=(0.1, 0.8))
    (fill,) = axis.collections
    edges = fill.get_paths()[0].vertices
    alive = result["risk"].values[5:, -1]
    at_end = edges[np.isclose(edges[:, 0], 1.0), 1]
    assert at_end.min() == pytest.approx(np.quantile(alive, 0.1))
    assert at_end.max() == pytest.approx(np.quantile(alive, 0.8))


def test_given_axes_are_drawn_in():
    figure, axis = plt.subplots()
    assert sl.plot(_result("ode", 3), names="risk", axes=axis)[0] is axis
    assert len(axis.lines) == 3
    assert figure.axes == [axis]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda r: sl.plot(), ValueError, "results: none given"),
        (lambda r: sl.plot(3), TypeError, "results: got int"),
        (lambda r: sl.plot(r, names="m"), ValueError, "no 'm' here, expected of M, Q, risk"),
        (lambda r: sl.plot(r, names=[]), ValueError, "expected at least one of M"),
        (lambda r: sl.plot(r, axes=plt.figure().add_subplot()), ValueError, "axes: 1 given"),
        (lambda r: sl.plot(r, quantiles=(0.9, 0.1)), ValueError, "quantiles="),
        (lambda r: sl.plot(r, quantiles=3), TypeError, "quantiles=3"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, error, message, as_users_run):
    with pytest.raises(error, match=message):
        call(_result("chain", 2))


def test_the_module_is_the_command():
    answer = subprocess.run(
        [sys.executable, "-m", "sgdlimits", "--version"], capture_output=True, text=True, check=True
    )
    assert answer.stdout.startswith("sgdlimits ")
