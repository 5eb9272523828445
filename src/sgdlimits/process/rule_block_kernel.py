"""Rows on inputs with several eigenvalues under any rule that has no eye for coordinates."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.algorithms.rules.base import AbstractRule
from sgdlimits.algorithms.rules.coefficients import Rates, rates_of
from sgdlimits.expectations.small_linalg import cholesky
from sgdlimits.models import block_rows
from sgdlimits.models.block_domain import check_block_overlaps, into_block_domain
from sgdlimits.models.block_expectations import Along
from sgdlimits.models.block_model import BlockModel
from sgdlimits.models.expectations import Expectations
from sgdlimits.models.sample_gradient import Seen
from sgdlimits.process import block_chain
from sgdlimits.process.block_chain import BlockCoordinates
from sgdlimits.process.block_span import (
    BlockOutside,
    BlockSpanSamples,
    block_outside,
    draw_block_samples,
)
from sgdlimits.process.layout import BlockLayout, Whole
from sgdlimits.process.row_step import Drawn, RowState, row_step
from sgdlimits.process.rule_row_kernel import RuleRowKernel
from sgdlimits.process.ruled_gradient import ruled_gradient
from sgdlimits.statistics.block_overlaps import BlockStatistics
from sgdlimits.statistics.constraints import Constraints
from sgdlimits.statistics.rows import check_unit_norms

_LOG2 = 13  # of nodes, as for isotropic inputs


class RuleBlockKernel(RuleRowKernel):
    """How rows and what is carried along with them move, block by block."""

    model: BlockModel  # pyright: ignore[reportIncompatibleVariableOverride]
    algorithm: OnlineSGD

    @property
    def layout(self) -> BlockLayout:
        """Of the statistics."""
        return BlockLayout(self.model, self.rule.memory, self.rule.scalars)

    @staticmethod
    def check_spherical(model: Any) -> None:
        """Rows of norm 1 over all blocks have a meaning."""

    @staticmethod
    def check_rule(model: Any, rule: AbstractRule) -> None:
        """Raise ValueError where the rule has no meaning for the model."""
        if rule.by_coordinate:
            raise ValueError(
                f"rule={rule!r}: not with a covariance; what it does depends on the coordinates "
                "that inputs are given in. Use another rule."
            )
        if rule.asks_population:
            raise ValueError(
                f"rule={rule!r}: not with a covariance; the step that the population decides is "
                "for isotropic inputs. Use another rule."
            )
        if rule.alternates and not model.layer_size:
            raise ValueError(
                f"rule={rule!r}: {type(model).__name__} has no second layer that is trained."
            )

    def coupled_blocks(self) -> tuple[Any, Any]:
        """Weights of the sums that couple blocks, and the parts of a state (``Couplings``)."""
        weights = self.model.coupled_blocks()
        if weights is not None and self.algorithm.spherical:
            weights = np.concatenate([weights, np.ones((1, weights.shape[1]))])
        return weights, self.layout.coupled

    # -- states --------------------------------------------------------------------------------

    @property
    def minimum_dim(self) -> int:
        """That of the model: blocks may be smaller than rows."""
        return self.model.minimum_dim

    def _rows(self, u: Any) -> BlockStatistics:
        """All rows as those of one model; any batch axes."""

        def one(u: Any) -> BlockStatistics:
            whole = self.layout.split(u)
            return BlockStatistics(whole.v[0], whole.M, whole.Q)

        return self._over_batch(one, u)

    def check_state(self, u: Any) -> None:
        """Raise ValueError unless real rows have these statistics, and scalars are above 0."""
        layout = self.layout
        if not isinstance(u, layout.statistics_class):
            raise TypeError(f"statistics={u!r}: expected {layout.statistics_class.__name__}.")
        base = layout.base(u)
        self.model.check_statistics(base)
        if self.algorithm.spherical:
            norms = np.diagonal(np.asarray(base.Q).sum(-3), axis1=-2, axis2=-1)
            check_unit_norms(norms)
        self._check_scalars(u)
        if layout.memory:
            rows, template = self._rows(u), self._rows(self.template)
            check_block_overlaps(rows, template, np.asarray(self.model.blocks.gram))

    def constrained(self, u: Any) -> Any:
        """Rows of the parameters divided by their norms where the algorithm does so."""
        if not self.algorithm.spherical:
            return u

        def one(u: Any) -> Any:
            whole, p = self.layout.split(u), self.model.width
            norms = jnp.diagonal(jnp.sum(whole.Q, axis=0))[:p]
            scale = jnp.ones(whole.Q.shape[-1]).at[:p].set(1 / jnp.sqrt(norms))
            M, Q = scale[:, None] * whole.M, scale[:, None] * scale * whole.Q
            return self.layout.join(whole._replace(M=M, Q=Q))

        return self._over_batch(one, u)

    def _inside(self, whole: Whole) -> Whole:
        rows = BlockStatistics(whole.v[0], whole.M, whole.Q)
        return whole._replace(Q=into_block_domain(rows, self.model.blocks.roots).Q)

    def constraints(self, u: Any) -> Constraints:
        """No walls."""
        return Constraints.create(len(u.names), [], [])

    # -- real vectors --------------------------------------------------------------------------

    def frame(self, dim: int) -> Float[Array, "r dim"]:
        """The directions."""
        return self.model.frame(dim)

    def lift(self, key: Key[Array, ""], u: Any, frame: Float[Array, "r dim"]) -> RowState:
        """Rows with these overlaps; what is free is uniform orthogonal to the frame."""
        whole = self.layout.split(u)
        R = block_rows.lift_rows(key, self._rows(u), self.model.blocks, frame)
        return RowState(whole.scalars, whole.v, R.reshape(self.layout.kinds, -1, R.shape[1]))

    def statistics(self, state: RowState, frame: Float[Array, "r dim"]) -> Any:
        """Of real rows."""
        R, blocks = state.R.reshape(-1, state.R.shape[-1]), self.model.blocks
        parts, along = blocks.along(R), blocks.along(frame)
        M, Q = (parts @ jnp.swapaxes(x, 1, 2) for x in (along, parts))
        return self.layout.join(Whole(state.v, M, Q, state.scalars))

    # -- the exact chain: the real step, in the coordinates that it sees -----------------------

    def chain_constants(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, dim: int
    ) -> BlockOutside:
        """Gram matrices of samples and noises outside of rows and frame, block by block.

        Raises:
            ValueError: for blocks that are too small for it.
        """
        return block_outside(self.model, self.layout.rows, self._vectors, dim)

    def chain_noise(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, key: Key[Array, ""], steps: int, constants: BlockOutside
    ) -> BlockSpanSamples:
        """In coordinates of the spans, beside what is outside."""
        return draw_block_samples(
            self.model, self.layout.rows, self.algorithm.batch, self._noises, constants, key, steps
        )

    def chain_state(self, u: Any) -> RowState:
        """Second layers, and rows as (coordinates in the frame's span, Gram matrix of the rest)."""
        whole = self.layout.split(u)
        _, B, rest = block_chain.coordinates(self._rows(u), self.model.blocks.roots)
        return RowState(whole.scalars, whole.v, jnp.concatenate([B, rest], axis=2))

    def chain_statistics(self, state: RowState) -> Any:
        """The inverse."""
        r = self.model.data.directions
        at = BlockCoordinates(state.v[0], state.R[..., :r], state.R[..., r:])
        rows = block_chain.statistics(at, self.model.blocks.roots)
        return self.layout.join(Whole(state.v, rows.M, rows.Q, state.scalars))

    def chain_step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, state: RowState, noise: BlockSpanSamples, dim: Array, time: Array
    ) -> RowState:
        """One exact step."""
        drawn = noise
        layout, r, batch = self.layout, self.model.data.directions, self.algorithm.batch
        p, n, roots = self.model.width, layout.rows, self.model.blocks.roots
        vectors, blocks = self._vectors, len(roots)
        T = drawn.factors(vectors)
        of_span = lambda x: jnp.pad(x, ((0, 0), (0, 0), (0, vectors)))  # noqa: E731
        of_rest = lambda x: jnp.pad(x, ((0, 0), (0, 0), (r + n, 0)))  # noqa: E731
        factors = jax.vmap(cholesky)(state.R[..., r:])
        R = _beside(of_span(jnp.concatenate([state.R[..., :r], factors], axis=2)))
        frame = _beside(of_span(jnp.pad(roots, ((0, 0), (0, 0), (0, n)))))
        samples, noises = drawn.inside[:, :batch], drawn.inside[:, batch:]
        together = ()
        if self._together:
            x, more = _beside(of_span(samples)), of_span(noises) + of_rest(T[:, p:])
            apart = jnp.eye(blocks)[:, :, None, None] * of_rest(T[:, :p])
            pairs = zip(drawn.deviation, apart, strict=True)
            together = tuple((deviation, _beside(basis)) for deviation, basis in pairs)
        else:
            gained = drawn.deviation[..., None] * T[:, :batch]
            x = _beside(of_span(samples) + of_rest(gained))
            more = of_span(noises) + of_rest(T[:, batch:])
        more = _beside(more) if self.rule.noisy else jnp.zeros(0)
        seen = Drawn(x, drawn.label, more, drawn.layer_noise, together)
        shaped = R.reshape(layout.kinds, -1, R.shape[1])
        after = row_step(
            self.model, self.algorithm, RowState(state.scalars, state.v, shaped), frame, seen,
            dim, time,
        )  # fmt: skip
        R = jnp.moveaxis(after.R.reshape(n, blocks, -1), 1, 0)
        rest = R[..., r:] @ jnp.swapaxes(R[..., r:], 1, 2)
        return RowState(after.scalars, after.v, jnp.concatenate([R[..., :r], rest], axis=2))

    # -- limits, of a step of size step * factor -----------------------------------------------

    def check_limit(self) -> None:
        """Drifts are known for all of these."""

    def _rates(self, whole: Whole, time: Any) -> Rates:
        return rates_of(self.rule, whole.scalars, time)

    def _along(self, whole: Whole) -> Along:
        return Along(whole.M, whole.Q[:, : self.model.width])

    def _changed(self, v: Array, s: Array, label: Array, norm2: Array) -> tuple[Array, Array]:
        """(g, h) of a sample as the rule takes it, without ridge."""
        found = ruled_gradient(self.model, self.rule, v, Seen(s, label, None, None, norm2))
        return found.g, found.h - jnp.asarray(self.model.ridge, v.dtype) * v

    def _estimates(self, u: Any, whole: Whole) -> Expectations:
        base, along = self.layout.base(u), self._along(whole)
        return self.model.changed_estimates(base, self._changed, along, _LOG2)

    def _expectations(self, u: Any, whole: Whole) -> Expectations:
        if self.by_samples:
            return self._estimates(u, whole).mean()
        return self.model.expectations(self.layout.base(u), self._along(whole))

    def _model_deviations(self, u: Any, whole: Whole) -> Expectations | None:
        return self.model.deviations(self.layout.base(u), self._along(whole))

    def relative_errors(self, u: Any) -> dict[str, Float[Array, ""]]:
        """Of the expectations."""
        if not self.by_samples:
            return self.model.relative_errors(self.layout.base(u))
        base = self.layout.base(u)
        own = self.model.changed_estimates(base, self._changed, Along(base.M, base.Q), _LOG2)
        return self.model.in_scales(own.deviations(), base, own.mean())

    def _against(self, whole: Whole, now: Whole, e: Expectations, time: Any) -> Whole:
        """Minus the rate of change that is linear in the mean gradient."""
        rates, rate = self._rates(whole, time), self.algorithm.second_layer_rate
        layer, p = rates.layer(rate), self.model.width
        dM = _mixed(rates.mix, now.M, p) + _kinds(rates.gradient, e.gf)
        dQ = _mixed(rates.mix, now.Q, p) + _kinds(rates.gradient, e.gs)
        dv = layer.mix @ now.v + layer.gradient[:, None] * e.h
        scalars = {name: jnp.zeros_like(x) for name, x in whole.scalars.items()}
        return Whole(-dv, -dM, -(dQ + jnp.swapaxes(dQ, 1, 2)), scalars)

    def _noise_overlaps(self) -> Float[Array, "blocks width width"]:
        return self.model.blocks.fractions[:, None, None] * jnp.eye(self.model.width)

    def tangent(self, u: Any, rate: Whole, relax: bool = False) -> Any:
        """A rate of change of all overlaps as one of the statistics, on the sphere if need be."""
        whole, p = self.layout.split(u), self.model.width
        if self.algorithm.spherical:
            count = whole.Q.shape[-1]
            norms, gain = (jnp.diagonal(jnp.sum(x, axis=0))[:p] for x in (whole.Q, rate.Q))
            back = gain - (norms - 1) * float(relax)
            half = jnp.zeros(count).at[:p].set(back / 2)
            Q = rate.Q - whole.Q * (half[:, None] + half)
            rate = rate._replace(M=rate.M - whole.M * half[:, None], Q=Q)
        return jax.jvp(self.layout.join, (whole,), (rate,))[1]

    def diffusion_factor(self, u: Any, step: Any, time: Any) -> Float[Array, "statistics noises"]:
        """Unknown.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"rule={self.rule!r}: diffusion is not known with a covariance, except under plain "
            "SGD; use engine='chain', 'ode' or 'sgd'."
        )


def _beside(x: Float[Array, "blocks rows coordinates"]) -> Float[Array, "rows all_coordinates"]:
    """Coordinates of all blocks in a row."""
    return jnp.moveaxis(x, 0, 1).reshape(x.shape[1], -1)


def _kinds(factors: Float[Array, " kinds"], x: Float[Array, "blocks width n"]) -> Array:
    """The same for every kind of row, times its factor."""
    return jnp.concatenate([factor * x for factor in factors], axis=1)


def _mixed(mix: Float[Array, "kinds kinds"], x: Float[Array, "blocks rows n"], p: int) -> Array:
    """(mix x 1) x for rows kind by kind."""
    each = x.reshape(x.shape[0], len(mix), p, x.shape[2])
    return jnp.einsum("kl,jlpn->jkpn", mix, each).reshape(x.shape)
