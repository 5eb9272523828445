"""Models whose parameters are rows that samples move: real step, exact chain, limits.

Written once, against R' = A R + C F + K X: the model gives the gradient pull R + push F + g X of a
sample, the algorithm what it does with a batch of them.
"""

from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.expectations.small_linalg import MOST_UNROLLED
from sgdlimits.models.base import PlainStep
from sgdlimits.models.expectations import Expectations
from sgdlimits.models.row_model import AbstractRowModel
from sgdlimits.models.sample_gradient import Gradient, Seen
from sgdlimits.process.affine_step import Move, advance
from sgdlimits.process.batch_moments import batch_moments
from sgdlimits.process.literal import literal_mean
from sgdlimits.process.outside import OutsideGram
from sgdlimits.process.plain_states import PlainStates
from sgdlimits.process.sample import Samples, draw_samples
from sgdlimits.process.spherical_limit import tangent as on_sphere
from sgdlimits.process.spherical_moments import spherical_moments
from sgdlimits.statistics import rows
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.overlaps import Coordinates, Parameters, Statistics

S = TypeVar("S", bound=AbstractStatistics)


class Batch(NamedTuple):
    """Real samples; the batch is the leading axis, if a step has more than one."""

    x: Float[Array, "*batch dim"]
    label: Float[Array, "*batch outputs"]


