"""Make the gallery's pages, put them into the navigation, and an overview where a page asks for it.

The figures and their checks are made by ``python docs/build_gallery.py``. Those that are not there
are listed.
"""

import html
import importlib.util
import re
from itertools import groupby
from pathlib import Path

from sgdlimits.reproduce.captions import CAPTIONS
from sgdlimits.reproduce.registry import ENTRIES, Entry
from sgdlimits.reproduce.symbols import symbols

_MARK = "<!-- gallery -->"


def on_config(config, **kwargs):
    """Add the page of every figure that is there to the navigation."""
    made = _made(Path(config.docs_dir) / "gallery")
    for section in config.nav:
        if "Gallery" in section:
            section["Gallery"] += [
                {f"{entry.id} · {CAPTIONS[entry.id].name}": f"gallery/{entry.id}.md"}
                for entry in made
            ]
    return config


def on_files(files, config, **kwargs):
    """Add the page of every figure that is there."""
    from mkdocs.structure.files import File

    docs = Path(config.docs_dir)
    builder = _load(docs / "build_gallery.py")
    for entry in _made(docs / "gallery"):
        name = f"gallery/{entry.id}.md"
        if stale := files.get_file_from_path(name):
            files.remove(stale)
        files.append(File.generated(config, name, content=builder.page(entry)))
    return files


def _load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_page_markdown(markdown: str, page, config, **kwargs) -> str:
    """Replace the mark by one card per figure, under the names of the papers."""
    if _MARK not in markdown:
        return markdown
    made = _made(Path(config.docs_dir) / "gallery")
    missing = [f"`{name}`" for name in ENTRIES if name not in {entry.id for entry in made}]
    cards = "\n\n".join(
        f'## {paper}\n\n<div class="gallery" markdown>\n\n{_cards(list(entries))}\n\n</div>'
        for paper, entries in groupby(sorted(made, key=_order), key=paper_of)
    )
    if missing:
        cards += (
            f"\n\nNot on these pages; `sgdlimits reproduce ID` makes them: {', '.join(missing)}."
        )
    return markdown.replace(_MARK, cards)


def _made(gallery: Path) -> list[Entry]:
    return [entry for entry in ENTRIES.values() if _is_complete(gallery, entry.id)]


def paper_of(entry: Entry) -> str:
    """Authors and year, without figure and section; "Beyond the papers" where there is none."""
    found = re.match(r"[^;]*?\(\d{4}\)|[^;]*", entry.paper)
    name = found[0] if found else entry.paper
    return name[0].upper() + name[1:] if name.startswith("beyond") else name


def _order(entry: Entry) -> int:
    """Papers in the order of the first figure of each."""
    papers = [paper_of(one) for one in ENTRIES.values()]
    return papers.index(paper_of(entry))


def _cards(made: list[Entry]) -> str:
    cards = []
    for entry in made:
        title = html.escape(entry.title).replace("[", "(").replace("]", ")")
        caption = CAPTIONS[entry.id]
        cards.append(
            f"[![{title}](gallery/{entry.id}/figure.png) **{entry.id}** · {caption.name}"
            f"<br>{symbols(title)}"
            f"<br><small>{html.escape(entry.paper)}</small>](gallery/{entry.id}.md)"
        )
    return "\n".join(cards)


def _is_complete(gallery: Path, identifier: str) -> bool:
    files = (f"{identifier}/figure.png", f"{identifier}/checks.md")
    return all((gallery / name).is_file() for name in files)
