"""What a diffusion must say to be sampled, and the weak-noise diffusion at finite dim."""

from abc import abstractmethod
from typing import Generic, TypeVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.models.base import AbstractModel
from sgdlimits.statistics.base import AbstractStatistics

NOISE_ACCURACY = 1e-2
S = TypeVar("S", bound=AbstractStatistics)


class AbstractDiffusion(eqx.Module, Generic[S]):
    """dy = drift_vector(y) dt + factor(y) dB, for one state y in the order of the names."""

    model: eqx.AbstractVar[AbstractModel[S]]
    sgd: eqx.AbstractVar[OnlineSGD]

    @abstractmethod
    def drift_vector(self, y: Float[Array, " statistics"]) -> Float[Array, " statistics"]:
        """Drift per unit time."""

    @abstractmethod
    def factor(self, y: Float[Array, " statistics"]) -> Float[Array, "statistics noises"]:
        """B with B Bᵀ = covariance per unit time."""


class WeakNoiseDiffusion(AbstractDiffusion[S]):
    """du = h(u) dt + sqrt(diffusion(u)/dim) dB: SGD's statistics to leading order in 1/dim.

    Expectations that are quadratures are no finer than that: the drift to 1/dim, which is what the
    limit neglects, and the noise to a percent.
    """

    model: AbstractModel[S]
    noise_model: AbstractModel[S]
    sgd: OnlineSGD
    dim: Float[Array, ""]

    def __init__(self, model: AbstractModel[S], sgd: OnlineSGD, dim: float):
        self.model = model.accurate_to(1 / dim)
        self.noise_model = model.accurate_to(NOISE_ACCURACY)
        self.sgd, self.dim = sgd, jnp.asarray(float(dim))

    def drift_vector(self, y: Float[Array, " statistics"]) -> Float[Array, " statistics"]:
        """h(u)."""
        return self.model.drift(self._state(y), self.sgd).vector

    def factor(self, y: Float[Array, " statistics"]) -> Float[Array, "statistics noises"]:
        """Factor of diffusion(u)/dim."""
        return self.noise_model.diffusion_factor(self._state(y), self.sgd) / jnp.sqrt(self.dim)

    def _state(self, y: Array) -> S:
        return self.model.admissible(self.model.template.with_vector(y))
