"""Refuse what would not fit in memory, or never end, before it starts: from shapes alone."""

import os
from collections.abc import Callable
from pathlib import Path

#: Steps of one run. A microsecond each is two weeks.
MOST_STEPS = 2**40
#: Rows of a Gram matrix: each program that is compiled reads all of it.
MOST_ROWS = 2000

_CGROUPS = Path("/sys/fs/cgroup")
# Limit, use, and what of the use can be dropped: version 2, and version 1.
_FILES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def available() -> int | None:
    """Bytes of memory that are free for use; None where the system does not say.

    The limits of containers and batch queues (cgroups) count.
    """
    known = [size for size in (_of_system(), _of_container(_CGROUPS)) if size is not None]
    return min(known, default=None)


def _of_system() -> int | None:
    try:
        with open("/proc/meminfo") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _of_container(root: Path) -> int | None:
    """What the innermost group of this process, and those around it, leave free."""
    free = []
    for limit, used, statistics, droppable in _FILES:
        controller = limit.rpartition("/")[0]
        group = root / controller / _group(controller)
        for place in (group, *group.parents):
            if not place.is_relative_to(root):
                break
            try:
                most = int((place / Path(limit).name).read_text(encoding="ascii"))
                now = int((place / Path(used).name).read_text(encoding="ascii"))
                rows = (place / Path(statistics).name).read_text(encoding="ascii").splitlines()
            except (OSError, ValueError):  # there is no such group, or its limit is "max"
                continue
            cached = dict(row.split() for row in rows).get(droppable, "0")
            free.append(max(0, most - now + int(cached)))
    return min(free, default=None)


def _group(controller: str) -> str:
    """Path of this process's group, below the root."""
    try:
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, names, path = line.split(":", 2)
            if names == controller or controller in names.split(","):
                return path.lstrip("/")
    except (OSError, ValueError):
        pass
    return ""


def check_fits(what: str, size: float, remedy: str) -> None:
    """Raise ValueError if ``size`` bytes exceed the available memory."""
    limit = available()
    if limit is not None and size > limit:
        raise ValueError(
            f"{what} would need {size / 2**30:.3g} GiB, and {limit / 2**30:.3g} GiB are "
            f"available; {remedy}."
        )


def largest(size: Callable[[int], float], count: int) -> int:
    """Of how many, up to ``count``, the bytes fit; they grow with the number."""
    limit = available()
    if limit is None or size(count) <= limit:
        return count
    fits, too_many = 0, count
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if size(middle) <= limit else (fits, middle)
    return fits


def check_count(name: str, count: int, size: Callable[[int], float]) -> None:
    """Raise ValueError if ``count`` of something do not fit, and say how many would."""
    fits = largest(size, count)
    if fits < count:
        would = f"{name}={fits} would fit" if fits else f"not even {name}=1 would fit"
        check_fits(f"{name}={count}", size(count), would)


def check_steps(what: str, steps: float, remedy: str, until: str = "") -> None:
    """Raise ValueError for more steps than anybody can wait for."""
    if not steps <= MOST_STEPS:
        raise ValueError(
            f"{what}: {steps:.3g} steps{until}, expected at most {MOST_STEPS:.3g}; {remedy}."
        )
