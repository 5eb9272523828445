"""The rule of panels as one of the rules that models take: fields of known activations."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.expectations.activations import AbstractActivation
from sgdlimits.expectations.own_points import OwnPoints, own_points
from sgdlimits.expectations.panels import Axis, panel_axes, panel_count
from sgdlimits.expectations.rules import AbstractRule, Nodes

_MOST_NODES = 200_000
_ORDER, _LEAST_ORDER = 6, 3
_MANY = 32  # panels on an axis; then two nodes less in each
#: By nodes a panel: largest error, in units of the integral of absolute values, over the states of
#: tests/expectations/test_panels.py.
_ERRORS = {3: 1e-2, 4: 1e-3, 5: 1e-4}


class PanelRule(AbstractRule):
    """Gauss-Legendre nodes on panels that follow each field's own points. See ``panels``.

    Args:
        points: of every field's activation.
        order: nodes in a panel.
    """

    points: tuple[OwnPoints, ...] = eqx.field(static=True)
    order: int = eqx.field(static=True)

    @property
    def dim(self) -> int:
        """Number of fields."""
        return len(self.points)

    @property
    def orders(self) -> tuple[int, ...]:
        """Nodes in a panel of each coordinate."""
        panels = (panel_count(self.points, j) for j in range(self.dim))
        return tuple(max(2, self.order - 2 * (n > _MANY)) for n in panels)

    @property
    def count(self) -> int:
        """Product over the coordinates."""
        return math.prod(n * panel_count(self.points, j) for j, n in enumerate(self.orders))

    def axes(self, mean: Float[Array, " dim"], factor: Float[Array, "dim dim"]) -> list[Axis]:
        """Nodes coordinate by coordinate."""
        return panel_axes(mean, factor, self.points, self.orders)

    def nodes(
        self,
        mean: Float[Array, " dim"],
        factor: Float[Array, "dim dim"],
        kinks: tuple[float, ...],
    ) -> Nodes:
        """All of them; ``kinks`` are among the rule's own points."""
        axes = self.axes(mean, factor)
        shape, weight = axes[-1].z.shape, jnp.ones(())
        columns = []
        for axis in axes:
            missing = (1,) * (len(shape) - axis.z.ndim)
            columns.append(jnp.broadcast_to(axis.z.reshape(*axis.z.shape, *missing), shape).ravel())
            weight = weight * axis.weight.reshape(*axis.z.shape, *missing)
        return Nodes(jnp.stack(columns)[None], weight.reshape(1, -1))

    def coarser(self) -> "PanelRule | None":
        """One node a panel less."""
        return None if self.order == 1 else PanelRule(self.points, self.order - 1)

    def finer(self) -> "PanelRule | None":
        """With four nodes a panel more, if they are not too many."""
        rule = PanelRule(self.points, self.order + 4)
        return rule if self.order <= _ORDER and rule.count <= 2 * _MOST_NODES else None

    def cheaper(self, error: float) -> "PanelRule":
        """With the fewest nodes that were measured to reach this error."""
        orders = (order for order, least in _ERRORS.items() if least <= error)
        return PanelRule(self.points, min(next(orders, self.order), self.order))


def panel_rule(activations: Sequence[AbstractActivation]) -> PanelRule | None:
    """For fields of these activations; None if there would be more than 200 000 nodes."""
    points = tuple(own_points(activation) for activation in activations)
    for order in range(_ORDER, _LEAST_ORDER - 1, -1):
        rule = PanelRule(points, order)
        if rule.count <= _MOST_NODES:
            return rule
    return None
