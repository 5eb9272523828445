"""What all figures share: one style, colours by role, panels, bands over runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.axes import Axes

from sgdlimits import _validate

#: Okabe and Ito's colours, distinguishable without colour vision, by role.
COLOURS = {
    "simulation": "#0072B2",
    "theory": "#000000",
    "second": "#D55E00",
    "third": "#009E73",
    "fourth": "#CC79A7",
    "flow": "#BBBBBB",
}
#: Names of styles.
STYLES = ("screen", "paper")
_PAPER = {
    "font.family": "serif",
    "font.serif": ["STIX Two Text", "STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.0,
    "axes.linewidth": 0.6,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
}
COLUMN = 3.4  # inches: one column of a two-column paper
PAGE = 7.0


@contextmanager
def style(name: str = "screen") -> Iterator[None]:
    """Readable at column width, saved at 200 dots per inch.

    Args:
        name: "screen"; or "paper": serifs and mathematics as in a TeX document, thinner lines, 300
            dots per inch, fonts embedded as such and text of SVG as text.

    Raises:
        TypeError, ValueError: for another name.
    """
    paper = _validate.one_of("style", name, STYLES) == "paper"
    settings: Any = {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "legend.fontsize": 7,
        "legend.frameon": False,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "lines.linewidth": 1.2,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
        "savefig.dpi": 200,
        "figure.dpi": 100,
        "svg.hashsalt": "sgdlimits",  # equal pictures are equal files
        **(_PAPER if paper else {}),
    }
    with mpl.rc_context(settings):
        yield


def new_figure(rows: int, columns: int, width: float = PAGE, height: float | None = None, **kwargs):
    """A figure with panels, and the panels labelled (a), (b), ... in reading order."""
    height = width / columns * rows * 0.8 if height is None else height
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **kwargs)
    for letter, axis in zip("abcdefghijkl", axes.flat, strict=False):
        axis.set_title(f"({letter})", loc="left", fontweight="bold")
    plt.close(figure)  # the caller saves it; no window should hold on to it
    return figure, axes


def band(
    axis: Axes,
    values: xr.DataArray,
    colour: str = COLOURS["simulation"],
    quantiles: tuple[float, float] = (0.05, 0.95),
    label: str | None = None,
) -> None:
    """Fill between two quantiles over runs, against time."""
    low, high = (values.quantile(q, "run") for q in quantiles)
    axis.fill_between(values["time"], low, high, color=colour, alpha=0.25, lw=0, label=label)
