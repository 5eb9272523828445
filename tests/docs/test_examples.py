"""The Python of every page of the documentation and of the README runs, as a reader would run it.

Each page in a process of its own, because this one checks types and promotion at run time, which
readers' programs do not. The processes share the compiled programs of this test session.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

_ROOT = Path(__file__).parents[2]
_SCRIPT = _ROOT / "docs" / "check_examples.py"


def _load_script():
    spec = importlib.util.spec_from_file_location("check_examples", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_examples = _load_script()
_PAGES = [str(page.relative_to(_ROOT)) for page in check_examples.pages()]


def _run(page: Path) -> subprocess.CompletedProcess:
    cache = {
        f"JAX_{name.upper()}": str(value)
        for name in ("compilation_cache_dir", "persistent_cache_min_compile_time_secs")
        if (value := getattr(jax.config, f"jax_{name}")) is not None
    }
    return subprocess.run(
        [sys.executable, str(_SCRIPT), str(page)],
        env=os.environ | cache, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


#: Half a dozen audits; every engine on every model; laws and models of one's own. The nightly run.
_SLOW = tuple(
    f"docs/{name}.md"
    for name in ("custom-models", "write-your-own-model", "choose-an-engine", "algorithms")
)


@pytest.mark.parametrize(
    "page", [pytest.param(p, marks=[pytest.mark.slow] * (p in _SLOW)) for p in _PAGES]
)
def test_examples(page):
    result = _run(_ROOT / page)
    assert result.returncode == 0, result.stdout


def test_the_readme_and_the_guide_have_examples():
    assert {"README.md", "docs/index.md", "docs/exit-times.md"} <= set(_PAGES)


def _page(folder: Path, *blocks: str) -> Path:
    page = folder / "page.md"
    page.write_text("\n\n".join(f"Text.\n\n```python\n{block}\n```" for block in blocks))
    return page


def test_blocks_of_a_page_share_their_names(tmp_path):
    check_examples.run(_page(tmp_path, "x = 1", "assert x == 1"))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("import warnings\nwarnings.warn('beware')", "UserWarning: beware"),
        ("assert 1 == 2", "AssertionError"),
        ("1 / 0", 'page.md", line 4, in'),
    ],
)
def test_an_example_that_fails_is_reported(block, message, tmp_path):
    result = _run(_page(tmp_path, block))
    assert result.returncode == 1
    assert message in result.stdout
    assert result.stdout.endswith("failed: page.md\n")
