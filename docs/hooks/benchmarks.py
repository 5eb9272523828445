"""Put the measured tables of benchmarks/results/ into the benchmarks page."""

from pathlib import Path

_MARK = "<!-- benchmarks -->"


def on_config(config, **kwargs):
    """Rebuild when the results change (``mkdocs serve``)."""
    folder = _folder(config)
    if folder.is_dir():
        config.watch.append(str(folder))
    return config


def on_page_markdown(markdown: str, config, **kwargs) -> str:
    """Replace the mark by the tables, or by how to measure them."""
    if _MARK not in markdown:
        return markdown
    tables = [
        path.read_text(encoding="utf-8").strip() for path in sorted(_folder(config).glob("*.md"))
    ]
    if not tables:
        tables = ["No results are stored in this checkout; run the command above to make them."]
    return markdown.replace(_MARK, "\n\n".join(tables))


def _folder(config) -> Path:
    return Path(config.config_file_path).parent / "benchmarks" / "results"
