"""What says itself how it is drawn, so that ``plot`` needs to know none of it."""

from typing import Any, Protocol, runtime_checkable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

TIME = r"time $t$ = steps $\times$ step/dim"


@runtime_checkable
class Drawn(Protocol):
    """Says how it is drawn: ``picture`` names a function of ``plots`` that takes it.

    So dynamics, schedules or spectra stand below all plots and import none of them.
    """

    picture: str


def panel(axes: Any, width: float = 3.6, height: float = 2.8) -> Axes:
    """The axes that were given, or those of a new figure; one of several in an array of one.

    Raises:
        TypeError: for anything else.
    """
    if axes is None:
        return plt.subplots(figsize=(width, height), layout="constrained")[1]
    if isinstance(axes, np.ndarray) and axes.size == 1:
        axes = axes.ravel()[0]
    if not isinstance(axes, Axes):
        raise TypeError(f"axes={axes!r}: expected axes of matplotlib, or None.")
    return axes
