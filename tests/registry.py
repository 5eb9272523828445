"""The models that every contract test runs on.

A new family joins by a file in ``tests/cases/`` with a list ``CASES``.
"""

import importlib
import pkgutil

import pytest

import tests.cases
from tests.cases.case import Case

_FILES = sorted(file.name for file in pkgutil.iter_modules(tests.cases.__path__))

CASES: list[Case] = [
    case
    for name in _FILES
    if name != "case"
    for case in importlib.import_module(f"tests.cases.{name}").CASES
]

every_case = pytest.mark.parametrize(
    "case",
    [pytest.param(c, id=c.id, marks=pytest.mark.slow if c.slow else ()) for c in CASES],
)
