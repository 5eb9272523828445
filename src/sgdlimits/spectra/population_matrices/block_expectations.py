"""Small matrices of a block as sums over nodes, by any rule: see ``population_blocks``.

Several estimates along a leading axis: one for each replicate of a rule.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits._tracing import dynamic
from sgdlimits.expectations.rules import AbstractRule
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.blocks import (
    Block,
    Kind,
    first_layer_matrices,
    first_layer_weight,
    mixed_weight,
    second_layer_weights,
)
from sgdlimits.spectra.labelled_nodes import Cases, LabelledNodes, labelled_nodes, seen_rows
from sgdlimits.spectra.population_matrices.span import independent_coordinates

_CANCELS = 0.1


class SmallMatrices(NamedTuple):
    """Of one block; with a leading axis where there are several estimates.

    ``absolute`` is what the largest entry is if nothing cancels, about: errors are small against a
    tenth of that, or the largest entry if it is larger.
    """

    inner: np.ndarray
    bulk: np.ndarray
    absolute: np.ndarray

    def mean(self) -> "SmallMatrices":
        """Over the leading axis."""
        return SmallMatrices(*(x.mean(0) for x in self))

    def deviations(self) -> "SmallMatrices":
        """Whose squares add up to the squared standard error of the mean."""
        count = len(self.inner)
        scale = 1 / np.sqrt(count * max(count - 1, 1))
        return SmallMatrices(*(scale * (x - x.mean(0)) for x in self))

    def sizes(self) -> "SmallMatrices":
        """What errors are small or large against."""
        parts = self.inner, self.bulk, _CANCELS * self.absolute
        size = jnp.max(jnp.stack([jnp.max(jnp.abs(x), initial=0.0) for x in parts]))
        return SmallMatrices(size, size, jnp.asarray(np.inf))  # pyright: ignore[reportArgumentType]


class Seen(NamedTuple):
    """The classes, and the coordinates z = O y through which weights see a sample.

    Fields have the rows L O in the coordinates of the span, and classes the means there.
    """

    shares: Float[np.ndarray, " classes"]
    deviations: Float[np.ndarray, " classes"]
    means: Float[np.ndarray, "classes n"]
    rows: np.ndarray
    L: np.ndarray
    O: np.ndarray  # noqa: E741

    @property
    def rank(self) -> int:
        """Number of coordinates."""
        return len(self.O)

    def moment(self, d0: np.ndarray, d1: np.ndarray, d2: np.ndarray) -> np.ndarray:
        """sum_c p_c E[D x xᵀ], from E[D], E[D z], E[D z zᵀ] of (classes, estimates)."""
        n, r = self.O.shape[1], len(self.O)
        m, sigma = self.means, self.deviations[:, None, None]
        d1 = sigma * d1 @ self.O
        across = np.einsum("c,ci,crj->rij", self.shares, m, d1)
        left = d0[..., None, None] * np.eye(r)
        within = np.einsum("c,crij->rij", self.shares * self.deviations**2, d2 - left)
        level = np.einsum("c,cr,ci,cj->rij", self.shares, d0, m, m)
        bulk = self.bulk(d0)[:, None, None] * np.eye(n)
        return level + bulk + across + np.swapaxes(across, 1, 2) + self.O.T @ within @ self.O

    def bulk(self, d0: np.ndarray) -> np.ndarray:
        """sum_c p_c sigma_c^2 E[D]."""
        return (self.shares * self.deviations**2) @ d0


def seen(model: MultiIndexModel, T: np.ndarray, A: np.ndarray) -> Seen:
    """Of neurons with coordinates ``T`` and fixed directions with coordinates ``A``."""
    law, rows = model.data, seen_rows(model.data, T, A)
    means = np.array(law.coefficients) @ A
    shares, deviations = np.asarray(law.weights), np.asarray(law.deviations)
    return Seen(shares, deviations, means, rows, *independent_coordinates(rows))


def estimate(
    model: MultiIndexModel,
    block: Block,
    kind: Kind,
    v: Array,
    at: Seen,
    rule: AbstractRule | None,
    apart: bool,
) -> SmallMatrices:
    """Of a block, by a rule for the coordinates ``at`` which samples are seen."""
    numbers = np.arange(len(at.shares))
    cases = Cases(numbers, at.means @ at.rows.T, at.deviations, at.L)
    nodes = labelled_nodes(model, cases, rule, apart, sharp_values, v)
    return _Of(dynamic(model), kind, v, at, nodes).matrices(block)


def sharp_values(
    model: MultiIndexModel, v: Array, s: Array, label: Array
) -> Float[Array, " components"]:
    """Gradients, and the loss's second derivatives in one direction, which is like no other."""
    direction = [1.0 + 0.3 * jnp.cos(1.0 + 2.0 * jnp.arange(len(x), dtype=float)) for x in (v, s)]
    gradients = lambda v, s: model.sample_gradients(v, s, label)  # noqa: E731
    (g, h), (along_s, along_v) = jax.jvp(gradients, (v, s), tuple(direction))
    return jnp.concatenate([g, h, along_s, along_v])


