"""What an update rule says: where parameters go, given the mean gradient of a batch."""

from abc import abstractmethod
from typing import Any, ClassVar, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import sgdlimits._x64  # noqa: F401

T = TypeVar("T")


class AbstractRule(eqx.Module):
    """An update that is linear in the parameters and in the mean gradient of the batch.

    A rule is written once, as one writes an optimiser, for anything that can be added and
    multiplied by numbers: real vectors, trees' leaves, or coefficients. The exact chain and the
    limits follow from it.
    """

    #: Whether this is plain SGD, for which formulas of fixed points hold.
    plain: ClassVar[bool] = False

    @abstractmethod
    def update(self, parameters: T, gradient: T, delta: Any, time: Any) -> T:
        """The parameters after one step of size ``delta`` that starts at nominal ``time``."""

    def coefficients(self, delta: Any, time: Any) -> tuple[Array, Array]:
        """(a, b) with update = a parameters + b gradient."""
        delta = jnp.asarray(delta)
        one, zero = jnp.ones((), delta.dtype), jnp.zeros((), delta.dtype)
        parameters, gradient = jnp.stack([one, zero]), jnp.stack([zero, one])
        found = self.update(parameters, gradient, delta, time)
        return found[0], found[1]

    def rates(self, time: Any) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(a', b') at delta = 0: the parameters' rate of change is a' parameters + b' gradient."""
        at = lambda delta: self.coefficients(delta, time)  # noqa: E731
        return jax.jvp(at, (jnp.zeros(()),), (jnp.ones(()),))[1]
