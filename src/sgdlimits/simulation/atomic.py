"""Files and folders that appear whole or not at all, also when the power goes.

Their bytes are on the disk before the one rename that gives them their name.
"""

import os
from pathlib import Path

#: Begins the name of what is being written.
TEMPORARY = ".writing-"


def appear(temporary: Path, path: Path) -> None:
    """Give what was written its name, once it is on the disk."""
    for place, _, names in os.walk(temporary) if temporary.is_dir() else ():
        for name in names:
            _settle(Path(place) / name)
        _settle(Path(place))
    if not temporary.is_dir():
        _settle(temporary)
        os.replace(temporary, path)
    else:
        os.rename(temporary, path)
    _settle(path.parent)


def write_text(path: Path, text: str) -> None:
    """A file of UTF-8 text."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    appear(temporary, path)


def _settle(path: Path) -> None:
    """Wait until a file, or the list of a folder's names, is on the disk."""
    if path.is_dir() and os.name != "posix":
        return  # only there folders are files
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
