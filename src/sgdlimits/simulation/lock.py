"""One writer to a folder at a time; another is refused, and told who is there."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = ".lock"  # stays; the system frees it when its holder ends, however it ends
OWNER = ".writer.json"


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Be the only writer to an existing folder.

    Raises:
        FileExistsError: if another process, or another call in this one, writes there.
    """
    lock = FileLock(folder / LOCK, timeout=0, is_singleton=False)
    try:
        lock.acquire()
    except Timeout:
        raise FileExistsError(
            f"out={str(folder)!r} is being written by {_owner(folder)}; wait for it, or choose "
            "another folder."
        ) from None
    try:
        me = {"process": os.getpid(), "host": socket.gethostname(), "since": time.ctime()}
        (folder / OWNER).write_text(json.dumps(me), encoding="utf-8")
        yield
    finally:
        (folder / OWNER).unlink(missing_ok=True)
        lock.release()


def _owner(folder: Path) -> str:
    try:
        owner = json.loads((folder / OWNER).read_text(encoding="utf-8"))
        return "process {process} on {host} since {since}".format(**owner)
    except (OSError, ValueError, KeyError, TypeError):  # it has only just come, or is leaving
        return "another process"
