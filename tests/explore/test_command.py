"""The command, without a server."""

import importlib.util

import pytest
from typer.testing import CliRunner

from sgdlimits.cli import Exit, app

pytestmark = pytest.mark.usefixtures("as_users_run")


def _run(*arguments):
    return CliRunner().invoke(app, ["explore", *arguments])


def test_without_panel_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = _run()
    assert result.exit_code == Exit.BAD_INPUT
    assert "pip install 'sgdlimits[explore]'" in result.stderr


@pytest.mark.parametrize("port", ["80", "70000", "x"])
def test_bad_ports_are_refused(port):
    result = _run("--port", port)
    assert result.exit_code == Exit.BAD_INPUT
    assert "port" in result.stderr
