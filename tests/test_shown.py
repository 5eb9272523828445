"""Objects show themselves in one line that has numbers in it, and as tables in notebooks."""

from html.parser import HTMLParser

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits._shown import numbers, rows_table
from sgdlimits.limits.fixed_points import FixedPoints


class _Table(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.cells = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.cells.append(data)


_DYNAMICS = sl.effective_dynamics(sl.SpikedTensor(order=2, snr=2.0), sl.OnlineSGD(0.5))


def _spectrum():
    model = sl.xor_gmm(snr=10.0, width=2)
    u = sl.Statistics(v=[1.0, -1.0], M=[[1.0, 0.0], [0.0, 1.0]], Q=[[1.2, 0.0], [0.0, 1.2]])
    return sl.spectra.asymptotic(model, u, (0, 0), alpha=4.0, dim=400)


#: (what, words of its line, words of its table)
_SHOWN = [
    (
        lambda: sl.SpikedTensor(3, 4.0, 1.0),
        ["order=3", "snr=4.0"],
        ["critical snr at step 1", "2.90922"],
    ),
    (
        lambda: sl.xor_gmm(snr=7.0),
        ["width=4", "4 classes", "snr=7", "ridge=0.1"],
        ["ridge", "snr", "22: v_1"],
    ),
    (
        lambda: sl.committee(3, 2, "erf"),
        ["width=3"],
        ["information exponent", "teachers", "2, Erf()"],
    ),
    (
        lambda: sl.committee(2, 1, "erf", covariance=sl.Spectrum([1.0, 2.0])),
        ["2 eigenvalues", "width=2"],
        ["covariance", "2 eigenvalues"],
    ),
    (lambda: sl.Teacher(label=lambda f, z: f[0]), ["of 1 direction)"], None),
    (lambda: _DYNAMICS, ["SpikedTensor(", "step=0.5", "2 statistics"], ["algorithm", "m, r2"]),
    (
        lambda: sl.OnlineSGD(
            0.5, schedule=sl.schedules.cosine(20.0), rule=sl.rules.momentum(beta=0.9), batch=4
        ),
        ["step=0.5, schedule=Cosine(", "beta=0.9"],
        None,
    ),
    (lambda: _DYNAMICS.rescale("m"), ["m magnified", "r2 macroscopic"], None),
    (
        lambda: _DYNAMICS.linearise(sl.SpikedStatistics(1.5**0.5, 0.5)),
        ["m, r2: stable, rates"],
        ["standard deviation at rest"],
    ),
    (
        lambda: sl.EscapeLaw(1.0, 1.0, 1.0, 1.0, 100),
        ["mean time 3.93", "deviation 1.11"],
        ["5 %, 50 %, 95 %"],
    ),
    (lambda: sl.EscapeLaw(0.0, 1.0, 1.0, 1.0, 100), ["rate=0.0"], None),
    (
        lambda: _DYNAMICS.fixed_points(),
        ["4 fixed points, 2 of them stable"],
        ["eigenvalues", "unstable"],
    ),
    (
        lambda: sl.spectra.top(np.diag([3.0, 2.0, 1.0]), 2),
        ["2 of 2 asked for: 3, 2; residuals up to"],
        ["eigenvalue", "residual"],
    ),
    (_spectrum, ["alpha=4, dim=400: bulk", "outliers"], ["mass in the span"]),
]


@pytest.mark.parametrize(("make", "line", "table"), _SHOWN)
def test_things_say_what_they_are(make, line, table):
    thing = make()
    assert len(repr(thing).splitlines()[0]) < 260
    for words in line:
        assert words in repr(thing)
    if table is not None:
        cells = " ".join(_Table(thing._repr_html_()).cells)
        for words in table:
            assert words in cells


def test_fixed_points_are_a_list_with_a_line_each():
    points = _DYNAMICS.fixed_points()
    assert isinstance(points, FixedPoints)
    assert isinstance(points, list)
    assert len(repr(points).splitlines()) == 1 + len(points)
    assert {point.stability for point in points} == {"stable", "unstable"}


def test_what_is_traced_has_no_numbers_to_show():
    seen = []

    def rate(x):
        process = sl.OrnsteinUhlenbeck.__new__(sl.OrnsteinUhlenbeck)
        fields = {"drift": x, "diffusion": x, "names": ("a",), "pinned": np.zeros((0, 1))}
        fields["drift_error"] = np.zeros((1, 1))
        for name, value in fields.items():
            object.__setattr__(process, name, value)
        seen.append(repr(process))
        return x[0, 0]

    jax.jit(rate)(jnp.eye(1))
    assert "drift=f64[1,1]" in seen[0]


def test_tables_are_escaped_and_lists_end_in_dots():
    assert "&lt;lambda&gt;" in rows_table("<lambda>", ("a",), [("<b>",)])
    assert numbers([1.0, 2 + 1j, 3 - 1j]) == "1, 2 + 1i, 3 - 1i"
    assert numbers(range(20)).endswith("7, ...")


def test_subpackages_are_listed():
    assert {"spectra", "plots", "rules", "schedules", "engines"} <= set(dir(sl))
