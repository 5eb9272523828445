"""The command line: list, reproduce, simulate.

Heavy imports happen inside the commands, so that ``--help`` answers at once.
"""

import io
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sgdlimits import __version__

if TYPE_CHECKING:
    from sgdlimits.reproduce.workspace import Form

app = typer.Typer(
    help="What online SGD does in high dimension, and what its limit is.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class Exit(IntEnum):
    """Exit status of the command."""

    FAILED_CHECK = 1
    BAD_INPUT = 2
    INTERRUPTED = 130


def _version(show: bool) -> None:
    if show:
        typer.echo(f"sgdlimits {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say on standard error what is being done.")
    ] = False,
) -> None:
    """Options of every command."""
    if verbose:
        import logging

        logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
        logging.getLogger("sgdlimits").setLevel(logging.INFO)


@app.command("list")
def list_entries() -> None:
    """List every figure that can be reproduced."""
    from sgdlimits.reproduce.registry import ENTRIES

    width = max(len(entry.id) for entry in ENTRIES.values())
    for entry in ENTRIES.values():
        typer.echo(f"{entry.id:<{width}}  {entry.title}")
        typer.echo(f"{'':<{width}}  {entry.paper}")


class Picture(StrEnum):
    """How the file of a figure ends."""

    PNG = "png"
    PDF = "pdf"
    SVG = "svg"


class Look(StrEnum):
    """Styles of ``plots.style``."""

    SCREEN = "screen"
    PAPER = "paper"


def _identifiers(incomplete: str) -> list[str]:
    """For completion in a shell."""
    from sgdlimits.reproduce.registry import ENTRIES

    return [name for name in (*ENTRIES, "all") if name.startswith(incomplete)]


@app.command()
def reproduce(
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="A figure's ID, or 'all'. See 'sgdlimits list'.",
            autocompletion=_identifiers,
        ),
    ],
    full: Annotated[
        bool, typer.Option("--full/--quick", help="The paper's own sizes, or a minute or two.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the result; default out/ID-quick or -full.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Integer seed; decides everything.")] = 0,
    picture: Annotated[
        Picture, typer.Option("--format", help="Of the figure's file.")
    ] = Picture.PNG,
    look: Annotated[
        Look, typer.Option("--style", help="For the screen, or for print with serifs.")
    ] = Look.SCREEN,
) -> None:
    """Make a figure of the papers, its data, and a table of checks.

    Exit status 1 when a check fails. An interrupted call resumes where it was. With 'all', a figure
    that cannot be made does not stop the others, and a table of verdicts ends the output.
    """
    with _answering():
        from sgdlimits.reproduce.registry import ENTRIES

        # Before the heavy imports: a typing error should answer at once.
        if identifier not in ENTRIES and identifier != "all":
            _refuse(f"id={identifier!r}: expected one of {', '.join(ENTRIES)}, all.")
        form: Form = "full" if full else "quick"
        _keep_compiled_programs()
        if identifier == "all":
            folders = {name: out / name if out else _folder(name, form) for name in ENTRIES}
            passed = _reproduce_all(folders, form, seed, picture, look)
        else:
            folder = out or _folder(identifier, form)
            passed = not _reproduce_one(identifier, folder, form, seed, picture, look)
        if not passed:
            raise typer.Exit(Exit.FAILED_CHECK)


def _folder(name: str, form: "Form") -> Path:
    return Path("out") / f"{name}-{form}"


def _reproduce_one(
    name: str, folder: Path, form: "Form", seed: int, picture: Picture, look: Look
) -> list[str]:
    """Make one figure; returns what failed."""
    from sgdlimits.reproduce.registry import ENTRIES
    from sgdlimits.reproduce.workspace import reproduce

    typer.echo(f"{name}: {ENTRIES[name].title}")
    _, checks = reproduce(name, folder, form=form, seed=seed, picture=str(picture), look=str(look))
    for check in checks:
        typer.echo(f"  {'pass' if check.passed else 'FAIL'}  {check.quantity}")
    typer.echo(f"  -> {folder / f'figure.{picture}'}, {folder / 'checks.md'}")
    return [f"{check.quantity}: {check.rule}" for check in checks if not check.passed]


def _reproduce_all(
    folders: dict[str, Path], form: "Form", seed: int, picture: Picture, look: Look
) -> bool:
    """Make every figure, and say in the end how long each took and what failed."""
    import jax

    from sgdlimits.randomness.streams import check_seed

    check_seed(seed)
    rows: list[str] = []
    failures: list[str] = []
    for name, folder in folders.items():
        start = time.perf_counter()
        try:
            failed, verdict = _reproduce_one(name, folder, form, seed, picture, look), "FAIL"
        except Exception as error:  # of this figure; the others may be well
            traceback.print_exc()
            failed, verdict = [f"{type(error).__name__}: {error}"], "ERROR"
        seconds = time.perf_counter() - start
        rows.append(f"{name:<20} {seconds:7.1f} s  {verdict if failed else 'pass'}")
        failures += [f"{name}: {what}" for what in failed]
        jax.clear_caches()  # a figure's programs are of little use to the next, and add up
    typer.echo("\n" + "\n".join(rows))
    for failure in failures:
        typer.echo(f"failed: {failure}", err=True)
    return not failures


@app.command()
def simulate(
    config: Annotated[Path, typer.Argument(help="A TOML file; see the documentation.")],
    out: Annotated[Path, typer.Option(help="Folder for the result; resumes if interrupted.")],
) -> None:
    """Run the simulation that a configuration file describes."""
    with _answering():
        from sgdlimits import config as configuration

        _keep_compiled_programs()
        arguments = configuration.read(config)
        from sgdlimits.simulation.simulate import simulate
        from sgdlimits.statistics.reserved import is_error

        dataset = simulate(**arguments, out=out)
        last = dataset.isel(time=-1)
        typer.echo(f"{dataset.sizes['run']} runs to time {float(last['time']):g} -> {out}")
        for name, variable in last.data_vars.items():
            if variable.dims == ("run",) and name != "diverged" and not is_error(name):
                values = variable.values
                mean, spread = values.mean(), values.std()
                typer.echo(f"  {name}: mean {mean:.6g}, standard deviation {spread:.3g}")


@app.command()
def explore(
    port: Annotated[int, typer.Option(help="Port on localhost.", min=1024, max=65535)] = 5006,
    show: Annotated[bool, typer.Option("--show/--no-show", help="Open a browser.")] = True,
) -> None:
    """Serve a page with sliders on this machine; needs the extra 'explore'."""
    with _answering():
        from importlib.util import find_spec

        if find_spec("panel") is None:
            _refuse("explore needs Panel: pip install 'sgdlimits[explore]'.")
        from sgdlimits.explore.page import serve

        _keep_compiled_programs()
        serve(port, show)


def _keep_compiled_programs() -> None:
    from sgdlimits.compilation_cache import enable_by_default

    enable_by_default()


@contextmanager
def _answering() -> Iterator[None]:
    """Bad input and interrupts get one line and their exit status, whenever they come."""
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        _refuse(str(error))
    except KeyboardInterrupt as error:
        what = str(error) or "interrupted; what is done is kept, the same command resumes"
        typer.echo(f"{what.partition('; the records')[0]}.", err=True)
        raise typer.Exit(Exit.INTERRUPTED) from None


def _refuse(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(Exit.BAD_INPUT)


def main() -> None:
    """Entry point."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that has no Greek letters should not end a computation.
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() != "utf-8":
            stream.reconfigure(errors="backslashreplace")
    app()
