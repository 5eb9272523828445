"""The run-time type checker that the import hook applies to the package."""

from collections.abc import Callable
from typing import Any, Self

from beartype import BeartypeConf, beartype

# An int where a float is annotated is what users write: PEP 484's numeric tower.
_beartype = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function: Callable) -> Callable:
    """``beartype``, which refuses ``Self`` outside classes that it decorates whole."""
    for name, hint in function.__annotations__.items():
        if hint is Self:
            function.__annotations__[name] = Any
    return _beartype(function)
