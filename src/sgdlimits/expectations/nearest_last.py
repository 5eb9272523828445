"""A Gauss rule that sees what lies between two kinks that are almost one.

On axes that belong to one field each, a thin wedge between the kinks of nearly (anti)parallel
fields falls between nodes; and so it does in every rule that has fewer nodes on the same axes.
Here the last two axes are those of the two fields that are nearest to parallel, turned so that both
vary most along the very last. There both kinks are split, and on the axis before it the point where
they cross.
"""

from itertools import combinations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.abstract_rule import AbstractRule, Nodes
from sgdlimits.expectations.gauss_axes import (
    FAR,
    Grid,
    appended,
    centre_of,
    empty_grid,
    flat,
    with_axis,
)
from sgdlimits.expectations.truncated_gauss import truncated_gauss

_REACH = 6.0  # between two kinks
_LEAST_BETWEEN = 6  # nodes of each half


class NearestLast(AbstractRule):
    """Tensor product of Gauss rules in coordinates of its own.

    Args:
        orders: nodes a side of every coordinate; two or more.
    """

    orders: tuple[int, ...] = eqx.field(static=True)

    @property
    def dim(self) -> int:
        """Of z."""
        return len(self.orders)

    @property
    def count(self) -> int:
        """With one kink a field."""
        *before, last = self.orders
        return int(np.prod([2 * n for n in before])) * 2 * (last + self._between)

    @property
    def _between(self) -> int:
        return max(_LEAST_BETWEEN, self.orders[-1])

    def nodes(
        self,
        mean: Float[Array, " dim"],
        factor: Float[Array, "dim dim"],
        kinks: tuple[float, ...],
    ) -> Nodes:
        """For at most one kink a field."""
        order = _nearest_last(factor)
        rows, mean = factor[order], mean[order]
        turn, upper = jnp.linalg.qr(rows.T)  # rows = upper.T in coordinates y, where z = turn y
        sign = jnp.where(jnp.diagonal(upper) < 0, -1.0, 1.0)
        turn, rows = turn * sign, (upper * sign[:, None]).T
        across, along = _between(rows[-2:, -2:])
        turn = jnp.concatenate(
            [turn[:, :-2], (turn[:, -2:] @ jnp.stack([across, along], axis=1))], axis=1
        )
        grid = empty_grid()
        for j in range(self.dim - 2):
            grid = with_axis(grid, mean[j], rows[j], self.orders[j], kinks)
        plane = rows[-2:, -2:] @ jnp.stack([across, along], axis=1)
        y, weight = flat(self._on_plane(grid, mean[-2:], rows[-2:], plane, kinks))
        return Nodes((turn @ y)[None], weight[None])

    def _on_plane(
        self, grid: Grid, mean: Array, rows: Array, plane: Array, kinks: tuple[float, ...]
    ) -> Grid:
        """The last two axes, where the last two fields have these slopes in ``plane``."""
        if not kinks:
            for order in self.orders[-2:]:
                grid = with_axis(grid, jnp.zeros(()), jnp.zeros(self.dim), order, ())
            return grid
        centre = [centre_of(grid, m, row) for m, row in zip(mean, rows, strict=True)]
        steep = plane[:, 1] != 0
        safe = jnp.where(steep, plane[:, 1], 1.0)
        kink = kinks[0]
        offset = [
            jnp.where(steep[i], (kink - centre[i]) / safe[i], FAR * jnp.ones_like(centre[i]))
            for i in range(2)
        ]
        slope = jnp.where(steep, -plane[:, 0] / safe, 0.0)
        turns = slope[1] - slope[0]
        crossing = (offset[0] - offset[1]) / jnp.where(turns != 0, turns, 1.0)
        crossing = jnp.clip(jnp.where(turns != 0, crossing, FAR), -FAR, FAR)
        grid = appended(grid, *truncated_gauss(crossing, self.orders[-2]))
        y = grid[0][-1]
        at = [offset[i][..., None] + slope[i] * y for i in range(2)]
        low, high = (jnp.clip(f(*at), -FAR, FAR) for f in (jnp.minimum, jnp.maximum))
        return appended(grid, *_two_kinks(low, high, self.orders[-1], self._between))


def _nearest_last(factor: Array) -> Array:
    """The fields in an order whose last two have the largest correlation."""
    n = len(factor)
    pairs = list(combinations(range(n), 2))
    orders = [[*(k for k in range(n - 1, -1, -1) if k not in pair), *pair] for pair in pairs]
    norm = jnp.sqrt(jnp.sum(factor * factor, axis=1))
    unit = factor / jnp.where(norm > 0, norm, 1.0)[:, None]
    i, j = np.array(pairs).T
    return jnp.asarray(orders)[jnp.argmax(jnp.abs(jnp.sum(unit[i] * unit[j], axis=1)))]


def _between(rows: Array) -> tuple[Array, Array]:
    """(across, along): along bisects the smaller angle between two lines in the plane."""
    norm = jnp.sqrt(jnp.sum(rows * rows, axis=1))
    unit = rows / jnp.where(norm > 0, norm, 1.0)[:, None]
    along = unit[0] + jnp.where(unit[0] @ unit[1] < 0, -1.0, 1.0) * unit[1]
    size = jnp.sqrt(along @ along)
    along = jnp.where(size > 0, along / jnp.where(size > 0, size, 1.0), jnp.asarray([0.0, 1.0]))
    return jnp.stack([along[1], -along[0]]), along


def _two_kinks(low: Array, high: Array, order: int, between: int) -> tuple[Array, Array]:
    """Nodes and weights below, between and above two cuts, along a new last axis."""
    below, above = truncated_gauss(low, order), truncated_gauss(high, order)
    low, high = (jnp.clip(x, -_REACH, _REACH) for x in (low, high))
    middle = jnp.clip(0.0, low, high)
    t, w = (jnp.asarray(x) for x in np.polynomial.legendre.leggauss(between))
    z, weight = [below[0][..., :order]], [below[1][..., :order]]
    for begin, end in ((low, middle), (middle, high)):
        half = (end - begin)[..., None] / 2
        nodes = begin[..., None] + half * (1 + t)
        z.append(nodes)
        weight.append(half * w * jnp.exp(-nodes * nodes / 2) / np.sqrt(2 * np.pi))
    z.append(above[0][..., order:])
    weight.append(above[1][..., order:])
    return jnp.concatenate(z, axis=-1), jnp.concatenate(weight, axis=-1)
