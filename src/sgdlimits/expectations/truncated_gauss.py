"""Gauss quadrature for the normal law cut at a point, as a smooth function of that point.

For a function that is smooth but for a kink at c, E F(z) is the sum of two Gauss rules, one for the
normal weight on (-inf, c) and one on (c, inf). Nodes and weights are analytic in c: they are
computed once on a Chebyshev grid (discretised Stieltjes procedure) and interpolated from a table.
"""

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.polynomial import chebyshev
from scipy import linalg

C_MAX = 8.0
_DEGREE = 96  # of the fit over the whole range of cuts
_CELLS, _CELL_DEGREE = 512, 5  # of the table that is evaluated


def truncated_gauss(
    cut: Float[Array, "*shape"], order: int
) -> tuple[Float[Array, "*shape nodes"], Float[Array, "*shape nodes"]]:
    """Nodes and weights (2*order of each) for E F(z), z ~ N(0, 1), F kinked at ``cut``.

    ``cut`` is taken within [-8, 8]. The weights sum to one to rounding.
    """
    table = jnp.asarray(_table(order))
    below = _evaluate(table, cut)
    above = _evaluate(table, -cut)
    nodes = jnp.concatenate([cut[..., None] - below[0], cut[..., None] + above[0]], axis=-1)
    mass_below, mass_above = _masses(cut)
    weights = jnp.concatenate(
        [mass_below[..., None] * below[1], mass_above[..., None] * above[1]], axis=-1
    )
    return nodes, weights


def _masses(cut: Array) -> tuple[Array, Array]:
    """P(z < cut) and P(z > cut), the smaller one to relative accuracy, from one special function.

    It is a large part of an expectation: a compiler computes it again for every node.
    """
    below = cut < 0
    # No absolute value: its derivative at cut = 0 would be zero.
    tail = jax.scipy.special.erfc(jnp.where(below, -cut, cut) / math.sqrt(2)) / 2
    return jnp.where(below, tail, 1 - tail), jnp.where(below, 1 - tail, tail)


def _evaluate(table: Array, cut: Array) -> tuple[Array, Array]:
    """Distances of the nodes from the cut, and their shares of the side's mass."""
    position = (cut + C_MAX) * (_CELLS / (2 * C_MAX))
    cell = jnp.clip(jnp.floor(position), 0, _CELLS - 1)
    t = (2 * (position - cell) - 1)[..., None, None]
    coefficients = table[cell.astype(int)]
    value = coefficients[..., -1, :, :]
    for k in range(_CELL_DEGREE - 1, -1, -1):
        value = value * t + coefficients[..., k, :, :]
    share = value[..., 1, :]
    return value[..., 0, :], share / jnp.sum(share, axis=-1, keepdims=True)


@cache
def _table(order: int) -> np.ndarray:
    """Coefficients (cell, power, 2, order) of distance and share of the lower side.

    One fit over the whole range takes a high degree, and evaluating it would be
    most of the work of an expectation; so that fit is tabulated cell by cell at a low degree.
    """
    grid = np.cos(np.pi * (np.arange(2 * _DEGREE) + 0.5) / (2 * _DEGREE))
    rules = [_lower_side(C_MAX * t, order) for t in grid]
    values = np.array([[np.log(distance), np.log(share)] for distance, share in rules])
    whole = chebyshev.chebfit(grid, values.reshape(len(grid), -1), _DEGREE)
    count = _CELL_DEGREE + 1
    local = np.cos(np.pi * (np.arange(count) + 0.5) / count)
    centres = (2 * np.arange(_CELLS) + 1) / _CELLS - 1
    points = centres[:, None] + local / _CELLS
    tabulated = np.exp(chebyshev.chebval(points, whole))  # (2 * order, cell, point)
    powers = np.linalg.solve(np.vander(local, increasing=True), np.moveaxis(tabulated, 0, -1))
    return powers.reshape(_CELLS, count, 2, order)


def _lower_side(cut: float, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss rule of the normal law given z < cut: distances cut - z, ascending, and shares."""
    # The density in the distance x = cut - z > 0 is proportional to exp(-(cut - x)^2 / 2).
    scale = cut + np.sqrt(min(cut, 0.0) ** 2 + 300)  # there the density is e^-150 of its peak
    t, w = _legendre()
    x = scale * (t + 1) / 2
    log_density = -((cut - x) ** 2) / 2
    density = w * np.exp(log_density - log_density.max())
    alpha, beta = _stieltjes(x, density / density.sum(), order)
    nodes = np.asarray(linalg.eigvalsh_tridiagonal(alpha, np.sqrt(beta)))
    # Eigenvectors would give the tiny weights of far nodes to absolute accuracy only.
    before, polynomial = np.zeros(order), np.ones(order)
    total = polynomial**2
    for k in range(order - 1):
        last = np.sqrt(beta[k - 1]) if k else 0.0
        new = ((nodes - alpha[k]) * polynomial - last * before) / np.sqrt(beta[k])
        before, polynomial = polynomial, new
        total += polynomial**2
    return nodes, 1 / total


@cache
def _legendre() -> tuple[np.ndarray, np.ndarray]:
    t, w = np.polynomial.legendre.leggauss(1000)
    return t, w


def _stieltjes(x: np.ndarray, weight: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Recurrence coefficients of the orthonormal polynomials of a discrete weight (Lanczos)."""
    alpha, beta = np.zeros(order), np.zeros(order - 1)
    basis = [np.sqrt(weight)]
    for k in range(order):
        alpha[k] = np.sum(x * basis[k] ** 2)
        if k == order - 1:
            break
        new = x * basis[k]
        for _ in range(2):  # reorthogonalise: Lanczos loses it otherwise
            for vector in basis:
                new = new - np.sum(vector * new) * vector
        beta[k] = np.sum(new**2)
        basis.append(new / np.sqrt(beta[k]))
    return alpha, beta
