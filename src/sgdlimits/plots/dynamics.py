"""The picture of effective dynamics: where the limit goes in a plane, and where it rests."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sgdlimits import _validate
from sgdlimits.limits.effective_dynamics import EffectiveDynamics, effective_dynamics
from sgdlimits.limits.fixed_points import FixedPoint
from sgdlimits.models.base import AbstractModel
from sgdlimits.plots.base import COLOURS
from sgdlimits.plots.drawn import panel
from sgdlimits.plots.portrait import draw_points, is_possible, stream
from sgdlimits.plots.symbols import symbol_of
from sgdlimits.process.initial import initial

_STARTS_AT = 400  # dimension of the random starts
_STARTS = 24
_ROOM = 0.2  # around what is drawn, in units of its size


def draw_dynamics(
    dynamics: EffectiveDynamics | AbstractModel,
    axes: Axes | None = None,
    *,
    x: str | None = None,
    y: str | None = None,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
    time: float = 50.0,
    starts: int = _STARTS,
    seed: int = 0,
    fixed_points: bool | Sequence[FixedPoint] | None = None,
) -> Axes:
    """The ballistic limit in the plane of two statistics: a phase portrait with fixed points.

    Dynamics of exactly two statistics are drawn by their stream lines. Of more, or on the sphere, a
    plane shows no flow: drawn are solutions from random starts at dimension 400, as they look in
    it. Stable fixed points are crosses, unstable ones circles.

    Args:
        dynamics: of ``effective_dynamics``, or a model under plain SGD of step 1.
        axes: where to draw; default: a new figure.
        x, y: names of two statistics; default: the first two overlaps.
        xlim, ylim: ranges; default: what shows the fixed points and random starts.
        time: until when solutions are followed, in units of steps * step / dim.
        starts, seed: number and seed of the random starts.
        fixed_points: whether to draw them, or those to draw; default: of two statistics, or where
            a formula knows them, as a search among many statistics takes a while.

    Returns:
        The axes.

    Raises:
        TypeError, ValueError: for what is no dynamics or model, names that are no statistics,
            ranges that are none, and a step that changes with time.
    """
    dynamics = _dynamics(dynamics)
    names = dynamics.names
    plane = _plane(names, dynamics.model.template.names, x, y)
    time, starts = _validate.positive("time", time), _validate.integer("starts", starts, 1, 10_000)
    given = (_range("xlim", xlim), _range("ylim", ylim))
    axes = None if axes is None else panel(axes)  # a bad one is refused before any work
    points = _fixed_points(dynamics, fixed_points)
    dim = max(_STARTS_AT, dynamics.process.minimum_dim)
    begin = dynamics.process.complete(initial(dynamics.model, dim, starts, seed))
    begin = dynamics.process.constrained(begin)
    seen = np.concatenate(
        [np.asarray(begin.vector), *(np.asarray(p.statistics.vector)[None] for p in points)]
    )[:, plane]
    if not points and len(names) == 2:  # nothing says how far things go but the flow itself
        ends = np.asarray(dynamics.solve(begin, [time / 2, time]).vector)[..., plane].reshape(-1, 2)
        seen = np.concatenate([seen, ends[np.isfinite(ends).all(1)]])
    if len(names) == 2 and not dynamics.sgd.spherical:  # a sphere is no plane
        limits = _limits(seen, dynamics, plane, given)
        drawn = panel(axes)
        (x0, x1), (y0, y1) = limits
        stream(drawn, dynamics, (names[plane[0]], x0, x1), (names[plane[1]], y0, y1), 30)
    else:
        times = np.concatenate([[0.0], np.geomspace(1e-3 * time, time, 200)])
        paths = np.asarray(dynamics.solve(begin, times).vector)[..., plane]
        drawn = panel(axes)
        drawn.plot(*np.moveaxis(paths, -1, 0), color=COLOURS["flow"], lw=0.8)
        drawn.plot(*paths[0].T, ".", color=COLOURS["simulation"], ms=4, label="random starts")
        drawn.plot(*paths[-1].T, ".", color=COLOURS["second"], ms=6, label=f"after $t$ = {time:g}")
        limits = _around(paths.reshape(-1, 2), seen, given)
    draw_points(drawn, points, plane)
    drawn.set(xlim=limits[0], ylim=limits[1])
    kind = type(dynamics.process.template)
    drawn.set_xlabel(symbol_of(kind, names[plane[0]]))
    drawn.set_ylabel(symbol_of(kind, names[plane[1]]))
    _name(drawn, points)
    return drawn


def _dynamics(thing: Any) -> EffectiveDynamics:
    if isinstance(thing, AbstractModel):
        return effective_dynamics(thing)
    if not isinstance(thing, EffectiveDynamics):
        raise TypeError(f"dynamics={thing!r}: expected effective_dynamics(model, sgd), or a model.")
    return thing


def _plane(names: tuple[str, ...], own: tuple[str, ...], x: object, y: object) -> list[int]:
    """Places of two names; by default of the model's own, not of what a rule carries along."""
    if len(names) < 2:
        raise ValueError(f"dynamics: one statistic, {', '.join(names)}; a plane needs two.")
    kept = [name for name in own if name in names]
    overlaps = [name for name in kept if name.startswith("M_")]
    first = list(dict.fromkeys([*overlaps, *kept, *names]))
    if x is None:
        x = next(name for name in first if name != y)
    if y is None:
        y = next(name for name in first if name != x)
    for argument, name in (("x", x), ("y", y)):
        if name not in names:
            raise ValueError(f"{argument}={name!r}: expected one of {', '.join(names)}.")
    if x == y:
        raise ValueError(f"x={x!r}, y={y!r}: expected two different statistics.")
    return [names.index(str(x)), names.index(str(y))]


