"""The models that every contract test runs on.

A new family joins by a file in ``tests/cases/`` with a list ``CASES``.
"""

import importlib
import pkgutil

import pytest

import tests.cases
from sgdlimits.testing.check import GROUPS
from tests.cases.case import Case

_FILES = sorted(file.name for file in pkgutil.iter_modules(tests.cases.__path__))

CASES: list[Case] = [
    case
    for name in _FILES
    if name != "case"
    for case in importlib.import_module(f"tests.cases.{name}").CASES
]


def _slow(case: Case, group: str) -> bool:
    return case.slow or (group == "seeds" and not case.engines)


#: All of a case follow each other: they share its draws and its compiled programs.
every_contract = pytest.mark.parametrize(
    ("case", "group"),
    [
        pytest.param(
            case, group, id=f"{case.id}-{group}",
            marks=pytest.mark.slow if _slow(case, group) else (),
        )
        for case in CASES
        for group in GROUPS
    ],
)  # fmt: skip
