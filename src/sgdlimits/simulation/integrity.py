"""Stores that say what they should hold: a manifest of variables and files, with digests.

The manifest is an attribute of the store's root, so that a store stays one Zarr hierarchy that any
reader opens. It has the SHA-256 of every other file; the root's file has its own, taken with the
digest's place filled with zeros. No byte of a store can change without notice.
"""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import xarray as xr

ROOT = "zarr.json"  # of every Zarr group
_MANIFEST = "sgdlimits_manifest"
_DIGEST = "sgdlimits_sha256"
_FORMAT = 1
_BLANK = "0" * 64
# What file systems and their viewers leave behind; no part of any store.
_DROPPINGS = re.compile(r"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|\.nfs.*|\.fuse_hidden.*")
_MOST_NAMED = 3


class DamagedError(ValueError):
    """A store is not what was written."""


def seal(store: Path, dataset: xr.Dataset) -> None:
    """Add the manifest to a store that was just written."""
    root = store / ROOT
    metadata = json.loads(root.read_text(encoding="utf-8"))
    manifest = {
        "format": _FORMAT,
        "variables": _variables(dataset),
        "files": {name: _sha256(store / name) for name in _files(store) if name != ROOT},
    }
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    metadata["attributes"] = {**metadata.get("attributes", {}), _MANIFEST: text, _DIGEST: _BLANK}
    blank = json.dumps(metadata, indent=1)
    if blank.count(_entry(_BLANK)) != 1:
        raise ValueError(f"dataset.attrs: {_DIGEST!r} is a name of the store itself; rename it.")
    digest = hashlib.sha256(blank.encode()).hexdigest()
    root.write_text(blank.replace(_entry(_BLANK), _entry(digest)), encoding="utf-8", newline="\n")


def verify(store: Path) -> None:
    """Raise DamagedError, with what is damaged, unless every byte is as it was written."""
    wrong = _wrong(store, _manifest(store)["files"])
    if wrong:
        shown = "; ".join(wrong[:_MOST_NAMED])
        more = f"; and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        raise DamagedError(f"path={str(store)!r} is damaged: {shown}{more}.")


def unsealed(store: Path, dataset: xr.Dataset) -> xr.Dataset:
    """The dataset that was saved, without the manifest; DamagedError if it has other variables."""
    if _variables(dataset) != _manifest(store)["variables"]:
        raise DamagedError(f"path={str(store)!r} does not hold the variables that it lists.")
    own = {key: value for key, value in dataset.attrs.items() if key not in (_MANIFEST, _DIGEST)}
    result = dataset.copy(deep=False)
    result.attrs = own
    return result


def _manifest(store: Path) -> dict[str, Any]:
    name = f"path={str(store)!r}"
    try:
        raw = (store / ROOT).read_bytes()
        attributes = json.loads(raw)["attributes"]
        digest, manifest = attributes[_DIGEST], attributes[_MANIFEST]
    except KeyError:
        raise DamagedError(
            f"{name} has no manifest of what it holds: it was not written by save, or was altered. "
            "If you trust it, read it with xarray.open_zarr."
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise DamagedError(f"{name} is damaged: {ROOT} cannot be read ({error}).") from error
    entry = _entry(str(digest)).encode()
    blank = raw.replace(entry, _entry(_BLANK).encode())
    if raw.count(entry) != 1 or hashlib.sha256(blank).hexdigest() != digest:
        raise DamagedError(f"{name} is damaged: {ROOT}, its attributes and manifest, was altered.")
    return json.loads(manifest)


def _wrong(store: Path, files: dict[str, str]) -> list[str]:
    """Everything that is not as the manifest has it."""
    there = {name for name in _files(store) if name != ROOT}
    found = [f"{_of(name)} is missing" for name in sorted(files.keys() - there)]
    found += [f"{_of(name)} was not there before" for name in sorted(there - files.keys())]
    for name in sorted(there & files.keys()):
        try:
            if _sha256(store / name) != files[name]:
                found.append(f"{_of(name)} was altered")
        except OSError as error:
            found.append(f"{_of(name)} cannot be read ({error.strerror})")
    return found


def _of(name: str) -> str:
    return f"variable {name.partition('/')[0]!r}: {name}"


def _variables(dataset: xr.Dataset) -> dict[str, Any]:
    return {
        str(name): {"dims": [str(dim) for dim in variable.dims], "shape": list(variable.shape)}
        for name, variable in dataset.variables.items()
    }


def _files(store: Path) -> list[str]:
    return [
        (Path(place) / name).relative_to(store).as_posix()
        for place, _, names in os.walk(store)
        for name in names
        if not _DROPPINGS.fullmatch(name)
    ]


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(digest: str) -> str:
    return f'"{_DIGEST}": "{digest}"'
