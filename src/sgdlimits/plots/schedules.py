"""Schedules of step sizes against time."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from sgdlimits.plots.base import COLOURS, COLUMN, new_figure

if TYPE_CHECKING:
    from sgdlimits.analysis.optimal_schedule import OptimalSchedule


def draw_schedules(found: "OptimalSchedule", axes: Axes | None = None) -> Any:
    """The factor that was found, with its knots, over the best constant and half cosine."""
    axes = _panel() if axes is None else axes
    times, values = np.asarray(found.schedule.times), np.asarray(found.schedule.values)
    fine = np.linspace(0.0, times[-1], 200)
    wave = found.cosine.factor * (1 + np.cos(math.pi * fine / times[-1])) / 2
    axes.axhline(
        found.constant.factor, color=COLOURS["flow"], label=f"constant: {found.constant.value:.3g}"
    )
    axes.plot(
        fine, wave, color=COLOURS["second"], ls="--", label=f"cosine: {found.cosine.value:.3g}"
    )
    axes.plot(times, values, color=COLOURS["theory"], marker=".", label=f"found: {found.value:.3g}")
    axes.set(xlabel="$t$", ylabel="factor of the step", ylim=(0, None))
    axes.legend(title="objective at the end")
    return axes


def _panel() -> Axes:
    _, panels = new_figure(1, 1, width=COLUMN, height=2.4)
    panels[0, 0].set_title("", loc="left")  # a panel alone needs no letter
    return panels[0, 0]
