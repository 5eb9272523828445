"""Put the gallery's pages into the navigation, and an overview where a page asks for it.

The gallery is made by ``python docs/build_gallery.py``; a build without it stops with that advice.
"""

import html
from pathlib import Path

from mkdocs.exceptions import ConfigurationError

from sgdlimits.reproduce.registry import ENTRIES

_MARK = "<!-- gallery -->"


def on_config(config, **kwargs):
    """Check that every figure is there and add its page to the navigation."""
    gallery = Path(config.docs_dir) / "gallery"
    missing = [identifier for identifier in ENTRIES if not _is_complete(gallery, identifier)]
    if missing:
        raise ConfigurationError(
            f"The gallery lacks {', '.join(missing)}: run 'python docs/build_gallery.py' first."
        )
    for section in config.nav:
        if "Gallery" in section:
            section["Gallery"] += [{name: f"gallery/{name}.md"} for name in ENTRIES]
    return config


def on_page_markdown(markdown: str, page, **kwargs) -> str:
    """Replace the mark by one card per figure."""
    if _MARK not in markdown:
        return markdown
    return markdown.replace(_MARK, '<div class="gallery" markdown>\n\n' + _cards() + "\n\n</div>")


def _cards() -> str:
    cards = []
    for entry in ENTRIES.values():
        title = html.escape(entry.title).replace("[", "(").replace("]", ")")
        cards.append(
            f"[![{title}](gallery/{entry.id}/figure.png) **{entry.id}** · {title} "
            f"<br><small>{html.escape(entry.paper)}</small>](gallery/{entry.id}.md)"
        )
    return "\n".join(cards)


def _is_complete(gallery: Path, identifier: str) -> bool:
    files = (f"{identifier}.md", f"{identifier}/figure.png", f"{identifier}/checks.md")
    return all((gallery / name).is_file() for name in files)
