"""Gauss rules on panels that follow the activations' own points and the Gaussian's scale.

For u = L z, z ~ N(0, I), in one to three dimensions: coordinate by coordinate, z_j is integrated
over |z_j| <= 8.5, cut where the normal law asks for it, at the own points of u_j, and where those
of later variables show through, smeared over the width of what is still to come. In every piece
stand a few Gauss-Legendre nodes, with the normal density as weight. Nothing crosses a break, so
that sums over nodes are differentiable in L although functions jump.

Pieces outside the normal law's range have zero width and count for nothing: the program's shape is
fixed, whatever the state. Sources: none, tuned here; see ``tests/expectations``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.own_points import OwnPoints
from sgdlimits.expectations.sorting import merge

RANGE = 8.5  # standard deviations; beyond lies 2e-17 of the normal law
#: Where the normal law asks for panels; fewer where panels are multiplied three times.
_GAUSSIAN = {False: (-5.0, -2.5, -1.0, 0.0, 1.0, 2.5, 5.0), True: (-4.5, -1.6, 1.6, 4.5)}
#: Where a smeared break needs panels, in its width; fewer for activations of many breaks.
_LAYERS = ((-5.0, -2.0, 0.0, 2.0, 5.0), (-3.0, 0.0, 3.0), (0.0,))
_FEW, _SOME = 2, 8  # breaks
_SMEAR = 4.0  # widths to which the outermost bends move
_COARSE_FROM = 3  # dimensions


class Axis(NamedTuple):
    """One coordinate: nodes and weights given the coordinates before; the last axis are nodes.

    ``z`` and ``weight`` have one axis for every coordinate so far; ``weight`` is that of this
    coordinate alone, and sums to one.
    """

    z: Float[Array, "*before nodes"]
    weight: Float[Array, "*before nodes"]

    def mean(self, values: Float[Array, "*before nodes"]) -> Float[Array, "*before"]:
        """Of a function's values at the nodes, over this coordinate."""
        return jnp.sum(self.weight * values, axis=-1)

    def covariance(self, values: Float[Array, "*before nodes"]) -> Float[Array, "*before"]:
        """Of values with z.

        The rule's own mean of z, not quite zero, is taken off: nothing is left of a constant, so
        that the quotient by a small width keeps its digits.
        """
        z = self.z - jnp.sum(self.weight * self.z, axis=-1, keepdims=True)
        return jnp.sum(self.weight * z * values, axis=-1)


def panel_axes(
    mean: Float[Array, " dim"],
    factor: Float[Array, "dim dim"],
    points: Sequence[OwnPoints],
    orders: Sequence[int],
) -> list[Axis]:
    """Nodes for u = mean + factor z, ``orders`` nodes in every panel of each coordinate.

    ``factor`` is lower triangular with a diagonal that is not negative.
    """
    dim, axes = len(points), []
    coarse = dim >= _COARSE_FROM
    centres = [mean[l] for l in range(dim)]  # of u_l given the coordinates so far  # noqa: E741
    for j, order in enumerate(orders):
        cuts = _gaussian(centres[j], coarse)
        cuts = merge(cuts, _inside(points[j].all, centres[j], factor[j, j]))
        for l in range(j + 1, dim):  # noqa: E741
            spread = _length(factor[l, j + 1 : l + 1])
            through = _shining_through(points[l], coarse, centres[l], factor[l, j], spread)
            cuts = merge(cuts, through)
        axis = _nodes(cuts, order)
        axes.append(axis)
        centres = [c[..., None] + factor[l, j] * axis.z for l, c in enumerate(centres)]  # noqa: E741
    return axes


def nodes_around(
    mean: Float[Array, "*before"], spread: Float[Array, "*before"], at: OwnPoints, order: int
) -> Axis:
    """Nodes z for mean + spread z, for many means and spreads at once."""
    cuts = merge(_gaussian(mean, coarse=False), _inside(at.all, mean, spread))
    return _nodes(cuts, order)


def panel_count(points: Sequence[OwnPoints], j: int) -> int:
    """Panels of coordinate j."""
    coarse = len(points) >= _COARSE_FROM
    count = len(_GAUSSIAN[coarse]) + 1 + len(points[j].all)
    for later in points[j + 1 :]:
        count += len(later.bends) + len(later.breaks) * len(_layers(later, coarse))
    return count


def _gaussian(centre: Array, coarse: bool) -> Array:
    cuts = jnp.asarray([-RANGE, *_GAUSSIAN[coarse], RANGE])
    return jnp.broadcast_to(cuts, (*centre.shape, len(cuts)))


def _inside(at: tuple[float, ...], centre: Array, scale: Array) -> Array:
    """Points of u_j on z_j's axis, ascending; all at the end where u_j does not depend on z_j."""
    scale = scale[..., None]
    positive = scale > 0
    cut = (jnp.asarray(np.array(at, float)) - centre[..., None]) / jnp.where(positive, scale, 1.0)
    return jnp.where(positive, jnp.clip(cut, -RANGE, RANGE), RANGE)


def _shining_through(
    at: OwnPoints, coarse: bool, centre: Array, slope: Array, spread: Array
) -> Array:
    """Points of a later variable on z_j's axis, ascending, as it is averaged over ``spread``."""
    moves = jnp.abs(slope) > 0
    cut = (_smeared(at, coarse, spread) - centre[..., None]) / jnp.where(moves, slope, 1.0)
    return jnp.sort(jnp.where(moves, jnp.clip(cut, -RANGE, RANGE), RANGE), axis=-1)


def _smeared(at: OwnPoints, coarse: bool, spread: Array) -> Float[Array, " points"]:
    """Where an activation averaged over noise of this width bends.

    Breaks have layers around them. Bends move away from the middle one as the noise gets wider than
    they are apart: then all of them together are one break, and they are its layers.
    """
    layers = _layers(at, coarse)
    fixed = np.array([b for b in at.breaks for _ in layers])
    moving = np.array([t for _ in at.breaks for t in layers])
    points = [jnp.asarray(fixed) + spread * jnp.asarray(moving)]
    if at.bends:
        bends = np.array(at.bends)
        middle = int(np.argmin(np.abs(bends - np.median(bends))))
        rank = np.arange(len(bends)) - middle
        away = _SMEAR * rank / max(1, np.abs(rank).max())
        apart = bends - bends[middle]
        others = np.flatnonzero(rank)
        widened = jnp.sqrt(apart[others] ** 2 + (away[others] * spread) ** 2)
        points.append(jnp.asarray(bends[[middle]]))
        points.append(bends[middle] + jnp.asarray(np.sign(rank[others]).astype(float)) * widened)
    return jnp.concatenate(points)


def _layers(at: OwnPoints, coarse: bool) -> tuple[float, ...]:
    few, some = len(at.breaks) <= _FEW and not coarse, len(at.breaks) <= _SOME
    return _LAYERS[0 if few else 1 if some else 2]


def _nodes(cuts: Array, order: int) -> Axis:
    t, w = np.polynomial.legendre.leggauss(order)
    low, half = cuts[..., :-1, None], jnp.diff(cuts)[..., None] / 2
    z = low + half * (1 + jnp.asarray(t))
    weight = half * jnp.asarray(w) * jnp.exp(-z * z / 2)
    z, weight = (x.reshape(*cuts.shape[:-1], -1) for x in (z, weight))
    return Axis(z, weight / jnp.sum(weight, axis=-1, keepdims=True))


def _length(x: Array) -> Array:
    square = jnp.sum(x * x)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
