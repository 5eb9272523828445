"""Results as a film: GIF with Pillow, MP4 where ffmpeg is installed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib import animation
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from sgdlimits import _validate
from sgdlimits._progress import progress_bar
from sgdlimits.plots.drawn import panel
from sgdlimits.plots.moving import MovingRuns, check_plane
from sgdlimits.plots.one_call import check_results, plot
from sgdlimits.simulation.places import path_of

#: How files are written, by how their names end.
WRITERS = {".gif": "pillow", ".mp4": "ffmpeg"}
_MOST_FRAMES = 2000


def animate(
    result: xr.Dataset | Sequence[xr.Dataset],
    path: str | Path,
    *,
    names: str | Sequence[str] | None = None,
    plane: tuple[str, str] | None = None,
    axes: Axes | None = None,
    seconds: float = 5.0,
    fps: int = 15,
    quantiles: tuple[float, float] = (0.05, 0.95),
    dpi: float = 100.0,
    progress: bool | None = None,
) -> Path:
    """A film of ``plot``: time runs, and bands and lines grow with it. Or of runs in a plane.

    Args:
        result: of ``simulate``, or several of one problem.
        path: the file: ``.gif`` (always possible) or ``.mp4`` (needs ffmpeg). One that is there is
            replaced.
        names, quantiles: as in ``plot``.
        plane: names of two numbers, such as ("M_11", "M_12"): every run is a point that moves in
            their plane, up to 200 of each result.
        axes: where the points move, such as ``plot(dynamics)[0]``; the axes must be those of the
            plane. Default: a new figure.
        seconds: length of the film.
        fps: frames per second.
        dpi: dots per inch.
        progress: show a bar; default: when standard error is a terminal.

    Returns:
        The path.

    Raises:
        TypeError, ValueError: for arguments that do not fit, another ending, or ``.mp4`` without
            ffmpeg.
        FileNotFoundError: if the folder is not there.
    """
    results = check_results([result] if isinstance(result, xr.Dataset) else _listed(result))
    place, writer = _place(path)
    seconds, dpi = _validate.positive("seconds", seconds), _validate.positive("dpi", dpi)
    fps = _validate.integer("fps", fps, 1, 100)
    count = max(2, round(seconds * fps))
    if count > _MOST_FRAMES:
        raise ValueError(f"seconds={seconds!r}, fps={fps!r}: {count} frames, above {_MOST_FRAMES}.")
    if progress is not None:
        _validate.boolean("progress", progress)
    if plane is not None:
        plane = check_plane(results, plane)
    elif axes is not None:
        raise TypeError(f"axes={axes!r}: they are for points that move in a plane; give plane.")
    if plane is None:
        panels = plot(*results, names=names, quantiles=quantiles)
        frames: list[Any] = [_Curtain(axis, *_ends(results)) for axis in panels]
        figure = panels[0].get_figure(root=True)
    else:
        drawn = panel(axes)
        frames, figure = [_moving(drawn, results, plane)], drawn.get_figure(root=True)
    assert figure is not None
    try:
        film = animation.writers[writer](fps=fps)
        temporary = place.with_name(f".{place.stem}-unfinished{place.suffix}")
        with progress_bar(progress, "frames", count, "drawing") as advanced:
            with film.saving(figure, str(temporary), dpi):
                for share in np.linspace(0.0, 1.0, count):
                    for frame in frames:
                        frame.open(float(share))
                    film.grab_frame()
                    advanced(1)
        temporary.replace(place)
    finally:
        if axes is None:
            plt.close(figure)
    return place


def _moving(axis: Axes, results: list[xr.Dataset], plane: tuple[str, str]) -> MovingRuns:
    fresh = not axis.has_data()
    limits = axis.get_xlim(), axis.get_ylim()
    moving = MovingRuns(axis, results, plane)
    if fresh:
        axis.set(xlabel=_written(results[0], plane[0]), ylabel=_written(results[0], plane[1]))
        axis.legend(frameon=False, fontsize="small")
        limits = axis.get_xlim(), axis.get_ylim()
    axis.set(xlim=limits[0], ylim=limits[1])
    return moving


def _written(result: xr.Dataset, name: str) -> str:
    """The symbol of a number, as its variable carries it."""
    field = max((str(v) for v in result.data_vars if name.startswith(str(v))), key=len)
    bare = str(result[field].attrs.get("symbol", field)).strip("$")
    index = name.removeprefix(field).strip("_").replace("_block", ";")
    return f"${bare}_{{{index}}}$" if index else f"${bare}$"


def _listed(result: Any) -> list[Any]:
    if isinstance(result, Sequence) and not isinstance(result, str):
        return list(result)
    return [result]


def _place(path: object) -> tuple[Path, str]:
    """The file, and what writes it."""
    place = path_of("path", path)
    writer = WRITERS.get(place.suffix.lower())
    if writer is None:
        raise ValueError(
            f"path={str(path)!r}: expected a name that ends in {' or '.join(WRITERS)}."
        )
    if not animation.writers.is_available(writer):
        raise ValueError(
            f"path={str(path)!r}: needs {writer}, which is not installed; write a .gif instead."
        )
    if not place.parent.is_dir():
        raise FileNotFoundError(f"path={str(path)!r}: there is no folder {str(place.parent)!r}.")
    return place, writer


def _ends(results: Sequence[xr.Dataset]) -> tuple[float, float]:
    times = np.concatenate([np.asarray(result["time"], dtype=float) for result in results])
    return float(times.min()), float(times.max())


class _Curtain:
    """Shows what is left of a moving time, with limits that stay."""

    def __init__(self, axis: Axes, first: float, last: float):
        self.first, self.last = first, last
        low, high = axis.get_xlim()
        axis.set(xlim=(low, high), ylim=axis.get_ylim())
        drawn = [*axis.lines, *axis.collections]
        self.window = Rectangle((low, 0), 0.0, 1.0, transform=axis.get_xaxis_transform())
        self.low = low
        for artist in drawn:
            artist.set_clip_path(self.window)
        self.artists = drawn
        self.now = axis.axvline(first, color="#999999", lw=0.8)

    def open(self, share: float) -> None:
        """Up to a share of the time."""
        now = self.first + share * (self.last - self.first)
        self.window.set_width(now - self.low)
        for artist in self.artists:
            artist.set_clip_path(self.window)  # which keeps a copy of where it ends
        self.now.set_xdata([now, now])
