"""Two polynomials: finite sums of Gaussian moments, and Gauss-Hermite rules that are exact."""

import math
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.activations import Polynomial
from sgdlimits.expectations.pairs.base import Committee4, Pair, Smoothed, TwoPoint, symmetric
from sgdlimits.expectations.small_linalg import cholesky, solve_lower


def two_point(
    sigma: Polynomial,
    tau: Polynomial,
    q: Float[Array, "*shape"],
    m: Float[Array, "*shape"],
    r: Float[Array, "*shape"],
) -> TwoPoint:
    """The overlap of two polynomials is a polynomial in q, m and r.

    Sums of Gaussian moments (Isserlis). Exact.
    """
    slope = sigma.derivative

    def expect(a: Polynomial, b: Polynomial) -> Array:
        return _moment(a.coefficients, b.coefficients, q, m, r)

    return TwoPoint(
        expect(sigma, tau), expect(slope, tau.derivative), expect(slope.derivative, tau) / 2
    )


def four_point(of: Committee4) -> Float[Array, "p p"]:
    """The noise of the gradient of a committee of polynomials.

    Gauss-Hermite in (u_i, u_j), Mehler's series in the other two: both finite. Exact.
    """
    student, teacher = cast(Polynomial, of.student), cast(Polynomial, of.teacher)
    C, p = of.covariance, of.width
    i, j = np.triu_indices(p)
    D = max(student.degree, teacher.degree)
    z, weight = _hermite_grid(student.degree + D)

    def one(i: Array, j: Array) -> Array:
        pair = jnp.stack([i, j])
        factor = cholesky(C[pair][:, pair])
        slope = solve_lower(factor, C[pair]).T  # (n, 2)
        rest = C - slope @ slope.T
        x, mean = z @ factor.T, z @ slope.T  # (nodes, 2), (nodes, n)
        squared = jnp.zeros(len(z))
        power = jnp.ones_like(rest)
        for order in range(D + 1):
            averaged = of.weights * jnp.concatenate(
                [
                    _smoothed_derivative(student, order, mean[:, :p], jnp.diagonal(rest)[:p]),
                    _smoothed_derivative(teacher, order, mean[:, p:], jnp.diagonal(rest)[p:]),
                ],
                axis=1,
            )
            squared += jnp.sum((averaged @ power) * averaged, axis=1) / math.factorial(order)
            power = power * rest
        slopes = student.slope(x)
        return weight @ (slopes[:, 0] * slopes[:, 1] * squared)

    return symmetric(jax.vmap(one)(jnp.asarray(i), jnp.asarray(j)), p)


def smooth(
    activation: Polynomial, mean: Float[Array, "*shape"], variance: Float[Array, "*shape"]
) -> Smoothed:
    """A polynomial averaged over Gaussian noise is a polynomial in mean and variance. Exact."""
    slope = activation.derivative
    squared = np.polynomial.polynomial.polymul(slope.coefficients, slope.coefficients)
    parts = (activation, slope, slope.derivative, Polynomial(squared.tolist()))
    return Smoothed(*(_smoothed(part, mean, variance) for part in parts))


def _moment(
    left: tuple[float, ...], right: tuple[float, ...], q: Array, m: Array, r: Array
) -> Array:
    """E[left(x) right(y)]: j pairs across, the rest among themselves."""
    total = jnp.zeros(jnp.broadcast_shapes(q.shape, m.shape, r.shape))
    for a, one in enumerate(left):
        for b, other in enumerate(right):
            if one * other == 0 or (a + b) % 2:
                continue
            for j in range(a % 2, min(a, b) + 1, 2):
                i, l = (a - j) // 2, (b - j) // 2  # noqa: E741
                # a!/(j! i! 2^i) * b!/(l! 2^l) pairings
                ways = math.factorial(a) // (math.factorial(j) * math.factorial(i) * 2**i)
                ways *= math.factorial(b) // (math.factorial(l) * 2**l)
                total = total + one * other * ways * q**i * m**j * r**l
    return total


def _smoothed(polynomial: Polynomial, mean: Array, variance: Array) -> Array:
    """E[c(mean + sqrt(variance) xi)]."""
    total = jnp.zeros(jnp.broadcast_shapes(mean.shape, variance.shape))
    for power, c in enumerate(polynomial.coefficients):
        for pairs in range(power // 2 + 1) if c else ():
            ways = math.factorial(power) / (
                math.factorial(power - 2 * pairs) * math.factorial(pairs) * 2**pairs
            )
            total = total + c * ways * variance**pairs * mean ** (power - 2 * pairs)
    return total


def _smoothed_derivative(
    polynomial: Polynomial, order: int, mean: Array, variance: Array
) -> Float[Array, "nodes n"]:
    """E[c^(order)(mean + sqrt(variance) xi)], xi ~ N(0, 1)."""
    for _ in range(order):
        polynomial = polynomial.derivative
    return _smoothed(polynomial, mean, jnp.broadcast_to(variance, mean.shape))


def _hermite_grid(count: int) -> tuple[Array, Array]:
    """Tensor product of two Gauss-Hermite rules for N(0, 1): nodes (count^2, 2) and weights."""
    z, w = np.polynomial.hermite_e.hermegauss(count)
    w = w / w.sum()
    grid = np.stack(np.meshgrid(z, z, indexing="ij"), axis=-1).reshape(-1, 2)
    return jnp.asarray(grid), jnp.asarray(np.outer(w, w).ravel())


POLYNOMIAL = Pair(two_point=two_point, four_point=four_point, smooth=smooth)
