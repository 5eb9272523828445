"""What sampled gradients do to statistics in one step, to second order, by autodiff.

For parameters x moving by -delta G, G a sampled gradient, u(x) moves by

    -delta J G + (delta^2/2) Gᵀ (d2u) G + ...,

exactly so for quadratic statistics. Ben Arous, Gheissari and Jagannath (2022), Theorem 2.2: the
population drift is A u = J E[G], the corrector delta L u = (delta/2) E[Hᵀ (d2u) H] with
H = G - E[G], the volatility delta Cov(J G). No Hessian is formed: Hᵀ (d2u) H is a second
derivative along H.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.models.monte_carlo_fibre import VectorStatistics


class SampleMoments(NamedTuple):
    """Per sample and statistic: J G, and the second derivative of u along H = G - mean.

    ``second`` is scaled by samples/(samples - 1), so that its mean is that of E[Hᵀ (d2u) H].
    """

    first: Float[Array, "samples statistics"]
    second: Float[Array, "samples statistics"]

    def volatility(self) -> Float[Array, "statistics statistics"]:
        """Cov(J G), unbiased."""
        centred = self.first - jnp.mean(self.first, axis=0)
        return centred.T @ centred / (centred.shape[0] - 1)


def sample_moments(
    statistics: VectorStatistics,
    x: Float[Array, " parameters"],
    gradients: Float[Array, "samples parameters"],
) -> SampleMoments:
    """The moments at ``x`` for independent sampled gradients (at least two)."""
    count = gradients.shape[0]
    jacobian = jax.jacrev(statistics)(x)
    noise = gradients - jnp.mean(gradients, axis=0)
    second = jax.lax.map(lambda h: second_derivative(statistics, x, h), noise, batch_size=128)
    return SampleMoments(gradients @ jacobian.T, second * (count / (count - 1)))


def second_derivative(
    statistics: VectorStatistics, x: Float[Array, " parameters"], h: Float[Array, " parameters"]
) -> Float[Array, " statistics"]:
    """hᵀ (d2u) h for every statistic."""

    def along(x: Array) -> Array:
        return jax.jvp(statistics, (x,), (h,))[1]

    return jax.jvp(along, (x,), (h,))[1]
