"""Statistics of a process whose rule carries something along, as overlaps of all its rows.

Rows stand in the order (parameters, memory, memory, ...), as many of each as the model has.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple, Self

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.algorithms.rules.base import AbstractRule, Memory, Scalar
from sgdlimits.statistics.base import AbstractStatistics, Label
from sgdlimits.statistics.block_overlaps import BlockStatistics
from sgdlimits.statistics.overlaps import Statistics
from sgdlimits.statistics.remembered import Extra, remembered


class Whole(NamedTuple):
    """Second layers (kinds, layer), overlaps of all rows, and scalars by name."""

    v: Float[Array, "kinds layer"]
    M: Float[Array, "*blocks rows directions"]
    Q: Float[Array, "*blocks rows rows"]
    scalars: dict[str, Array]

    @property
    def rows(self) -> Statistics:
        """The overlaps, with the parameters' second layer."""
        return Statistics(self.v[0], self.M, self.Q)


class Layout(eqx.Module):
    """Of the statistics of ``model`` under a rule."""

    model: Any
    memory: tuple[Memory, ...] = eqx.field(static=True)
    scalars: tuple[Scalar, ...]

    @classmethod
    def of(cls, model: Any, rule: AbstractRule) -> Self:
        """Of a model under a rule."""
        return cls(model, rule.memory, rule.scalars)

    @property
    def kinds(self) -> int:
        """Parameters, and memories of their shape."""
        return 1 + len(self.memory)

    @property
    def rows(self) -> int:
        """Rows in all."""
        return self.kinds * self.model.width

    @property
    def statistics_class(self) -> type[AbstractStatistics]:
        """Of the states."""
        return remembered(self.model.statistics_class, self._extras())

    def _extras(self) -> tuple[Extra, ...]:
        M, Q = self.model.overlap_dims
        found = []
        for x, _, meaning in self.memory:
            if self.model.layer_size:
                label = Label(rf"$v_{{\mathrm{{{x}}}}}$", f"second layer of {meaning}")
                found.append(Extra(f"v_{x}", ("weight",), False, label))
            found += [
                Extra(
                    f"M_{x}", M, False,
                    Label(rf"$M_{{\mathrm{{{x}}}}}$", f"overlaps of {meaning} with the directions"),
                ),
                Extra(
                    f"Q_{x}", Q, True,
                    Label(rf"$Q_{{\mathrm{{{x}}}}}$", f"overlaps of the rows of {meaning}"),
                ),
            ]  # fmt: skip
        for one, other in combinations(("parameters", *(x.name for x in self.memory)), 2):
            symbol = rf"$Q_{{\mathrm{{{one}, {other}}}}}$"
            label = Label(symbol, f"overlaps of the rows of the {one} with those of the {other}")
            found.append(Extra(f"Q_{one}_{other}", Q, False, label))
        for name, _, symbol, meaning in self.scalars:
            found.append(Extra(name, (), False, Label(symbol, meaning)))
        return tuple(found)

    # -- back and forth ------------------------------------------------------------------------

    @property
    def _apart(self) -> bool:
        return bool(self.memory or self.scalars)

    def base(self, u: Any) -> Any:
        """The model's own statistics."""
        return u.base if self._apart else u

    def _base(self, v: Array, M: Array, Q: Array) -> Any:
        return self.model.of_overlaps(Statistics(v, M, Q))

    def with_base(self, u: Any, base: AbstractStatistics) -> Any:
        """With other statistics of the model."""
        return u.with_base(base) if self._apart else base

    def split(self, u: Any) -> Whole:
        """Of one state."""
        now = self.model.overlaps(self.base(u))
        names = [x.name for x in self.memory]
        layer = [now.v, *(getattr(u, f"v_{x}", now.v) for x in names)]
        M = [now.M, *(getattr(u, f"M_{x}").reshape(now.M.shape) for x in names)]
        blocks = {(x, x): getattr(u, f"Q_{x}").reshape(now.Q.shape) for x in names}
        blocks["parameters", "parameters"] = now.Q
        order = ("parameters", *names)
        for one, other in combinations(order, 2):
            block = getattr(u, f"Q_{one}_{other}").reshape(now.Q.shape)
            blocks[one, other], blocks[other, one] = block, jnp.swapaxes(block, -1, -2)
        Q = jnp.block([[blocks[one, other] for other in order] for one in order])
        scalars = {x.name: getattr(u, x.name) for x in self.scalars}
        return Whole(jnp.stack(layer), jnp.concatenate(M, axis=-2), Q, scalars)

    def join(self, whole: Whole) -> Any:
        """The inverse."""
        p, names = self.model.width, [x.name for x in self.memory]
        at = {x: slice(i * p, (i + 1) * p) for i, x in enumerate(("parameters", *names))}
        ours = at["parameters"]
        base = self._base(whole.v[0], whole.M[..., ours, :], whole.Q[..., ours, ours])
        if not self._apart:
            return base
        of_M, of_Q = (_shaped(dims) for dims in self.model.overlap_dims)
        fields: dict[str, Any] = {name: getattr(base, name) for name in base.dims}
        for i, x in enumerate(names):
            if self.model.layer_size:
                fields[f"v_{x}"] = whole.v[1 + i]
            fields[f"M_{x}"] = of_M(whole.M[..., at[x], :])
            fields[f"Q_{x}"] = of_Q(whole.Q[..., at[x], at[x]])
        for one, other in combinations(("parameters", *names), 2):
            fields[f"Q_{one}_{other}"] = of_Q(whole.Q[..., at[one], at[other]])
        return self.statistics_class(**fields, **whole.scalars)

    def begin(self, base: AbstractStatistics) -> Any:
        """One state whose memory is as it starts."""
        if not self._apart:
            return base
        now = self.model.overlaps(base)
        copies = jnp.asarray([1.0, *(1.0 if x.copies else 0.0 for x in self.memory)])
        scalars = {x.name: jnp.asarray(x.start, float) for x in self.scalars}
        M = jnp.concatenate([copy * now.M for copy in copies], axis=-2)
        Q = jnp.kron(copies[:, None] * copies, now.Q)
        begun = self.join(Whole(copies[:, None] * now.v, M, Q, scalars))
        return self.with_base(begun, base)  # to the last bit


class BlockLayout(Layout):
    """The same on inputs with several eigenvalues: overlaps have a leading axis of blocks."""

    def _base(self, v: Array, M: Array, Q: Array) -> BlockStatistics:
        return BlockStatistics(v, M, Q)

    @property
    def coupled(self) -> tuple[tuple[bool, int], ...]:
        """Parts of a state's vector: whether each is of blocks, and its numbers."""
        p, r, layer = self.model.width, self.model.data.directions, self.model.layer_size
        memory, upper = len(self.memory), p * (p + 1) // 2
        each = [(False, layer), (True, p * r), (True, upper)]
        pairs = memory * (memory + 1) // 2
        return (
            *each, *memory * each, *pairs * [(True, p * p)], (False, len(self.scalars)),
        )  # fmt: skip


def _shaped(dims: tuple[str, ...]) -> Callable[[Array], Array]:
    """Overlaps as results have them: a single one is a number."""
    return (lambda x: x) if dims else (lambda x: x[0, 0])
