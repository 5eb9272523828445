"""Errors of what a process computes at a state, from other expectations than its own."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics


def error_of(
    process: Process,
    value: Callable[..., Float[Array, "*shape"]],
    u: AbstractStatistics,
    *arguments: Any,
) -> Float[Array, "*shape"]:
    """Estimated absolute error of ``value(process, u, *arguments)`` at one state.

    The spread of independent estimates, where moments are Monte Carlo; else distances to coarser
    rules. 0 where all is by formula, NaN where nothing is known.
    """
    replicates = process.replicates()
    if len(replicates) > 1:
        each = jnp.stack([value(other, u, *arguments) for other in replicates])
        return jnp.std(each, axis=0, ddof=1) / len(replicates) ** 0.5
    here, coarser = value(process, u, *arguments), process.coarser()
    if coarser is None:
        return jnp.full_like(here, jnp.nan)
    each = coarser.map(lambda other: value(other, u, *arguments)).deviations(here)
    return jnp.sqrt(sum((x * x for x in each), jnp.zeros_like(here)))


def corrector_error(process: Process, u: AbstractStatistics, time: Any) -> AbstractStatistics:
    """Of the corrector."""
    vector = lambda process, u, time: process.corrector(u, time).vector  # noqa: E731
    return u.with_vector(error_of(process, vector, u, time))


def diffusion_error(process: Process, u: AbstractStatistics, time: Any) -> Array:
    """Of the covariance per unit time."""

    def covariance(process: Process, u: AbstractStatistics, time: Any) -> Array:
        factor = process.diffusion_factor(u, time)
        return factor @ factor.T

    return error_of(process, covariance, u, time)
