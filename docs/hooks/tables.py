"""Tables made from the package, where a page asks for them by ``<!-- table: name -->``."""

import importlib.util
from pathlib import Path

_MARKS = ("engines", "models", "theory-map")


def on_page_markdown(markdown: str, config, **kwargs) -> str:
    """Replace ``<!-- table: name -->`` by the table."""
    for name in _MARKS:
        mark = f"<!-- table: {name} -->"
        if mark in markdown:
            tables = _load(Path(config.docs_dir))
            markdown = markdown.replace(mark, tables.TABLES[name]())
    return markdown


def _load(docs: Path):
    spec = importlib.util.spec_from_file_location("sgdlimits_docs_tables", docs / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
