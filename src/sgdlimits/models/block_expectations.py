"""Expectations on inputs with several eigenvalues, from three moments at the total fields.

X = mu_c + sum_j sqrt(tau_cj) Z_j over orthogonal blocks j. The gradient g of a sample sees s = W X
and f = F X alone. By Stein's lemma its mean slopes (D_s, D_f) in them, with
E[g (s~, f~)ᵀ] = (D_s, D_f) C for the covariance C of the centred fields, give every block's part:

    E[g f_jᵀ] = E[g] (G_j a)ᵀ + tau_cj (D_s M_j + D_f G_j),
    E[g s_jᵀ] = E[g] (M_j a)ᵀ + tau_cj (D_s Q_j + D_f M_jᵀ).

Where C is singular the slopes are those on its range, which is all that blocks see of them.
Exact, given the moments.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.expectations.small_linalg import solve_lower
from sgdlimits.models.expectations import Expectations
from sgdlimits.statistics.block_overlaps import BlockStatistics

_FADES = 1e-12  # of a field's variance: what fields have beside those before them


class Moments(NamedTuple):
    """Of one sample's gradient in one class; leading axes where there are several estimates."""

    h: Float[Array, "*estimates layer"]
    g: Float[Array, "*estimates width"]
    slope_s: Float[Array, "*estimates width width"]
    slope_f: Float[Array, "*estimates width directions"]
    gg: Float[Array, "*estimates width width"]


def slopes(
    with_z: Float[Array, "*estimates width n"], factor: Float[Array, "n n"]
) -> Float[Array, "*estimates width n"]:
    """D with D C = E[g yᵀ] for y = factor z, C = factor factorᵀ, from E[g zᵀ].

    ``factor`` is lower triangular, with zero columns for zero pivots. Directions of hardly any
    variance, which rounding decides about, fade out: if they were in or out, the drift would jump
    where neurons and teachers become one, and solvers would creep.
    """
    squares, diagonal = jnp.sum(factor * factor, axis=1), jnp.diagonal(factor) ** 2
    share = diagonal / jnp.where(squares > 0, squares, 1.0)
    with_z = with_z * (share * share / (share * share + _FADES**2))
    # D factor = E[g zᵀ], an upper triangular system that is lower in reverse order.
    right = with_z[..., ::-1].reshape(-1, with_z.shape[-1])
    return solve_lower(factor[::-1, ::-1].T, right.T).T.reshape(with_z.shape)[..., ::-1]


def slopes_of(gy: Float[Array, "width n"], C: Float[Array, "n n"]) -> Float[Array, "width n"]:
    """D with D C = gy = E[g yᵀ], where both are formulas: along eigenvectors of C, w/(w^2 + eps^2).

    Solutions of the ODE come to singular C, and past them by the solver's tolerance: there the
    formulas go on smoothly, and so do these slopes. Of fields in units of their deviations.
    """
    variance = jnp.abs(jnp.diagonal(C))
    unit = jnp.where(variance > 0, 1 / jnp.sqrt(jnp.where(variance > 0, variance, 1.0)), 1.0)
    n, scaled = len(C), unit[:, None] * unit * C
    fades = _FADES * jnp.eye(n)
    # (C^2 + eps^2) D = C gy without squares, which would double the digits that are lost.
    both = jnp.block([[fades, scaled], [scaled, -fades]])
    right = jnp.concatenate([(gy * unit).T, jnp.zeros((n, len(gy)))])
    return jnp.linalg.solve(both, right)[n:].T * unit


class Along(NamedTuple):
    """Rows R whose overlaps are looked for: R_j F_jᵀ, and W_j R_jᵀ."""

    M: Float[Array, "blocks rows directions"]
    Q: Float[Array, "blocks width rows"]


def in_blocks(
    of: Moments,
    u: BlockStatistics,
    along: Along,
    gram: Float[Array, "blocks r r"],
    a: Float[Array, " directions"],
    tau: Float[Array, " blocks"],
    fractions: Float[Array, " blocks"],
) -> Expectations:
    """gf, gs and gg block by block, without ridge; leading axes of ``of`` stay in front.

    ``gs`` is E[g Xᵀ] on the rows ``along``.
    """
    g, weight = of.g[..., None, :, None], tau[:, None, None]
    slope_s, slope_f = of.slope_s[..., None, :, :], of.slope_f[..., None, :, :]
    transposed = jnp.swapaxes(along.M, -1, -2)
    return Expectations(
        h=of.h,
        gf=g * (gram @ a)[:, None, :] + weight * (slope_s @ u.M + slope_f @ gram),
        gs=g * (along.M @ a)[:, None, :] + weight * (slope_s @ along.Q + slope_f @ transposed),
        gg=(tau * fractions)[:, None, None] * of.gg[..., None, :, :],
    )
