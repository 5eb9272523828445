"""Tables made from the package, where a page asks for them by ``<!-- table: name -->``."""

import importlib.util
from pathlib import Path

#: What a page may ask for: (file beside this folder, function).
TABLES = {
    "engines": ("tables.py", "engines"),
    "models": ("tables.py", "models"),
    "theory-map": ("theory_map.py", "markdown"),
}


def on_page_markdown(markdown: str, config, **kwargs) -> str:
    """Replace the marks by the tables."""
    for name, (file, function) in TABLES.items():
        mark = f"<!-- table: {name} -->"
        if mark in markdown:
            module = load(Path(config.docs_dir) / file)
            markdown = markdown.replace(mark, getattr(module, function)())
    return markdown


def load(path: Path):
    """A module of the documentation, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
