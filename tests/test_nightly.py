"""The list of tests that are left to the nightly run: all of them exist, each named once."""

import ast
from pathlib import Path

_FOLDER = Path(__file__).parent


def _names():
    lines = (_FOLDER / "nightly.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_every_name_is_a_test():
    for name in _names():
        path, _, rest = name.partition("::")
        function = rest.partition("[")[0]
        tree = ast.parse((_FOLDER.parent / path).read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in defined, name


def test_no_name_is_there_twice():
    assert len(_names()) == len(set(_names()))
