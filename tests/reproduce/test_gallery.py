"""The registry, the gallery's folders and the pages of the documentation know the same figures."""

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from sgdlimits.reproduce.registry import ENTRIES

_DOCS = Path(__file__).parents[2] / "docs"


def _load(path: str):
    spec = importlib.util.spec_from_file_location(Path(path).stem, _DOCS / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def builder():
    return _load("build_gallery.py")


@pytest.fixture
def built(builder, tmp_path):
    """A documentation folder with the gallery's pages, and nothing else."""
    for folder in (_DOCS / "gallery").iterdir():
        if folder.is_dir():
            (tmp_path / "gallery").mkdir(exist_ok=True)
            (tmp_path / "gallery" / folder.name).symlink_to(folder)
    for entry in ENTRIES.values():
        (tmp_path / "gallery" / f"{entry.id}.md").write_text(builder.page(entry))
    return tmp_path


def test_every_figure_is_in_the_gallery_and_no_other(builder):
    folders = {path.name for path in (_DOCS / "gallery").iterdir() if path.is_dir()}
    assert folders == set(ENTRIES)
    assert all(builder.is_made(identifier) for identifier in ENTRIES)


def test_pages_tell_title_source_and_checks(builder):
    for entry in ENTRIES.values():
        page = builder.page(entry)
        assert f"# {entry.title}\n" in page
        assert f"Source: {entry.paper}." in page
        assert page.count(entry.title) == 2  # of the page and its picture; cut from the text
        assert "| quantity | paper says |" in page


def test_the_gallery_of_the_documentation_shows_every_figure(built):
    assert "docs/hooks/gallery.py" in (_DOCS.parent / "mkdocs.yml").read_text()
    assert "<!-- gallery -->" in (_DOCS / "gallery.md").read_text()
    hook = _load("hooks/gallery.py")
    config = SimpleNamespace(docs_dir=str(built), nav=[{"Gallery": ["gallery.md"]}])
    hook.on_config(config)
    assert config.nav == [{"Gallery": ["gallery.md"] + [{i: f"gallery/{i}.md"} for i in ENTRIES]}]
    overview = hook.on_page_markdown("<!-- gallery -->", None, config)
    assert "Not on these pages" not in overview
    for identifier in ENTRIES:
        assert f"](gallery/{identifier}.md)" in overview


def test_the_documentation_names_no_unknown_figure():
    for page in [_DOCS.parent / "README.md", *_DOCS.glob("*.md"), *_DOCS.glob("models/*.md")]:
        for named in re.findall(r"sgdlimits reproduce ([\w.-]+)", page.read_text()):
            assert named in {*ENTRIES, "ID", "all"}, page
