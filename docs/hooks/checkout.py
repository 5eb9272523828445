"""Read the package from this checkout, so that it need not be installed to build the site.

First among the hooks. The group ``docs`` of pyproject.toml holds the libraries that this needs.
"""

import sys
from pathlib import Path

_SOURCES = str(Path(__file__).parents[2] / "src")
if _SOURCES not in sys.path:
    sys.path.insert(0, _SOURCES)
