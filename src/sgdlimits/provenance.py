"""Describe models and algorithms in plain data, and name a run by everything that decides it."""

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Callable
from types import CodeType
from typing import Any

import equinox as eqx
import jax
import numpy as np

_MOST_INLINE = 64
_DATA = (bool, int, float, str, list, tuple, dict, np.ndarray, np.generic, jax.Array, eqx.Module)

_LEFT_OUT = "left out of descriptions"


def left_out(when: Callable[[Any], bool]) -> dict[str, Any]:
    """Metadata of a field that descriptions do not mention where ``when(value)`` is true.

    A field that a class gains later is left out at its default: what was stored before stays valid.
    """
    return {_LEFT_OUT: when}


def _never(value: Any) -> bool:
    return False


def describe(thing: Any) -> Any:
    """Plain data (numbers, strings, lists, dicts) that determines ``thing``.

    Modules become a dict of their class name and fields; large arrays their shape and hash;
    functions their name, the hash of their source, and the data that they capture or read.

    Raises:
        TypeError: for a thing that cannot be described, such as a function without source.
    """
    return _describe(thing, ())


def _describe(thing: Any, within: tuple[Callable, ...]) -> Any:
    """``describe`` inside of functions that are being described, which may refer to themselves."""
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, eqx.Module):
        fields = {
            field.name: _describe(getattr(thing, field.name), within)
            for field in dataclasses.fields(thing)
            if not field.metadata.get(_LEFT_OUT, _never)(getattr(thing, field.name))
        }
        return {"type": type(thing).__name__, **fields}
    if isinstance(thing, dict):
        return {str(key): _describe(value, within) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_describe(item, within) for item in thing]
    if callable(thing):
        return _describe_function(thing, within)
    array = np.asarray(thing)
    if array.dtype == object:
        raise TypeError(f"{thing!r} of type {type(thing).__name__} cannot be described.")
    if array.size <= _MOST_INLINE:
        return array.tolist()
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": digest}


def _describe_function(function: Callable, within: tuple[Callable, ...]) -> dict[str, Any]:
    """Source, and what the function reads from outside of it."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError) as error:
        raise TypeError(
            f"{function!r} has no source to identify it by; define it with def in a file or cell."
        ) from error
    name = getattr(function, "__qualname__", repr(function))
    described = {"function": name, "sha256": hashlib.sha256(source.encode()).hexdigest()}
    inner = inspect.unwrap(function)  # what a decorator captures is not the user's
    if inspect.ismethod(inner):
        described["self"] = _describe(inner.__self__, within)
        inner = inner.__func__
    if not inspect.isfunction(inner) or inner in within:
        return described
    within = (*within, inner)
    if inner.__name__ == "<lambda>":  # several may share a line
        described["code"] = hashlib.sha256(repr(_code(inner.__code__)).encode()).hexdigest()
    reads = inspect.getclosurevars(inner)
    outside = {
        "defaults": _describe(inner.__defaults__, within),
        "keywords": _describe(inner.__kwdefaults__, within),
        "captured": _describe(dict(reads.nonlocals), within),
        "globals": _describe_globals(inner, dict(reads.globals), within),
    }
    return {**described, **{name: value for name, value in outside.items() if value}}


def _describe_globals(
    function: Callable, values: dict[str, Any], within: tuple[Callable, ...]
) -> dict[str, Any]:
    """Data, and functions of the same module, that a user's function reads by name.

    Of this package the version is part of the inputs. Attributes may have the name of a global that
    is not read at all, so what cannot be described is left out.
    """
    if (function.__module__ or "").startswith(__name__.partition(".")[0] + "."):
        return {}
    described = {}
    for name, value in values.items():
        neighbour = getattr(value, "__module__", None) == function.__module__
        if isinstance(value, _DATA) or (callable(value) and neighbour):
            try:
                described[name] = _describe(value, within)
            except TypeError:
                continue
    return described


def _code(code: CodeType) -> tuple[Any, ...]:
    """What a code object does, without the file and line where it stands."""
    constants = [
        _code(c) if isinstance(c, CodeType)
        else sorted(map(repr, c)) if isinstance(c, frozenset)  # which have another order every time
        else c
        for c in code.co_consts
    ]  # fmt: skip
    return code.co_code, code.co_names, constants


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
