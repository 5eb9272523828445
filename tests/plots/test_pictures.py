"""Pictures of dynamics, schedules, spectra and phases: what is drawn, and what is refused."""

import math
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import sgdlimits as sl
from sgdlimits.plots import film
from sgdlimits.plots.bifurcations import _branches, _Rest
from sgdlimits.plots.dynamics import _plane
from sgdlimits.plots.moving import MovingRuns
from sgdlimits.plots.symbols import symbol_of
from sgdlimits.provenance import describe
from sgdlimits.spectra.asymptotics.outline import Outline

mpl.use("Agg")

_MODEL = sl.SpikedTensor(order=2, snr=2.0)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def _points(axis, marker):
    return [
        tuple(np.ravel(line.get_xydata()).round(6))
        for line in axis.lines
        if line.get_marker() == marker
    ]


# -- dynamics --------------------------------------------------------------------------------------


def test_two_statistics_are_a_flow_with_its_fixed_points():
    (axis,) = sl.plot(sl.effective_dynamics(_MODEL))
    assert (axis.get_xlabel(), axis.get_ylabel()) == (
        "$m$",
        sl.SpikedStatistics.labels["r2"].symbol,
    )
    assert sorted(_points(axis, "x")) == [(-1.0, 1.0), (1.0, 1.0)]
    assert sorted(_points(axis, "o")) == [(0.0, 0.0), (0.0, 1.0)]
    changing = sl.OnlineSGD(0.5, schedule=sl.schedules.power(0.5))
    (axis,) = sl.plot(sl.effective_dynamics(_MODEL, changing))
    assert axis.get_xlim()[1] > 1.0  # no fixed points, but where the flow leads
    assert axis.get_ylim()[0] == 0.0  # no state has a negative square
    assert axis.get_xlim()[0] < -1.0
    assert len(axis.collections) == 1  # stream lines
    axis.figure.canvas.draw()
    # A model is drawn as its dynamics at step 1; axes and ranges may be given.
    _, given = plt.subplots()
    assert sl.plot(_MODEL, axes=given, x="r2", y="m", xlim=(0.2, 1.8))[0] is given
    assert given.get_xlim() == (0.2, 1.8)
    assert (1.0, -1.0) in _points(given, "x")


def test_of_more_statistics_solutions_are_drawn():
    model = sl.committee(2, 1, "erf")
    (axis,) = sl.plot(model, starts=5, time=3.0, y="Q_11")
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("$M_{11}$", "$Q_{11}$")
    carried = sl.effective_dynamics(_MODEL, sl.OnlineSGD(rule=sl.rules.average(rate=1.0)))
    assert _plane(carried.names, _MODEL.template.names, None, None) == [0, 1]
    paths = [line for line in axis.lines if len(line.get_xdata()) > 100]
    assert len(paths) == 5
    dynamics = sl.effective_dynamics(model)
    start = sl.initial(model, 400, 5, 0)
    end = np.asarray(dynamics.solve(start, [3.0]).M)[0, :, 0, 0]
    np.testing.assert_allclose([p.get_xdata()[-1] for p in paths], end, atol=1e-6)


# -- schedules -------------------------------------------------------------------------------------


def test_schedules_are_drawn_as_long_as_they_change():
    (axis,) = sl.plot(sl.schedules.piecewise([1.0, 3.0], [1.0, 0.5, 0.1]))
    (line,) = axis.lines
    t, s = line.get_data()
    assert t[-1] == 3.75
    np.testing.assert_allclose(s[(t > 1.1) & (t < 2.9)], 0.5)
    (axis,) = sl.plot(lambda t: 1 / (1 + t), time=2.0)
    np.testing.assert_allclose(axis.lines[0].get_ydata()[-1], 1 / 3)
    (same,) = sl.plot(sl.schedules.cosine(2.0), axes=axis, label="cosine")
    assert same is axis
    assert axis.lines[0].get_color() != axis.lines[1].get_color()


# -- bifurcations ----------------------------------------------------------------------------------


def test_branches_of_the_spiked_matrix():
    values = np.linspace(0.5, 2.0, 16)
    axis = sl.plots.bifurcation(_MODEL, sl.OnlineSGD(0.75), "snr", values)
    assert axis.get_ylabel() == "$m$"
    solid = [line for line in axis.lines if line.get_linestyle() == "-"]
    dashed = [line for line in axis.lines if line.get_linestyle() == "--"]
    for sign in (1, -1):
        branch = next(line for line in solid if sign * line.get_ydata()[-1] > 0.5)
        x, y = (np.asarray(part) for part in branch.get_data())
        np.testing.assert_allclose(y, sign * np.sqrt(x - 0.75), atol=1e-9)
        assert len(x) == 13  # 0.8, 0.9, ..., 2
    # (0, c) loses its stability at snr = c, where the two begin.
    ends = [line.get_xdata()[-1] for line in solid if abs(line.get_ydata()[-1]) < 1e-6]
    assert ends == [pytest.approx(0.75)]
    assert any(line.get_xdata()[0] == pytest.approx(0.75) for line in dashed)