class RowKernel(PlainStates, Generic[S]):
    """How rows move."""

    model: AbstractRowModel[S]
    algorithm: OnlineSGD

    @staticmethod
    def takes(algorithm: OnlineSGD) -> bool:
        """Rules that carry nothing along, and see the mean gradient alone."""
        return algorithm.rule.simple

    # -- what an algorithm does with a batch ---------------------------------------------------

    def _move(self, gradient: Gradient, delta: Array, time: Array) -> Move:
        """Of gradients with the batch on the last axis, if there is one."""
        a, b = self.algorithm.rule.coefficients(delta, time.astype(delta.dtype))
        pull, push, share = jnp.asarray(gradient.pull), gradient.push, b
        if gradient.g.ndim > 1:
            share = b / gradient.g.shape[-1]
            pull = jnp.mean(pull, axis=-1)
            push = None if push is None else jnp.mean(push, axis=-1)
        return Move(a + b * pull, share * gradient.g, None if push is None else b * push)

    def _layer(self, v: Array, h: Array, delta: Array, time: Array) -> Array:
        """The rest of the parameters after the step."""
        h = h if h.ndim == v.ndim else jnp.mean(h, axis=-1)
        rate = delta * jnp.asarray(self.algorithm.second_layer_rate, v.dtype)
        return self.algorithm.rule.update(v, h, rate, time.astype(v.dtype))

    def _gradients(self, v: Array, s: Array, label: Array, M: Any, Q: Any) -> Gradient:
        """Of a sample, or of a batch on the last axis."""
        if s.ndim == 1:
            return self.model.gradient(v, Seen(s, label, M, Q))
        at = lambda s, label: self.model.gradient(v, Seen(s, label, M, Q))  # noqa: E731
        return jax.vmap(at, -1, -1)(s, label)

    def _step_size(self, dim: Any, time: Array) -> Array:
        delta = jnp.asarray(self.algorithm.delta(dim))
        return delta * jnp.asarray(self.algorithm.factor(time), delta.dtype)

    # -- real vectors --------------------------------------------------------------------------

    def draw(self, key: Key[Array, ""], frame: Float[Array, "r dim"], dtype: Any) -> Batch:
        """The samples of one step."""
        if self.algorithm.batch == 1:
            return Batch(*self.model.data.sample(key, frame, dtype))
        keys = jax.random.split(key, self.algorithm.batch)
        return Batch(*jax.vmap(lambda key: self.model.data.sample(key, frame, dtype))(keys))

    def step_on(self, parameters: PyTree, frame: Array, batch: Batch, time: Array) -> PyTree:
        """One step on given samples."""
        v, R = self.model.rows_of(parameters)
        delta = jnp.asarray(self._step_size(R.shape[1], time), R.dtype)
        sees = self.model.sees_overlaps
        M, Q = (R @ frame.T, R @ R.T) if sees else (None, None)
        single = batch.x.ndim == 1
        s = R @ (batch.x if single else batch.x.T)
        gradient = self._gradients(v, s, batch.label if single else batch.label.T, M, Q)
        shrink, kick, push = self._move(gradient, delta, time)
        along = kick[:, None] * batch.x[None, :] if single else kick @ batch.x
        R = shrink * R + along
        R = R if push is None else R + push @ frame
        if self.algorithm.spherical:
            R = R / jnp.linalg.norm(R, axis=1, keepdims=True)
        return self.model.parameters_of(Parameters(self._layer(v, gradient.h, delta, time), R))

    def step_along(self, parameters: PyTree, gradient: PyTree, dim: int, time: Array) -> PyTree:
        """One step along a given gradient."""
        (v, R), (h, G) = self.model.rows_of(parameters), self.model.rows_of(gradient)
        delta = jnp.asarray(self._step_size(dim, time), R.dtype)
        R = self.algorithm.rule.update(R, G, delta, time.astype(R.dtype))
        if self.algorithm.spherical:
            R = R / jnp.linalg.norm(R, axis=1, keepdims=True)
        return self.model.parameters_of(Parameters(self._layer(v, h, delta, time), R))

    def literal(
        self, state: PyTree, frame: Float[Array, "r dim"], key: Key[Array, ""], time: Array
    ) -> PyTree:
        """One step on gradients as the paper writes them."""
        mean = literal_mean(self.model, self.algorithm.batch, state, frame, key)
        return self.step_along(state, mean, frame.shape[1], time)

    # -- the exact chain -----------------------------------------------------------------------

    def chain_constants(self, dim: int) -> OutsideGram:
        """|X|^2, or the Gram matrix of a batch, outside the span of rows and frame."""
        dof, width, batch = dim - self.model.minimum_dim, self.model.width, self.algorithm.batch
        # Written-out steps are of the rows' Gram matrix, whatever the batch.
        rank = width if width <= MOST_UNROLLED else min(width, batch)
        return OutsideGram(dof, rank, single=batch == 1)

    def chain_noise(self, key: Key[Array, ""], steps: int, constants: OutsideGram) -> Samples:
        """In coordinates of the span, beside the Gram matrix of the rest."""
        batch = self.algorithm.batch
        return draw_samples(self.model.data, self.model.width, batch, constants, key, steps)

    def chain_state(self, u: S) -> Coordinates:
        """(v, B, rest)."""
        return self.model.coordinates(u)

    def chain_statistics(self, state: Coordinates) -> S:
        """The inverse."""
        return self.model.of_coordinates(state)

    def chain_step(
        self, state: Coordinates, noise: Samples, dim: Array, time: Array
    ) -> Coordinates:
        """One exact step."""
        (v, B, rest), root = state, self.model.data.root
        delta = self._step_size(dim, time)
        sees = self.model.sees_overlaps
        M, Q = rows.overlaps(B, rest, root) if sees else (None, None)

        def decide(s: Array) -> tuple[Move, Array]:
            gradient = self._gradients(v, s, noise.label, M, Q)
            return self._move(gradient, delta, time), self._layer(v, gradient.h, delta, time)

        B, rest, v = advance(B, rest, noise, root, decide)
        if self.algorithm.spherical:
            scale = jax.lax.rsqrt(jnp.sum(B * B, axis=1) + jnp.diagonal(rest))
            B, rest = B * scale[:, None], rest * scale[:, None] * scale
        return Coordinates(v, B, rest)

    # -- limits, of a step of size step * factor -----------------------------------------------

    def population_drift(self, u: S, time: Any) -> S:
        """f, at factor 1."""
        e, overlaps = self.model.expectations(u), self.model.overlaps(u)
        return self.tangent(u, self._against(overlaps, e, time), relax=True)

    def corrector(self, u: S, step: Any, time: Any) -> S:
        """g, for a step of this size and the algorithm's batch."""
        return self.tangent(u, self._inflation(self.model.expectations(u), step, time))

    def drift(self, u: S, step: Any, time: Any) -> S:
        """g - f, from one pass over the expectations."""
        e, overlaps = self.model.expectations(u), self.model.overlaps(u)
        f = self.tangent(u, self._against(overlaps, e, time), relax=True)
        g = self.tangent(u, self._inflation(e, step, time))
        return jax.tree.map(lambda f, g: g - f, f, g)

    def drift_deviations(self, u: S, step: Any, time: Any) -> S | None:
        """Of g - f, with a leading axis along which squares add up; None: it is exact."""
        deviations = self.model.deviations(u)
        if deviations is None:
            return None
        nowhere = jax.tree.map(jnp.zeros_like, self.model.overlaps(u))

        def of_drift(e: Expectations) -> S:
            f, g = self._against(nowhere, e, time), self._inflation(e, step, time)
            return self.tangent(u, jax.tree.map(jnp.subtract, g, f))

        return jax.vmap(of_drift)(deviations)

    def _against(self, now: Statistics, e: Expectations, time: Any) -> Statistics:
        """Minus the rate of change that is linear in the mean gradient."""
        a, b = self.algorithm.rule.rates(time)
        rate = self.algorithm.second_layer_rate
        gs = b * (e.gs + e.gs.T)
        return Statistics(
            -rate * (a * now.v + b * e.h), -(a * now.M + b * e.gf), -(2 * a * now.Q + gs)
        )

    def _inflation(self, e: Expectations, step: Any, time: Any) -> Statistics:
        _, b = self.algorithm.rule.rates(time)
        gg = step / self.algorithm.batch * b * b * e.gg
        return Statistics(jnp.zeros_like(e.h), jnp.zeros_like(e.gf), gg)

    def tangent(self, u: S, rate: Statistics, relax: bool = False) -> S:
        """A rate of change of overlaps as one of the statistics, on the sphere if need be."""
        overlaps = self.model.overlaps(u)
        if self.algorithm.spherical:
            rate = on_sphere(overlaps, rate)
            if relax:
                # Rows are normalised at once; here they relax at rate 1: fixed points are isolated.
                away = jnp.diag(jnp.diagonal(overlaps.Q) - 1)
                rate = Statistics(rate.v, rate.M, rate.Q + away)
        return jax.jvp(self.model.of_overlaps, (overlaps,), (rate,))[1]

    def diffusion_factor(self, u: S, step: Any, time: Any) -> Float[Array, "statistics noises"]:
        """Root of Cov(increment/delta) * delta * dim as dim -> infinity, at factor 1."""
        _, b = self.algorithm.rule.rates(time)
        # A batch does what one sample does at a step that is shorter by its size; so does b.
        plain = PlainStep(-b * step / self.algorithm.batch, self.algorithm.second_layer_rate)
        factor = jnp.abs(b) * jnp.sqrt(step / self.algorithm.batch)
        return self._project(u, factor * self.model.increment_factor(u, plain))

    def _project(self, u: S, factor: Array) -> Float[Array, "statistics noises"]:
        """J B for the Jacobian J of the projection onto the sphere, column by column."""
        if not self.algorithm.spherical:
            return factor
        onto = lambda y: self.tangent(u, self._as_overlaps(u, y)).vector  # noqa: E731
        return jax.vmap(onto, in_axes=1, out_axes=1)(factor)

    def _as_overlaps(self, u: S, y: Array) -> Statistics:
        """A small change of the statistics as one of the overlaps."""
        return jax.jvp(self.model.overlaps, (u,), (u.with_vector(y),))[1]

    def check_one_step_moments(self) -> None:
        """Raise ValueError where moments of one step are not known."""
        if self.algorithm.spherical and self.algorithm.batch > 1:
            raise ValueError(
                f"spherical=True, batch={self.algorithm.batch}: the moments of such a step are not "
                "known; those of one sample are."
            )

    def one_step_moments(self, u: S, step: Any, dim: Array, time: Any) -> tuple[Array, Array]:
        """Mean and covariance of the increment of one step of this size.

        R' = a R + b gradient is a plain step of size -b/a, and then a scaling by a.
        """
        algorithm, delta = self.algorithm, step / dim
        a, b = algorithm.rule.coefficients(delta, time)
        a_v, b_v = algorithm.rule.coefficients(delta * algorithm.second_layer_rate, time)
        size = -b / a
        plain = PlainStep(size * dim, -b_v / a_v / size, algorithm.batch)
        if algorithm.spherical:
            return spherical_moments(self, u, step, dim, time)
        mean, covariance = batch_moments(self.model, u, plain, dim)

        def scaled(y: Array) -> Array:
            now = self.model.overlaps(u.with_vector(y))
            return self.model.of_overlaps(Statistics(a_v * now.v, a * now.M, a * a * now.Q)).vector

        scale = jax.jacfwd(scaled)(u.vector)  # scalings are linear in the statistics
        return mean + (scale - jnp.eye(len(mean))) @ (u.vector + mean), scale @ covariance @ scale.T

    # -- the sphere ----------------------------------------------------------------------------

    @staticmethod
    def check_spherical(model: AbstractRowModel) -> None:
        """Raise ValueError where rows of norm 1 have no meaning."""
        if any(model.data.noiseless):
            raise ValueError(
                "spherical=True: the zero-noise limit slides on walls, which unit rows cannot "
                "follow; use a finite snr, or spherical=False."
            )

    def check_state(self, u: S) -> None:
        """Raise ValueError unless rows have norm 1 where the algorithm keeps them so."""
        self.model.check_statistics(u)
        if self.algorithm.spherical:
            rows.check_unit_norms(np.asarray(_norms(self.model, u)))

    def constrained(self, u: S) -> S:
        """Rows divided by their norms where the algorithm does so; any batch axes."""
        if not self.algorithm.spherical:
            return u
        one = lambda u: self.model.of_overlaps(rows.unit_rows(self.model.overlaps(u)))  # noqa: E731
        for _ in u.batch_shape:
            one = jax.vmap(one)
        return one(u)


def _norms(model: AbstractRowModel, u: AbstractStatistics) -> Array:
    one = lambda u: jnp.diagonal(model.overlaps(u).Q)  # noqa: E731
    for _ in u.batch_shape:
        one = jax.vmap(one)
    return one(u)
