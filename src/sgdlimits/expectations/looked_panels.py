"""Panels for one Gaussian variable that find for themselves where the integrand bends or jumps.

Nothing is declared: the integrand is looked at, at the state where its mean is wanted. Every cell
of the normal law's range is halved, over and over, always keeping the half in which the integrand
bends more (a jump bends without end), and panels shrink towards what is left. So a kink that moves
with a bias, the margin of a hinge and a steep sigmoid at a large norm are all met the same way.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.abstract_rule import AbstractRule, Look, Nodes

RANGE = 8.5  # standard deviations; beyond lies 2e-17 of the normal law
_CELLS = 32
_HALVINGS = 36  # leaves 1e-11 of a cell
_FINEST = 24
_GRADES = (0.0, 0.75, 0.9375, 0.984375)  # where panels start on the way to the sharpest point


class LookedPanels(AbstractRule):
    """Gauss-Legendre nodes on panels that shrink towards the sharpest point of every cell.

    Args:
        order: nodes in a panel.
    """

    order: int = eqx.field(static=True, default=8)

    @property
    def dim(self) -> int:
        """One."""
        return 1

    @property
    def follows_jumps(self) -> bool:
        """It looks for them."""
        return True

    @property
    def count(self) -> int:
        """Of all panels."""
        return _CELLS * 2 * len(_GRADES) * self.order

    def nodes(
        self,
        mean: Float[Array, " dim"],
        factor: Float[Array, "dim dim"],
        kinks: tuple[float, ...],
    ) -> Nodes:
        """Without a look: panels of equal length."""
        return self.nodes_of(mean, factor, kinks, lambda z: jnp.zeros_like(z))

    def nodes_of(
        self,
        mean: Float[Array, " dim"],
        factor: Float[Array, "dim dim"],
        kinks: tuple[float, ...],
        look: Look,
    ) -> Nodes:
        """For this integrand.

        The sharp points count as fixed on the axis of s = mean + factor z, so that sums over nodes
        have the derivative of the integral where jumps do not move there.
        """
        scale = factor[0, 0]
        safe = jnp.where(scale > 0, scale, 1.0)
        fixed = jax.lax.stop_gradient
        at = _sharpest(look)
        s = fixed(mean[0] + scale * at)
        cut = jnp.where(scale > 0, (s - mean[0]) / safe, at)
        edges = jnp.linspace(-RANGE, RANGE, _CELLS + 1)
        cut = jnp.clip(cut, edges[:-1], edges[1:])
        grades = jnp.asarray(_GRADES)
        rising = edges[:-1, None] + grades * (cut - edges[:-1])[:, None]
        falling = (edges[1:, None] + grades * (cut - edges[1:])[:, None])[:, ::-1]
        ends = jnp.concatenate([rising, cut[:, None], falling[:, :-1]], axis=1).ravel()
        ends = jnp.append(ends, RANGE)
        t, w = np.polynomial.legendre.leggauss(self.order)
        half = jnp.diff(ends)[:, None] / 2
        z = ends[:-1, None] + half * (1 + jnp.asarray(t))
        weight = (half * jnp.asarray(w) * jnp.exp(-z * z / 2)).ravel()
        return Nodes(z.reshape(1, 1, -1), (weight / jnp.sum(weight))[None])

    def coarser(self) -> "LookedPanels | None":
        """Two nodes a panel less."""
        return LookedPanels(self.order - 2) if self.order > 2 else None

    def finer(self) -> "LookedPanels | None":
        """Three times as many nodes."""
        return LookedPanels(_FINEST) if self.order < _FINEST else None


def _sharpest(look: Look) -> Float[Array, " cells"]:
    """Of every cell, the point around which the integrand bends most."""
    edges = jnp.linspace(-RANGE, RANGE, _CELLS + 1)
    low, high = edges[:-1], edges[1:]

    def at(z: Array) -> Array:
        values = jax.lax.stop_gradient(look(z[None]))
        return jnp.where(jnp.isfinite(values), values, 0.0)

    middle = (low + high) / 2
    values = at(jnp.concatenate([edges, middle]))
    size = jnp.max(jnp.abs(values), axis=1, keepdims=True)
    size = jnp.where(size > 0, size, 1.0)
    start = low, high, values[:, :_CELLS], values[:, _CELLS + 1 :], values[:, 1 : _CELLS + 1]

    def halve(_: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        low, high, f_low, f_middle, f_high = state
        middle = (low + high) / 2
        quarters = jnp.concatenate([(low + middle) / 2, (middle + high) / 2])
        f = at(quarters)
        f_left, f_right = f[:, :_CELLS], f[:, _CELLS:]
        left = _bend(f_low, f_left, f_middle, size) >= _bend(f_middle, f_right, f_high, size)
        return (
            jnp.where(left, low, middle),
            jnp.where(left, middle, high),
            jnp.where(left, f_low, f_middle),
            jnp.where(left, f_left, f_right),
            jnp.where(left, f_middle, f_high),
        )

    low, high, *_ = jax.lax.fori_loop(0, _HALVINGS, halve, start)
    return (low + high) / 2


def _bend(low: Array, middle: Array, high: Array, size: Array) -> Float[Array, " cells"]:
    return jnp.max(jnp.abs(low - 2 * middle + high) / size, axis=0)
