"""The picture of a schedule: the factor of the step against time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from sgdlimits import _validate
from sgdlimits.algorithms.schedules import AbstractSchedule, check_schedule
from sgdlimits.plots.base import COLOURS
from sgdlimits.plots.drawn import TIME, panel

_POINTS = 801


def draw_schedule(
    schedule: Callable[[Any], Any],
    axes: Axes | None = None,
    *,
    time: float | None = None,
    label: str | None = None,
) -> Axes:
    """The factor s(t) of the step against nominal time.

    Args:
        schedule: of ``schedules``, or any function t -> factor in JAX.
        axes: where to draw; default: a new figure.
        time: until when, in units of steps * step / dim; default: as long as it changes, which
            functions of one's own do not say.
        label: for a legend.

    Returns:
        The axes.

    Raises:
        TypeError, ValueError: for what is no schedule, or without ``time`` where it is needed.
    """
    check_schedule(schedule)
    if time is None:
        time = schedule.span if isinstance(schedule, AbstractSchedule) else None
        if time is None:
            raise ValueError("time=None: how far to draw a function of one's own? Give time.")
    end = _validate.positive("time", time)
    drawn = panel(axes)
    times = np.linspace(0.0, end, _POINTS)
    factors = np.asarray(jax.vmap(schedule)(jnp.asarray(times)))
    colour = COLOURS["theory"] if not drawn.lines else None
    drawn.plot(times, factors, color=colour, label=label)
    drawn.set(xlabel=TIME, ylabel="factor $s(t)$ of the step", xlim=(0, end))
    drawn.set_ylim(0, max(1.05 * float(factors.max()), drawn.get_ylim()[1], 1e-3))
    if label is not None:
        drawn.legend(frameon=False)
    return drawn
