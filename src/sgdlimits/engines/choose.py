"""The engine that a caller means: an object, or a name with options beside it."""

import dataclasses
from typing import Any

from sgdlimits import _validate
from sgdlimits.engines.base import AbstractEngine
from sgdlimits.engines.mean_field import MeanField
from sgdlimits.engines.sde import SDE
from sgdlimits.engines.sgd import SGD
from sgdlimits.engines.table import ENGINES, FULL_ENGINES
from sgdlimits.limits import mean_field as reduced

# Options that callers give beside the engine: whose they are, and what all others answer to them,
# unless it is what they do anyway.
_OWNERS: dict[str, type[AbstractEngine]] = {"dtype": SGD, "literal": SGD, "dt": SDE}
_OTHERS: dict[str, tuple[Any, str]] = {
    "dtype": ("float64", "computes in float64; leave it out"),
    "literal": (False, "draws no samples; use engine='sgd'"),
    "dt": (None, "has no time step to choose; leave it out"),
}


def choose(
    engine: object,
    *,
    dtype: str | None = None,
    literal: bool | None = None,
    dt: float | None = None,
    mean_field: object = None,
) -> AbstractEngine:
    """The engine with these options; None: as the engine says.

    Raises:
        TypeError, ValueError: for no engine, options of another one, or options that contradict the
            engine's own.
    """
    given = {"dtype": dtype, "literal": literal, "dt": dt}
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        _OWNERS[name](**{name: value})  # raises for a value that no engine takes
    if isinstance(engine, AbstractEngine):
        _check_agreement(engine, given, mean_field)
        return engine
    if isinstance(engine, type) and issubclass(engine, AbstractEngine):
        raise TypeError(f"engine={engine!r}: expected an engine; call it first.")
    kind = ENGINES[_validate.one_of("engine", engine, ENGINES)]
    options = {field.name for field in dataclasses.fields(kind)}
    for name in given.keys() - options:
        _refuse_foreign(kind, name, given[name])
    own: dict[str, Any] = {name: value for name, value in given.items() if name in options}
    if mean_field is not None:
        own |= _options_of(kind, mean_field)
    return kind(**own)


def choose_full(engine: object) -> AbstractEngine:
    """The engine, if its results hold the model's own statistics.

    Raises:
        TypeError, ValueError: for another one, or none.
    """
    if isinstance(engine, AbstractEngine) and engine.keeps_full_statistics:
        return engine
    return choose(_validate.one_of("engine", engine, FULL_ENGINES))


def _refuse_foreign(kind: type[AbstractEngine], name: str, value: Any) -> None:
    neutral, answer = _OTHERS[name]
    if value != neutral:
        raise ValueError(f"{name}={value!r}: engine={kind.name!r} {answer}.")


def _options_of(kind: type[AbstractEngine], reduction: object) -> dict[str, Any]:
    if kind is not MeanField or not isinstance(reduction, reduced.MeanField):
        raise ValueError(
            f"mean_field={reduction!r}: expected a MeanField, with engine='mean_field'."
        )
    return {field.name: getattr(reduction, field.name) for field in dataclasses.fields(reduction)}


def _check_agreement(engine: AbstractEngine, given: dict[str, Any], mean_field: object) -> None:
    """Raise ValueError for an option beside an engine that says otherwise."""
    beside = {name: (value, {name: value}) for name, value in given.items()}
    if mean_field is not None:
        beside["mean_field"] = (mean_field, _options_of(type(engine), mean_field))
    options = {field.name for field in dataclasses.fields(engine)}
    for argument, (shown, parts) in beside.items():
        for name, value in parts.items():
            if name not in options:
                _refuse_foreign(type(engine), name, value)
            elif getattr(engine, name) != value:
                raise ValueError(
                    f"{argument}={shown!r}: engine={engine!r} has {name}="
                    f"{getattr(engine, name)!r}; give it there, or leave one out."
                )
