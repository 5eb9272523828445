"""What errors of expectations are small or large against."""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.models.expectations import Expectations
from sgdlimits.statistics.base import AbstractStatistics

if TYPE_CHECKING:
    from sgdlimits.models.row_model import AbstractRowModel


def scales(model: "AbstractRowModel", u: AbstractStatistics, e: Expectations) -> Expectations:
    """One size for each of the four, from |E[g x]|^2 <= E[g^2] E[x^2] with the largest of each.

    They do not vanish at fixed points, where the expectations do.
    """
    now = model.overlaps(u)
    root = lambda x: jnp.sqrt(jnp.max(jnp.diagonal(x, axis1=-2, axis2=-1), initial=0.0))  # noqa: E731
    g = root(e.gg)
    h = jnp.maximum(g, jnp.max(jnp.abs(e.h), initial=0.0))
    return Expectations(h, g * root(jnp.asarray(model.data.gram)), g * root(now.Q), g * g)


_NAMES = ("E[dl/dv]", "E[dl/ds f]", "E[dl/ds s]", "E[dl/ds dl/ds]")


def relative_errors(
    model: "AbstractRowModel", u: AbstractStatistics
) -> dict[str, Float[Array, ""]]:
    """Largest estimated error of each of the four in units of its scale; none without errors."""
    deviations = model.deviations(u)
    if deviations is None:
        return {}
    return in_scales(deviations, scales(model, u, model.expectations(u)))


def in_scales(deviations: Expectations, size: Expectations) -> dict[str, Float[Array, ""]]:
    """Root of the sum of squares of deviations, the largest of each of the four, by name."""

    def worst(deviation: Array, scale: Array) -> Array:
        error = jnp.sqrt(jnp.sum(deviation**2, axis=0))
        return jnp.max(error, initial=0.0) / jnp.where(scale > 0, scale, 1.0)

    return dict(zip(_NAMES, jax.tree.map(worst, deviations, size), strict=True))
