"""Run the notebooks of docs/notebooks/ and keep what they print and draw in them.

    python docs/build_notebooks.py                # all, in place
    python docs/build_notebooks.py 2-the-threshold
    python docs/build_notebooks.py --check        # run only, errors and warnings fatal

Notebooks need Jupyter to be used, but not to be run here: cells are executed in order in one
namespace, in an empty folder. What a cell prints, the value of its last expression and the figures
that it leaves open become its outputs. The site shows them as they are stored.
"""

import argparse
import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).parent / "notebooks"


def names() -> list[str]:
    """Every notebook, in order."""
    return sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def read(path: Path) -> dict[str, Any]:
    """A notebook as plain data."""
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell: dict[str, Any]) -> str:
    """The text of a cell."""
    return "".join(cell["source"])


def run(notebook: dict[str, Any], name: str) -> None:
    """Execute all cells in the current folder, and store what they give."""
    import matplotlib

    matplotlib.use("Agg")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for cell in notebook["cells"]:
            if cell["cell_type"] != "code":
                continue
            count += 1
            cell["execution_count"] = count
            cell["outputs"] = _execute(source(cell), namespace, f"{name}, cell {count}")


def _execute(code: str, namespace: dict[str, Any], where: str) -> list[dict[str, Any]]:
    tree = ast.parse(code, where)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    value, printed = None, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, where, "exec"), namespace)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), where, "eval"), namespace)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        data = {"text/plain": repr(value).splitlines(keepends=True)}
        outputs.append(
            {"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": data}
        )
    return outputs + _figures()


def _figures() -> list[dict[str, Any]]:
    """The open figures, which are closed, as inline plots of Jupyter are."""
    import matplotlib.pyplot as plt

    found = []
    for number in plt.get_fignums():
        file = io.BytesIO()
        plt.figure(number).savefig(file, format="png", dpi=110, metadata={"Software": None})
        data = {"image/png": base64.b64encode(file.getvalue()).decode() + "\n"}
        found.append({"output_type": "display_data", "metadata": {}, "data": data})
    plt.close("all")
    return found


def main(arguments: list[str]) -> int:
    """Run what is asked for; exit status 1 if a notebook fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="without .ipynb; default: all")
    parser.add_argument("--check", action="store_true", help="store nothing")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(names()))
    if unknown:
        parser.error(f"unknown {', '.join(unknown)}; expected some of {', '.join(names())}")
    failed = []
    for name in options.names or names():
        path, start = NOTEBOOKS / f"{name}.ipynb", time.perf_counter()
        notebook = read(path)
        print(f"== {os.path.relpath(path)}", flush=True)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            try:
                run(notebook, name)
            except Exception:
                import traceback

                traceback.print_exc(file=sys.stdout)
                failed.append(name)
        print(f"   {time.perf_counter() - start:.1f} s", flush=True)
        if name not in failed and not options.check:
            text = json.dumps(notebook, indent=1, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
