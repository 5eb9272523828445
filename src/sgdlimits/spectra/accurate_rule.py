"""Expectations of spectra that are as accurate as is asked for, or a warning that they are not."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sgdlimits.expectations.rules import AbstractRule
from sgdlimits.limits.adequate import ENOUGH, InaccurateWarning
from sgdlimits.models.rule_errors import Estimates, rule_deviations

E = TypeVar("E", bound=Estimates)


class Accurate(NamedTuple):
    """A mean, and deviations along a leading axis whose squares add up to its squared error."""

    mean: Any
    deviations: Any


def accurate(
    name: str,
    estimates: Callable[[AbstractRule | None], E],
    rules: tuple[AbstractRule, ...],
    sizes: Callable[[E], E] | None = None,
) -> "Accurate":
    """By the first rule with an error of at most 1e-3 of the largest number, or the last one.

    Args:
        name: of what is estimated, for the warning.
        estimates: by any rule, replicates along the leading axes of the arrays.
        rules: each finer than the one before; none: there is nothing to integrate over.
        sizes: what errors are small against; default: the largest number of all.

    Warns:
        InaccurateWarning: if none reaches that.
    """
    if not rules:
        mean = estimates(None).mean()
        return Accurate(mean, jax.tree.map(lambda x: np.zeros((1, *np.shape(x))), mean))
    sizes = sizes or largest
    least, best, by = np.inf, None, rules[0]
    for rule in rules:
        found = _by_rule(estimates, rule, sizes)
        worst = max(jax.tree.leaves(jax.tree.map(_relative, found.deviations, sizes(found.mean))))
        if worst < least or best is None:
            least, best, by = worst, found, rule
        if worst <= ENOUGH:
            break
    assert best is not None
    if not least <= ENOUGH:
        warnings.warn(
            f"{name} is known to {least:.1e} of its scale only, by {type(by).__name__} of "
            f"{by.count} nodes; its error says so. For less of it give the model a finer rule=, "
            "such as QuasiMonteCarlo(dim, log2_nodes=18, split=False).",
            InaccurateWarning,
            stacklevel=4,
        )
    return best


def _by_rule(
    estimates: Callable[[AbstractRule | None], E], rule: AbstractRule, sizes: Callable[[E], E]
) -> "Accurate":
    kept: dict[AbstractRule, E] = {}

    def once(rule: AbstractRule) -> E:
        if rule not in kept:
            kept[rule] = jax.tree.map(jnp.asarray, estimates(rule))
        return kept[rule]

    if rule.has_error_estimate:
        deviations = jax.tree.map(np.asarray, rule_deviations(once, rule, sizes))
    else:
        deviations = jax.tree.map(lambda x: np.full_like(x, np.nan), once(rule))
    return Accurate(jax.tree.map(np.asarray, once(rule).mean()), deviations)


def largest(of: E) -> E:
    """The largest number of all arrays: parts of one matrix have one scale."""
    size = max(float(np.max(np.abs(x), initial=0.0)) for x in jax.tree.leaves(of))
    return jax.tree.map(lambda x: jnp.asarray(size), of)


def _relative(deviations: np.ndarray, size: Array) -> float:
    error = np.sqrt((deviations**2).sum(0))
    return float(np.max(error, initial=0.0) / size) if size > 0 else 0.0
