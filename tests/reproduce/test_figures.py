"""Every figure in its tiny form: all of its code runs, and what it makes is well formed.

The sizes are far too small for the verdicts of statistical checks; those of exact ones must hold.
"""

import math
import re

import jax
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread

from sgdlimits.reproduce.checks import Check
from sgdlimits.reproduce.registry import ENTRIES
from sgdlimits.reproduce.workspace import reproduce

# Tiny figures have few nodes.
pytestmark = [pytest.mark.figure, pytest.mark.filterwarnings("ignore:.*of its scale only")]


@pytest.fixture(autouse=True)
def _compile_without_optimising():
    """Compilation is most of a tiny figure's time, and its programs are over too soon to be worth
    optimising."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.mark.parametrize("identifier", ENTRIES)
def test_figure_and_checks_are_well_formed(identifier, tmp_path):
    figure, checks = reproduce(identifier, tmp_path / "figure", form="tiny")
    for panel in figure.axes:
        _assert_says_what_it_shows(panel, figure)
    _assert_not_blank(tmp_path / "figure" / "figure.png")
    assert checks
    for check in checks:
        _assert_well_formed(check)


def _assert_says_what_it_shows(panel: Axes, figure: Figure):
    if not panel.axison:  # a picture without axes
        return
    assert panel.has_data()
    row, column = _place(panel)
    others = [(axis, *_place(axis)) for axis in figure.axes]
    # One label serves all panels above it, or to the right of it.
    below = [axis for axis, r, c in others if c == column and r >= row]
    left = [axis for axis, r, c in others if r == row and c <= column]
    assert any(axis.get_xlabel() for axis in below) or panel.get_label() == "<colorbar>"
    assert any(axis.get_ylabel() or _has_words(axis) for axis in left)


def _place(axis: Axes) -> tuple[int, int]:
    place = axis.get_subplotspec()
    return (place.rowspan.start, place.colspan.start) if place else (-1, -1)


def _has_words(axis: Axes) -> bool:
    """Whether the ticks of the vertical axis are named rather than numbered."""
    names = [tick.get_text() for tick in axis.get_yticklabels()]
    return any(re.match("[a-z]", name) for name in names)


def _assert_not_blank(path):
    image = imread(path)[..., :3]
    assert min(image.shape[:2]) > 300
    assert (image < 0.9).any(-1).mean() > 0.01


def _assert_well_formed(check: Check):
    assert check.quantity
    assert check.paper
    assert check.rule
    assert not re.search(r"\bnan\b", check.rule), check
    for number in (check.theory, check.simulation, check.standard_error):
        assert number is None or math.isfinite(number), check
    assert check.standard_error is None or check.standard_error >= 0, check
    assert len(re.findall(r"(?<!\\)\|", check.row())) == 7, check.row()
    assert check.passed or not check.exact, check
