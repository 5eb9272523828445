"""Show the notebooks as pages, with what is stored in them, and a link to download each.

No Jupyter is needed to build the site: cells become Markdown, stored pictures become files.
``python docs/build_notebooks.py`` runs the notebooks.
"""

import base64
import json
from typing import Any

_FOLDER = "notebooks/"


def on_files(files, config, **kwargs):
    """Add a page and its pictures for every notebook."""
    from mkdocs.structure.files import File

    for notebook in [file for file in files if _is_notebook(file)]:
        name = notebook.src_uri.removesuffix(".ipynb")
        cells = json.loads(notebook.content_string)["cells"]
        text, pictures = as_markdown(cells, name.removeprefix(_FOLDER))
        files.append(File.generated(config, f"{name}.md", content=text))
        for number, picture in enumerate(pictures, 1):
            files.append(File.generated(config, f"{name}-{number}.png", content=picture))
    return files


def _is_notebook(file) -> bool:
    return file.src_uri.startswith(_FOLDER) and file.src_uri.endswith(".ipynb")


def as_markdown(cells: list[dict[str, Any]], name: str) -> tuple[str, list[bytes]]:
    """The page of a notebook, and its pictures in order."""
    parts: list[str] = []
    pictures: list[bytes] = []
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
            if len(parts) == 1:
                parts.append(_download(name))
            continue
        parts.append(f"```python\n{text}\n```")
        for output in cell["outputs"]:
            parts.append(_output(output, name, pictures))
    return "\n\n".join(parts) + "\n", pictures


def _download(name: str) -> str:
    return (
        f"[Download this notebook]({name}.ipynb){{ .md-button download={name}.ipynb }} "
        "It runs in Jupyter with `sgdlimits` installed; the outputs below are stored in it."
    )


def _output(output: dict[str, Any], name: str, pictures: list[bytes]) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        pictures.append(base64.b64decode(data["image/png"]))
        return f"![Figure {len(pictures)} of this notebook]({name}-{len(pictures)}.png)"
    text = "".join(output.get("text") or data["text/plain"]).rstrip("\n")
    return f"```{{ .text .output }}\n{text}\n```"
