"""Spectra: the density of the bulk with its outliers, and eigenvalues that were observed."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from sgdlimits import _validate
from sgdlimits.plots.base import COLOURS
from sgdlimits.plots.drawn import panel
from sgdlimits.spectra.asymptotics.outline import Outline

_FEW = 40  # eigenvalues of which a histogram would tell nothing: marks instead
_ROOM = 1.15
_TALL = 0.98  # share of the eigenvalues' range that the picture is tall enough for


@runtime_checkable
class Outlined(Protocol):
    """A limiting spectrum that says what of it is drawn."""

    def outline(self) -> Outline:
        """Bulk and outliers."""
        ...


def spectrum(
    spectrum: Any,
    observed: Any = None,
    *,
    bins: int | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Density of the bulk and outliers of a limiting spectrum, over observed eigenvalues.

    The limit is a line with a triangle at every outlier (with its standard deviation where the
    dimension is known) and, for eigenvalues 0, an arrow with their share. Observed eigenvalues are
    a histogram of total 1, each of a few a mark on the axis.

    Args:
        spectrum: of ``spectra.asymptotic`` or ``spectra.whole`` (of which edges and outliers are
            known, and no density); or observed eigenvalues alone.
        observed: eigenvalues: an array, or what has ``values``, such as ``spectra.top`` gives.
        bins: of the histogram; default: the square root of their number, 100 at most.
        axes: where to draw; default: a new figure.

    Returns:
        The axes.

    Raises:
        TypeError, ValueError: for what is neither, and for numbers that are not finite.
    """
    law = None
    if isinstance(spectrum, Outlined):
        law = spectrum.outline()
    elif observed is None:
        observed = spectrum
    else:
        raise TypeError(
            f"spectrum={spectrum!r}: expected a limiting spectrum, as spectra.asymptotic gives."
        )
    numbers = None if observed is None else _numbers(observed)
    bins = None if bins is None else _validate.integer("bins", bins, 1, 10_000)
    drawn = panel(axes)
    if numbers is not None:
        _draw_observed(drawn, numbers, bins, law)
    if law is not None:
        _draw_law(drawn, law)
    drawn.set(xlabel="eigenvalue", ylabel="density")
    drawn.set_ylim(bottom=0)
    counted = numbers is not None and (len(numbers) > _FEW or bins is not None)
    if not counted and (law is None or not law.curves):
        drawn.set(ylabel="", yticks=[])  # marks have no height
    drawn.legend(frameon=False, fontsize="small")
    return drawn


def _numbers(observed: Any) -> np.ndarray:
    values = getattr(observed, "values", observed)
    numbers = _validate.finite("observed", values).ravel()
    if not len(numbers):
        raise ValueError("observed: no eigenvalue; expected at least one.")
    return np.sort(numbers)


def _draw_observed(axis: Axes, numbers: np.ndarray, bins: int | None, law: Outline | None) -> None:
    colour = COLOURS["simulation"]
    outside = numbers
    if len(numbers) > _FEW or bins is not None:
        count = min(100, max(10, round(len(numbers) ** 0.5))) if bins is None else bins
        axis.hist(numbers, bins=count, density=True, color=colour, alpha=0.35, label="observed")
        outside = numbers[_outside(numbers, law)] if law is not None else numbers[:0]
    if 0 < len(outside) <= _FEW:
        label = None if len(outside) < len(numbers) else "observed"
        axis.plot(
            outside, np.full(len(outside), 0.02), "|", color=colour, ms=10, mew=1.5,
            transform=axis.get_xaxis_transform(), label=label, clip_on=False,
        )  # fmt: skip


def _outside(numbers: np.ndarray, law: Outline) -> np.ndarray:
    """Which are outside of every piece of the bulk, by more than rounding."""
    inside = np.zeros(len(numbers), dtype=bool)
    scale = max((max(abs(low), abs(high)) for low, high in law.edges), default=1.0)
    for low, high in law.edges:
        inside |= (numbers >= low - 0.02 * scale) & (numbers <= high + 0.02 * scale)
    return ~inside & (np.abs(numbers) > 1e-9 * scale)


def _draw_law(axis: Axes, law: Outline) -> None:
    colour, label = COLOURS["theory"], "limit: bulk"
    # By the range of eigenvalues, not by the points of the curve, which crowd where it diverges.
    heights = [np.interp(np.linspace(x[0], x[-1], 400), x, density) for x, density in law.curves]
    for x, density in law.curves:
        axis.plot(x, density, color=colour, lw=1.2, label=label)
        label = None
    if heights:
        tall = float(np.quantile(np.concatenate(heights), _TALL))
        bars = [_ROOM * bar.get_height() for bar in axis.patches if isinstance(bar, Rectangle)]
        axis.set_ylim(0, max([_ROOM * tall, *bars]))
    else:
        for low, high in law.edges:
            axis.axvspan(low, high, color=COLOURS["flow"], alpha=0.4, lw=0, label="limit: bulk")
        if not axis.patches[: -len(law.edges)]:
            axis.set_ylim(0, 1)
    low_, high_ = axis.get_ylim()
    label = "limit: outliers"
    for value, deviation in law.outliers:
        spread = None if not np.isfinite(deviation) else deviation
        axis.errorbar(
            value, low_ + 0.06 * (high_ - low_), xerr=spread, fmt="v", color=COLOURS["second"],
            ms=5, capsize=2, label=label, clip_on=False,
        )  # fmt: skip
        label = None
    if law.atom > 0:
        axis.annotate(
            f"{law.atom:.0%} at 0", (0, 0.9), (0, 1.0), xycoords=("data", "axes fraction"),
            textcoords=("data", "axes fraction"), ha="center", va="bottom", fontsize="small",
            arrowprops={"arrowstyle": "<-", "color": colour},
        )  # fmt: skip
        axis.axvline(0, color=colour, lw=0.8, ls=":")
