"""Every closed formula says its status, once, and its documentation says the same."""

import importlib
import inspect
import pkgutil

import pytest

import sgdlimits as sl
from sgdlimits import closed_forms, formulas

#: What a result is, or a change of units.
_NO_FORMULAS = {"Mediocrity.steps", "SingleIndexSphere.steps", "CriticalPoint.kind",
                "LearnedComponents.risk"}  # fmt: skip


def _public():
    """(qualified name, function) of all public functions, methods and properties with a home."""
    for home in formulas.HOMES:
        module = importlib.import_module(f"sgdlimits.{home}")
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(thing):
                yield name, thing
            elif inspect.isclass(thing):
                for inner, member in vars(thing).items():
                    member = member.fget if isinstance(member, property) else member
                    if not inner.startswith("_") and inspect.isfunction(member):
                        yield f"{name}.{inner}", member


def test_every_public_function_of_their_homes_is_a_formula():
    listed = {one.name for one in formulas.table()}
    assert {name for name, _ in _public()} - _NO_FORMULAS == listed
    assert len(listed) == len(formulas.table()) > 40


def test_all_modules_of_closed_forms_are_homes():
    names = {f"closed_forms.{x.name}" for x in pkgutil.iter_modules(closed_forms.__path__)}
    names -= {"closed_forms.exit_law", "closed_forms.phase_retrieval_flow"}  # what laws are made of
    assert names == {home for home in formulas.HOMES if home.startswith("closed_forms.")}


def test_documentation_says_the_status_of_the_table():
    for name, function in _public():
        text = inspect.getdoc(function)
        said = [word for word in formulas.MEANING if f"Status: {word}" in text]
        if name in _NO_FORMULAS:
            assert said == []
        else:
            assert said == [formulas.of(function).status], name
            assert formulas.of(function).source


def test_a_status_that_is_not_documented_is_refused(as_users_run):
    def one():
        """One.

        Status: exact.
        """

    assert formulas.of(formulas.formula("exact", "counting")(one)).source == "counting"
    with pytest.raises(ValueError, match="must say 'Status: heuristic'"):
        formulas.formula("heuristic", "counting")(one)
    with pytest.raises(ValueError, match="status='proved': expected one of exact"):
        formulas.formula("proved", "counting")
    with pytest.raises(ValueError, match="source=''"):
        formulas.formula("exact", "")
    with pytest.raises(ValueError, match="expected one that"):
        formulas.of(sl.simulate)


def test_the_page_prints_every_row():
    page = formulas.markdown()
    for one in formulas.table():
        assert f"| `{one.name}` | {one.status} |" in page
    assert "| `Mediocrity.overlap_rate` | asymptotic |" in page
