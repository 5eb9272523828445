"""The picture of an audit: sizes against n, spread within fibres, step sizes."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.auditing.closure import QUANTITIES
from sgdlimits.auditing.report import AuditReport
from sgdlimits.plots import COLOURS, PAGE, new_figure, style

_PAINT = dict(zip(QUANTITIES, ("simulation", "second", "third"), strict=True))
_ZERO = 1e-9


def picture(report: AuditReport) -> Figure:
    """Three panels: size of drift, corrector and volatility; spread; corrections against a."""
    with style():
        figure, axes = new_figure(1, 3, width=PAGE, height=2.5)
        sizes(axes[0, 0], report)
        closure(axes[0, 1], report)
        scan(axes[0, 2], report)
    return figure


def sizes(axis: Axes, report: AuditReport) -> None:
    """Root mean square over fibres of each statistic's moments, at the audited step size."""
    dims = report.dataset["dim"].values
    for quantity in QUANTITIES:
        power = 0.0 if quantity == "population drift" else report.scaling
        step = report.dataset.attrs["step"]
        factor = step / dims**power if power else np.ones(len(dims))
        label = quantity
        for spread in report.spreads[quantity]:
            if spread.size[-1] > _ZERO:
                axis.plot(dims, factor * spread.size, "o-", ms=3, lw=0.9,
                          color=COLOURS[_PAINT[quantity]], label=label)  # fmt: skip
                label = None
    axis.set(xscale="log", yscale="log", xlabel="$n$", ylabel="size, one line a statistic")
    axis.set_title(rf"$\delta_n = {report.dataset.attrs['step']:g}\,/\,n^{{{report.scaling:g}}}$")
    _ticks(axis, dims)
    axis.legend(loc="best")


def closure(axis: Axes, report: AuditReport) -> None:
    """Spread within fibres relative to the size of the quantity, of what was found to spread."""
    dims = report.dataset["dim"].values
    share = report.level / (len(report.names) * len(QUANTITIES))
    found = 0
    for quantity in QUANTITIES:
        for name, spread in zip(report.names, report.spreads[quantity], strict=True):
            if spread.p < share:
                scale = max(spread.size[-1], _ZERO)
                axis.plot(dims, np.maximum(spread.excess / scale, 1e-4), "o-", ms=3,
                          color=COLOURS[_PAINT[quantity]],
                          label=f"{quantity} of {name}" if found < 4 else None)  # fmt: skip
                found += 1
    axis.set(xscale="log", yscale="log", xlabel="$n$", ylabel="spread within fibres / size")
    _ticks(axis, dims)
    if found:
        axis.set_title("depends on the point")
        axis.legend(loc="best")
    else:
        axis.set_ylim(1e-3, 1)
        axis.text(0.5, 0.5, "no spread\nbeyond sampling", transform=axis.transAxes, ha="center")
        axis.set_title("closes")


def scan(axis: Axes, report: AuditReport) -> None:
    """Power of n of the largest correction at delta ~ n^-a, against a."""
    critical = report.critical
    a = np.linspace(0.4, 1.6, 50)
    axis.axhline(0, color=COLOURS["flow"], lw=0.8)
    if not critical.vanishing:
        axis.plot(a, critical.exponent - a, color=COLOURS["second"])
        axis.fill_between(a, critical.low - a, critical.high - a, color=COLOURS["second"],
                          alpha=0.25, lw=0)  # fmt: skip
        axis.axvline(critical.exponent, color="black", ls="--", lw=0.9,
                     label=f"critical, $a={critical.exponent:.2f}$")  # fmt: skip
        axis.legend(loc="upper right")
    axis.plot(report.scaling, critical.exponent - report.scaling, "o", color="black", ms=4)
    axis.set(xlabel=r"$a$ of $\delta_n \sim n^{-a}$", ylabel="power of $n$ of the correction")
    axis.set_title(f"this step: {report.step}")


def _ticks(axis: Axes, dims: np.ndarray) -> None:
    axis.set_xticks(dims, [str(int(d)) for d in dims])
    axis.minorticks_off()
