"""Softmax regression on k classes: the fixed point without noise, and the energy that falls.

Ben Arous, Gheissari, Huang and Jagannath (2023), section 5.2. Printed there with other indices and
norms; these forms decrease along the flow and vanish with the drift.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits._roots import bracketed_root
from sgdlimits.formulas import formula
from sgdlimits.statistics.fixed_sets import FixedSet
from sgdlimits.statistics.overlaps import Statistics


@formula("asymptotic", "Ben Arous, Gheissari, Huang and Jagannath (2023), (5.19)")
def diagonal_overlap(classes: int, ridge: float) -> float:
    """m_bb of the fixed point (5.19): orthonormal means, equal probabilities, no noise.

    The other overlaps are m_ab = -m_bb/(k - 1).

    Status: asymptotic; exact for the ODE without noise.
    """
    k, p = classes, 1 / classes

    def excess(m: float) -> float:
        # The fraction of (5.19) divided by e^m, which may overflow.
        wrong = (k - 1) * np.exp(-m * k / (k - 1))
        return ridge * m - p * wrong / (1 + wrong)

    return bracketed_root(excess, 0.0, p / ridge)


@formula("asymptotic", "Ben Arous, Gheissari, Huang and Jagannath (2023), section 5.2")
def optimum(classes: int, ridge: float) -> FixedSet:
    """The only fixed point, for orthonormal means of equal probability without noise.

    Status: asymptotic; exact for the ODE without noise.
    """
    k, m = classes, diagonal_overlap(classes, ridge)
    M = m * (k * np.eye(k) - 1) / (k - 1)
    return FixedSet(Statistics(np.zeros(0), M, M @ M.T), stable=True, label="optimum")


@formula("asymptotic", "Ben Arous, Gheissari, Huang and Jagannath (2023), section 5.2 corrected")
def energy(
    u: Statistics,
    coefficients: Float[Array, "classes directions"],
    weights: Float[Array, " classes"],
    ridge: float,
) -> Float[Array, "*batch"]:
    """Lyapunov function of the zero-noise flow: the population loss with its ridge.

    -sum_a p_a m_aa + sum_c p_c log sum_b exp(m_bc) + (beta/2) tr Q, decreasing along solutions
    and stationary at fixed points only. With noise it is not the population loss.

    Status: asymptotic; exact for the ODE without noise.
    """
    logits = u.M @ coefficients.T  # (..., output b, class c)
    own = jnp.einsum("c,...cc->...", weights, logits)
    partition = jax.nn.logsumexp(logits, axis=-2) @ weights
    return partition - own + ridge / 2 * jnp.trace(u.Q, axis1=-2, axis2=-1)
