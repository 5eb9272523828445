"""What an update rule says: where parameters go, given the gradients of a batch."""

from typing import Any, ClassVar, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import sgdlimits._x64  # noqa: F401

T = TypeVar("T")


class Memory(NamedTuple):
    """Something of the parameters' own shape that a rule carries along."""

    name: str
    #: Whether it starts as a copy of the parameters; else at zero.
    copies: bool
    meaning: str


class Scalar(NamedTuple):
    """A number that a rule carries along."""

    name: str
    start: float
    symbol: str
    meaning: str


class At(NamedTuple):
    """What a rule sees beside the gradient; all of it can be added and multiplied by numbers."""

    parameters: Any
    memory: dict[str, Any]
    noise: Any  # standard normal in every coordinate, for rules that are ``noisy``
    scalars: dict[str, Any]
    delta: Any
    time: Any


class AbstractRule(eqx.Module):
    """An update, linear in parameters, memory and the mean gradient of the batch.

    A rule is written once, as one writes an optimiser, for anything that can be added and
    multiplied by numbers: real vectors, trees' leaves, or coefficients. The exact chain and the
    limits follow from it. It says ``direction``, and what else it does is declared; rules without
    memory may say ``update`` instead.
    """

    #: Whether this is plain SGD, for which formulas of fixed points hold.
    plain: ClassVar[bool] = False
    #: Whether ``gain`` changes the gradient of every sample.
    scales_samples: ClassVar[bool] = False
    #: Whether what it makes of a sample's gradient jumps as the gradient moves.
    jumps: ClassVar[bool] = False
    #: Whether ``direction`` uses ``At.noise``.
    noisy: ClassVar[bool] = False
    #: Whether the second layer moves first, and the first layer sees it moved.
    alternates: ClassVar[bool] = False
    #: Whether it treats coordinates one by one, so that rotations matter: real vectors alone.
    by_coordinate: ClassVar[bool] = False
    #: Whether parameters move as without it.
    leaves_steps: ClassVar[bool] = False
    #: Whether ``population_step`` says the step, from the population loss before it.
    asks_population: ClassVar[bool] = False
    #: Whether that needs the least risk of all parameters.
    asks_least_risk: ClassVar[bool] = False
    #: Where it may stand in a ``chain``: 0 looks ahead, 1 scales samples, 2 their mean, 3 the rest.
    stage: ClassVar[int] = 3

    @property
    def plain_factor(self) -> Any:
        """What the step of plain SGD is multiplied by, where that is all; else None."""
        return 1.0 if self.plain else None

    # -- what it declares ----------------------------------------------------------------------

    @property
    def memory(self) -> tuple[Memory, ...]:
        """What it carries along, of the parameters' shape."""
        return ()

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """Numbers that it carries along."""
        return ()

    @property
    def lookahead(self) -> Any:
        """eta, where a sample's gradient is taken after a step of eta/dim on it; or None."""
        return None

    @property
    def simple(self) -> bool:
        """Whether ``update`` says all: no memory, and nothing but the mean gradient."""
        return not (
            self.memory
            or self.scalars
            or self.scales_samples
            or self.noisy
            or self.alternates
            or self.by_coordinate
            or self.asks_population
            or self.lookahead is not None
        )

    @property
    def constant(self) -> bool:
        """Whether it does the same at all times."""
        return True

    def in_the_limit(self) -> "AbstractRule":
        """The rule whose limit dim -> infinity is this one's; default: itself."""
        return self

    # -- what it does --------------------------------------------------------------------------

    def gain(self, size: Float[Array, ""]) -> Float[Array, ""]:
        """Factor of a sample's gradient of size |g||X|/sqrt(dim)."""
        return jnp.ones_like(size)

    def population_step(self, at: Any) -> Float[Array, ""]:
        """The step where the population is as ``at`` says, for rules that ask it."""
        raise TypeError(f"{type(self).__name__} does not ask the population.")

    def accumulate(self, scalars: dict[str, Any], square: Array) -> dict[str, Any]:
        """Scalars after a step whose mean gradient has |gradient|^2/dim^2 = ``square``."""
        return {}

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """(u, memory afterwards): parameters move by -delta u."""
        raise TypeError(
            f"{type(self).__name__} says no direction(gradient, at), which rules with memory and "
            "rules in a chain need."
        )

    def update(self, parameters: T, gradient: T, delta: Any, time: Any) -> T:
        """The parameters after one step of size ``delta`` that starts at nominal ``time``."""
        at = At(parameters, {}, None, {}, delta, time)
        direction, _ = self.direction(gradient, at)
        return parameters - delta * direction  # type: ignore[operator]

    # -- what follows for rules without memory -------------------------------------------------

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
