"""The domain of overlaps: (M, Q) must be those of real vectors, Q >= M G⁻¹ Mᵀ."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.small_linalg import cholesky, solve_lower
from sgdlimits.statistics.overlaps import Statistics

# What rounding may leave between a semidefinite matrix and its factor's square.
_RELATIVE_GAP = 1e-9


def check_overlaps(u: object, template: Statistics, root: Float[Array, "r r"]) -> None:
    """Raise unless ``u`` has the template's shapes and real vectors can realise it.

    G = root rootᵀ is the Gram matrix of the frame.

    Raises:
        TypeError: if ``u`` is not ``Statistics``.
        ValueError: for other shapes, entries that are not finite, Q that is not symmetric, or
            Q - M G⁻¹ Mᵀ with a negative eigenvalue.
    """
    if not isinstance(u, Statistics):
        raise TypeError(f"statistics={u!r}: expected Statistics(v, M, Q).")
    batch = u.batch_shape
    for name, zero in (("v", template.v), ("M", template.M), ("Q", template.Q)):
        value = np.asarray(getattr(u, name))
        if value.shape[len(batch) :] != zero.shape:
            raise ValueError(
                f"statistics: {name} has shape {value.shape[len(batch) :]}, expected {zero.shape}."
            )
        if not np.isfinite(value).all():
            raise ValueError(f"statistics: {name} must be finite.")
    Q = np.asarray(u.Q)
    if not np.allclose(Q, np.swapaxes(Q, -1, -2), atol=1e-9):
        most = np.abs(Q - np.swapaxes(Q, -1, -2)).max()
        raise ValueError(f"statistics: Q must be symmetric; |Q_ij - Q_ji| is up to {most:.3g}.")
    rest = np.linalg.eigvalsh(np.asarray(u.R_perp(root @ root.T)))
    scale = 1 + np.abs(np.trace(Q, axis1=-2, axis2=-1))
    if rest.size and (rest.min(-1) < -1e-8 * scale).any():
        raise ValueError(
            "statistics: not the overlaps of real vectors; Q - M G^-1 Mᵀ has eigenvalue "
            f"{rest.min():.3g}, expected a positive semidefinite matrix."
        )


def into_domain(u: Statistics, root: Float[Array, "r r"]) -> Statistics:
    """One state ``u``, with Q made Q >= M G⁻¹ Mᵀ where it is not; G = root rootᵀ.

    Pivots of Q - M G⁻¹ Mᵀ that are negative become zero.
    """
    B = solve_lower(root, u.M.T).T
    inside = B @ B.T
    rest = u.Q - inside
    factor = cholesky(rest)
    square = factor @ factor.T
    scale = 1 + jnp.abs(jnp.trace(u.Q))
    valid = jnp.max(jnp.abs(square - rest)) <= _RELATIVE_GAP * scale
    return Statistics(u.v, u.M, jnp.where(valid, u.Q, inside + square))
