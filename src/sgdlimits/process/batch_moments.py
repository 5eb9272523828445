"""Mean and covariance of one plain step on a batch, from those of a step on one sample.

With G the mean of B independent gradients, E[G Gᵀ] = E[g gᵀ]/B + (1 - 1/B) E[g] E[g]ᵀ.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.expectations.small_linalg import cholesky, solve_lower
from sgdlimits.models.base import PlainStep
from sgdlimits.models.expectations import Expectations
from sgdlimits.models.row_model import AbstractRowModel
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.overlaps import Statistics
from sgdlimits.statistics.rows import coordinates


def batch_moments(
    model: AbstractRowModel, u: AbstractStatistics, plain: PlainStep, dim: Array
) -> tuple[Float[Array, " statistics"], Float[Array, "statistics statistics"]]:
    """Of the increment. The mean is exact; the covariance too, for one sample a step.

    For more its error is of relative order 1/dim (unless the model knows it).
    """
    delta, batch = plain.step / dim, plain.batch
    if batch == 1 or model.knows_batches:
        mean, covariance = model.increment_moments(u, plain, dim)
        return delta * mean, delta**2 * covariance
    single, _ = model.increment_moments(u, plain._replace(batch=1), dim)
    e, now = model.expectations(u), model.overlaps(u)
    square = delta * mean_square(e, now, model.data.root)
    alone = Statistics(-plain.rate * e.h, -e.gf, square - e.gs - e.gs.T)
    mean = single / batch + (1 - 1 / batch) * model.of_overlaps(alone).vector
    # As one sample does at a step that is shorter by the size of the batch.
    _, covariance = model.increment_moments(u, PlainStep(plain.step / batch, plain.rate), dim)
    return delta * mean, delta**2 / batch * covariance


def mean_square(
    e: Expectations, now: Statistics, root: Float[Array, "r r"]
) -> Float[Array, "rows rows"]:
    """E[gradient] E[gradient]ᵀ in the rows, which lies in the span of frame and rows."""
    inside = solve_lower(_factor(now, root), jnp.concatenate([e.gf, e.gs], axis=1).T)
    return inside.T @ inside


def mean_in_span(
    e: Expectations, now: Statistics, root: Float[Array, "r r"]
) -> Float[Array, "rows span"]:
    """E[gradient] in the rows as weights of frame and rows."""
    factor = _factor(now, root)
    inside = solve_lower(factor, jnp.concatenate([e.gf, e.gs], axis=1).T)
    return jnp.linalg.lstsq(factor.T, inside)[0].T


def _factor(now: Statistics, root: Float[Array, "r r"]) -> Float[Array, "span span"]:
    B, rest = coordinates(now, root)
    return jnp.block([[root, jnp.zeros((len(root), len(B)))], [B, cholesky(rest)]])
