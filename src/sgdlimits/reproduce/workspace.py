"""The folder of one reproduction: its simulations (kept and resumed), figure and checks."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg", force=False)

import xarray as xr
from matplotlib.figure import Figure

from sgdlimits import __version__, _validate
from sgdlimits.plots import style
from sgdlimits.randomness.streams import check_seed
from sgdlimits.reproduce.checks import Check, table
from sgdlimits.reproduce.registry import ENTRIES, Entry
from sgdlimits.simulation.simulate import simulate

_INPUTS = "reproduction.json"


@dataclass(frozen=True)
class Workspace:
    """What a figure's function is given.

    ``full`` asks for the paper's sizes; otherwise the result should take under a minute.
    """

    folder: Path
    full: bool
    seed: int
    progress: bool | None

    def simulate(self, name: str, *args: Any, **kwargs: Any) -> xr.Dataset:
        """``sgdlimits.simulate`` whose result is kept in data/name and not computed twice."""
        kwargs = {"seed": self.seed, "progress": self.progress, **kwargs}
        return simulate(*args, **kwargs, out=self.folder / "data" / name)

    def size(self, quick: int, full: int) -> int:
        """One of two sizes."""
        return full if self.full else quick


FigureFunction = Callable[[Workspace], tuple[Figure, list[Check]]]


def reproduce(
    identifier: str,
    folder: str | Path,
    *,
    full: bool = False,
    seed: int = 0,
    progress: bool | None = None,
) -> list[Check]:
    """Make one figure: ``figure.png``, ``checks.md`` and the data, in ``folder``.

    Simulations that the folder already holds are not repeated, so an interrupted call resumes.

    Args:
        identifier: one of ``ENTRIES``.
        folder: created if missing.
        full: the paper's own sizes, instead of under a minute.
        seed: integer seed of every simulation.
        progress: show progress bars.

    Returns:
        The checks; all passed if the figure is reproduced.

    Raises:
        ValueError: for an unknown identifier or seed.
        FileExistsError: if the folder holds another reproduction or anything else.
    """
    entry = ENTRIES[_validate.one_of("id", identifier, ENTRIES)]
    work = Workspace(Path(folder), full, check_seed(seed), progress)
    _claim(work, entry)
    function: FigureFunction = getattr(
        import_module(f"sgdlimits.reproduce.{entry.module}"), entry.function
    )
    with style():
        figure, checks = function(work)
        _write(work.folder / "figure.png", lambda path: figure.savefig(path, format="png"))
    _write(work.folder / "checks.md", lambda path: path.write_text(_report(entry, work, checks)))
    return checks


def _claim(work: Workspace, entry: Entry) -> None:
    inputs = {"id": entry.id, "full": work.full, "seed": work.seed, "version": __version__}
    path = work.folder / _INPUTS
    if path.exists():
        existing = json.loads(path.read_text())
        if existing != inputs:
            raise FileExistsError(
                f"out={str(work.folder)!r} holds {existing}, not {inputs}; choose another folder."
            )
        return
    if work.folder.exists() and any(work.folder.iterdir()):
        raise FileExistsError(
            f"out={str(work.folder)!r} is not empty and holds no reproduction; choose another."
        )
    work.folder.mkdir(parents=True, exist_ok=True)
    _write(path, lambda path: path.write_text(json.dumps(inputs) + "\n"))


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    """Let a file appear whole or not at all."""
    temporary = path.with_name(f".writing-{path.name}")
    write(temporary)
    os.replace(temporary, path)


def _report(entry: Entry, work: Workspace, checks: list[Check]) -> str:
    mode = "--full" if work.full else "--quick"
    failed = sum(not check.passed for check in checks)
    verdict = "All checks pass." if not failed else f"**{failed} of {len(checks)} checks fail.**"
    return (
        f"# {entry.id}\n\n{entry.title}.\n\nSource: {entry.paper}.\n\n"
        f"Made by `sgdlimits reproduce {entry.id} {mode} --seed {work.seed}`, "
        f"sgdlimits {__version__}. {verdict}\n\n{table(checks)}"
    )