def test_a_function_of_the_value_and_a_number_of_the_algorithm():
    steps = np.linspace(0.2, 1.0, 3)
    axis = sl.plots.bifurcation(_MODEL, None, "step", steps, statistic="r2")
    heights = {round(float(y), 6) for line in axis.lines for y in line.get_ydata()}
    assert heights == {0.0, 0.2, 0.6, 1.0}
    assert axis.get_xlabel() == "step"
    axis = sl.plots.bifurcation(
        lambda value: sl.SpikedTensor(2, value),
        None,
        "my snr",
        [1.5, 2.0],
        statistic=lambda u: float(u.m**2 + u.r2),
    )
    assert axis.get_xlabel() == "my snr"
    assert max(line.get_ydata().max() for line in map(_numbers, axis.lines)) == pytest.approx(2.0)


def _numbers(line):
    return SimpleNamespace(get_ydata=lambda: np.asarray(line.get_ydata()))


def test_models_are_built_again_with_another_number():
    pairs = [
        (sl.xor_gmm(snr=5.0, width=2).varied("snr", 7.0), sl.xor_gmm(snr=7.0, width=2)),
        (sl.k_gmm(2).varied("ridge", 0.3), sl.k_gmm(2, ridge=0.3)),
        (sl.xor_gmm(width=2).varied("snr", math.inf), sl.xor_gmm(snr=math.inf, width=2)),
        (sl.committee(2, 1, "relu").varied("noise", 0.3), sl.committee(2, 1, "relu", noise=0.3)),
        (sl.committee(2, 1, train_second_layer=True).varied("ridge", 0.3),
         sl.committee(2, 1, train_second_layer=True, ridge=0.3)),
        (_MODEL.varied("order", 3.0), sl.SpikedTensor(3, 2.0)),
    ]  # fmt: skip
    for changed, expected in pairs:
        assert describe(changed) == describe(expected)
    with pytest.raises(ValueError, match="ridge=-1"):
        sl.k_gmm(2).varied("ridge", -1.0)


def test_a_point_that_jumps_is_no_branch():
    def at(value, *heights):
        return [_Rest(value, np.array([height, 0.0]), height, True) for height in heights]

    branches = _branches([at(0, 0.0, 1.0), at(1, 0.0, 1.0), at(2, 0.05)])
    assert sorted(len(branch) for branch in branches) == [2, 3]
    # One alone goes on however far it goes, and two as long as it is plain which is which.
    assert [len(b) for b in _branches([at(0, 0.0), at(1, 1.0), at(2, 3.0)])] == [3]
    assert [len(b) for b in _branches([at(0, 0.0, 9.0), at(1, 3.0, 12.0)])] == [2, 2]
    # Crossing ones go straight on.
    cross = [at(i, i / 8, 1 - i / 8) for i in range(9)]
    ends = {(b[0].height, b[-1].height) for b in _branches(cross) if len(b) > 3}
    assert ends == {(0.0, 1.0), (1.0, 0.0)}


# -- spectra ---------------------------------------------------------------------------------------


class _Law:
    picture = "spectrum"

    def outline(self):
        x = np.linspace(1, 3, 50)
        return Outline(
            [(x, np.sqrt((x - 1) * (3 - x)))], [(1, 3)], [(4.0, 0.1), (5.0, np.nan)], 0.25
        )


def test_a_limiting_spectrum_with_what_was_observed():
    rng = np.random.default_rng(0)
    observed = np.concatenate([rng.uniform(1, 3, 200), [4.1], np.zeros(60)])
    axis = sl.plots.spectrum(_Law(), observed, bins=20)
    assert len(axis.patches) == 20
    marks = next(line for line in axis.lines if line.get_marker() == "|")
    assert list(marks.get_xdata()) == [4.1]  # neither in the bulk nor at 0
    assert [c.get_children()[0].get_xdata()[0] for c in axis.containers[1:]] == [4.0, 5.0]
    assert "25% at 0" in [text.get_text() for text in axis.texts]
    axis.figure.canvas.draw()
    assert len(sl.plot(_Law())[0].lines) > 1
    few = sl.plots.spectrum([1.0, 2.0, 5.0])
    assert list(few.lines[0].get_xdata()) == [1, 2, 5]


# -- phases ----------------------------------------------------------------------------------------


