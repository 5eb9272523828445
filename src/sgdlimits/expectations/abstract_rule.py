"""What a rule for Gaussian expectations is: reference points, and the map from them to nodes."""

from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

#: Values (components, nodes) of an integrand at nodes (dim, nodes).
Look = Callable[[Array], Array]


class Nodes(NamedTuple):
    """Standard normal nodes and weights; the first axis are replicates of one rule.

    Each replicate's weights sum to one (exactly, or to the rule's error); replicates are
    independent, so that their spread estimates the error of their mean. Nodes are the last axis,
    along which a processor works on several at once.
    """

    z: Float[Array, "replicates dim nodes"]
    weight: Float[Array, "replicates nodes"]

    @property
    def together(self) -> tuple[Float[Array, "dim all"], Float[Array, " all"]]:
        """(z, weight) of all replicates as one rule."""
        z = jnp.swapaxes(self.z, 0, 1).reshape(self.z.shape[1], -1)
        return z, self.weight.ravel() / len(self.weight)


class AbstractRule(eqx.Module):
    """Reference points, and the map from them to nodes."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of nodes."""

    @abstractmethod
    def nodes(
        self,
        mean: Float[Array, " dim"],
        factor: Float[Array, "dim dim"],
        kinks: tuple[float, ...],
    ) -> Nodes:
        """Nodes for the law of s = mean + factor z with F kinked at s_i in ``kinks``."""

    def nodes_of(
        self,
        mean: Float[Array, " dim"],
        factor: Float[Array, "dim dim"],
        kinks: tuple[float, ...],
        look: Look,
    ) -> Nodes:
        """Nodes for an integrand that may be looked at; default: ``nodes``, which do not look."""
        return self.nodes(mean, factor, kinks)

    @property
    def differentiable(self) -> bool:
        """Whether derivatives of an expectation see the kinks."""
        return True

    @property
    def is_sampled(self) -> bool:
        """Whether its points are random, and errors fall slowly with their number."""
        return False

    @property
    def is_coarse(self) -> bool:
        """Whether it is good to some four digits where there are kinks, at states of order one."""
        return self.is_sampled

    @property
    def follows_jumps(self) -> bool:
        """Whether nodes stay on their side of any jump of the integrand."""
        return False

    def coarser(self) -> "AbstractRule | None":
        """A rule whose distance from this one estimates its error; None: replicates do that."""
        return None

    def half(self) -> "AbstractRule | None":
        """One with half of the nodes an axis, whose distance shows how fast rules converge."""
        return None

    def turned(self) -> "AbstractRule | None":
        """One as good that goes through the fields in another order, and errs elsewhere.

        It sees what a rule and its coarser ones all miss.
        """
        return None

    @property
    def has_error_estimate(self) -> bool:
        """Whether there is a coarser rule, or several replicates."""
        return self.coarser() is not None

    def coarser_rules(self) -> "tuple[AbstractRule, ...]":
        """Rules whose distances from this one tell the error of anything it computes."""
        coarser, half = self.coarser(), self.half()
        if coarser is None:
            return ()
        return (coarser,) if half is None else (coarser, half)

    @property
    def steps_from_half(self) -> int:
        """How often ``coarser`` leads to ``half``."""
        return 1

    def cheaper(self, error: float) -> "AbstractRule":
        """One with fewer nodes that was measured to reach this error, or the rule itself."""
        return self

    def finer(self) -> "AbstractRule | None":
        """What to take where this rule is not accurate enough; None: no more."""
        return None
