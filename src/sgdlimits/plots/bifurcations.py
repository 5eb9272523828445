"""Bifurcation diagrams: where the limit rests, against a parameter."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.optimize import linear_sum_assignment

from sgdlimits import _validate
from sgdlimits._progress import progress_bar
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.limits.fixed_points import FixedPoint
from sgdlimits.limits.risk import risk
from sgdlimits.models.base import AbstractModel
from sgdlimits.plots.base import COLOURS
from sgdlimits.plots.drawn import panel
from sgdlimits.plots.family import Family, family
from sgdlimits.plots.symbols import parameter_label, symbol_of
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

_FAR = 0.25  # of the diagram's height: a longer way between two values is no branch, unless
_PLAINLY = 0.5  # of the next best way
_LEAST_STARTS = 64  # of searches: many values share the work


class _Rest(NamedTuple):
    """A fixed point at one value."""

    value: float
    vector: np.ndarray
    height: float
    stable: bool


Statistic = Callable[[AbstractStatistics], Any]


def bifurcation(
    model: AbstractModel | Callable[[float], AbstractModel],
    sgd: OnlineSGD | None,
    parameter: str,
    values: Sequence[float] | np.ndarray,
    *,
    statistic: str | Statistic | None = None,
    axes: Axes | None = None,
    method: str = "auto",
    starts: int = _LEAST_STARTS,
    seed: int = 0,
    progress: bool | None = None,
) -> Axes:
    """Fixed points of the ballistic limit against a parameter: stable solid, unstable dashed.

    Status: what ``EffectiveDynamics.fixed_points`` finds, a formula where the model has one, else
    a search. Points at neighbouring values are joined to branches where they are close.

    Args:
        model: a model with the parameter among its numbers (``snr`` or ``ridge`` of mixtures,
            ``noise`` or ``ridge`` of committees); or a function value -> model, such as
            ``lambda c: sl.committee(2, 1, second_layer=[1.0, c])``.
        sgd: the algorithm, which may have the parameter itself ("step"); None: plain, of step 1.
        parameter: name of the number that changes; of a function, what the axis says.
        values: of the parameter, increasing. Branches end within one interval of where they do.
        statistic: what is drawn of a fixed point: one of the statistics by name, "risk", or a
            function of the statistics; default: the first overlap.
        axes: where to draw; default: a new figure.
        method, starts, seed: of the search, as in ``EffectiveDynamics.fixed_points``.
        progress: show a bar; default: when standard error is a terminal.

    Returns:
        The axes.

    Raises:
        TypeError, ValueError: for arguments that do not fit, before any search.

    Example:
        >>> import numpy as np, sgdlimits as sl
        >>> ax = sl.plots.bifurcation(sl.SpikedTensor(2), None, "snr", np.linspace(0.5, 2, 31))
        >>> ax.get_ylabel()
        '$m$'
    """
    of = family(model, sgd, parameter)
    grid = _grid(values)
    starts = _validate.integer("starts", starts, 1)
    seed = _validate.integer("seed", seed, 0)
    if progress is not None:
        _validate.boolean("progress", progress)
    ends = [_process(of, parameter, value) for value in (grid[0], grid[-1])]
    height, label = _height(ends[0], statistic)
    axes = None if axes is None else panel(axes)  # a bad one is refused before any work
    found: list[list[_Rest]] = []
    with progress_bar(progress, "fixed points", len(grid), "first value") as advanced:
        for value in grid:
            process = _process(of, parameter, value)
            dynamics = effective_dynamics(process.model, process.algorithm)
            points = dynamics.fixed_points(method, starts=starts, seed=seed, progress=False)
            found.append([_rest(value, point, height) for point in points])
            advanced(1)
    drawn = panel(axes)
    for branch in _branches(found):
        _draw(drawn, branch)
    drawn.set(xlabel=parameter_label(parameter), ylabel=label, xlim=(grid[0], grid[-1]))
    _name(drawn, found)
    return drawn


def _grid(values: Any) -> np.ndarray:
    grid = _validate.finite("values", values)
    if grid.ndim != 1 or len(grid) < 2 or (np.diff(grid) <= 0).any():
        raise ValueError(f"values={values!r}: expected at least two numbers, increasing.")
    return grid


def _process(of: Family, parameter: str, value: float) -> Process:
    try:
        return of(float(value))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{parameter}={value:g}: {error}") from error


def _height(process: Process, statistic: str | Statistic | None) -> tuple[Statistic, str]:
    """What is drawn of a state, and what the axis says."""
    names, kind = process.template.names, type(process.template)
    if statistic is None:
        statistic = next((name for name in names if name.startswith("M_")), names[0])
    if callable(statistic):
        return statistic, getattr(statistic, "__name__", "").strip("<>").replace("lambda", "")
    if statistic == "risk" and "risk" not in names:
        if not process.model.has_risk:
            raise ValueError(f"statistic='risk': {type(process.model).__name__} does not say it.")
        return lambda u: risk(process.model, process.base(u)), "population risk"
    if statistic not in names:
        raise ValueError(
            f"statistic={statistic!r}: expected one of {', '.join(names)}, 'risk', or a function."
        )
    place = names.index(statistic)
    return lambda u: np.asarray(u.vector)[place], symbol_of(kind, names[place])


def _rest(value: float, point: FixedPoint, height: Statistic) -> _Rest:
    vector = np.asarray(point.statistics.vector)
    return _Rest(float(value), vector, float(height(point.statistics)), bool(point.stable))


def _branches(found: list[list[_Rest]]) -> list[list[_Rest]]:
    """Points joined from value to value, each with the nearest where its branch would go on."""
    done: list[list[_Rest]] = []
    open_: list[list[_Rest]] = []
    everything = [rest.vector for rests in found for rest in rests]
    far = _FAR * float(np.max(np.ptp(everything, axis=0), initial=1e-9)) if everything else 1.0
    for rests in found:
        ends = np.array([_expected(branch) for branch in open_])
        here = np.array([rest.vector for rest in rests])
        taken: dict[int, int] = {}
        if len(ends) and len(here):
            gaps = np.linalg.norm(ends[:, None] - here[None], axis=-1)
            rows, columns = linear_sum_assignment(np.minimum(gaps, 10 * far))
            for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
                if gaps[i, j] <= far or _is_plain(gaps, i, j):
                    taken[j] = i
        going = {i: j for j, i in taken.items()}
        done += [branch for i, branch in enumerate(open_) if i not in going]
        new = []
        for j, rest in enumerate(rests):
            new.append([*open_[taken[j]], rest] if j in taken else [rest])
        open_ = new
    return done + open_


def _is_plain(gaps: np.ndarray, i: int, j: int) -> bool:
    """Whether one goes on as the other, far as it is: no third is nearly as close to either."""
    others = np.append(np.delete(gaps[i], j), np.delete(gaps[:, j], i))
    return bool(gaps[i, j] < _PLAINLY * others.min(initial=np.inf))


def _expected(branch: list[_Rest]) -> Float[np.ndarray, " statistics"]:
    """Where it would be next, on a straight line."""
    if len(branch) < 2:
        return branch[-1].vector
    return 2 * branch[-1].vector - branch[-2].vector


def _draw(axis: Axes, branch: list[_Rest]) -> None:
    """In pieces of one stability, that meet half-way."""
    colours = {True: COLOURS["theory"], False: COLOURS["second"]}
    if len(branch) == 1:
        one = branch[0]
        axis.plot(one.value, one.height, ".", color=colours[one.stable], ms=3)
        return
    begin = 0
    for i in range(1, len(branch) + 1):
        if i == len(branch) or branch[i].stable != branch[begin].stable:
            x = [rest.value for rest in branch[begin:i]]
            y = [rest.height for rest in branch[begin:i]]
            if begin:
                x, y = _middle(branch, begin, x, y, 0)
            if i < len(branch):
                x, y = _middle(branch, i, x, y, len(x))
            stable = branch[begin].stable
            axis.plot(x, y, "-" if stable else "--", color=colours[stable], lw=1.3,
                      zorder=3 if stable else 2)  # fmt: skip
            begin = i


def _middle(
    branch: list[_Rest], i: int, x: list[float], y: list[float], place: int
) -> tuple[list[float], list[float]]:
    one, other = branch[i - 1], branch[i]
    x.insert(place, (one.value + other.value) / 2)
    y.insert(place, (one.height + other.height) / 2)
    return x, y


def _name(axis: Axes, found: Iterable[list[_Rest]]) -> None:
    kinds = {rest.stable for rests in found for rest in rests}
    handles = [
        Line2D([], [], ls="-" if stable else "--", label="stable" if stable else "unstable",
               color=COLOURS["theory"] if stable else COLOURS["second"])
        for stable in sorted(kinds, reverse=True)
    ]  # fmt: skip
    if handles:
        axis.legend(
            handles=handles, frameon=False, fontsize="small", ncols=2,
            loc="lower center", bbox_to_anchor=(0.5, 1.0), borderaxespad=0.2,
        )  # fmt: skip
