"""A progress bar for work that a person waits for: in a terminal, and in a notebook."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

_QUICK = 1.0  # seconds of work that a notebook shows no bar for
_RATE = 0.2  # seconds between two looks of a bar in a notebook


class Bar:
    """Told how much more is done, and in words what is being done. This one shows nothing."""

    def __call__(self, amount: float) -> None:
        """So much more of the total is done."""

    def phase(self, text: str) -> None:
        """What is being done from now on, beside the label."""


@contextmanager
def progress_bar(
    show: bool | None, label: str, total: float, first: str = "compiling"
) -> Iterator[Bar]:
    """Yield a bar that is called with how much more of ``total`` is done.

    ``show=None`` shows one when standard error is a terminal, and in a notebook once the work takes
    longer than a second. Until something is done the bar says ``first``.
    """
    if show is None:
        show = sys.stderr.isatty() or _in_notebook()
        patience = _QUICK
    else:
        patience = 0.0
    if not show:
        yield Bar()
    elif _in_notebook():
        bar = _NotebookBar(label, total, first, patience)
        try:
            yield bar
        finally:
            bar.close()
    else:
        with _terminal_bar(label, total, first) as bar:
            yield bar


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


@contextmanager
def _terminal_bar(label: str, total: float, first: str) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        # Without a total it moves to and fro, until there is something to count.
        task: Any = progress.add_task(f"{label}: {first}" if first else label, total=None)
        yield _TerminalBar(progress, task, label, total)


class _TerminalBar(Bar):
    def __init__(self, progress: Any, task: Any, label: str, total: float):
        self.progress, self.task, self.label, self.total = progress, task, label, total
        self.started = False

    def __call__(self, amount: float) -> None:
        if amount > 0 and not self.started:
            self.started = True
            self.progress.update(self.task, total=self.total, description=self.label)
        if self.started:
            self.progress.advance(self.task, amount)

    def phase(self, text: str) -> None:
        self.progress.update(self.task, description=f"{self.label}: {text}")


class _NotebookBar(Bar):
    """One output that is written over, by what every front end shows: text and plain HTML."""

    def __init__(self, label: str, total: float, first: str, patience: float):
        self.label, self.total, self.patience = label, total, patience
        self.text, self.done, self.unmeasured = first, 0.0, 0.0
        self.began = self.counts_from = time.perf_counter()
        self.last = -float("inf")
        self.handle: Any = None
        self._look()

    def __call__(self, amount: float) -> None:
        if amount <= 0:
            return
        if not self.done:
            self.text, self.counts_from = "", time.perf_counter()
            self.unmeasured = amount  # done while it compiled: no measure of speed
        self.done += amount
        self._look()

    def phase(self, text: str) -> None:
        self.text = text
        self._look(now=True)

    def close(self) -> None:
        """What stays: how long it took."""
        if self.handle is not None:
            took = f"{self.label}: {_duration(time.perf_counter() - self.began)}"
            self.handle.update(_Shown(took, escape(took)))

    def _look(self, now: bool = False) -> None:
        clock = time.perf_counter()
        if clock - self.began < self.patience or (clock - self.last < _RATE and not now):
            return
        self.last = clock
        share = min(1.0, self.done / self.total) if self.total > 0 else 1.0
        words = [f"{self.label}: {self.text}" if self.text else self.label, f"{share:.0%}"]
        speed = (self.done - self.unmeasured) / max(clock - self.counts_from, 1e-9)
        if speed > 0 and share < 1:
            words.append(f"{_duration((self.total - self.done) / speed)} left")
        bar = f'<progress value="{share:.4f}" max="1" style="width: 20em"></progress> '
        if not self.done:
            bar = '<progress style="width: 20em"></progress> '
        shown = _Shown(", ".join(words), bar + escape(", ".join(words)))
        if self.handle is None:
            from IPython.display import display  # type: ignore[import-not-found]

            self.handle = display(shown, display_id=True)
        else:
            self.handle.update(shown)


class _Shown:
    def __init__(self, text: str, html: str):
        self.text, self.html = text, html

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