class _Of(NamedTuple):
    """What sums are of."""

    model: MultiIndexModel
    kind: Kind
    v: Array
    at: Seen
    nodes: LabelledNodes

    def matrices(self, block: Block) -> SmallMatrices:
        """Of any block."""
        if block.form == "WW":
            pair = jnp.asarray(block.i), jnp.asarray(block.j)
            return self._first(self._values(_first_layer, *pair))
        if block.form == "vv":
            return self._no_bulk(*self._second())
        if block.form == "vW":
            return self._no_bulk(*self._mixed(block.j))
        return self._all(with_layer=block.form == "all")

    def _values(self, function: Any, *arguments: Any) -> np.ndarray:
        return self.nodes.values(function, self.model, self.kind, self.v, *arguments)

    def _no_bulk(self, inner: np.ndarray, absolute: np.ndarray) -> SmallMatrices:
        return SmallMatrices(inner, np.zeros(len(inner)), absolute)

    def _all(self, with_layer: bool) -> SmallMatrices:
        p, n = self.model.width, self.at.O.shape[1]
        count = self.nodes.weight.shape[1]
        inner, bulk = np.zeros((count, p, n, p, n)), np.zeros((count, p, p))
        absolute = np.zeros(count)
        D = self._values(_first_layer_all)
        for i in range(p):
            for j in range(i, p):
                value, c, size = self._first(D[..., i, j])
                absolute = np.maximum(absolute, size)
                inner[:, i, :, j], inner[:, j, :, i] = value, np.swapaxes(value, 1, 2)
                bulk[:, i, j] = bulk[:, j, i] = c
        first = inner.reshape(count, p * n, p * n)
        if not with_layer or not len(self.v):
            return SmallMatrices(first, bulk, absolute)
        across = np.concatenate([self._mixed(j)[0] for j in range(p)], axis=2)
        rows = [
            np.concatenate([self._second()[0], across], axis=2),
            np.concatenate([np.swapaxes(across, 1, 2), first], axis=2),
        ]
        return SmallMatrices(np.concatenate(rows, axis=1), bulk, absolute)

    def _first(self, D: np.ndarray) -> SmallMatrices:
        d0, d1 = self.nodes.moments(D)
        inner = self.at.moment(d0, d1, self.nodes.second_moments(D))
        absolute = self.at.bulk((self.nodes.weight * np.abs(D)).sum(2))
        return SmallMatrices(inner, self.at.bulk(d0), absolute)

    def _mixed(self, j: int) -> tuple[np.ndarray, np.ndarray]:
        """The matrix, and its size if nothing cancels."""
        a = self._values(_mixed, jnp.asarray(j))
        a0, a1 = self.nodes.moments(a)
        at = self.at
        inside = np.einsum("c,crl,ci->rli", at.shares, a0, at.means)
        total = inside + np.einsum("c,crlz->rlz", at.shares * at.deviations, a1) @ at.O
        largest = np.abs(a).max(-1, initial=0.0)
        sizes = (self.nodes.weight * largest).sum(2)
        return total, (at.shares * at.deviations) @ sizes

    def _second(self) -> tuple[np.ndarray, np.ndarray]:
        """The matrix, and its size if nothing cancels."""
        A, shares = self._values(_second), self.at.shares
        largest = np.abs(A).max((-2, -1), initial=0.0)
        total = np.einsum("c,crn,crnkl->rkl", shares, self.nodes.weight, A)
        return total, shares @ (self.nodes.weight * largest).sum(2)


@eqx.filter_jit
def _first_layer(model, kind: Kind, v: Array, i: Array, j: Array, s: Array, labels: Array):
    return jax.vmap(lambda s, y: first_layer_weight(model, v, s, y, i, j, kind))(s, labels)


def _first_layer_all(model, kind: Kind, v: Array, s: Array, labels: Array):
    return first_layer_matrices(model, v, s, labels, kind)


@eqx.filter_jit
def _mixed(model, kind: Kind, v: Array, j: Array, s: Array, labels: Array):
    return jax.vmap(lambda s, y: mixed_weight(model, v, s, y, j, kind))(s, labels)


def _second(model, kind: Kind, v: Array, s: Array, labels: Array):
    return second_layer_weights(model, v, s, labels, kind)
