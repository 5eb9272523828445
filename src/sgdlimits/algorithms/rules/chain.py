"""Several rules after one another."""

from itertools import pairwise
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.algorithms.rules.base import AbstractRule, At, Memory, Scalar, T

_WHERE = (
    "looks ahead on single samples, and stands first",
    "acts on single samples, before their mean is taken",
    "measures the mean gradient, before momentum and noise",
)


class Chain(AbstractRule):
    """Rules in order, each of which takes for the gradient what the one before made of it."""

    rules: tuple[AbstractRule, ...]

    def __check_init__(self) -> None:
        if not self.rules:
            raise ValueError("chain(): expected at least one rule.")
        for rule in self.rules:
            if type(rule).direction is AbstractRule.direction and not rule.plain:
                raise TypeError(
                    f"chain: {type(rule).__name__} says no direction(gradient, at), which rules in "
                    "a chain need."
                )
        for one, other in pairwise(self.rules):
            if one.stage > other.stage:
                raise ValueError(
                    f"chain: {_name(other)} {_WHERE[other.stage]}; put it before {_name(one)}."
                )
        self._check_once("look ahead", [rule.lookahead is not None for rule in self.rules])
        self._check_once("add noise", [rule.noisy for rule in self.rules])
        self._check_once("alternate", [rule.alternates for rule in self.rules])
        self._check_once("take signs", [rule.by_coordinate for rule in self.rules])
        if self.alternates and self.lookahead is not None:
            raise ValueError(
                "chain: repeat looks ahead in the first layer alone, alternate moves the second "
                "first; what both mean together nobody has said. Take one of them."
            )
        if self.asks_population:
            others = [r for r in self.rules if not (r.asks_population or r.leaves_steps)]
            if others or sum(r.asks_population for r in self.rules) > 1:
                names = " and ".join(_name(rule) for rule in self.rules)
                raise ValueError(
                    f"chain: {names}: what the population says of a step is known for plain steps; "
                    "beside such a rule there may be average alone."
                )
        carried = [x.name for x in (*self.memory, *self.scalars)]
        for name in carried:
            if carried.count(name) > 1:
                raise ValueError(f"chain: two rules carry {name!r} along; take one of them.")

    def _check_once(self, what: str, does: list[bool]) -> None:
        if sum(does) > 1:
            names = [_name(rule) for rule, it in zip(self.rules, does, strict=True) if it]
            raise ValueError(f"chain: {' and '.join(names)} both {what}; take one of them.")

    @property
    def memory(self) -> tuple[Memory, ...]:
        """Of all."""
        return tuple(memory for rule in self.rules for memory in rule.memory)

    @property
    def scalars(self) -> tuple[Scalar, ...]:
        """Of all."""
        return tuple(scalar for rule in self.rules for scalar in rule.scalars)

    @property
    def lookahead(self) -> Any:
        """Of the one that has any."""
        return next((r.lookahead for r in self.rules if r.lookahead is not None), None)

    @property
    def scales_samples(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether one does."""
        return any(rule.scales_samples for rule in self.rules)

    @property
    def noisy(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether one does."""
        return any(rule.noisy for rule in self.rules)

    @property
    def jumps(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether one does."""
        return any(rule.jumps for rule in self.rules)

    @property
    def alternates(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether one does."""
        return any(rule.alternates for rule in self.rules)

    @property
    def by_coordinate(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether one does."""
        return any(rule.by_coordinate for rule in self.rules)

    @property
    def constant(self) -> bool:
        """Whether all are."""
        return all(rule.constant for rule in self.rules)

    @property
    def asks_population(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether one does."""
        return any(rule.asks_population for rule in self.rules)

    @property
    def asks_least_risk(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether one does."""
        return any(rule.asks_least_risk for rule in self.rules)

    @property
    def leaves_steps(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether all do."""
        return all(rule.leaves_steps for rule in self.rules)

    def population_step(self, at: Any) -> Float[Array, ""]:
        """Of the one that says it."""
        return next(rule for rule in self.rules if rule.asks_population).population_step(at)

    def in_the_limit(self) -> AbstractRule:
        """The limits of all, in order."""
        limits = [rule.in_the_limit() for rule in self.rules]
        same = all(one is other for one, other in zip(limits, self.rules, strict=True))
        return self if same else chain(*limits)

    def gain(self, size: Float[Array, ""]) -> Float[Array, ""]:
        """Of all, one after the other."""
        total = jnp.ones_like(size)
        for rule in self.rules:
            total = total * rule.gain(total * size)
        return total

    def accumulate(self, scalars: dict[str, Any], square: Array) -> dict[str, Any]:
        """By all."""
        return {k: x for rule in self.rules for k, x in rule.accumulate(scalars, square).items()}

    def direction(self, gradient: T, at: At) -> tuple[T, dict[str, T]]:
        """The last one's."""
        memory = {}
        for rule in self.rules:
            if rule.plain:
                continue
            gradient, after = rule.direction(gradient, at)
            memory |= after
        return gradient, memory


def chain(*rules: Any) -> AbstractRule:
    """Rules after one another: each takes for the gradient what the one before made of it.

    So ``chain(weight_decay(a), momentum(beta=0.9))`` puts the decay into the velocity, and
    ``chain(momentum(beta=0.9), weight_decay(a))`` decays the parameters alone. Rules that act on
    single samples (``repeat``, then ``clip``, ``normalise``) stand first, then ``adagrad_norm``,
    then the rest. ``average`` leaves the gradient as it is, and may stand anywhere after these.

    Raises:
        TypeError, ValueError: for what is no rule, or a combination that has no meaning.
    """
    flat: list[AbstractRule] = []
    for rule in rules:
        if not isinstance(rule, AbstractRule):
            raise TypeError(f"chain: {rule!r} is no rule; expected some of sgdlimits.rules.")
        flat += rule.rules if isinstance(rule, Chain) else [rule]
    return Chain(tuple(flat)) if len(flat) != 1 else flat[0]


def _name(rule: AbstractRule) -> str:
    return type(rule).__name__
