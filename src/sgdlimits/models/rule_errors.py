"""Errors of expectations by a rule, from other rules: one estimate for all models."""

from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, Self, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.expectations.rules import AbstractRule

T = TypeVar("T", covariant=True)
V = TypeVar("V")

_ROUNDING = 1e-11  # of the expectations themselves
_MOST = 30.0  # times the last distance
_NEAR = 0.8  # cosine of the angle between neurons


@runtime_checkable
class Estimates(Protocol):
    """A tree of arrays with several estimates along the leading axis of each."""

    def mean(self) -> Self:
        """Over that axis."""
        ...

    def deviations(self) -> Self:
        """Whose squares add up to the squared standard error of the mean."""
        ...


E = TypeVar("E", bound=Estimates)


def rule_deviations(
    estimates: Callable[[AbstractRule], E],
    rule: AbstractRule,
    size: Callable[[E], E],
    coarser: AbstractRule | None = None,
) -> E:
    """Deviations whose squares add up to that of the error, along the leading axis.

    Distances to a coarser rule and, where it has them, to its half and to one that goes through the
    fields in another order; or deviations of replicates.

    Args:
        estimates: by any rule, replicates along a leading axis.
        rule: the one whose errors are wanted.
        size: scales of expectations.
        coarser: to compare with where the rule names none; default: its replicates tell.

    Raises:
        ValueError: if there is nothing to compare with.
    """
    coarser, half, fine = rule.coarser() or coarser, rule.half(), estimates(rule)
    if coarser is None:
        if len(jax.tree.leaves(fine)[0]) < 2:
            raise ValueError(f"rule={rule!r}: it has no error estimate; take a larger one.")
        return fine.deviations()
    rounding = jax.tree.map(lambda x: _ROUNDING * x, fine)
    near = jax.tree.map(jnp.subtract, fine, estimates(coarser))
    if half is None:
        parts = [rounding, near]
    else:
        at_half = estimates(half)
        parts = [
            rounding,
            jax.tree.map(lambda *x: _summed(rule.steps_from_half, *x), near, fine, at_half),
            left_over(fine, at_half, size(fine.mean())),
        ]
    turned = rule.turned()
    if turned is not None:
        parts.append(jax.tree.map(jnp.subtract, fine, estimates(turned)))
    return jax.tree.map(lambda *x: jnp.concatenate(x), *parts)


def _summed(steps: int, near: Array, fine: Array, half: Array) -> Array:
    """The last distance and those that would follow: a geometric series.

    Its ratio is that of the last distance to the one from half of the nodes, ``steps`` ago.
    """
    if steps < 2:  # nothing lies between
        return near
    far = jnp.max(jnp.abs(fine - half), initial=0.0)
    ratio = jnp.max(jnp.abs(near), initial=0.0) / jnp.where(far > 0, far, 1.0)
    step = jnp.clip(ratio, 0.0, 1.0) ** (1 / (steps - 1))
    return near / (1 - jnp.minimum(step, 1 - 1 / _MOST))


def left_over(fine: E, half: E, size: E) -> E:
    """Part of the distance to half of the nodes that may still be missing.

    All of it where that distance is large: a rule that has not begun to converge is no nearer to
    the truth than to its own half. Geometric convergence would leave its square.
    """
    return jax.tree.map(_left_over, fine, half, size)


def wedges(
    fine: E,
    estimates: Callable[[AbstractRule], E],
    rule: AbstractRule,
    Q: Float[Array, "*blocks width width"],
) -> E:
    """Distance to the rule that goes through fields in another order; 0 unless two are near.

    Only there do coarser rules miss what the rule itself misses.
    """
    turned = rule.turned()
    if turned is None:
        return jax.tree.map(jnp.zeros_like, fine)
    norm = jnp.sqrt(jnp.diagonal(Q, axis1=-2, axis2=-1))
    cosine = jnp.abs(Q) / jnp.maximum(norm[..., None] * norm[..., None, :], 1e-300)
    near = jnp.max(jnp.triu(cosine, 1)) > _NEAR
    return jax.lax.cond(
        near,
        lambda: jax.tree.map(jnp.subtract, fine, estimates(turned)),
        lambda: jax.tree.map(jnp.zeros_like, fine),
    )


class Coarser(NamedTuple, Generic[T]):
    """What is the same but for coarser expectations, the nearest first: none if all is exact.

    ``steps``: how often the way to the first of them leads to the second. ``turned``: one as fine,
    that goes through fields in another order; none or one.
    """

    others: tuple[T, ...] = ()
    steps: int = 1
    turned: tuple[T, ...] = ()

    def map(self, function: Callable[[T], V]) -> "Coarser[V]":
        """Of something else."""
        others, turned = (tuple(function(x) for x in part) for part in (self.others, self.turned))
        return Coarser(others, self.steps, turned)

    def deviations(self: "Coarser[Array]", fine: Array) -> list[Array]:
        """Of an array, from the same by coarser expectations; squares add up to the error's."""
        turned = [fine - other for other in self.turned]
        if len(self.others) < 2:
            return [*(fine - near for near in self.others), *turned]
        near, half = self.others
        scale = jnp.max(jnp.abs(fine), initial=0.0)
        return [
            _summed(self.steps, fine - near, fine, half),
            _left_over(fine, half, scale),
            *turned,
        ]


def _left_over(fine: Array, half: Array, scale: Array) -> Array:
    far, safe = fine - half, jnp.where(scale > 0, scale, 1.0)
    return far * jnp.minimum(1.0, jnp.sqrt(jnp.max(jnp.abs(far), initial=0.0) / safe))
