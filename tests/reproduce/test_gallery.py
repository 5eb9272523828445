"""The registry, the gallery's folders and the pages of the documentation know the same figures."""

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from sgdlimits.reproduce.captions import CAPTIONS
from sgdlimits.reproduce.registry import ENTRIES
from sgdlimits.reproduce.symbols import symbols

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
def built(tmp_path):
    """A documentation folder with the gallery, and nothing else."""
    for folder in (_DOCS / "gallery").iterdir():
        if folder.is_dir():
            (tmp_path / "gallery").mkdir(exist_ok=True)
            (tmp_path / "gallery" / folder.name).symlink_to(folder)
    return tmp_path


def test_every_figure_is_in_the_gallery_and_no_other(builder):
    folders = {path.name for path in (_DOCS / "gallery").iterdir() if path.is_dir()}
    assert folders == set(ENTRIES)
    assert all(builder.is_made(identifier) for identifier in ENTRIES)


def test_pages_tell_title_source_and_checks(builder):
    for entry in ENTRIES.values():
        page = builder.page(entry)
        assert f"# {symbols(entry.title)}\n" in page
        assert symbols(CAPTIONS[entry.id].text) in page
        assert f"Source: {entry.paper}." in page
        assert f"\n{entry.title}.\n" not in page  # cut from the text
        assert "| verdict | quantity | paper says |" in page


def test_the_gallery_of_the_documentation_shows_every_figure(built):
    assert "docs/hooks/gallery.py" in (_DOCS.parent / "mkdocs.yml").read_text()
    assert "<!-- gallery -->" in (_DOCS / "gallery.md").read_text()
    hook = _load("hooks/gallery.py")
    config = SimpleNamespace(docs_dir=str(built), nav=[{"Gallery": ["gallery.md"]}])
    hook.on_config(config)
    pages = [{f"{i} · {CAPTIONS[i].name}": f"gallery/{i}.md"} for i in ENTRIES]
    assert config.nav == [{"Gallery": ["gallery.md", *pages]}]
    overview = hook.on_page_markdown("<!-- gallery -->", None, config)
    assert "Not on these pages" not in overview
    for identifier in ENTRIES:
        assert f"](gallery/{identifier}.md)" in overview
    papers = re.findall("^## (.*)$", overview, re.MULTILINE)
    assert len(papers) == len(set(papers))
    assert "Beyond the papers" in papers
    assert "Arnaboldi, Krzakala, Loureiro, Stephan (2023)" in papers


def test_captions_are_two_sentences_and_names_are_short():
    assert [*CAPTIONS] == [*ENTRIES]
    for caption in CAPTIONS.values():
        assert len(re.findall(r"\.(?= [A-Z(]|$)", caption.text)) == 2, caption
        assert 5 < len(caption.name) < 40


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("threshold lambda_c(2) at c = 1", "threshold λ<sub>c</sub> of order 2 at c = 1"),
        ("m_star = sqrt(lambda - 1)", "m<sub>⋆</sub> = √(λ - 1)"),
        ("sqrt(n) r_perp^2 -> n^-1/2", "√n r<sub>⊥</sub><sup>2</sup> → n<sup>-1/2</sup>"),
        ("blocks W_iW_j of `lambda_c`", "blocks W<sub>i</sub>W<sub>j</sub> of `lambda_c`"),
        ("R⊥_aa, step \\times(1-\\beta)", "R<sub>⊥,aa</sub>, step ×(1-β)"),
        ("breast_cancer, critical_step, information", "breast_cancer, critical_step, information"),
    ],
)
def test_plain_mathematics_becomes_symbols(text, shown):
    assert symbols(text) == shown


def test_the_documentation_names_no_unknown_figure():
    for page in [_DOCS.parent / "README.md", *_DOCS.glob("*.md"), *_DOCS.glob("models/*.md")]:
        for named in re.findall(r"sgdlimits reproduce ([\w.-]+)", page.read_text()):
            assert named in {*ENTRIES, "ID", "all"}, page
