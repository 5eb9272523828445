"""Refuse a simulation that would not fit, before it starts."""

import os


def available() -> int | None:
    """Bytes of memory that are free for use; None where the system does not say."""
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


def check_fits(what: str, size: float, remedy: str) -> None:
    """Raise ValueError if ``size`` bytes exceed the available memory."""
    limit = available()
    if limit is not None and size > limit:
        raise ValueError(
            f"{what} would need {size / 2**30:.3g} GiB, and {limit / 2**30:.3g} GiB are "
            f"available; {remedy}."
        )
