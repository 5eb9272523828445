"""Runs that move in the plane of two numbers, for films."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes

from sgdlimits.plots.paths import colour_of, name_of
from sgdlimits.simulation.table import numbers_of

_TAIL = 0.15  # of the whole time: how long the way behind a point is
_MOST = 200  # runs of one result


class MovingRuns:
    """Every run as a point, with the last part of the way behind it."""

    def __init__(self, axis: Axes, results: Sequence[xr.Dataset], plane: tuple[str, str]):
        self.times = [np.asarray(result["time"], dtype=float) for result in results]
        self.first = min(float(times[0]) for times in self.times)
        self.last = max(float(times[-1]) for times in self.times)
        self.ways = [_ways(result, plane) for result in results]
        self.tails, self.heads = [], []
        for result, ways in zip(results, self.ways, strict=True):
            colour = colour_of(result)
            self.tails.append(axis.plot(*ways, color=colour, lw=0.6, alpha=0.6))
            self.heads.extend(axis.plot([], [], "o", color=colour, ms=4, label=name_of(result)))
        self.clock = axis.text(
            0.98, 0.03, "", transform=axis.transAxes, ha="right", fontsize="small", zorder=6,
            bbox={"facecolor": "white", "alpha": 0.8, "lw": 0},
        )  # fmt: skip

    def open(self, share: float) -> None:
        """Up to a share of the time."""
        now = self.first + share * (self.last - self.first)
        self.clock.set_text(f"$t$ = {now:.3g}")
        each = zip(self.times, self.ways, self.tails, self.heads, strict=True)
        for times, ways, tails, head in each:
            since, until = np.searchsorted(times, [now - _TAIL * (self.last - self.first), now])
            here = np.array([[np.interp(now, times, way) for way in one.T] for one in ways])
            for run, tail in enumerate(tails):
                tail.set_data(*(np.append(one[since:until, run], at[run])
                                for one, at in zip(ways, here, strict=True)))  # fmt: skip
            head.set_data(*here)


def check_plane(results: Sequence[xr.Dataset], plane: object) -> tuple[str, str]:
    """Two names of numbers that every result has, or TypeError or ValueError."""
    if not isinstance(plane, tuple | list) or len(plane) != 2:
        raise TypeError(f"plane={plane!r}: expected two names, such as ('M_11', 'M_12').")
    for result in results:
        known = list(numbers_of(result))
        for name in plane:
            if name not in known:
                raise ValueError(f"plane={plane!r}: expected two of {', '.join(known)}.")
    x, y = plane
    return x, y


def _ways(
    result: xr.Dataset, plane: tuple[str, str]
) -> tuple[Float[np.ndarray, "times runs"], Float[np.ndarray, "times runs"]]:
    numbers = numbers_of(result)
    x, y = (np.asarray(numbers[name].transpose("time", "run"), dtype=float) for name in plane)
    return x[:, :_MOST], y[:, :_MOST]
