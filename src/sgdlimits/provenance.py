"""Describe models and algorithms in plain data, and name a run by everything that decides it."""

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Callable
from typing import Any

import equinox as eqx
import numpy as np

_MOST_INLINE = 64


def describe(thing: Any) -> Any:
    """Plain data (numbers, strings, lists, dicts) that determines ``thing``.

    Modules become a dict of their class name and fields; large arrays their shape and hash;
    functions their name and the hash of their source.

    Raises:
        TypeError: for a thing that cannot be described, such as a function without source.
    """
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, eqx.Module):
        fields = {f.name: describe(getattr(thing, f.name)) for f in dataclasses.fields(thing)}
        return {"type": type(thing).__name__, **fields}
    if isinstance(thing, dict):
        return {str(key): describe(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [describe(item) for item in thing]
    if callable(thing):
        return _describe_function(thing)
    array = np.asarray(thing)
    if array.dtype == object:
        raise TypeError(f"{thing!r} of type {type(thing).__name__} cannot be described.")
    if array.size <= _MOST_INLINE:
        return array.tolist()
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": digest}


def _describe_function(function: Callable) -> dict[str, Any]:
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError) as error:
        raise TypeError(
            f"{function!r} has no source to identify it by; define it with def in a file or cell."
        ) from error
    name = getattr(function, "__qualname__", repr(function))
    described = {"function": name, "sha256": hashlib.sha256(source.encode()).hexdigest()}
    inner = inspect.unwrap(function)  # what a decorator captures is not the user's
    captured = inspect.getclosurevars(inner).nonlocals if inspect.isfunction(inner) else {}
    if not captured:
        return described
    # One source with other values from the enclosing function is another function.
    return {**described, "captured": {name: describe(value) for name, value in captured.items()}}


def canonical(description: Any) -> str:
    """One text for equal descriptions: JSON with sorted keys and exact floats."""
    return json.dumps(description, sort_keys=True, separators=(",", ":"))


def identity(description: Any) -> str:
    """Hash of a description: equal if and only if every input is."""
    return hashlib.sha256(canonical(description).encode()).hexdigest()


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two descriptions differ, as lines ``name: one -> other``."""
    if isinstance(one, dict) and isinstance(other, dict):
        lines = []
        for key in sorted(one.keys() | other.keys()):
            name = f"{path}.{key}" if path else key
            lines += differences(one.get(key), other.get(key), name)
        return lines
    return [] if one == other else [f"{path}: {one!r} -> {other!r}"]
