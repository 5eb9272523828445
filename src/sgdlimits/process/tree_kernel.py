"""Models whose parameters are any tree of arrays: real steps, and limits from estimated moments."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.expectations.small_linalg import cholesky
from sgdlimits.models.custom import CustomModel, FibreMoments
from sgdlimits.process.literal import literal_mean
from sgdlimits.process.plain_states import PlainStates
from sgdlimits.statistics.named_statistics import NamedStatistics


class TreeKernel(PlainStates):
    """How trees move: every leaf against its gradient."""

    model: CustomModel
    algorithm: OnlineSGD

    @staticmethod
    def takes(algorithm: OnlineSGD) -> bool:
        """Rules that carry nothing along, and see the mean gradient alone."""
        return algorithm.rule.simple

    def _step_size(self, dim: Any, time: Array) -> Array:
        delta = jnp.asarray(self.algorithm.delta(dim))
        return delta * jnp.asarray(self.algorithm.factor(time), delta.dtype)

    # -- real parameters -----------------------------------------------------------------------

    def draw(self, key: Key[Array, ""], frame: Float[Array, "r dim"], dtype: Any) -> PyTree:
        """The samples of one step; the batch is the leading axis, if there is one."""
        dim = frame.shape[1]
        if self.algorithm.batch == 1:
            return self.model.draw(key, dim, dtype)
        keys = jax.random.split(key, self.algorithm.batch)
        return jax.vmap(lambda key: self.model.draw(key, dim, dtype))(keys)

    def step_on(self, parameters: PyTree, frame: Array, batch: PyTree, time: Array) -> PyTree:
        """One step on given samples."""
        gradient = jax.grad(self.model.loss)
        if self.algorithm.batch == 1:
            return self.step_along(parameters, gradient(parameters, batch), frame.shape[1], time)
        each = jax.vmap(lambda sample: gradient(parameters, sample))(batch)
        mean = jax.tree.map(lambda g: jnp.mean(g, axis=0), each)
        return self.step_along(parameters, mean, frame.shape[1], time)

    def step_along(self, parameters: PyTree, gradient: PyTree, dim: int, time: Array) -> PyTree:
        """One step along a given gradient."""
        size, rule = self._step_size(dim, time), self.algorithm.rule

        def move(x: Array, g: Array) -> Array:
            return rule.update(x, g, size.astype(x.dtype), time.astype(x.dtype))

        return jax.tree.map(move, parameters, gradient)

    def literal(
        self, state: PyTree, frame: Float[Array, "r dim"], key: Key[Array, ""], time: Array
    ) -> PyTree:
        """One step on gradients as the paper writes them."""
        mean = literal_mean(self.model, self.algorithm.batch, state, frame, key)
        return self.step_along(state, mean, frame.shape[1], time)

    # -- limits, of a step of size step * factor -----------------------------------------------

    def population_drift(self, u: NamedStatistics, time: Any) -> NamedStatistics:
        """f, at factor 1: mean over the fibre points."""
        return u.with_vector(jnp.mean(self._against(self.model.moments(u), time), axis=0))

    def corrector(self, u: NamedStatistics, step: Any, time: Any) -> NamedStatistics:
        """g, for a step of this size and the algorithm's batch: mean over the fibre points."""
        each = self._inflation(self.model.moments(u), step, time)
        return u.with_vector(jnp.mean(each, axis=0))

    def drift(self, u: NamedStatistics, step: Any, time: Any) -> NamedStatistics:
        """g - f, from the same samples."""
        return u.with_vector(jnp.mean(self._drifts(u, step, time), axis=0))

    def drift_deviations(self, u: NamedStatistics, step: Any, time: Any) -> NamedStatistics:
        """Of the fibre points from their mean; squares add up to the squared standard error."""
        each = self._drifts(u, step, time)
        count = each.shape[0]
        if count < 2:
            raise ValueError("monte_carlo: one fibre point has no spread; use points >= 2.")
        return u.with_vector((each - jnp.mean(each, axis=0)) / np.sqrt(count * (count - 1)))

    def _drifts(
        self, u: NamedStatistics, step: Any, time: Any
    ) -> Float[Array, "points statistics"]:
        moments = self.model.moments(u)
        return self._inflation(moments, step, time) - self._against(moments, time)

    def _against(self, moments: FibreMoments, time: Any) -> Array:
        a, b = self.algorithm.rule.rates(time)
        return -(a * moments.radial + b * moments.first)

    def _inflation(self, moments: FibreMoments, step: Any, time: Any) -> Array:
        _, b = self.algorithm.rule.rates(time)
        delta = step / self.algorithm.batch / float(self.model.monte_carlo.dim)
        return b * b * delta / 2 * moments.second

    def diffusion_factor(
        self, u: NamedStatistics, step: Any, time: Any
    ) -> Float[Array, "statistics noises"]:
        """Root of step * Cov(J grad L)/batch, mean over the points."""
        _, b = self.algorithm.rule.rates(time)
        size = b * b * step / self.algorithm.batch
        return cholesky(size * jnp.mean(self.model.moments(u).volatility, axis=0))

    # -- what there is not ---------------------------------------------------------------------

    @staticmethod
    def check_spherical(model: CustomModel) -> None:
        """Raise ValueError: nobody knows which parameters are rows."""
        raise ValueError(
            f"spherical=True: {type(model).__name__} takes plain steps; use spherical=False."
        )

    def check_state(self, u: NamedStatistics) -> None:
        """Raise ValueError unless the model has such statistics."""
        self.model.check_statistics(u)

    def constrained(self, u: NamedStatistics) -> NamedStatistics:
        """No rows to normalise."""
        return u
