"""E[sigma'(u_i) sigma'(u_j) e^2], the four-point functions behind the gradient's noise.

u ~ N(0, Omega) are the preactivations of p students and k teachers, e = sum_m w_m sigma_m(u_m) is
the error of the output, with the student's activation on the first p and the teacher's on the rest.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.activations import AbstractActivation, Erf, Polynomial, Relu
from sgdlimits.expectations.relu_orthants import relu_four_point
from sgdlimits.expectations.rules import AbstractRule
from sgdlimits.expectations.small_linalg import cholesky, solve_lower
from sgdlimits.expectations.smoothing import smoothed_polynomial


class Committee4(NamedTuple):
    """What the four-point functions are of: activations, covariance, signed weights, width."""

    student: AbstractActivation
    teacher: AbstractActivation
    covariance: Float[Array, "n n"]
    weights: Float[Array, " n"]
    width: int


def has_formula(student: AbstractActivation, teacher: AbstractActivation) -> bool:
    """Whether no rule is needed."""
    return any(
        isinstance(student, kind) and isinstance(teacher, kind) for kind in (Erf, Relu, Polynomial)
    )


def slopes_and_squared_error(of: Committee4, rule: AbstractRule) -> Float[Array, "p p"]:
    """The matrix over i, j <= p: by formula if there is one, else by ``rule`` in n dimensions."""
    pair = (of.student, of.teacher)
    if all(isinstance(x, Erf) for x in pair):
        return erf_four_point(of)
    if all(isinstance(x, Relu) for x in pair):
        return relu_four_point(of.covariance, of.weights, of.width)
    if all(isinstance(x, Polynomial) for x in pair):
        if all(x.coefficients == (0.0, 0.0, 1.0) for x in pair):  # type: ignore[attr-defined]
            return square_four_point(of)
        return polynomial_four_point(of)
    return quadrature_four_point(of, rule)


def erf_four_point(of: Committee4) -> Float[Array, "p p"]:
    """I4 = k_m(i, j) (2/pi) asin(T_mq / sqrt((1+T_mm)(1+T_qq))), Saad and Solla (1995). Exact.

    T is the covariance under the law tilted by sigma'(u_i) sigma'(u_j), itself Gaussian.
    """
    C = of.covariance
    n = C.shape[0]
    i, j = np.triu_indices(of.width)
    m, q = np.triu_indices(n)
    # Inverse of I + C restricted to (i, j), pair by pair; i = j counts the variable twice.
    a, b, c = 1 + C[i, i], 1 + C[j, j], C[i, j]
    determinant = a * b - c * c
    A, B, X = b / determinant, a / determinant, -c / determinant
    left, right = C[i], C[j]  # (pairs, n)
    one, other = A[:, None] * left + X[:, None] * right, X[:, None] * left + B[:, None] * right
    T = C[m, q] - one[:, m] * left[:, q] - other[:, m] * right[:, q]
    spread = jax.lax.rsqrt(1 + jnp.diagonal(C) - one * left - other * right)
    twice = jnp.asarray(np.where(m == q, 1.0, 2.0))
    weight = twice * of.weights[m] * of.weights[q]
    angles = jnp.arcsin(T * spread[:, m] * spread[:, q]) @ weight
    return _symmetric((2 / math.pi) ** 2 * angles / jnp.sqrt(determinant), of.width)


def square_four_point(of: Committee4) -> Float[Array, "p p"]:
    """4 {(T1^2 + 2 T2) C + 4 T1 C B C + 8 C B C B C} with C = Omega, B = diag(w). Exact."""
    p, C = of.width, of.covariance
    once = C * of.weights  # Omega B
    T1, T2 = jnp.trace(once), jnp.sum(once * once.T)
    second = once[:p] @ C
    third = (once[:p] @ once) @ C
    total = (T1**2 + 2 * T2) * C[:p, :p] + 4 * T1 * second[:, :p] + 8 * third[:, :p]
    return 2 * (total + total.T)


def polynomial_four_point(of: Committee4) -> Float[Array, "p p"]:
    """Gauss-Hermite in (u_i, u_j), Mehler's series in the other two: both finite. Exact."""
    C, p = of.covariance, of.width
    i, j = np.triu_indices(p)
    D = max(of.student.degree or 0, of.teacher.degree or 0)
    z, weight = _hermite_grid((of.student.degree or 0) + D)

    def one(i: Array, j: Array) -> Array:
        pair = jnp.stack([i, j])
        factor = cholesky(C[pair][:, pair])
        slope = solve_lower(factor, C[pair]).T  # (n, 2)
        rest = C - slope @ slope.T
        x, mean = z @ factor.T, z @ slope.T  # (nodes, 2), (nodes, n)
        squared = jnp.zeros(len(z))
        power = jnp.ones_like(rest)
        for order in range(D + 1):
            smooth = of.weights * jnp.concatenate(
                [
                    _smoothed(of.student, order, mean[:, :p], jnp.diagonal(rest)[:p]),
                    _smoothed(of.teacher, order, mean[:, p:], jnp.diagonal(rest)[p:]),
                ],
                axis=1,
            )
            squared += jnp.sum((smooth @ power) * smooth, axis=1) / math.factorial(order)
            power = power * rest
        slopes = of.student.slope(x)
        return weight @ (slopes[:, 0] * slopes[:, 1] * squared)

    return _symmetric(jax.vmap(one)(jnp.asarray(i), jnp.asarray(j)), p)


def _smoothed(
    activation: AbstractActivation, order: int, mean: Array, variance: Array
) -> Float[Array, "nodes n"]:
    """E[sigma^(order)(mean + sqrt(variance) xi)] of a polynomial, xi ~ N(0, 1)."""
    assert isinstance(activation, Polynomial)
    for _ in range(order):
        activation = activation.derivative
    return smoothed_polynomial(activation, mean, jnp.broadcast_to(variance, mean.shape))


def quadrature_four_point(of: Committee4, rule: AbstractRule) -> Float[Array, "p p"]:
    """All pairs from one set of nodes in n dimensions."""
    p = of.width
    kinks = tuple(sorted({*of.student.kinks, *of.teacher.kinks}))
    factor = cholesky(of.covariance)
    z, weight = rule.nodes(jnp.zeros(len(factor)), factor, kinks).together
    u = factor @ z
    error = of.weights[:p] @ of.student(u[:p]) + of.weights[p:] @ of.teacher(u[p:])
    slopes = of.student.slope(u[:p])
    return (slopes * (weight * error**2)) @ slopes.T


def _hermite_grid(count: int) -> tuple[Array, Array]:
    """Tensor product of two Gauss-Hermite rules for N(0, 1): nodes (count^2, 2) and weights."""
    z, w = np.polynomial.hermite_e.hermegauss(count)
    w = w / w.sum()
    grid = np.stack(np.meshgrid(z, z, indexing="ij"), axis=-1).reshape(-1, 2)
    return jnp.asarray(grid), jnp.asarray(np.outer(w, w).ravel())


def _symmetric(upper: Array, p: int) -> Float[Array, "p p"]:
    """The symmetric matrix with this upper triangle."""
    i, j = np.triu_indices(p)
    index = np.zeros((p, p), dtype=int)
    index[i, j] = index[j, i] = np.arange(len(i))
    return upper[index]
