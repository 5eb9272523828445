"""The notebooks run, as a reader would run them, errors and warnings fatal.

Each in a process of its own, like the pages of the documentation.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

_ROOT = Path(__file__).parents[2]
_SCRIPT = _ROOT / "docs" / "build_notebooks.py"


def _load_script():
    spec = importlib.util.spec_from_file_location("build_notebooks", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


builder = _load_script()
_QUICK = ("2-the-threshold",)  # the others take ten seconds and more, and are run at night


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n not in _QUICK)) for n in builder.names()],
)
def test_notebook_runs(name):
    cache = {
        f"JAX_{key.upper()}": str(value)
        for key in ("compilation_cache_dir", "persistent_cache_min_compile_time_secs")
        if (value := getattr(jax.config, f"jax_{key}")) is not None
    }
    result = subprocess.run(
        [sys.executable, str(_SCRIPT), "--check", name], env=os.environ | cache,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout


def _notebook(*cells: str) -> dict:
    return {
        "cells": [
            {"cell_type": "code", "source": [code], "outputs": [], "execution_count": None}
            for code in cells
        ]
    }


def test_cells_share_names_and_keep_what_they_print_return_and_draw():
    notebook = _notebook(
        "import matplotlib.pyplot as plt\nx = 2\nprint('two')", "x + 1",
        "plt.plot([1, 2])\nplt.show()", "None",
    )  # fmt: skip
    builder.run(notebook, "one")
    outputs = [cell["outputs"] for cell in notebook["cells"]]
    assert outputs[0][0]["text"] == ["two\n"]
    assert outputs[1][0]["data"] == {"text/plain": ["3"]}
    assert set(outputs[2][0]["data"]) == {"image/png"}
    assert outputs[3] == []
    assert [cell["execution_count"] for cell in notebook["cells"]] == [1, 2, 3, 4]
    json.dumps(notebook)


@pytest.mark.parametrize("code", ["1 / 0", "import warnings\nwarnings.warn('beware')"])
def test_errors_and_warnings_are_fatal(code):
    with pytest.raises((ZeroDivisionError, UserWarning)):
        builder.run(_notebook(code), "one")
