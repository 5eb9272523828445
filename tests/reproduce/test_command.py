"""``sgdlimits reproduce``: its folders, its exit status, and one command for all figures."""

import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from sgdlimits.cli import Exit, app
from sgdlimits.reproduce import workspace
from sgdlimits.reproduce.checks import holds
from sgdlimits.reproduce.registry import ENTRIES


@pytest.fixture
def made(monkeypatch, as_users_run):
    """Instead of making figures: which were asked for; bgj-2's check fails, bgj-3 breaks."""
    calls = {}

    def reproduce(identifier, folder, *, form="quick", seed=0, picture="png", look="screen"):
        calls[identifier] = (str(folder), form, seed)
        if identifier == "bgj-3":
            raise RuntimeError("no luck")
        if identifier == "mediocrity-1" and seed == 7:
            raise KeyboardInterrupt
        return None, [holds("it is so", "–", identifier != "bgj-2", "by decree")]

    monkeypatch.setattr(workspace, "reproduce", reproduce)
    return calls


def _run(*arguments):
    return CliRunner().invoke(app, ["reproduce", *arguments])


def test_one_figure(made):
    result = _run("bgj-1", "--seed", "3")
    assert result.exit_code == 0
    assert made == {"bgj-1": ("out/bgj-1-quick", "quick", 3)}
    assert "  pass  it is so\n" in result.output


def test_a_failing_check_is_the_exit_status(made):
    result = _run("bgj-2", "--full", "--out", "here")
    assert result.exit_code == Exit.FAILED_CHECK
    assert made == {"bgj-2": ("here", "full", 0)}
    assert "  FAIL  it is so\n" in result.output


def test_an_unknown_figure_is_refused(made):
    result = _run("bgj-0")
    assert result.exit_code == Exit.BAD_INPUT
    assert "id='bgj-0': expected one of bgj-1, " in result.stderr
    assert not made


def test_all_figures_in_one_command_whatever_fails(made):
    result = _run("all", "--out", "there")
    assert result.exit_code == Exit.FAILED_CHECK
    assert list(made) == list(ENTRIES)
    assert made["bgj-1"] == ("there/bgj-1", "quick", 0)
    verdicts = dict(re.findall(r"^(\S+) +[\d.]+ s  (\w+)$", result.stdout, re.MULTILINE))
    assert verdicts == {name: "pass" for name in ENTRIES} | {"bgj-2": "FAIL", "bgj-3": "ERROR"}
    assert result.stderr.splitlines()[-2:] == [
        "failed: bgj-2: it is so: by decree",
        "failed: bgj-3: RuntimeError: no luck",
    ]


def test_folders_of_all_figures(made):
    _run("all", "--full")
    assert made["bgj-1"] == ("out/bgj-1-full", "full", 0)


def test_a_bad_seed_is_refused_once(made):
    result = _run("all", "--seed", "-1")
    assert result.exit_code == Exit.BAD_INPUT
    assert result.stderr.count("seed=-1") == 1
    assert not made


def test_an_interrupt_ends_all(made):
    result = _run("all", "--seed", "7")
    assert result.exit_code == Exit.INTERRUPTED
    assert list(made)[-1] == "mediocrity-1"


def test_an_interrupt_is_one_line_that_says_what_is_kept(made):
    result = _run("mediocrity-1", "--seed", "7")
    assert result.exit_code == Exit.INTERRUPTED
    assert result.stderr.splitlines() == [
        "interrupted; what is done is kept, the same command resumes."
    ]


def test_the_picture_and_its_style_are_asked_for(monkeypatch, as_users_run):
    asked = []

    def reproduce(identifier, folder, **options):
        asked.append(options)
        return None, [holds("it is so", "–", True, "by decree")]

    monkeypatch.setattr(workspace, "reproduce", reproduce)
    result = _run("bgj-1", "--format", "pdf", "--style", "paper")
    assert result.exit_code == 0
    assert asked == [{"form": "quick", "seed": 0, "picture": "pdf", "look": "paper"}]
    assert "figure.pdf" in result.output
    assert _run("bgj-1", "--format", "bmp").exit_code == Exit.BAD_INPUT
    assert len(asked) == 1


def test_identifiers_complete_in_a_shell():
    environment = {
        **os.environ, "_SGDLIMITS_COMPLETE": "complete_bash", "COMP_CWORD": "2",
        "COMP_WORDS": "sgdlimits reproduce bgj-spiked-p",
    }  # fmt: skip
    code = "import sys; sys.argv = ['sgdlimits']; from sgdlimits.cli import main; main()"
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["bgj-spiked-phase"]
