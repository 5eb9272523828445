"""Run the Python of the documentation: every ```python block of every page, errors fatal.

    python docs/check_examples.py                        # all pages and the README
    python docs/check_examples.py docs/index.md          # some

The blocks of a page run in order in one namespace, in an empty folder, with warnings as errors.
For pytest::

    @pytest.mark.parametrize("page", check_examples.pages(), ids=str)
    def test_examples(page, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        check_examples.run(page)
"""

import contextlib
import os
import re
import sys
import tempfile
import time
import warnings
from pathlib import Path
from types import CodeType

DOCS = Path(__file__).parent
_SKIPPED = ("gallery", "hooks")
_BLOCK = re.compile(r"^( *)```python\b[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


def pages() -> list[Path]:
    """Every page with Python to run, and the README."""
    found = [p for p in sorted(DOCS.rglob("*.md")) if p.relative_to(DOCS).parts[0] not in _SKIPPED]
    found.append(DOCS.parent / "README.md")
    return [page for page in found if page.exists() and blocks(page)]


def blocks(page: Path) -> list[CodeType]:
    """The page's blocks, compiled so that errors point to the lines of the page."""
    text = page.read_text(encoding="utf-8")
    compiled = []
    for match in _BLOCK.finditer(text):
        indent = len(match[1])
        code = "\n".join(line[indent:] for line in match[2].splitlines())
        first = text[: match.start(2)].count("\n")
        compiled.append(compile("\n" * first + code + "\n", str(page), "exec"))
    return compiled


def run(page: Path) -> None:
    """Run a page's blocks in the current folder."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    namespace = {"__name__": "__main__"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for code in blocks(page):
            exec(code, namespace)
    plt.close("all")


def main(arguments: list[str]) -> int:
    """Run the pages named, or all; exit status 1 if one fails."""
    failed = []
    for page in [Path(name).resolve() for name in arguments] or pages():
        start = time.perf_counter()
        print(f"== {os.path.relpath(page)}", flush=True)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            try:
                run(page)
            except Exception:
                import traceback

                traceback.print_exc()
                failed.append(page.name)
        print(f"   {time.perf_counter() - start:.1f} s", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
