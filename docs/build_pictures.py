"""Make the pictures of ``pictures.md``: run its examples where the pictures lie.

    python docs/build_pictures.py

Look at them before you commit them.
"""

import contextlib
import os
from pathlib import Path

import check_examples

PAGE = Path(__file__).parent / "pictures.md"
FOLDER = PAGE.with_suffix("")


def main() -> None:
    """Run all blocks of the page in the folder of its pictures."""
    os.environ["MPLBACKEND"] = "Agg"
    FOLDER.mkdir(exist_ok=True)
    with contextlib.chdir(FOLDER):
        check_examples.run(PAGE)


if __name__ == "__main__":
    main()
