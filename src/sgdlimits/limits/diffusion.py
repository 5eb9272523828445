"""What a diffusion must say to be sampled, and the weak-noise diffusion at finite dim."""

from abc import abstractmethod
from typing import Generic, TypeVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

NOISE_ACCURACY = 1e-2
S = TypeVar("S", bound=AbstractStatistics)

Time = Float[Array, ""] | float


class AbstractDiffusion(eqx.Module, Generic[S]):
    """dy = drift_vector(y, t) dt + factor(y, t) dB, for one state y in the order of the names."""

    process: eqx.AbstractVar[Process[S]]

    @property
    def size(self) -> int:
        """Numbers that the coefficients at one state go through; sizes the batches of runs."""
        return self.process.model.expectation_size

    @abstractmethod
    def drift_vector(
        self, y: Float[Array, " statistics"], time: Time = 0.0
    ) -> Float[Array, " statistics"]:
        """Drift per unit time."""

    @abstractmethod
    def factor(
        self, y: Float[Array, " statistics"], time: Time = 0.0
    ) -> Float[Array, "statistics noises"]:
        """B with B Bᵀ = covariance per unit time."""


class WeakNoiseDiffusion(AbstractDiffusion[S]):
    """du = h(u) dt + sqrt(diffusion(u)/dim) dB: SGD's statistics to leading order in 1/dim.

    Expectations that are quadratures are no finer than that: the drift to 1/dim, which is what the
    limit neglects, and the noise to a percent.
    """

    process: Process[S]
    noise: Process[S]
    dim: Float[Array, ""]

    def __init__(self, process: Process[S], dim: float):
        self.process = process.accurate_to(1 / dim)
        self.noise = process.accurate_to(NOISE_ACCURACY)
        self.dim = jnp.asarray(float(dim))

    @property
    def size(self) -> int:
        """Of the noise, whose covariance costs most."""
        return self.noise.model.expectation_size

    def drift_vector(
        self, y: Float[Array, " statistics"], time: Time = 0.0
    ) -> Float[Array, " statistics"]:
        """h(u)."""
        return self.process.drift(self._state(y), time).vector

    def factor(
        self, y: Float[Array, " statistics"], time: Time = 0.0
    ) -> Float[Array, "statistics noises"]:
        """Factor of diffusion(u)/dim."""
        return self.noise.diffusion_factor(self._state(y), time) / jnp.sqrt(self.dim)

    def _state(self, y: Array) -> S:
        return self.process.admissible(self.process.template.with_vector(y))
