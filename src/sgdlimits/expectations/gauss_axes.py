"""Axes of tensor products of Gauss rules, each split at the kink that the ones before it place."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sgdlimits.expectations.truncated_gauss import truncated_gauss

FAR = 8.0  # a kink further out than this carries a weight below rounding

#: Coordinates of nodes, one array each, and weights, of the same shape.
Grid = tuple[list[Array], Array]


def empty_grid() -> Grid:
    """Of no axis."""
    return [], jnp.ones(())


def with_axis(grid: Grid, mean: Array, row: Array, order: int, kinks: tuple[float, ...]) -> Grid:
    """One more axis, on which the field mean + row z has at most one kink."""
    centre = centre_of(grid, mean, row)
    if kinks:
        z, share = truncated_gauss(kink_edges(centre, row[len(grid[0])], kinks)[0], order)
    else:
        z, share = (jnp.broadcast_to(x, (*centre.shape, x.size)) for x in hermite(order))
    return appended(grid, z, share)


def centre_of(grid: Grid, mean: Array, row: Array) -> Array:
    """The mean of a field given the coordinates so far."""
    columns, weight = grid
    centre = mean + sum(row[k] * column for k, column in enumerate(columns))
    return jnp.broadcast_to(centre, weight.shape)


def appended(grid: Grid, z: Array, share: Array) -> Grid:
    """With nodes of a further coordinate, along the last axis, at every node."""
    columns, weight = grid
    columns = [*(jnp.broadcast_to(c[..., None], z.shape) for c in columns), z]
    return columns, weight[..., None] * share


def flat(grid: Grid) -> tuple[Array, Array]:
    """(z, weight): z (coordinates, nodes)."""
    columns, weight = grid
    return jnp.stack([column.ravel() for column in columns]), weight.ravel()


def hermite(order: int) -> tuple[Array, Array]:
    """Nodes and weights, 2*order of each, for the normal law."""
    z, weight = np.polynomial.hermite_e.hermegauss(2 * order)
    return jnp.asarray(z), jnp.asarray(weight / weight.sum())


def kink_edges(centre: Array, scale: Array, kinks: tuple[float, ...]) -> list[Array]:
    """Kinks of one coordinate in units of its standard normal, kept within |z| <= 8."""
    positive = scale > 0
    safe = jnp.where(positive, scale, 1.0)
    return [
        jnp.clip(jnp.where(positive, (kink - centre) / safe, FAR), -FAR, FAR)
        for kink in sorted(kinks)
    ]
