"""Configuration files: a simulation as TOML."""

import inspect
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sgdlimits.simulation.places import path_of

# Arguments of ``simulate`` that are numbers, strings or lists.
_KEYS = ("engine", "dim", "time", "runs", "seed", "record", "first_run", "dtype", "literal", "dt")
_TABLES = ("model", "algorithm", "initial")
_REQUIRED = ("model", "dim", "time")


def read(path: str | Path) -> dict[str, Any]:
    """Keyword arguments of ``simulate`` from a TOML file.

    The file has the scalar arguments of ``simulate`` at top level, a table ``model`` with ``type``
    and the model's arguments, and optionally tables ``algorithm`` and ``initial``. ``engine`` is a
    name, or a table with ``type`` and the engine's options. In ``algorithm``, ``rule`` and
    ``schedule`` are names, or tables with ``type`` and arguments; a list of rules is a chain.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not TOML, or a key is unknown, missing or of the wrong kind.
    """
    path = path_of("config", path)
    if not path.exists():
        raise FileNotFoundError(f"config={str(path)!r}: no such file.")
    if not path.is_file():
        raise FileNotFoundError(f"config={str(path)!r}: expected a file, not a folder.")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"config={str(path)!r} is not TOML: {error}.") from error
    return parse(table)


def parse(table: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of ``simulate`` from the tables of a configuration file."""
    from sgdlimits.algorithms.online_sgd import OnlineSGD
    from sgdlimits.engines.table import ENGINES
    from sgdlimits.models import MODELS

    for key in table:
        if key not in _KEYS + _TABLES:
            raise ValueError(f"{key}: unknown key; expected {', '.join(_TABLES + _KEYS)}.")
    for key in _REQUIRED:
        if key not in table:
            raise ValueError(f"{key}: missing; the file must give {', '.join(_REQUIRED)}.")
    for key in _TABLES:
        if not isinstance(table.get(key, {}), Mapping):
            raise ValueError(f"{key}={table[key]!r}: expected a table [{key}].")
    arguments = {key: table[key] for key in _KEYS if key in table}
    arguments["model"] = _build_one_of("model", MODELS, table["model"])
    arguments["sgd"] = _build("algorithm", OnlineSGD, _algorithm(table.get("algorithm", {})))
    if isinstance(table.get("engine"), Mapping):
        arguments["engine"] = _build_one_of("engine", ENGINES, table["engine"])
    if "initial" in table:
        statistics = arguments["model"].statistics_class
        arguments["initial"] = _build("initial", statistics, table["initial"])
    return arguments


def _algorithm(fields: Mapping[str, Any]) -> dict[str, Any]:
    """With rule and schedule built."""
    from sgdlimits.algorithms import rules, schedules

    found = dict(fields)
    if "rule" in found:
        given = found["rule"]
        each = [
            _named("algorithm.rule", rules.BY_NAME, one)
            for one in (given if isinstance(given, list) else [given])
        ]
        found["rule"] = rules.chain(*each)
    if "schedule" in found:
        found["schedule"] = _named("algorithm.schedule", schedules.BY_NAME, found["schedule"])
    return found


def _named(name: str, kinds: Mapping[str, Callable[..., Any]], given: Any) -> Any:
    """From a name, or a table with ``type``."""
    if isinstance(given, str):
        given = {"type": given}
    if not isinstance(given, Mapping):
        raise ValueError(f"{name}={given!r}: expected a name, or a table with type.")
    return _build_one_of(name, kinds, given)


def _build_one_of(
    name: str, kinds: Mapping[str, Callable[..., Any]], fields: Mapping[str, Any]
) -> Any:
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(f"{name}.type={kind!r}: expected one of {', '.join(kinds)}.")
    return _build(name, kinds[kind], {key: fields[key] for key in fields if key != "type"})


def _build(name: str, kind: Callable[..., Any], fields: Mapping[str, Any]) -> Any:
    known = list(inspect.signature(kind).parameters)
    for key in fields:
        if key not in known:
            raise ValueError(f"{name}.{key}: unknown key; expected {', '.join(known) or 'none'}.")
    try:
        return kind(**fields)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
