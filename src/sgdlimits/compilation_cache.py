"""Compiled programs kept on disk, so that only the first session compiles."""

import os
import sys
from pathlib import Path

import jax

import sgdlimits._x64  # noqa: F401

_QUICK = 0.05  # seconds of compilation below which a program is not worth a file


def enable_compilation_cache(folder: str | Path | None = None) -> Path:
    """Keep compiled programs in a folder, and take them from there in later sessions.

    Compiling is most of what a first call takes: 1 to 15 seconds, and a tenth of that from the
    folder. Programs depend on shapes and on the installed JAX, not on numbers; files that another
    version left are never used. The command line does this by itself, unless JAX's own
    ``JAX_COMPILATION_CACHE_DIR`` names a folder or ``SGDLIMITS_NO_CACHE`` is set.

    Args:
        folder: where; default ``sgdlimits/compiled`` in the user's cache folder.

    Returns:
        The folder.

    Raises:
        TypeError: if ``folder`` is no path.
        OSError: if it cannot be made.
    """
    if folder is not None and not isinstance(folder, str | Path):
        raise TypeError(f"folder={folder!r}: expected a path, or None.")
    path = _default_folder() if folder is None else Path(folder).expanduser()
    path.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _QUICK)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return path


def enable_by_default() -> None:
    """For the command line: unless the user decided otherwise, or there is no place for it."""
    chosen = getattr(jax.config, "jax_compilation_cache_dir", None)
    if chosen or os.environ.get("SGDLIMITS_NO_CACHE"):
        return
    try:
        enable_compilation_cache()
    except OSError:  # a read-only home is no reason not to work
        return


def _default_folder() -> Path:
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "sgdlimits" / "compiled"
