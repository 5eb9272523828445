"""Committees on inputs with several eigenvalues: closed forms at the total fields."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sgdlimits.data.base import AbstractDataLaw
from sgdlimits.expectations.rules import Nodes
from sgdlimits.expectations.small_linalg import cholesky
from sgdlimits.models.block_expectations import Along, Moments, slopes_of
from sgdlimits.models.block_increments import IncrementNodes
from sgdlimits.models.block_model import BlockModel
from sgdlimits.models.class_nodes import Affine, ClassNodes
from sgdlimits.models.committee import Committee
from sgdlimits.models.expectations import Expectations
from sgdlimits.statistics.block_overlaps import BlockStatistics

# Gauss-Hermite: increments are of degree 2 in the label's noise, their squares of degree 4.
_NOISE = (np.array([-(3**0.5), 0.0, 3**0.5]), np.array([1.0, 4.0, 1.0]) / 6)


class BlockCommittee(BlockModel):
    """A ``Committee`` whose inputs have a covariance. Build one with ``committee(covariance=...)``.

    Source: Yoshida and Okada (2019) for the equations of erf committees; exact where the isotropic
    committee's expectations are formulas.
    """

    base: Committee  # pyright: ignore[reportIncompatibleVariableOverride]

    records_risk: ClassVar = True

    @property
    def law_of_fields(self) -> AbstractDataLaw:
        """With the hidden part of the teacher's preactivations in the fields."""
        return self.base.data

    def _initial_layer(self, key: Key[Array, ""]) -> Float[Array, " layer"]:
        trained = self.base.train_second_layer
        return jnp.asarray(self.base.second_layer) if trained else self.template.v

    def risk(self, u: BlockStatistics) -> Float[Array, ""]:
        """Of the committee at the total fields."""
        return self.base.risk(self._totals(u, 0))

    def risk_deviations(self, u: BlockStatistics) -> Float[Array, " estimates"] | None:
        """Of the committee at the total fields."""
        return self.base.risk_deviations(self._totals(u, 0))

    def irreducible_risk(self) -> Float[Array, ""]:
        """Delta/2."""
        return self.base.irreducible_risk()

    def _spread(self, total: Expectations, u: BlockStatistics, along: Along | None) -> Expectations:
        """Expectations at the total fields as those of the blocks: a linear map."""
        now = self._totals(u, 0)
        G = jnp.asarray(self.base.gram)
        gy = jnp.concatenate([total.gf, total.gs], axis=1)
        slope = slopes_of(gy, jnp.block([[G, now.M.T], [now.M, now.Q]]))
        r = self.data.directions
        nothing = jnp.zeros(self.width)
        moments = Moments(total.h, nothing, slope[:, r:], slope[:, :r], total.gg)
        return self._in_blocks(moments, u, 0, along)

    def expectations(self, u: BlockStatistics, along: Along | None = None) -> Expectations:
        """By formula where the committee has one."""
        now = self._totals(u, 0)
        e, ridge = self.base.expectations(now), self.ridge
        free = Expectations(e.h - ridge * u.v, e.gf - ridge * now.M, e.gs - ridge * now.Q, e.gg)
        return self._with_ridge(self._spread(free, u, along), u, along)

    def deviations(self, u: BlockStatistics, along: Along | None = None) -> Expectations | None:
        """Of the committee at the total fields."""
        each: Expectations | None = self.base.deviations(self._totals(u, 0))
        return None if each is None else jax.vmap(lambda e: self._spread(e, u, along))(each)

    def relative_errors(self, u: BlockStatistics) -> dict[str, Array]:
        """Of the committee at the total fields."""
        return self.base.relative_errors(self._totals(u, 0))

    def _increment_nodes(self, u: BlockStatistics, c: Array) -> IncrementNodes:
        """Of students, then teachers, as the committee's rule wants them; and the label's noise."""
        now, p, r = self._totals(u, 0), self.width, self.data.directions
        factor = cholesky(self.base.joint_covariance(now))
        z, weight = self.rule.nodes(jnp.zeros(p + r), factor, self.base.kinks)
        along, share = (jnp.asarray(x) for x in _NOISE)
        tiled = jnp.tile(z, (1, 1, len(along)))
        noise = jnp.broadcast_to(jnp.repeat(along, z.shape[-1]), (len(z), 1, tiled.shape[-1]))
        weights = (share[:, None] * weight[:, None, :]).reshape(len(z), -1)
        padded = jnp.pad(factor, ((0, 0), (0, 1)))
        at = ClassNodes(
            c,
            Nodes(jnp.concatenate([tiled, noise], axis=1), weights),
            Affine(jnp.zeros(p), padded[:p]),
            Affine(jnp.zeros(r), padded[p:]),
            Affine(jnp.zeros(1), jnp.eye(p + r + 1)[-1:]),
        )
        return IncrementNodes(at, factor, np.array([*range(r, r + p), *range(r)]))
