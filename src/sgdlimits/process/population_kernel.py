"""Rows under steps whose size the population decides."""

from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.algorithms.rules.base import AbstractRule
from sgdlimits.algorithms.rules.population import Population
from sgdlimits.models.row_model import AbstractRowModel
from sgdlimits.process.row_step import Drawn, RowState
from sgdlimits.process.rule_row_kernel import RuleRowKernel
from sgdlimits.process.span_sample import SpanSamples
from sgdlimits.statistics.base import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)


class PopulationKernel(RuleRowKernel[S]):
    """Steps of the kernel below, each as long as the rule says at the statistics before it."""

    @staticmethod
    def takes(algorithm: OnlineSGD) -> bool:
        """Rules that ask the population."""
        return algorithm.rule.asks_population

    @staticmethod
    def check_rule(model: AbstractRowModel, rule: AbstractRule) -> None:
        """Raise ValueError where the statistics do not know what the rule asks."""
        name = type(model).__name__
        if rule.asks_least_risk and model.irreducible_risk() is None:
            raise ValueError(
                f"rule={rule!r}: {name} has no formula for its least risk; give least=, the risk "
                "at which steps end."
            )
        if any(model.data.noiseless):
            raise ValueError(
                f"rule={rule!r}: the zero-noise limit slides on walls, where the risk has no "
                "slope; use a finite snr."
            )

    def _found(self, u: Any, time: Any) -> Float[Array, ""]:
        """The step at ``u``, before any schedule."""
        base, least = self.layout.base(u), self.model.irreducible_risk()

        def slope(change: Any) -> Array:
            return jax.jvp(self.model.risk, (base,), (self.layout.base(change),))[1]

        at = Population(
            risk=self.model.risk(base),
            least=jnp.asarray(jnp.nan if least is None else least),
            descent=slope(super().population_drift(u, time)),
            noise=slope(super().corrector(u, 1.0, time)),
            square=jnp.trace(self.model.expectations(base).gg) / self.algorithm.batch,
        )
        return self.rule.population_step(at)

    def _share(self, u: Any, time: Any) -> Float[Array, ""]:
        """Of the algorithm's own step."""
        return self._found(u, time) / self.algorithm.step

    def _at(self, found: Array) -> "PopulationKernel[S]":
        return eqx.tree_at(lambda kernel: kernel.algorithm.step, self, found)

    # -- steps ---------------------------------------------------------------------------------

    def step_on(self, state: RowState, frame: Array, drawn: Drawn, time: Array) -> RowState:
        """One step on given samples."""
        found = self._found(self._seen(state, frame), time)
        return RuleRowKernel.step_on(self._at(found), state, frame, drawn, time)

    def literal(
        self, state: RowState, frame: Float[Array, "r dim"], key: Key[Array, ""], time: Array
    ) -> RowState:
        """One step on gradients as the paper writes them."""
        found = self._found(self._seen(state, frame), time)
        return RuleRowKernel.literal(self._at(found), state, frame, key, time)

    def _seen(self, state: RowState, frame: Array) -> Any:
        """Statistics in double precision, in which expectations are taken."""
        return jax.tree.map(lambda x: x.astype(float), self.statistics(state, frame))

    def chain_step(self, state: RowState, noise: SpanSamples, dim: Array, time: Array) -> RowState:
        """One exact step."""
        found = self._found(self.chain_statistics(state), time)
        return RuleRowKernel.chain_step(self._at(found), state, noise, dim, time)

    # -- limits --------------------------------------------------------------------------------

    def population_drift(self, u: Any, time: Any) -> Any:
        """f, at factor 1 of a schedule."""
        return self._times(self._share(u, time), super().population_drift(u, time))

    def corrector(self, u: Any, step: Any, time: Any) -> Any:
        """g."""
        share = self._share(u, time)
        return self._times(share, super().corrector(u, share * step, time))

    def drift(self, u: Any, step: Any, time: Any) -> Any:
        """g - f."""
        share = self._share(u, time)
        return self._times(share, super().drift(u, share * step, time))

    def drift_deviations(self, u: Any, step: Any, time: Any) -> Any:
        """Of g - f at this step; errors of the step itself are left out."""
        share = self._share(u, time)
        each = super().drift_deviations(u, share * step, time)
        return None if each is None else self._times(share, each)

    def diffusion_factor(self, u: Any, step: Any, time: Any) -> Float[Array, "statistics noises"]:
        """Root of Cov(increment/delta) * delta * dim as dim -> infinity."""
        share = self._share(u, time)
        return jnp.sqrt(share) * super().diffusion_factor(u, share * step, time)

    def one_step_moments(self, u: Any, step: Any, dim: Array, time: Any) -> tuple[Array, Array]:
        """Of a step as long as it is at ``u``."""
        return super().one_step_moments(u, self._share(u, time) * step, dim, time)

    def _times(self, share: Array, value: Any) -> Any:
        return jax.tree.map(lambda x: share * x, value)
