"""Committees of squares: moments of e^n u u u u and the exact covariance of one step.

With u ~ N(0, Omega) and e0 = uᵀ C u, the tilted law exp(theta e0) is Gaussian again, so that

    E[exp(theta e0) u_i u_j u_k u_l] = Z (S_ij S_kl + S_ik S_jl + S_il S_jk),
    S = Omega (1 - 2 theta C Omega)^-1,   log Z = sum_n (2 theta)^n tr((C Omega)^n)/(2n),

whose coefficients in theta are the moments. Isserlis's theorem in matrix form; exact.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_ORDERS = 5  # e0^0 ... e0^4


class Monomials(NamedTuple):
    """Increments (linear E + quadratic E^2 |x|^2/d) u_a u_b, one per statistic; per unit delta."""

    a: np.ndarray
    b: np.ndarray
    linear: Float[Array, " statistics"]
    quadratic: Float[Array, " statistics"]


def monomials(
    v: Array, teachers: int, step: Array, rate: Array, trained: bool, shrink: Array | float = 1.0
) -> Monomials:
    """The increments of (v, M, Q) of width p, in the order of the statistics' names."""
    p = v.shape[0]
    i, j = np.triu_indices(p)
    rows, columns = np.divmod(np.arange(p * teachers), teachers)
    layer = np.arange(p if trained else 0)
    linear = [rate / p * jnp.ones(len(layer)), 2 / p * v[rows], 2 / p * shrink * (v[i] + v[j])]
    zero = jnp.zeros(len(layer) + p * teachers)
    return Monomials(
        np.concatenate([layer, rows, i]),
        np.concatenate([layer, p + columns, j]),
        jnp.concatenate(linear),
        jnp.concatenate([zero, 4 * step / p**2 * v[i] * v[j]]),
    )


def covariance(
    increments: Monomials,
    Omega: Float[Array, "n n"],
    C: Float[Array, " n"],
    noise: Array,
    dim: Array | None,
) -> Float[Array, "statistics statistics"]:
    """Covariance of increment/delta for E = e0 + sqrt(noise) z; ``dim`` None: the limit.

    Escaping mediocrity, section on the SDE; finite dim by E[|x|^2 h] = (d + D) E[h] for h of
    degree D.
    """
    S, Z = _series(Omega, C)
    a, b, linear, quadratic = increments
    G = _fourth(S, Z, a, b)
    G0, G1, G2, G3, G4 = (math.factorial(n) * G[n] for n in range(_ORDERS))
    once = lambda D: 1.0 if dim is None else 1 + D / dim  # noqa: E731
    twice = lambda D: 1.0 if dim is None else (dim + D) * (dim + D + 2) / dim**2  # noqa: E731
    three = once(10) * G3 + 3 * noise * once(6) * G1
    four = twice(12) * G4 + 6 * noise * twice(8) * G2 + 3 * noise**2 * twice(4) * G0
    cross = linear[:, None] * quadratic
    second = linear[:, None] * linear * (G2 + noise * G0)
    second = second + (cross + cross.T) * three + quadratic[:, None] * quadratic * four
    first = _second(S, Z, a, b)
    mean = linear * first[1]
    mean = mean + quadratic * (once(6) * 2 * first[2] + noise * once(2) * first[0])
    return second - mean[:, None] * mean


def _series(Omega: Array, C: Array) -> tuple[list[Array], list[Array]]:
    """Coefficients of theta^n in S and Z."""
    step = C[:, None] * Omega
    powers = [jnp.eye(Omega.shape[0])]
    for _ in range(_ORDERS):
        powers.append(powers[-1] @ step)
    S = [2.0**n * Omega @ powers[n] for n in range(_ORDERS)]
    log = [2.0**n * jnp.trace(powers[n]) / (2 * n) for n in range(1, _ORDERS)]
    Z = [jnp.ones(())]
    for n in range(1, _ORDERS):
        Z.append(sum((k * log[k - 1] * Z[n - k] for k in range(1, n + 1)), jnp.zeros(())) / n)
    return S, Z


def _second(S: list[Array], Z: list[Array], a: np.ndarray, b: np.ndarray) -> list[Array]:
    """Coefficients of E[exp(theta e0) u_a u_b]."""
    return [
        sum((Z[n - k] * S[k][a, b] for k in range(n + 1)), jnp.zeros(len(a)))
        for n in range(_ORDERS)
    ]


def _fourth(S: list[Array], Z: list[Array], a: np.ndarray, b: np.ndarray) -> list[Array]:
    """Coefficients of E[exp(theta e0) u_a u_b u_c u_d], a matrix over (a, b) and (c, d)."""
    size = len(a)
    pairs = []
    for n in range(_ORDERS):
        total = jnp.zeros((size, size))
        for k in range(n + 1):
            one, other = S[k], S[n - k]
            total = total + one[a, b][:, None] * other[a, b]
            total = total + one[np.ix_(a, a)] * other[np.ix_(b, b)]
            total = total + one[np.ix_(a, b)] * other[np.ix_(b, a)]
        pairs.append(total)
    return [
        sum((Z[n - k] * pairs[k] for k in range(n + 1)), jnp.zeros((size, size)))
        for n in range(_ORDERS)
    ]
