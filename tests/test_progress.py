"""Progress bars: a phase before anything is counted, an estimate, nothing where nobody looks."""

import io
import logging
import subprocess
import sys
import types

import pytest

from sgdlimits import _progress
from sgdlimits._progress import Bar, progress_bar


class _Handle:
    def __init__(self, first):
        self.shown = [first]

    def update(self, what):
        self.shown.append(what)


@pytest.fixture
def notebook(monkeypatch):
    """A kernel as Jupyter has one, seen by what it is asked to display."""
    handles = []

    def display(what, display_id):
        assert display_id is True
        handles.append(_Handle(what))
        return handles[-1]

    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return handles


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when it is told to."""
    now = types.SimpleNamespace(time=100.0)
    monkeypatch.setattr(_progress.time, "perf_counter", lambda: now.time)
    return now


def test_a_notebook_sees_compiling_then_an_estimate_then_how_long_it_took(notebook, clock):
    with progress_bar(True, "chain", 100.0) as bar:
        clock.time += 10
        bar(0.0)  # nothing yet
        bar(20.0)  # and all of it while it compiled
        clock.time += 5
        bar(20.0)
    (handle,) = notebook
    texts = [repr(one) for one in handle.shown]
    assert texts[0] == "chain: compiling, 0%"
    assert texts[-2] == "chain, 40%, 15.0 s left"  # 20 in 5 seconds, 60 to go
    assert texts[-1] == "chain: 15.0 s"
    assert '<progress value="0.4000"' in handle.shown[-2]._repr_html_()
    assert all(one._repr_html_() for one in handle.shown)  # no empty output


def test_a_notebook_is_not_filled_by_quick_work(notebook, clock):
    with progress_bar(None, "chain", 10.0) as bar:
        for _ in range(10):
            clock.time += 0.05
            bar(1.0)
    assert not notebook
    with progress_bar(None, "chain", 10.0) as bar:
        clock.time += 3
        bar(1.0)
        bar.phase("refining")
    assert [repr(one) for one in notebook[0].shown][1] == "chain: refining, 10%"


def test_a_terminal_sees_the_phase_and_nothing_remains(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar(None, "audit", 10.0) as bar:
        bar.phase("10 points")
        bar.progress.refresh()
        assert "audit: 10 points" in terminal.getvalue()
        bar(5.0)
        bar.progress.refresh()
        assert "50%" in terminal.getvalue()


def test_nothing_is_shown_to_a_file(capsys):
    with progress_bar(None, "chain", 10.0) as bar:
        bar(1.0)
        bar.phase("somewhere")
        assert type(bar) is Bar
    assert capsys.readouterr() == ("", "")


def test_the_logger_is_silent_unless_asked():
    code = "import logging, sgdlimits._logging as l; l.logger.info('hm'); print(l.logger.name)"
    quiet = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (quiet.stdout.strip(), quiet.stderr) == ("sgdlimits", "")


def test_the_logger_says_what_a_run_does(tmp_path, caplog):
    import sgdlimits as sl

    def run():
        sl.simulate(sl.SpikedTensor(), dim=10, time=0.5, out=tmp_path / "run")

    run()
    with caplog.at_level(logging.INFO, logger="sgdlimits"):
        run()
    assert "read from" in caplog.text
