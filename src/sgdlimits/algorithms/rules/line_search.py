"""Exact line search on the population loss."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits.algorithms.rules.population import AbstractPopulationRule, Population


class line_search(AbstractPopulationRule):
    """The step after which the population risk is expected to be least, to leading order in 1/dim.

    At ``step`` the risk changes by (-descent step + noise step²)/dim, which is least at
    descent/(2 noise). No algorithm knows it: it is what a greedy choice of steps could do at best,
    and need not be the best schedule (Collins-Woodfin et al. 2024). ``OnlineSGD.step`` only sets
    the clock. For least squares with isotropic inputs D = |W - w*|² gives step = D/(D + sigma²).

    Exact in chain and real vectors at this definition; in the limits asymptotic.

    Args:
        largest: the step where noise does not raise the risk, and the most that is taken.

    Raises:
        TypeError, ValueError: unless ``largest`` is a number above 0.
    """

    largest: float = eqx.field(converter=_validate.as_float, default=100.0)

    def __check_init__(self) -> None:
        _validate.positive("largest", self.largest)

    def population_step(self, at: Population) -> Float[Array, ""]:
        """descent/(2 noise), from 0 to ``largest``."""
        uphill = at.noise * self.largest > 0
        best = at.descent / jnp.where(uphill, 2 * at.noise, 1.0)
        best = jnp.where(uphill, best, jnp.where(at.descent > 0, self.largest, 0.0))
        return jnp.clip(best, 0.0, self.largest)