def _fixed_points(
    dynamics: EffectiveDynamics, wanted: bool | Sequence[FixedPoint] | None
) -> list[FixedPoint]:
    if wanted is None:
        few = len(dynamics.names) == 2 and dynamics.process.autonomous
        wanted = few or dynamics.process.known_fixed_points() is not None
    if isinstance(wanted, bool):
        return dynamics.fixed_points() if wanted else []
    points = _validate.listed("fixed_points", wanted)
    for point in points:
        if not isinstance(point, FixedPoint):
            raise TypeError(f"fixed_points: {point!r}: expected what fixed_points() gives.")
    return points


def _limits(
    seen: np.ndarray, dynamics: EffectiveDynamics, plane: list[int], given: tuple[Any, Any]
) -> list[tuple[float, float]]:
    """With room around what is seen; not below 0 where no state is."""
    limits = _around(seen, seen, given)
    for axis, place in enumerate(plane):
        low, high = limits[axis]
        if given[axis] is None and low < 0 <= seen[:, axis].min():
            vector = np.asarray(dynamics.process.template.vector).copy()
            vector[place] = low
            if not is_possible(dynamics, vector):
                limits[axis] = (0.0, high)
    return limits


def _range(name: str, limit: Any) -> tuple[float, float] | None:
    if limit is None:
        return None
    numbers = _validate.finite(name, limit)
    if numbers.shape != (2,) or not numbers[0] < numbers[1]:
        raise ValueError(f"{name}={limit!r}: expected two numbers, the smaller first.")
    return float(numbers[0]), float(numbers[1])


def _around(
    drawn: np.ndarray, seen: np.ndarray, given: tuple[Any, Any]
) -> list[tuple[float, float]]:
    limits = []
    for axis, limit in enumerate(given):
        if limit is not None:
            limits.append(limit)
            continue
        values = np.concatenate([drawn[:, axis], seen[:, axis]])
        values = values[np.isfinite(values)]
        low, high = values.min(), values.max()
        room = _ROOM * max(high - low, 0.2)
        limits.append((float(low - room), float(high + room)))
    return limits


def _name(axis: Axes, points: Sequence[FixedPoint]) -> None:
    """Which mark is which, where there are fixed points."""
    marks = {"stable": any(p.stable for p in points), "unstable": any(not p.stable for p in points)}
    looks: dict[str, dict[str, Any]] = {
        "stable": {"marker": "x", "mec": "black", "mew": 1.8, "ms": 6},
        "unstable": {"marker": "o", "mfc": "white", "mec": "black", "ms": 4},
    }
    handles = list(axis.get_legend_handles_labels()[0])
    handles += [
        Line2D([], [], ls="none", label=f"{name} fixed point", **looks[name])
        for name, there in marks.items()
        if there
    ]
    if handles:
        axis.legend(
            handles=handles, frameon=False, fontsize="small", handletextpad=0.3,
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, borderaxespad=0.2,
        )  # fmt: skip