def _sweep(**extra):
    shape = (3, 4, 2, 5)
    values = np.arange(np.prod(shape), dtype=float).reshape(shape)
    dims = ("snr", "ridge", "run", "time")
    coords = {
        "snr": [0.5, 1.0, 2.0],
        "ridge": np.arange(4.0),
        "run": [0, 1],
        "time": np.arange(5.0),
    }
    return xr.Dataset({"m": (dims, values, {"symbol": "$m$"}), **extra}, coords)


def test_a_sweep_is_averaged_over_runs_at_the_last_time():
    data = _sweep()
    axis = sl.plots.phase_diagram(data, "m", levels=[60.0], boundary=lambda snr: snr)
    assert (axis.get_xlabel(), axis.get_ylabel()) == (r"snr $\lambda$", r"ridge $\alpha$")
    mesh = axis.collections[0]
    expected = data.m.isel(time=-1).mean("run").values
    np.testing.assert_array_equal(np.asarray(mesh.get_array()).reshape(4, 3), expected.T)
    assert axis.figure.axes[1].get_ylabel() == "$m$"
    swapped = sl.plots.phase_diagram(data, "m", x="ridge")
    assert swapped.get_ylabel() == r"snr $\lambda$"
    table = sl.plots.phase_diagram(
        lambda a, b: a + 10 * b, x=("a", [0.0, 1.0]), y=("b", [0.0, 1.0, 2.0])
    )
    numbers = np.asarray(table.collections[0].get_array()).ravel()
    np.testing.assert_array_equal(numbers, [0, 1, 10, 11, 20, 21])


# -- films -----------------------------------------------------------------------------------------


def _result():
    times = np.linspace(0, 2, 9)
    m = np.sin(times) * np.array([[1.0], [2.0]])
    coords = {"run": [0, 1], "time": times}
    return xr.Dataset({"m": (("run", "time"), m)}, coords, {"engine": "chain", "dim": 9})


def test_a_film_grows_with_time(tmp_path):
    from PIL import Image

    path = sl.plots.animate(_result(), tmp_path / "m.gif", seconds=0.5, fps=8, dpi=50)
    assert path == tmp_path / "m.gif"
    assert [p.name for p in tmp_path.iterdir()] == ["m.gif"]
    with Image.open(path) as picture:
        assert picture.n_frames == 4
        ink = []
        for i in range(4):
            picture.seek(i)
            ink.append(float((np.asarray(picture.convert("L")) < 250).mean()))
    assert ink == sorted(ink)
    assert ink[-1] > 1.2 * ink[0]
    assert not plt.get_fignums()


def test_runs_move_in_a_plane(tmp_path):
    result = _result().assign(r2=1 + 0 * _result().m)
    moving = MovingRuns(plt.figure().add_subplot(), [result], ("m", "r2"))
    moving.open(0.5625)  # half-way between two records
    (head,) = moving.heads
    at = (np.sin(1.0) + np.sin(1.25)) / 2
    np.testing.assert_allclose(head.get_data(), [[at, 2 * at], [1, 1]])
    # Records at 1 and, from the last 0.3 of the time, none before; then the point itself.
    assert [list(tail.get_ydata()) for tail in moving.tails[0]] == [[1, 1], [1, 1]]
    (below,) = sl.plot(_MODEL, xlim=(-0.5, 2.5))
    path = sl.plots.animate(
        result, tmp_path / "plane.gif", plane=("m", "r2"), axes=below, seconds=0.3, fps=7, dpi=50
    )
    assert path.stat().st_size > 1000
    assert below.get_xlim() == (-0.5, 2.5)


def test_films_that_cannot_be_written_are_refused(tmp_path, monkeypatch, as_users_run):
    with pytest.raises(ValueError, match=r"expected a name that ends in \.gif or \.mp4"):
        sl.plots.animate(_result(), tmp_path / "m.avi")
    monkeypatch.setattr(film.animation.writers, "is_available", lambda name: False)
    with pytest.raises(ValueError, match=r"needs ffmpeg, which is not installed; write a \.gif"):
        sl.plots.animate(_result(), tmp_path / "m.mp4")
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match="no folder"):
        sl.plots.animate(_result(), tmp_path / "nowhere" / "m.gif")
    assert not list(tmp_path.iterdir())


# -- all of them -----------------------------------------------------------------------------------


