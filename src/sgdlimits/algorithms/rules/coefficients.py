"""A rule as numbers: what it makes of (parameters, memory, gradient, noise), which is linear."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.algorithms.rules.base import AbstractRule, At


class Rates(NamedTuple):
    """R' = mix R + gradient x (mean gradient) per unit of nominal time, and kicks of noise.

    R stands for (parameters, memory...): mix (kinds, kinds), gradient and noise (kinds,).
    """

    mix: Float[Array, "kinds kinds"]
    gradient: Float[Array, " kinds"]
    noise: Float[Array, " kinds"]

    def layer(self, rate: Any) -> "Rates":
        """Of the second layer, whose own steps are ``rate`` times as long."""
        scale = jnp.ones(len(self.gradient)).at[0].set(rate)
        return Rates(scale[:, None] * self.mix, scale * self.gradient, scale * self.noise)


def rates_of(rule: AbstractRule, scalars: dict[str, Array], time: Any) -> Rates:
    """Of a rule that changes what it carries along by order delta in a step."""
    if rule.simple:
        a, b = rule.rates(time)
        return Rates(a[None, None], b[None], jnp.zeros(1))
    names = [memory.name for memory in rule.memory]
    kinds = 1 + len(names)
    basis = list(jnp.eye(kinds + 2))

    def moved(delta: Array) -> tuple[Array, Array]:
        memory = dict(zip(names, basis[1:kinds], strict=True))
        at = At(basis[0], memory, basis[kinds + 1], scalars, delta, time)
        direction, memory = rule.direction(basis[kinds], at)
        after = [memory[name] for name in names]
        return direction, jnp.stack(after) if after else jnp.zeros((0, kinds + 2))

    none = jnp.zeros(())
    (direction, _), (_, rate) = jax.jvp(moved, (none,), (jnp.ones(()),))
    table = jnp.concatenate([-direction[None], rate])
    return Rates(table[:, :kinds], table[:, kinds], table[:, kinds + 1])
