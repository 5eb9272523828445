"""Classes whose calls give what the new object says, which may be of another class.

One public name stands for what a caller means, whatever it is made of inside: a multi-index model
on isotropic inputs has overlaps, on inputs with a covariance it has overlaps block by block.
"""

import inspect
from typing import Any

import equinox as eqx


class Built(type(eqx.Module)):
    """Metaclass: ``Class(...)`` is ``built()`` of the object that it makes."""

    @property
    def __signature__(cls) -> inspect.Signature:
        """That of the constructor, which ``__call__`` would hide."""
        own = inspect.signature(cls.__init__)
        return own.replace(parameters=list(own.parameters.values())[1:])

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """The object that is meant."""
        return super().__call__(*args, **kwargs).built()  # type: ignore[misc]
