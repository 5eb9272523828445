"""Nodes of one class as flat arrays, for expectations that need no derivative."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sgdlimits.expectations.rules import AbstractRule, Nodes, QuasiMonteCarlo


def flat_nodes(
    rule: AbstractRule, mean: np.ndarray, factor: np.ndarray, kinks: tuple[float, ...]
) -> tuple[Array, Array]:
    """(z, weight) of a rule for s = mean + factor z, one row a node of any replicate."""
    # Splitting every coordinate at its kink keeps half of the nodes on either side, whatever the
    # side's probability. With many neurons that have chosen a side, next to no node then carries
    # any weight (measured at width 20: eigenvalues off by a factor 3). Derivatives are not taken
    # here, so quasi-Monte-Carlo nodes may cross kinks, and all weights are equal.
    if isinstance(rule, QuasiMonteCarlo):
        nodes = rule.nodes(jnp.asarray(mean), jnp.asarray(factor), ())
    else:
        nodes = _compiled(rule, jnp.asarray(mean), jnp.asarray(factor), kinks)
    z, weight = nodes.together
    return z.T, weight


@eqx.filter_jit
def _compiled(rule: AbstractRule, mean: Array, factor: Array, kinks: tuple[float, ...]) -> Nodes:
    return rule.nodes(mean, factor, kinks)
