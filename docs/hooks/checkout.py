"""Read the package from this checkout, so that it need not be installed to build the site.

First among the hooks. The group ``docs`` of pyproject.toml holds the libraries that this needs.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

# Once it is imported its modules are found, whatever becomes of the path.
import sgdlimits  # noqa: F401
