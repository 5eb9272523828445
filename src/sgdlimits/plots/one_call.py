"""A picture in one call: of results, and of what says itself how it is drawn."""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sgdlimits import _validate
from sgdlimits.plots.drawn import Drawn
from sgdlimits.plots.paths import draw_paths, panels, variables


def plot(
    *results: Any,
    names: str | Sequence[str] | None = None,
    axes: Axes | Sequence[Axes] | None = None,
    quantiles: tuple[float, float] = (0.05, 0.95),
    **options: Any,
) -> np.ndarray:
    """A picture in one call: of results, of effective dynamics, of a schedule, of a spectrum.

    Results: statistics against time, one panel each. Engines look the same in every picture: real
    SGD is a band, the chain a band with a dotted median, the SDE one with a dash-dotted, the ODE
    solid lines, the mean field dashed ones. One run is a line. Colours tell the components of a
    statistic.

    Effective dynamics, or a model: where the limit goes in a plane, and its fixed points
    (``plots.draw_dynamics``). A schedule, or any function t -> factor: the factor of the step
    (``plots.draw_schedule``). A limiting spectrum: ``plots.spectrum``. What can be drawn says by
    whom, in its attribute ``picture``.

    Args:
        results: of ``simulate``, ``sweep`` at one point, or ``load``; those of one problem belong
            together. Or one thing of another kind.
        names: statistics to draw, such as ``"M"``; default: all that the first result holds, the
            risk included.
        axes: one for each name; default: a new figure.
        quantiles: lower and upper end of the bands.
        options: of the other pictures, such as ``x="M_11", y="M_12"`` or ``time=10.0``.

    Returns:
        The axes, one for each name. Save with ``axes[0].figure.savefig("picture.pdf")``.

    Raises:
        TypeError: for anything that has no picture, or options that it does not have.
        ValueError: without results, for names that none of them holds, or a wrong number of axes.
    """
    picture = _picture(results)
    if picture is not None:
        if names is not None:
            raise TypeError(f"names={names!r}: these are for results; see {picture.__name__}.")
        known = list(signature(picture).parameters)[1:]
        _validate.check_words(picture.__name__, options, known, {})
        return np.array([picture(results[0], axes=axes, **options)])
    _validate.check_words("plot", options, ["names", "axes", "quantiles"], {})
    chosen = check_results(results)
    wanted = _check_names(chosen, names)
    low, high = _check_quantiles(quantiles)
    drawn = panels(len(wanted)) if axes is None else list(np.atleast_1d(np.asarray(axes)).ravel())
    if len(drawn) != len(wanted):
        raise ValueError(f"axes: {len(drawn)} given, expected one for each of {', '.join(wanted)}.")
    draw_paths(chosen, wanted, drawn, (low, high))
    return np.array(drawn)


def _picture(things: Sequence[Any]) -> Callable[..., Axes] | None:
    """How one thing is drawn that is no result of simulate."""
    if len(things) != 1:
        return None
    from sgdlimits import plots

    (thing,) = things
    if isinstance(thing, Drawn) and not isinstance(thing, type):
        return getattr(plots, thing.picture)
    if callable(thing) and not isinstance(thing, type):
        return plots.draw_schedule
    return None


def check_results(results: Sequence[Any]) -> list[xr.Dataset]:
    """The results as a list, or TypeError or ValueError."""
    if not results:
        raise ValueError("results: none given; expected one or more results of simulate.")
    for result in results:
        if not isinstance(result, xr.Dataset) or not {"run", "time"} <= set(result.dims):
            raise TypeError(
                f"results: got {type(result).__name__}, expected results of simulate, with "
                "dimensions run and time."
            )
    return list(results)


def _check_names(results: Sequence[xr.Dataset], names: Any) -> list[str]:
    known = list(dict.fromkeys(name for result in results for name in variables(result)))
    if names is None:
        first = variables(results[0])
        return [name for name in first if results[0][name].size > 0]
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in known:
            raise ValueError(f"names={names!r}: no {name!r} here, expected of {', '.join(known)}.")
    if not wanted:
        raise ValueError(f"names={names!r}: expected at least one of {', '.join(known)}.")
    return wanted


def _check_quantiles(quantiles: Any) -> tuple[float, float]:
    try:
        low, high = (float(x) for x in quantiles)
    except (TypeError, ValueError) as error:
        raise TypeError(f"quantiles={quantiles!r}: expected two numbers.") from error
    if not 0 <= low < high <= 1:
        raise ValueError(f"quantiles={quantiles!r}: expected 0 <= low < high <= 1.")
    return low, high
