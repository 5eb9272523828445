"""Rows on inputs with several eigenvalues under plain SGD: real step, exact chain, limits."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.models.base import PlainStep
from sgdlimits.models.block_model import BlockModel
from sgdlimits.models.expectations import Expectations
from sgdlimits.models.sample_gradient import Gradient, Seen
from sgdlimits.process import block_chain
from sgdlimits.process.block_chain import BlockCoordinates, BlockSamples
from sgdlimits.process.layout import BlockLayout
from sgdlimits.process.plain_states import PlainStates
from sgdlimits.statistics.block_overlaps import BlockStatistics
from sgdlimits.statistics.overlaps import Parameters


class Batch(NamedTuple):
    """Real samples; the batch is the leading axis, if a step has more than one."""

    x: Float[Array, "*batch dim"]
    label: Float[Array, "*batch outputs"]


class BlockKernel(PlainStates):
    """How rows move."""

    model: BlockModel
    algorithm: OnlineSGD

    @staticmethod
    def takes(algorithm: OnlineSGD) -> bool:
        """Plain SGD, its batches and schedules."""
        return algorithm.plain and not algorithm.spherical

    def coupled_blocks(self) -> tuple[Any, Any]:
        """Weights of the sums that couple blocks, and the parts of a state (``Couplings``)."""
        layout = BlockLayout.of(self.model, self.algorithm.rule)
        return self.model.coupled_blocks(), layout.coupled

    def _step_size(self, dim: Any, time: Array) -> Array:
        delta = jnp.asarray(self.algorithm.delta(dim))
        return delta * jnp.asarray(self.algorithm.factor(time), delta.dtype)

    def _gradients(self, v: Array, s: Array, label: Array) -> Gradient:
        """Of a sample, or of a batch on the last axis."""
        if s.ndim == 1:
            return self.model.gradient(v, Seen(s, label))
        at = lambda s, label: self.model.gradient(v, Seen(s, label))  # noqa: E731
        return jax.vmap(at, -1, -1)(s, label)

    def _move(self, v: Array, s: Array, label: Array, delta: Array) -> tuple[Array, Array, Array]:
        """(shrink, kick, v after the step): R' = shrink R + kick X."""
        gradient = self._gradients(v, s, label)
        mean = (lambda x: jnp.mean(x, axis=-1)) if s.ndim > 1 else (lambda x: x)
        pull, h = mean(jnp.asarray(gradient.pull)), mean(gradient.h)
        rate = delta * jnp.asarray(self.algorithm.second_layer_rate, v.dtype)
        share = delta / s.shape[-1] if s.ndim > 1 else delta
        return 1 - delta * pull, -share * gradient.g, v - rate * h

    # -- real vectors --------------------------------------------------------------------------

    def draw(self, key: Key[Array, ""], frame: Float[Array, "r dim"], dtype: Any) -> Batch:
        """The samples of one step."""
        if self.algorithm.batch == 1:
            return Batch(*self.model.data.sample(key, frame, dtype))
        keys = jax.random.split(key, self.algorithm.batch)
        return Batch(*jax.vmap(lambda key: self.model.data.sample(key, frame, dtype))(keys))

    def step_on(self, parameters: PyTree, frame: Array, batch: Batch, time: Array) -> PyTree:
        """One step on given samples."""
        v, W = parameters
        delta = jnp.asarray(self._step_size(W.shape[1], time), W.dtype)
        single = batch.x.ndim == 1
        s = W @ (batch.x if single else batch.x.T)
        shrink, kick, v = self._move(v, s, batch.label if single else batch.label.T, delta)
        along = kick[:, None] * batch.x[None, :] if single else kick @ batch.x
        return Parameters(v, shrink * W + along)

    def step_along(self, parameters: PyTree, gradient: PyTree, dim: int, time: Array) -> PyTree:
        """One step along a given gradient."""
        (v, W), (h, G) = parameters, gradient
        delta = jnp.asarray(self._step_size(dim, time), W.dtype)
        rate = delta * jnp.asarray(self.algorithm.second_layer_rate, v.dtype)
        return Parameters(v - rate * h, W - delta * G)

    # -- the exact chain -----------------------------------------------------------------------

    def chain_constants(self, dim: int) -> block_chain.Outside:
        """What samples have outside of rows and frame, block by block.

        Raises:
            ValueError: for blocks that are too small for it.
        """
        single = self.algorithm.batch == 1
        return block_chain.outside(self.model.blocks, self.model.width, dim, single)

    def chain_noise(
        self, key: Key[Array, ""], steps: int, constants: block_chain.Outside
    ) -> BlockSamples:
        """In coordinates of the spans, beside the Gram matrices of the rest."""
        return block_chain.draw(self.model, self.algorithm.batch, constants, key, steps)

    def chain_state(self, u: BlockStatistics) -> BlockCoordinates:
        """(v, B_j, rest_j)."""
        return block_chain.coordinates(u, self.model.blocks.roots)

    def chain_statistics(self, state: BlockCoordinates) -> BlockStatistics:
        """The inverse."""
        return block_chain.statistics(state, self.model.blocks.roots)

    def chain_step(
        self, state: BlockCoordinates, noise: BlockSamples, dim: Array, time: Array
    ) -> BlockCoordinates:
        """One exact step."""
        delta = self._step_size(dim, time)
        decide = lambda s: self._move(state.v, s, noise.label, delta)  # noqa: E731
        return block_chain.advance(state, noise, decide)

    # -- limits, of a step of size step * factor -----------------------------------------------

    def population_drift(self, u: BlockStatistics, time: Any) -> BlockStatistics:
        """f, at factor 1."""
        return self._along(self.model.expectations(u))

    def corrector(self, u: BlockStatistics, step: Any, time: Any) -> BlockStatistics:
        """g, for a step of this size and the algorithm's batch."""
        return self._inflation(self.model.expectations(u), step)

    def drift(self, u: BlockStatistics, step: Any, time: Any) -> BlockStatistics:
        """g - f, from one pass over the expectations."""
        return self._drift(self.model.expectations(u), step)

    def drift_deviations(self, u: BlockStatistics, step: Any, time: Any) -> BlockStatistics | None:
        """Of g - f, with a leading axis along which squares add up; None: it is exact."""
        deviations = self.model.deviations(u)
        if deviations is None:
            return None
        return jax.vmap(lambda e: self._drift(e, step))(deviations)

    def _drift(self, e: Expectations, step: Any) -> BlockStatistics:
        return jax.tree.map(jnp.subtract, self._inflation(e, step), self._along(e))

    def _along(self, e: Expectations) -> BlockStatistics:
        """Rate of change along the mean gradient."""
        gs = e.gs + jnp.swapaxes(e.gs, -1, -2)
        return BlockStatistics(self.algorithm.second_layer_rate * e.h, e.gf, gs)

    def _inflation(self, e: Expectations, step: Any) -> BlockStatistics:
        gg = step / self.algorithm.batch * e.gg
        return BlockStatistics(jnp.zeros_like(e.h), jnp.zeros_like(e.gf), gg)

    def diffusion_factor(
        self, u: BlockStatistics, step: Any, time: Any
    ) -> Float[Array, "statistics noises"]:
        """Root of Cov(increment/delta) * delta * dim as dim -> infinity, at factor 1."""
        share = jnp.asarray(step / self.algorithm.batch)
        plain = PlainStep(share, self.algorithm.second_layer_rate)
        return jnp.sqrt(share) * self.model.increment_factor(u, plain)

    # -- what there is not ---------------------------------------------------------------------

    def check_state(self, u: BlockStatistics) -> None:
        """Raise ValueError unless real vectors have these overlaps."""
        self.model.check_statistics(u)

    def constrained(self, u: BlockStatistics) -> BlockStatistics:
        """No rows to normalise."""
        return u
