"""Polyak's step on the population loss."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits.algorithms.rules.population import AbstractPopulationRule, Population


class polyak(AbstractPopulationRule):
    """step = scale (risk - least)/(E|gradient|²/dim): Polyak's step, the population's loss known.

    |gradient| is that of the batch's mean in the first layer, sample noise included, which is why
    steps end with the excess risk. For least squares with isotropic inputs D = |W - w*|² gives
    step = scale D/(2 (D + sigma²)), with scale 2 that of ``line_search``. ``OnlineSGD.step`` only
    sets the clock. Polyak (1987); of the population as in Collins-Woodfin et al. (2024).

    Exact in chain and real vectors at this definition; in the limits asymptotic.

    Args:
        scale: above 0.
        least: the least risk; default: the model's formula for it.
        largest: the most that is taken.

    Raises:
        TypeError, ValueError: for numbers out of range.
    """

    scale: float = eqx.field(converter=_validate.as_float, default=1.0)
    least: float | None = eqx.field(
        converter=lambda least: None if least is None else _validate.as_float(least), default=None
    )
    largest: float = eqx.field(converter=_validate.as_float, default=100.0)

    def __check_init__(self) -> None:
        _validate.positive("scale", self.scale)
        if self.least is not None:
            _validate.number("least", self.least)
        _validate.positive("largest", self.largest)

    @property
    def asks_least_risk(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Unless it is given."""
        return self.least is None

    def population_step(self, at: Population) -> Float[Array, ""]:
        """scale (risk - least)/square, from 0 to ``largest``."""
        excess = self.scale * (at.risk - (at.least if self.least is None else self.least))
        some = at.square > 0
        found = jnp.where(some, excess / jnp.where(some, at.square, 1.0), 0.0)
        return jnp.clip(found, 0.0, self.largest)
