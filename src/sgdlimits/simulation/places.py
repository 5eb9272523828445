"""Paths that callers name, checked before any work."""

import os
from pathlib import Path

_LONGEST = 255  # bytes of a name in common file systems
_OF_OURS = 60  # what names inside of a folder, and temporary names, may add


def path_of(name: str, value: object) -> Path:
    """The path.

    Raises:
        TypeError: unless it is a string or a path.
        ValueError: for one that no file system takes, or that leads nowhere.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise TypeError(f"{name}={value!r}: expected a path, got {type(value).__name__}.")
    text = os.fspath(value)
    if not text or "\0" in text:
        raise ValueError(f"{name}={value!r}: expected the path of a file or folder.")
    path = Path(text)
    for part in path.parts:
        if len(os.fsencode(part)) > _LONGEST - _OF_OURS:
            raise ValueError(
                f"{name}={_short(text)!r}: a name of {len(part)} characters; file systems take "
                f"{_LONGEST} bytes, some of which temporary names need. Choose a shorter one."
            )
    try:
        if path.is_symlink() and not path.exists():
            raise ValueError(
                f"{name}={text!r} is a link to {os.readlink(path)!r}, which is not there."
            )
    except OSError as error:
        raise ValueError(f"{name}={_short(text)!r}: {error.strerror}.") from error
    return path


def folder_of(name: str, value: object) -> Path:
    """The path of a folder that is there or can be made; ``path_of``'s errors, and more.

    Raises:
        FileExistsError: if a file is there, or where a parent folder should be.
    """
    path = path_of(name, value)
    for place in (path, *path.parents):
        if place.exists():
            if not place.is_dir():
                raise FileExistsError(f"{name}={str(path)!r}: {place} is a file, not a folder.")
            if not os.access(place, os.W_OK | os.X_OK):
                raise PermissionError(f"{name}={str(path)!r}: {place} cannot be written to.")
            break
    return path


def _short(text: str) -> str:
    return text if len(text) < 80 else f"{text[:40]}...{text[-20:]}"
