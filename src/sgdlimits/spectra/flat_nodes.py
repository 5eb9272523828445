"""Nodes of one class as flat arrays, for expectations that need no derivative."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.rules import AbstractRule, QuasiMonteCarlo


def flat_nodes(
    rule: AbstractRule, mean: np.ndarray, factor: np.ndarray, kinks: tuple[float, ...]
) -> tuple[Float[np.ndarray, "replicates nodes dim"], Float[np.ndarray, "replicates nodes"]]:
    """(z, weight) for fields mean + factor z, as many as there are z or more.

    Rules that split coordinates at kinks are for square factors: there a field is a coordinate's.
    """
    # Splitting every coordinate at its kink keeps half of the nodes on either side, whatever the
    # side's probability. With many neurons that have chosen a side, next to no node then carries
    # any weight (measured at width 20: eigenvalues off by a factor 3). Derivatives are not taken
    # here, so quasi-Monte-Carlo nodes may cross kinks, and all weights are equal.
    square = len(factor) == factor.shape[1]
    if not square:
        mean, factor, kinks = np.zeros(factor.shape[1]), np.eye(factor.shape[1]), ()
    if isinstance(rule, QuasiMonteCarlo):
        z, weight = rule.nodes(jnp.asarray(mean), jnp.asarray(factor), ())
    else:
        z, weight = _compiled(rule, jnp.asarray(mean), jnp.asarray(factor), kinks)
    return np.asarray(z).swapaxes(1, 2), np.asarray(weight)


@eqx.filter_jit
def _compiled(
    rule: AbstractRule, mean: Array, factor: Array, kinks: tuple[float, ...]
) -> tuple[Array, Array]:
    return rule.nodes(mean, factor, kinks)
