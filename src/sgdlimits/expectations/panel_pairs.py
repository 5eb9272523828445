"""Expectations of two activations of two Gaussian variables, by panels.

With x = c zeta + s xi and y = b zeta, the integrals J1 = E[sigma'(x) zeta tau(y)] and
J2 = E[sigma'(x) xi tau(y)] give all three-point functions without any derivative that SGD does not
take: u jointly Gaussian with (x, y) is A zeta + B xi + an independent rest, so that

    E[sigma'(x) u tau(y)] = A J1 + B J2 = 2 k_q Cov(x, u) + k_m Cov(y, u),

which is (Cov(x, u), Cov(y, u)) C^+ (E[sigma' x tau], E[sigma' y tau]). For smooth activations these
k_q and k_m are the derivatives of k = E[sigma(x) tau(y)], by Stein's lemma; with kinks and jumps
they are what the derivatives become with their delta functions.

A variable of zero variance is zero: it counts with sigma(0) and with sigma'(0) of the activation as
SGD uses it (ReLU: 0). Where x and y align k_q is 0, and k_m holds all.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.expectations.activations import AbstractActivation
from sgdlimits.expectations.own_points import OwnPoints, own_points
from sgdlimits.expectations.pairs.base import TwoPoint
from sgdlimits.expectations.panels import Axis, panel_axes, panel_count
from sgdlimits.expectations.small_linalg import cholesky

#: Coarser rules, whose distance from the rule itself (level 0) estimates its error.
LEVELS = (1, 2)
_ORDERS = {32: 6, 48: 5}  # nodes a panel, with up to so many panels on an axis
_ORDER_OF_MORE = 4
_ORDER_ALONE = 10  # in one dimension


class PairIntegrals(NamedTuple):
    """Of sigma and tau; ``backward`` are the same with x and y, sigma and tau, exchanged.

    ``backward`` k_q is the coefficient of the variance of y: dk/dr. ``slopes`` is
    E[sigma'(x) tau'(y)] without what delta functions add to it: the covariance of gradients.
    """

    forward: TwoPoint
    backward: TwoPoint
    slopes: Float[Array, ""]


def pair_integrals(
    sigma: AbstractActivation,
    tau: AbstractActivation,
    q: Float[Array, ""],
    m: Float[Array, ""],
    r: Float[Array, ""],
    level: int = 0,
) -> PairIntegrals:
    """For (x, y) ~ N(0, [[q, m], [m, r]])."""
    points = own_points(tau), own_points(sigma)  # y first, x given y
    orders = [_order(panel_count(points, j), level) for j in (0, 1)]
    factor = cholesky(jnp.stack([jnp.stack([r, m]), jnp.stack([m, q])]))
    outer, inner = panel_axes(jnp.zeros(2), factor, points, orders)
    b, c, s = factor[0, 0], factor[1, 0], factor[1, 1]
    y, x = b * outer.z, c * outer.z[:, None] + s * inner.z
    value, slope = _given(inner, sigma(x)), _given(inner, sigma.slope(x))
    tau_y, slope_y = tau(y), tau.slope(y)
    return PairIntegrals(
        _two_point(outer, value.mean, slope.mean, slope.with_z, tau_y, (b, c, s)),
        _exchanged(outer, value, slope_y, tau_y, (b, c, s)),
        outer.weight @ (slope.mean * slope_y),
    )


def own_integrals(
    sigma: AbstractActivation, tau: AbstractActivation, q: Float[Array, ""], level: int = 0
) -> PairIntegrals:
    """For x = y ~ N(0, q)."""
    one, other = own_points(sigma), own_points(tau)
    breaks = {*one.breaks, *other.breaks}
    bends = {*one.bends, *other.bends} - breaks
    points = [OwnPoints(tuple(sorted(breaks)), tuple(sorted(bends)))]
    factor = cholesky(q[None, None])
    (axis,) = panel_axes(jnp.zeros(1), factor, points, [_ORDER_ALONE - 2 * level])
    x, b = factor[0, 0] * axis.z, factor[0, 0]
    k = axis.weight @ (sigma(x) * tau(x))
    forth, back = sigma.slope(x) * tau(x), tau.slope(x) * sigma(x)
    zero = jnp.zeros(())
    return PairIntegrals(
        TwoPoint(k, _over(axis.covariance(forth), b), zero),
        TwoPoint(k, _over(axis.covariance(back), b), zero),
        axis.weight @ (sigma.slope(x) * tau.slope(x)),
    )


class _Given(NamedTuple):
    """Of a function of x given y: its mean, and its covariance with xi."""

    mean: Float[Array, " outer"]
    with_z: Float[Array, " outer"]


def _given(inner: Axis, values: Array) -> _Given:
    return _Given(inner.mean(values), inner.covariance(values))


def _two_point(
    outer: Axis, value: Array, slope: Array, slope_xi: Array, tau_y: Array, of: tuple[Array, ...]
) -> TwoPoint:
    b, c, s = of
    J1, J2 = outer.covariance(slope * tau_y), outer.weight @ (slope_xi * tau_y)
    in_x = _over(J2, s)
    return TwoPoint(outer.weight @ (value * tau_y), _over(J1 - c * in_x, b), in_x / 2)


def _exchanged(
    outer: Axis, value: _Given, slope_y: Array, tau_y: Array, of: tuple[Array, ...]
) -> TwoPoint:
    """With E[tau'(y) u sigma(x)]."""
    b, c, s = of
    J1, J2 = outer.covariance(slope_y * value.mean), outer.weight @ (slope_y * value.with_z)
    in_x = _over(J2, s)
    return TwoPoint(outer.weight @ (value.mean * tau_y), in_x, _over(J1 - c * in_x, b) / 2)


def _over(numerator: Array, scale: Array) -> Array:
    """The quotient; 0 where the scale is 0."""
    positive = scale > 0
    return jnp.where(positive, numerator / jnp.where(positive, scale, 1.0), 0.0)


def _order(panels: int, level: int) -> int:
    fits = (order for most, order in _ORDERS.items() if panels <= most)
    return next(fits, _ORDER_OF_MORE) - level
