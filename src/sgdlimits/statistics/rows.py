"""Rows of a first layer beside a frame: coordinates, vectors, random laws, and the unit sphere.

A row w_i is its coordinates B_i in an orthonormal basis of the frame's span (M = B Rᵀ, G = R Rᵀ)
and a part outside it, of which the Gram matrix ``rest`` matters: Q = B Bᵀ + rest.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sgdlimits.expectations.small_linalg import cholesky, solve_lower
from sgdlimits.randomness.chi_square import ChiSquares
from sgdlimits.statistics.overlaps import Statistics

ON_SPHERE = 1e-5  # distance of a squared norm from 1 that counts as rounding, or a difference step


def coordinates(u: Statistics, root: Float[Array, "r r"]) -> tuple[Array, Array]:
    """(B, rest) of one state."""
    B = solve_lower(root, u.M.T).T
    return B, u.Q - B @ B.T


def overlaps(B: Array, rest: Array, root: Float[Array, "r r"]) -> tuple[Array, Array]:
    """(M, Q) of coordinates."""
    return B @ root.T, B @ B.T + rest


def check_unit_norms(squared: Float[np.ndarray, "*batch rows"]) -> None:
    """Raise ValueError unless every Q_ii is 1."""
    if (np.abs(squared - 1) > ON_SPHERE).any():
        worst = squared.ravel()[np.abs(squared - 1).argmax()]
        raise ValueError(
            f"statistics: Q_ii = {worst:.6g}, but spherical=True keeps rows of norm 1; "
            "start from Q_ii = 1."
        )


def unit_rows(u: Statistics) -> Statistics:
    """The statistics after every row is divided by its norm; any batch axes. Rows must not be 0."""
    scale = 1 / jnp.sqrt(jnp.diagonal(u.Q, axis1=-2, axis2=-1))
    Q = u.Q * scale[..., :, None] * scale[..., None, :]
    p = Q.shape[-1]
    return Statistics(u.v, u.M * scale[..., :, None], jnp.where(np.eye(p, dtype=bool), 1.0, Q))


def random_rows(
    key: Key[Array, ""], dim: Float[Array, ""], directions: int, outside: ChiSquares
) -> tuple[Array, Array]:
    """(B, rest) of rows w_i ~ N(0, I/dim): a Gaussian block and a Wishart block (Bartlett).

    ``outside``: of dim - directions degrees of freedom and less, one for each row.
    """
    key_b, key_lower, key_diagonal = jax.random.split(key, 3)
    squares = outside.sample(key_diagonal)
    width = len(squares)
    B = jax.random.normal(key_b, (width, directions)) / jnp.sqrt(1.0 * dim)
    lower = jnp.tril(jax.random.normal(key_lower, (width, width)), -1)
    lower = lower + jnp.diag(jnp.sqrt(squares))
    return B, lower @ lower.T / dim


def lift_rows(
    key: Key[Array, ""], u: Statistics, root: Float[Array, "r r"], frame: Float[Array, "r dim"]
) -> Float[Array, "width dim"]:
    """Rows with these overlaps; what is free is uniform orthogonal to the frame."""
    B, rest = coordinates(u, root)
    basis = solve_lower(root, frame)
    z = jax.random.normal(key, (B.shape[0], frame.shape[1]))
    for _ in range(2):  # twice: orthogonal to rounding
        z = z - (z @ basis.T) @ basis
    orthonormal, _ = jnp.linalg.qr(z.T)
    return B @ basis + cholesky(rest) @ orthonormal.T
