"""Softmax regression on k classes: the fixed point without noise, and the energy that falls.

Ben Arous, Gheissari, Huang and Jagannath (2023), section 5.2. Printed there with other indices and
norms; these forms decrease along the flow and vanish with the drift.
"""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits._roots import bracketed_root
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.statistics.fixed_sets import FixedSet
from sgdlimits.statistics.overlaps import Statistics


def diagonal_overlap(classes: int, ridge: float) -> float:
    """m_bb of the fixed point (5.19): orthonormal means, equal probabilities, no noise.

    The other overlaps are m_ab = -m_bb/(k - 1).
    """
    k, p = classes, 1 / classes

    def excess(m: float) -> float:
        # The fraction of (5.19) divided by e^m, which may overflow.
        wrong = (k - 1) * np.exp(-m * k / (k - 1))
        return ridge * m - p * wrong / (1 + wrong)

    return bracketed_root(excess, 0.0, p / ridge)


class SoftmaxMixture(MultiIndexModel):
    """The model of ``k_gmm``: one mean and one linear output per class, cross-entropy."""

    if TYPE_CHECKING:  # type checkers would generate one from the fields
        __init__ = MultiIndexModel.__init__

    def known_fixed_points(self, sgd: OnlineSGD) -> list[FixedSet] | None:
        """The unique point, for orthonormal means of equal probability without noise."""
        k = self.data.directions
        orthonormal = np.allclose(np.array(self.data.gram), np.eye(k), atol=1e-12)
        equal = np.allclose([float(p) for p in self.data.probabilities], 1 / k, atol=1e-12)
        if not (all(self.data.noiseless) and orthonormal and equal and self.ridge > 0):
            return None
        m = diagonal_overlap(k, float(self.ridge))
        M = m * (k * np.eye(k) - 1) / (k - 1)
        return [FixedSet(Statistics(np.zeros(0), M, M @ M.T), stable=True, label="optimum")]

    def energy(self, u: Statistics) -> Float[Array, "*batch"]:
        """Lyapunov function of the zero-noise flow: the population loss with its ridge.

        -sum_a p_a m_aa + sum_c p_c log sum_b exp(m_bc) + (beta/2) tr Q, decreasing along solutions
        and stationary at fixed points only. With noise it is not the population loss.
        """
        p, a = self.data.weights, jnp.asarray(self.data.coefficients)
        logits = u.M @ a.T  # (..., output b, class c)
        own = jnp.einsum("c,...cc->...", p, logits)
        partition = jax.nn.logsumexp(logits, axis=-2) @ p
        return partition - own + self.ridge / 2 * jnp.trace(u.Q, axis1=-2, axis2=-1)
