"""The folder of one reproduction: its simulations (kept and resumed), figure and checks."""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, overload

import matplotlib

matplotlib.use("Agg", force=False)

import xarray as xr
from matplotlib.figure import Figure

from sgdlimits import __version__, _validate
from sgdlimits.plots.base import STYLES, style
from sgdlimits.randomness.streams import check_seed
from sgdlimits.reproduce.checks import Check, table
from sgdlimits.reproduce.registry import ENTRIES, Entry
from sgdlimits.simulation.atomic import TEMPORARY, appear, write_text
from sgdlimits.simulation.folder import StorageWarning
from sgdlimits.simulation.places import folder_of
from sgdlimits.simulation.simulate import simulate

_INPUTS = "reproduction.json"

#: Seconds, to see that a figure's code runs; about a minute; the paper's own sizes.
Form = Literal["tiny", "quick", "full"]
FORMS: tuple[Form, ...] = get_args(Form)

#: How a picture's file may end, and what it says besides: no date, so that equal pictures are
#: equal files.
PICTURES: dict[str, dict[str, Any]] = {
    "png": {},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}

_T = TypeVar("_T")


@dataclass(frozen=True)
class Workspace:
    """What a figure's function is given: where its data go, and how large it should be.

    ``form`` "full" asks for the paper's sizes; "quick" should take about a minute and its checks
    pass. "tiny" runs all of the code in seconds, most of which compile it: few runs, of short time
    and small dimension, and every distinct shape costs. What its statistical checks say means
    nothing, but its exact checks pass too.
    """

    folder: Path
    form: Form
    seed: int
    progress: bool | None

    def simulate(self, name: str, *args: Any, **kwargs: Any) -> xr.Dataset:
        """``sgdlimits.simulate`` whose result is kept in data/name and not computed twice."""
        kwargs = {"seed": self.seed, "progress": self.progress, **kwargs}
        return simulate(*args, **kwargs, out=self.folder / "data" / name)

    @overload
    def size(self, quick: int, full: int, tiny: int | None = None) -> int: ...

    @overload
    def size(self, quick: _T, full: _T, tiny: _T) -> _T: ...

    def size(self, quick: Any, full: Any, tiny: Any = None) -> Any:
        """The size of this form.

        A number that gives none for the tiny form, say of runs, has a sixteenth of the quick one
        there, and at least four.
        """
        if self.form == "tiny":
            return max(min(quick, 4), quick // 16) if tiny is None else tiny
        return full if self.form == "full" else quick


FigureFunction = Callable[[Workspace], tuple[Figure, list[Check]]]


def reproduce(
    identifier: str,
    folder: str | Path,
    *,
    form: Form = "quick",
    seed: int = 0,
    progress: bool | None = None,
    picture: str = "png",
    look: str = "screen",
) -> tuple[Figure, list[Check]]:
    """Make one figure: ``figure.png``, ``checks.md`` and the data, in ``folder``.

    Simulations that the folder already holds are not repeated, so an interrupted call resumes.

    Args:
        identifier: one of ``ENTRIES``.
        folder: created if missing.
        form: "full" for the paper's own sizes, "quick" for about a minute, "tiny" for seconds.
        seed: integer seed of every simulation.
        progress: show progress bars.
        picture: "png", "pdf" or "svg", how the name of the figure's file ends.
        look: "screen", or "paper" for print; see ``plots.style``.

    Returns:
        The figure and the checks; all passed if the figure is reproduced.

    Raises:
        ValueError: for an unknown identifier, form, seed, picture or look.
        FileExistsError: if the folder holds another reproduction or anything else.
    """
    entry = ENTRIES[_validate.one_of("id", identifier, ENTRIES)]
    _validate.one_of("form", form, FORMS)
    _validate.one_of("format", picture, PICTURES)
    _validate.one_of("style", look, STYLES)
    work = Workspace(Path(folder), form, check_seed(seed), progress)
    _claim(work, entry)
    function: FigureFunction = getattr(
        import_module(f"sgdlimits.reproduce.{entry.module}"), entry.function
    )
    with style(look):
        figure, checks = function(work)
        file = work.folder / f"figure.{picture}"
        temporary = file.with_name(f"{TEMPORARY}{file.name}")
        figure.savefig(temporary, format=picture, metadata=PICTURES[picture])
        appear(temporary, file)
    write_text(work.folder / "checks.md", _report(entry, work, checks))
    return figure, checks


def _claim(work: Workspace, entry: Entry) -> None:
    inputs = {"id": entry.id, "form": work.form, "seed": work.seed, "version": __version__}
    folder = folder_of("out", work.folder)
    path = folder / _INPUTS
    if path.exists():
        try:
            existing = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            # Each simulation below knows its own inputs, so nothing can be mistaken.
            warnings.warn(f"{path} is damaged; it is written again.", StorageWarning, stacklevel=3)
            existing = inputs
            write_text(path, json.dumps(inputs) + "\n")
        if existing != inputs:
            raise FileExistsError(
                f"out={str(work.folder)!r} holds {existing}, not {inputs}; choose another folder."
            )
        return
    if folder.exists() and any(p.name != f"{TEMPORARY}{_INPUTS}" for p in folder.iterdir()):
        raise FileExistsError(
            f"out={str(work.folder)!r} is not empty and holds no reproduction; choose another."
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(inputs) + "\n")


def _report(entry: Entry, work: Workspace, checks: list[Check]) -> str:
    failed = sum(not check.passed for check in checks)
    verdict = "All checks pass." if not failed else f"**{failed} of {len(checks)} checks fail.**"
    return (
        f"# {entry.id}\n\n{entry.title}.\n\nSource: {entry.paper}.\n\n"
        f"Made by `sgdlimits reproduce {entry.id} --{work.form} --seed {work.seed}`, "
        f"sgdlimits {__version__}. {verdict}\n\n{table(checks)}"
    )
