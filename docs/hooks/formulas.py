"""Put the table of formulas, which the package itself keeps, into the page of formulas."""

_MARK = "<!-- formulas -->"


def on_page_markdown(markdown: str, **kwargs) -> str:
    """Replace the mark by the table."""
    if _MARK not in markdown:
        return markdown
    from sgdlimits import formulas

    return markdown.replace(_MARK, formulas.markdown())
