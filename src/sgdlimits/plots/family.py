"""One problem for every value of a parameter: of a model, of an algorithm, or of one's own."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.models.base import AbstractModel
from sgdlimits.process.process import Process

Family = Callable[[float], Process]


def family(model: Any, sgd: OnlineSGD | None, parameter: str) -> Family:
    """value -> process.

    Args:
        model: a model with ``parameter`` among its numbers; or a function value -> model.
        sgd: the algorithm, which may have the parameter itself; default plain SGD of step 1.
        parameter: its name.

    Raises:
        TypeError, ValueError: for anything else.
    """
    if not isinstance(parameter, str):
        raise TypeError(f"parameter={parameter!r}: expected a name, such as 'snr' or 'step'.")
    sgd = OnlineSGD() if sgd is None else sgd
    if not isinstance(sgd, OnlineSGD):
        raise TypeError(f"sgd={sgd!r}: expected an OnlineSGD.")
    if not isinstance(model, AbstractModel):
        if not callable(model):
            raise TypeError(f"model={model!r}: expected a model, or a function value -> model.")
        build: Any = model
        return lambda value: Process(build(value), sgd)
    numbers = [f.name for f in fields(sgd) if type(getattr(sgd, f.name)) in (int, float)]
    if parameter in numbers:
        kind = type(getattr(sgd, parameter))
        return lambda value: Process(model, replace(sgd, **{parameter: kind(value)}))
    return lambda value: Process(model.varied(parameter, value), sgd)
