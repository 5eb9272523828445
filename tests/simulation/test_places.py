"""Paths are checked before work starts; text is UTF-8 whatever the locale."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.cli import Exit

pytestmark = pytest.mark.usefixtures("as_users_run")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda tmp: 3, "expected a path, got int"),
        (lambda tmp: b"bytes", "expected a path, got bytes"),
        (lambda tmp: ["a"], "expected a path, got list"),
        (lambda tmp: "", "expected the path of"),
        (lambda tmp: "a\0b", "expected the path of"),
        (lambda tmp: tmp / ("x" * 300), "a name of 300 characters"),
        (lambda tmp: str(tmp) + "/ab" * 3000, "File name too long"),
        (lambda tmp: tmp / "dangling", "is a link to 'nowhere', which is not there"),
        (lambda tmp: tmp / "loop", "is a link to 'loop'"),
        (lambda tmp: tmp / "file", "file is a file, not a folder"),
        (lambda tmp: tmp / "file" / "below", "file is a file, not a folder"),
    ],
)
def test_places_that_cannot_be(tmp_path, make, words, monkeypatch):
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    place = make(tmp_path)

    def work(*arguments):
        raise AssertionError("work started")

    monkeypatch.setattr(sl.engines.Chain, "plan", work)
    with pytest.raises((TypeError, ValueError, OSError), match=f"^out=.*{re.escape(words)}"):
        sl.simulate(sl.SpikedTensor(), dim=20, time=0.1, out=place)
    assert sorted(tmp_path.iterdir()) == before


def test_a_path_in_the_home_folder_is_taken_literally(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sl.save(sl.simulate(sl.SpikedTensor(), dim=20, time=0.1, record=2), "~β.zarr")
    assert (tmp_path / "~β.zarr").is_dir()


_CONFIG = """
# overlap with the spike, μ
engine = "chain"
dim = 200
time = {time}
runs = 600
record = 2
[model]
type = "SpikedTensor"
"""


def _command(folder, *arguments, **variables):
    environment = {**os.environ, **variables}
    return subprocess.Popen(
        [sys.executable, "-c", "from sgdlimits.cli import main; main()", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_an_interrupted_command_keeps_its_parts_and_says_so_in_a_line(tmp_path):
    """In a locale without UTF-8, too: every text is read and written as UTF-8."""
    (tmp_path / "config.toml").write_text(_CONFIG.format(time=100), encoding="utf-8")
    command = _command(
        tmp_path, "simulate", "config.toml", "--out", "βhat",
        LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0",
    )  # fmt: skip
    parts = tmp_path / "βhat" / "parts"
    deadline = time.monotonic() + 60
    while not list(parts.glob("*.zarr")):
        assert command.poll() is None, command.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=60)
    assert command.returncode == Exit.INTERRUPTED
    said = errors.decode("ascii").splitlines()
    assert len(said) == 1
    assert re.match(
        r"interrupted; \d+ of 600 runs are kept in out=.*the same call resumes\.$", said[0]
    )
    assert len(list(parts.glob("*.zarr"))) in (1, 2)
    assert not list((tmp_path / "βhat").rglob(".writ*"))


def test_what_was_finished_within_a_part_is_kept(tmp_path, monkeypatch):
    options = {"dim": 20, "time": 0.5, "runs": 40, "record": 3, "engine": "ode"}
    whole, original, lanes = sl.simulate(sl.SpikedTensor(), **options), sl.engines.ODE.prepare, []

    def prepare(engine, problem, lane):
        run_lane = original(engine, problem, lane)

        def interrupted(start, numbers, advanced):
            lanes.append(np.asarray(numbers))
            if len(lanes) == 6:  # parts of 1, 2, 4, ... lanes
                raise KeyboardInterrupt
            yield from run_lane(start, numbers, advanced)

        return interrupted

    with monkeypatch.context() as patch:
        patch.setattr(sl.engines.ODE, "prepare", prepare)
        with pytest.raises(sl.SimulationInterrupted, match="20 of 40 runs are kept"):
            sl.simulate(sl.SpikedTensor(), **options, out=tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run" / "parts").iterdir()) == [
        "000000000.zarr",
        "000000004.zarr",
        "000000012.zarr",
    ]
    assert sl.simulate(sl.SpikedTensor(), **options, out=tmp_path / "run").identical(whole)


def test_no_text_is_written_in_the_locale_s_encoding():
    package = Path(sl.__file__).parent
    for path in [*package.rglob("*.py"), *(package.parents[1] / "docs").rglob("*.py")]:
        source = path.read_text(encoding="utf-8")
        calls = re.findall(r"\.(?:read|write)_text\([^\n]*", source)
        calls += re.findall(r"(?<![.\w])(?<!def )open\([^\n]*", source)
        for call in calls:
            assert "encoding=" in call or '"rb"' in call or "/proc" in call, (path, call)
