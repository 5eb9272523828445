"""Expectations of two functions of two jointly Gaussian variables.

For (x, y) ~ N(0, [[q, m], [m, r]]), activations sigma and tau:

    k = E[sigma(x) tau(y)],   k_m = dk/dm,   k_q = dk/dq.

Three-point functions follow by Stein's lemma: E[sigma'(x) u tau(y)] = 2 C_xu k_q + C_yu k_m for
any u jointly Gaussian with (x, y). Where activations jump k_m is not E[sigma'(x) tau'(y)], which is
a function of its own, ``slope_overlap``.

By formula where the pair has one; else by panels (``panel_pairs``), whose error is estimated by the
distances to two coarser rules, ``level`` 1 and 2.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.activations import AbstractActivation
from sgdlimits.expectations.pairs import pair_of
from sgdlimits.expectations.pairs.base import TwoPoint
from sgdlimits.expectations.panel_pairs import LEVELS, own_integrals, pair_integrals


def two_point(
    sigma: AbstractActivation,
    tau: AbstractActivation,
    q: Float[Array, "*shape"],
    m: Float[Array, "*shape"],
    r: Float[Array, "*shape"],
    level: int = 0,
) -> TwoPoint:
    """The overlap of two activations: by formula if the pair has one, else by panels.

    The same array for q, m and r says that x = y, which takes an integral in one dimension.
    """
    formula = pair_of(sigma, tau).two_point
    if formula is not None:
        return formula(sigma, tau, q, m, r)
    return quadrature_two_point(sigma, tau, q, m, r, level)


def two_point_error(
    sigma: AbstractActivation,
    tau: AbstractActivation,
    q: Float[Array, "*shape"],
    m: Float[Array, "*shape"],
    r: Float[Array, "*shape"],
) -> TwoPoint:
    """Estimated absolute errors of ``two_point``: exactly 0 for formulas."""
    fine = two_point(sigma, tau, q, m, r)
    coarse = [two_point(sigma, tau, q, m, r, level) for level in LEVELS]
    return jax.tree.map(lambda x, *y: jnp.sqrt(sum((x - z) ** 2 for z in y)), fine, *coarse)


def quadrature_two_point(
    sigma: AbstractActivation,
    tau: AbstractActivation,
    q: Float[Array, "*shape"],
    m: Float[Array, "*shape"],
    r: Float[Array, "*shape"],
    level: int = 0,
) -> TwoPoint:
    """By panels, whatever formulas there are."""
    if q is m and m is r:
        return _each(lambda q: own_integrals(sigma, tau, q, level).forward, q)
    return _each(lambda *of: pair_integrals(sigma, tau, *of, level=level).forward, q, m, r)


def slope_overlap(
    sigma: AbstractActivation,
    q: Float[Array, "*shape"],
    m: Float[Array, "*shape"],
    r: Float[Array, "*shape"],
    level: int = 0,
) -> Float[Array, "*shape"]:
    """E[sigma'(x) sigma'(y)]: by formula, where it is k_m; else by panels."""
    formula = pair_of(sigma, sigma).two_point
    if formula is not None:
        return formula(sigma, sigma, q, m, r).k_m
    if q is m and m is r:
        return _each(lambda q: own_integrals(sigma, sigma, q, level).slopes, q)
    return _each(lambda *of: pair_integrals(sigma, sigma, *of, level=level).slopes, q, m, r)


def matrix_two_point(
    sigma: AbstractActivation,
    tau: AbstractActivation,
    covariance: Float[Array, "n n"],
    rows: np.ndarray,
    columns: np.ndarray,
    level: int = 0,
) -> TwoPoint:
    """``two_point`` of sigma(u_i) and tau(u_j), i in ``rows``, j in ``columns``, as matrices."""
    variance = jnp.diagonal(covariance)
    q, r = jnp.broadcast_arrays(variance[rows][:, None], variance[columns][None, :])
    m = covariance[np.ix_(rows, columns)]
    if pair_of(sigma, tau).two_point is not None or not _same(sigma, tau, rows, columns):
        return two_point(sigma, tau, q, m, r, level)
    own = _each(lambda q: own_integrals(sigma, sigma, q, level).forward, variance[rows])
    pairs = _above(sigma, covariance[np.ix_(rows, rows)], level)
    if pairs is None:
        return TwoPoint(*(x[:, None] for x in own))
    upper, lower, _ = pairs
    i, j = np.triu_indices(len(rows), 1)
    joined = []
    for diagonal, above, below in zip(own, upper, lower, strict=True):
        joined.append(jnp.diag(diagonal).at[i, j].set(above).at[j, i].set(below))
    return TwoPoint(*joined)


def matrix_slope_overlap(
    sigma: AbstractActivation, covariance: Float[Array, "n n"], level: int = 0
) -> Float[Array, "n n"]:
    """E[sigma'(u_i) sigma'(u_j)]."""
    variance, n = jnp.diagonal(covariance), len(covariance)
    if pair_of(sigma, sigma).two_point is not None:
        q, r = jnp.broadcast_arrays(variance[:, None], variance[None, :])
        return slope_overlap(sigma, q, covariance, r, level)
    total = jnp.diag(slope_overlap(sigma, variance, variance, variance, level))
    pairs = _above(sigma, covariance, level)
    if pairs is None:
        return total
    i, j = np.triu_indices(n, 1)
    return total.at[i, j].set(pairs[2]).at[j, i].set(pairs[2])


def _same(sigma: Any, tau: Any, rows: np.ndarray, columns: np.ndarray) -> bool:
    return sigma == tau and np.array_equal(rows, columns)


def _above(sigma: AbstractActivation, C: Array, level: int) -> Any:
    """Integrals of all pairs above the diagonal; None if there is none."""
    i, j = np.triu_indices(len(C), 1)
    if not len(i):
        return None
    one = lambda *of: pair_integrals(sigma, sigma, *of, level=level)  # noqa: E731
    return _each(one, C[i, i], C[i, j], C[j, j])


def _each(function: Callable[..., Any], *of: Array) -> Any:
    """Entry by entry, one after the other, so that the memory is that of one pair."""
    shape = jnp.broadcast_shapes(*(x.shape for x in of))
    flat = [jnp.broadcast_to(x, shape).ravel() for x in of]
    if flat[0].size == 1:
        values = jax.tree.map(lambda x: x[None], function(*(x[0] for x in flat)))
    else:
        values = jax.lax.map(lambda each: function(*each), tuple(flat))
    return jax.tree.map(lambda x: x.reshape(shape), values)
