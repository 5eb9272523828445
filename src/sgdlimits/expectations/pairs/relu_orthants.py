"""Four-point functions of ReLU: E[1(u_i>0) 1(u_j>0) relu(u_m) relu(u_q)] (truncated moments).

Not elementary: moments of Gaussians cut at zero reduce to orthant probabilities (Tallis 1961), of
which the one in four dimensions is a one-dimensional integral. With C the covariance of the
distinct variables among (i, j, m, q), P their orthant probability and

    f_ab = 1/(2 pi sqrt(C_aa C_bb - C_ab^2))    the density of (u_a, u_b) at zero,

E[prod 1(u > 0) u_c u_d] = C_cd P + sum_{a != b} C_ac f_ab P_rest (C_bd - C_ab C_ad/C_aa),

with P_rest the orthant probability of the others given u_a = u_b = 0.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_NODES = 24  # 1e-14 unless the covariance is nearly singular
_ALIGNED = 1e-14
_APART = 1e-9  # correlations are lowered by this fraction: aligned variables then make no 0/0


def relu_four_point(
    covariance: Float[Array, "n n"], weights: Float[Array, " n"], width: int
) -> Float[Array, "p p"]:
    """Sum over m, q of w_m w_q E[1_i 1_j relu_m relu_q], for i, j < width.

    Exact: to 1e-9 in general position, to 1e-5 where neurons coincide.
    """
    n = covariance.shape[0]
    # Every (i <= j, m <= q) by how many distinct variables it has; those come first in each row.
    groups: dict[int, list[tuple[list[int], tuple[int, int], tuple[int, int], float]]] = {}
    for i in range(width):
        for j in range(i, width):
            for m in range(n):
                for q in range(m, n):
                    distinct = list(dict.fromkeys([m, q, i, j]))
                    place = (distinct.index(m), distinct.index(q))
                    times = 1.0 if m == q else 2.0
                    groups.setdefault(len(distinct), []).append((distinct, place, (i, j), times))
    total = jnp.zeros((width, width))
    for entries in groups.values():
        # Variables m, q are 0, 1 or both 0 within the row: one program for each.
        for place in {entry[1] for entry in entries}:
            rows = [entry for entry in entries if entry[1] == place]
            index = np.array([row[0] for row in rows])
            m, q = index[:, place[0]], index[:, place[1]]
            times = jnp.asarray(np.array([row[3] for row in rows]))
            blocks = covariance[index[:, :, None], index[:, None, :]]
            values = jax.vmap(lambda C, place=place: truncated_product(C, *place))(blocks)
            i, j = np.array([row[2] for row in rows]).T
            total = total.at[i, j].add(times * weights[m] * weights[q] * values)
    return jnp.triu(total) + jnp.triu(total, 1).T


def truncated_product(C: Float[Array, "n n"], c: int, d: int) -> Float[Array, ""]:
    """E[prod_a 1(u_a > 0) u_c u_d] for u ~ N(0, C) in 1 to 4 dimensions."""
    n = C.shape[0]
    if n == 1:
        return C[0, 0] / 2
    C = C - _APART * (C - jnp.diag(jnp.diagonal(C)))
    R = _correlations(C)
    total = C[c, d] * orthant(R)
    for a in range(n):
        variance = jnp.where(C[a, a] > 0, C[a, a], 1.0)
        for b in range(n):
            if b == a:
                continue
            determinant = C[a, a] * C[b, b] - C[a, b] ** 2
            apart = determinant > _ALIGNED * C[a, a] * C[b, b]
            density = 1 / (2 * math.pi * jnp.sqrt(jnp.where(apart, determinant, 1.0)))
            rest = [x for x in range(n) if x not in (a, b)]
            term = density * _given_zero(R, a, b, rest) * (C[b, d] - C[a, b] * C[a, d] / variance)
            # Where u_a and u_b align the last factor vanishes faster than the density grows.
            total = total + jnp.where(apart, C[a, c] * term, 0.0)
    return total


def orthant(R: Float[Array, "n n"]) -> Float[Array, ""]:
    """P(u > 0 in every coordinate) for correlations R, in 1 to 4 dimensions."""
    n = R.shape[0]
    if n == 1:
        return jnp.asarray(0.5)
    if n == 2:
        return 0.25 + _asin(R[0, 1]) / (2 * math.pi)
    if n == 3:
        return 0.125 + (_asin(R[0, 1]) + _asin(R[0, 2]) + _asin(R[1, 2])) / (4 * math.pi)
    return _orthant4(R)


def _orthant4(R: Float[Array, "4 4"]) -> Float[Array, ""]:
    """Couple variable 0 to the others by t from 0 to 1 (Plackett 1954), t = sin(phi)."""
    x, w = np.polynomial.legendre.leggauss(_NODES)
    phi = math.pi / 4 * (x + 1)

    def integrand(phi: Array) -> Array:
        t, scale = jnp.sin(phi), jnp.cos(phi)
        coupled = R.at[0, 1:].multiply(t).at[1:, 0].multiply(t)
        total = jnp.zeros(())
        for j in (1, 2, 3):
            others = [x for x in (1, 2, 3) if x != j]
            density = R[0, j] / (2 * math.pi * jnp.sqrt(_positive(1 - (t * R[0, j]) ** 2)))
            total = total + density * _given_zero(coupled, 0, j, others)
        return scale * total

    weights = jnp.asarray(math.pi / 4 * w)
    return orthant(R[1:, 1:]) / 2 + weights @ jax.vmap(integrand)(jnp.asarray(phi))


def _given_zero(R: Array, a: int, b: int, rest: list[int]) -> Array:
    """Orthant probability of the variables in ``rest`` given u_a = u_b = 0."""
    if not rest:
        return jnp.asarray(1.0)
    if len(rest) == 1:
        return jnp.asarray(0.5)
    one, other = rest
    determinant = _positive(1 - R[a, b] ** 2)

    def partial(x: int, y: int) -> Array:
        cross = R[x, a] * R[y, a] + R[x, b] * R[y, b]
        mixed = R[x, a] * R[y, b] + R[x, b] * R[y, a]
        return R[x, y] - (cross - R[a, b] * mixed) / determinant

    spread = jnp.sqrt(_positive(partial(one, one)) * _positive(partial(other, other)))
    return 0.25 + _asin(partial(one, other) / spread) / (2 * math.pi)


def _correlations(C: Array) -> Array:
    scale = jax.lax.rsqrt(jnp.where(jnp.diagonal(C) > 0, jnp.diagonal(C), 1.0))
    return C * scale[:, None] * scale


def _asin(rho: Array) -> Array:
    """Arc sine of a correlation; flat beyond 1 - 1e-14, where rounding decides."""
    inside = jnp.abs(rho) < 1 - _ALIGNED
    return jnp.where(inside, jnp.arcsin(jnp.where(inside, rho, 0.0)), jnp.sign(rho) * math.pi / 2)


def _positive(x: Array) -> Array:
    """x, or the smallest size that is not rounding."""
    return jnp.maximum(x, _ALIGNED)
