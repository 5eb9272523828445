"""What a rule makes of the gradient of a single sample."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from sgdlimits.algorithms.rules.base import AbstractRule
from sgdlimits.models.sample_gradient import Gradient, Seen


def ruled_gradient(model: Any, rule: AbstractRule, v: Array, seen: Seen) -> Gradient:
    """The gradient at ``seen``, ahead of itself and scaled as the rule says."""
    norm2 = seen.norm2
    assert norm2 is not None
    found = model.gradient(v, seen)
    if rule.lookahead is not None:
        eta = jnp.asarray(rule.lookahead, norm2.dtype)
        found = model.gradient(v, seen._replace(s=seen.s - eta * norm2 * found.g))
    if not rule.scales_samples:
        return found
    gain = rule.gain(jnp.sqrt(norm2) * _root(jnp.sum(found.g * found.g)))
    kept = found.penalty
    return Gradient(
        gain * found.g,
        gain * (found.h - kept * v) + kept * v,
        gain * (found.pull - kept) + kept,
        None if found.push is None else gain * found.push,
        kept,
    )


def _root(square: Array) -> Array:
    """With a derivative at 0, which is 0."""
    some = square > 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, square, 1.0)), 0.0)
