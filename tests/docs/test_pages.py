"""Pages are as wide as readers' screens, and say what the package says."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest

from sgdlimits import formulas
from sgdlimits.engines.table import ENGINES
from sgdlimits.reproduce.registry import ENTRIES

_ROOT = Path(__file__).parents[2]
_DOCS = _ROOT / "docs"
_WIDEST = 75
_BLOCK = re.compile(
    r"^( *)```(python|py|sh|bash|toml)\b[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE
)
_NOTEBOOKS = sorted((_DOCS / "notebooks").glob("*.ipynb"))
_PAGES = [*sorted(_DOCS.rglob("*.md")), _ROOT / "README.md"]


def _load(path: str):
    spec = importlib.util.spec_from_file_location(Path(path).stem, _DOCS / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _too_wide(code: str, indent: int = 0) -> list[str]:
    return [line for line in code.splitlines() if len(line) - indent > _WIDEST]


def _wide_blocks(page: str) -> list[str]:
    found = (_too_wide(block[3], len(block[1])) for block in _BLOCK.finditer(page))
    return [line for lines in found for line in lines]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_code_on_pages_is_narrow(page):
    assert _wide_blocks(page.read_text(encoding="utf-8")) == []


def test_wide_code_is_found():
    line = "x" * (_WIDEST + 1)
    for fence in ("```python", "```bash", "    ```py"):
        indent = " " * (len(fence) - len(fence.lstrip()))
        assert len(_wide_blocks(f"Text.\n\n{fence}\n{indent}{line}\n{indent}```\n")) == 1
    assert _wide_blocks(f"```text\n{line}\n```\n") == []  # what a program prints is as it is


def _cells(path: Path, kind: str) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


@pytest.mark.parametrize("notebook", _NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_open_with_a_question_and_end_with_three_exercises(notebook):
    text, code = _cells(notebook, "markdown"), _cells(notebook, "code")
    assert re.match(r"# .+\n\n\*\*Question\.\*\* [^\n]", text[0])
    assert "?" in text[0]
    exercises = text[-1].partition("## Exercises\n")[2]
    assert [line[:2] for line in exercises.splitlines() if re.match(r"\d\.", line)] == [
        "1.", "2.", "3.",
    ]  # fmt: skip
    assert [line for cell in code for line in _too_wide(cell)] == []


@pytest.mark.parametrize("notebook", _NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_with_what_they_give(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    pictures = [o for cell in code for o in cell["outputs"] if "image/png" in o.get("data", {})]
    assert len(pictures) >= 2
    text, shown = _load("hooks/notebooks.py").as_markdown(cells, notebook.stem)
    assert len(shown) == len(pictures)
    assert all(picture.startswith(b"\x89PNG") for picture in shown)
    assert f"]({notebook.stem}.ipynb)" in text
    assert text.count(f"({notebook.stem}-") == len(pictures)


def test_there_are_five_notebooks_and_all_are_in_the_navigation():
    assert len(_NOTEBOOKS) == 5
    site = (_ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for notebook in _NOTEBOOKS:
        assert f"notebooks/{notebook.stem}.md" in site


def test_the_readme_has_the_tables_that_the_package_makes():
    tables, readme = _load("tables.py"), (_ROOT / "README.md").read_text(encoding="utf-8")
    assert tables.engines() in readme
    assert tables.models(link=False) in readme
    assert tables.engines().count("\n") == 1 + len(ENGINES)


def test_tables_know_what_is_refused():
    rows = {row.split("|")[1].strip(): row for row in _load("tables.py").models(False).splitlines()}
    custom = next(row for name, row in rows.items() if name.startswith("`CustomModel`"))
    spiked = next(row for name, row in rows.items() if name.startswith("`SpikedTensor`"))
    assert [cell.strip() for cell in custom.split("|")[2:-1]] == [
        "yes", "–", "yes", "yes", "–", "–", "yes",
    ]  # fmt: skip
    assert [cell.strip() for cell in spiked.split("|")[2:7]] == ["yes"] * 4 + ["–"]


def test_marks_of_tables_are_known():
    known = _load("hooks/tables.py").TABLES
    for page in _PAGES:
        for name in re.findall(r"<!-- table: ([\w-]+) -->", page.read_text(encoding="utf-8")):
            assert name in known, page
            file, function = known[name]
            assert callable(getattr(_load(file), function))


def test_the_theory_map_names_what_is_there():
    theory = _load("theory_map.py")
    rows = [row for rows in theory.GROUPS.values() for row in rows]
    assert set(theory.FORMULAS) == set(formulas.HOMES)
    named = [(row.tests, row.figures) for row in rows] + list(theory.FORMULAS.values())
    for tests, figures in named:
        assert tests
        assert all((_ROOT / "tests" / test).exists() for test in tests), tests
        assert set(figures) <= set(ENTRIES), figures
    page = theory.markdown()
    for one in formulas.table():
        assert f"`{one.name}`" in page, one


def test_the_site_needs_the_group_docs_alone():
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    group = {re.split(r"[\[>=<~! ]", name)[0] for name in project["dependency-groups"]["docs"]}
    needed = {re.split(r"[\[>=<~! ]", name)[0] for name in project["project"]["dependencies"]}
    assert needed <= group