def test_symbols_have_indices():
    kind = sl.Statistics
    assert symbol_of(kind, "M_12") == "$M_{12}$"
    assert symbol_of(sl.BlockStatistics, "Q_11_block2") == "$Q_{2;11}$"
    assert symbol_of(sl.SpikedStatistics, "m") == "$m$"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sl.plot(sl.SpikedTensor), TypeError, "results: got"),
        (lambda: sl.plot(_MODEL, _MODEL), TypeError, "results: got SpikedTensor"),
        (lambda: sl.plot(_MODEL, names="m"), TypeError, "names='m': these are for results"),
        (lambda: sl.plot(_MODEL, colour="red"), TypeError, "colour: draw_dynamics has no such"),
        (lambda: sl.plot(_result(), time=3.0), TypeError, "time: plot has no such argument"),
        (lambda: sl.plot(_MODEL, x="q"), ValueError, "x='q': expected one of m, r2"),
        (lambda: sl.plot(_MODEL, x="m", y="m"), ValueError, "two different statistics"),
        (lambda: sl.plot(_MODEL, xlim=(1.0, 0.0)), ValueError, "xlim=.*the smaller first"),
        (lambda: sl.plot(_MODEL, axes=3), TypeError, "axes=3"),
        (lambda: sl.plot(_MODEL, fixed_points=[3]), TypeError, "fixed_points: 3"),
        (lambda: sl.plot(lambda t: 1.0 + 0 * t), ValueError, "time=None: how far"),
        (lambda: sl.plots.draw_schedule(3.0), TypeError, "schedule=3.0"),
        (lambda: sl.plots.bifurcation(_MODEL, None, 3, [1.0, 2.0]), TypeError, "parameter=3"),
        (lambda: sl.plots.bifurcation(3, None, "snr", [1.0, 2.0]), TypeError, "model=3"),
        (lambda: sl.plots.bifurcation(_MODEL, 3, "snr", [1.0, 2.0]), TypeError, "sgd=3"),
        (
            lambda: sl.plots.bifurcation(_MODEL, None, "nu", [1.0, 2.0]),
            ValueError,
            "parameter='nu'",
        ),
        (lambda: sl.plots.bifurcation(_MODEL, None, "snr", [2.0, 1.0]), ValueError, "increasing"),
        (lambda: sl.plots.bifurcation(_MODEL, None, "snr", [-1.0, 1.0]), ValueError, "snr=-1: "),
        (
            lambda: sl.plots.bifurcation(sl.xor_gmm(), None, "width", [1.0, 2.0]),
            ValueError,
            "give a function of the value",
        ),
        (
            lambda: sl.plots.bifurcation(_MODEL, None, "snr", [1.0, 2.0], statistic="q"),
            ValueError,
            "statistic='q': expected one of m, r2, 'risk'",
        ),
        (lambda: sl.plots.spectrum("no"), TypeError, "observed"),
        (lambda: sl.plots.spectrum([]), ValueError, "observed: no eigenvalue"),
        (lambda: sl.plots.spectrum([1.0, math.nan]), ValueError, "observed"),
        (lambda: sl.plots.spectrum([1.0], [2.0]), TypeError, "expected a limiting spectrum"),
        (lambda: sl.plots.phase_diagram(_sweep()), None, None),
        (
            lambda: sl.plots.phase_diagram(_sweep(), "q"),
            ValueError,
            "variable='q': expected one of m",
        ),
        (lambda: sl.plots.phase_diagram(_sweep().m.isel(snr=0)), ValueError, "expected two"),
        (
            lambda: sl.plots.phase_diagram(_sweep().m, x="q"),
            ValueError,
            "x='q': expected one of snr",
        ),
        (lambda: sl.plots.phase_diagram([[1.0]], x="a"), TypeError, "x='a': expected a name and"),
        (
            lambda: sl.plots.phase_diagram([[1.0]], x=("a", [1.0, 2.0]), y=("b", [1.0])),
            ValueError,
            r"data has shape \(1, 1\): expected \(2, 1\)",
        ),
        (lambda: sl.plots.animate(3, "m.gif"), TypeError, "results: got int"),
        (lambda: sl.plots.animate(_result(), "m.gif", plane="m"), TypeError, "plane='m'"),
        (
            lambda: sl.plots.animate(_result(), "m.gif", plane=("m", "q")),
            ValueError,
            "expected two of m",
        ),
        (lambda: sl.plots.animate(_result(), "m.gif", axes=3), TypeError, "give plane"),
        (lambda: sl.plots.animate(_result(), 3), TypeError, "path=3"),
        (lambda: sl.plots.animate(_result(), "m.gif", fps=0), ValueError, "fps=0"),
        (lambda: sl.plots.animate(_result(), "m.gif", seconds=1e6), ValueError, "frames, above"),
        (lambda: next(iter([sl.plots.style("poster").__enter__()])), ValueError, "style='poster'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, error, message, as_users_run):
    if error is None:
        call()
        return
    with pytest.raises(error, match=message):
        call()
    assert not plt.get_fignums()
