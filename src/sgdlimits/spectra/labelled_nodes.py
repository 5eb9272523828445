"""Nodes that stand for a sample as its weight sees it: fields, label noise, and the label there.

A weight depends on s = W X and on the label. Labels that are a class's own leave s alone; labels
that are functions of f = F X and of noise make the fields (f, s), beside the noise. Rows of the
fields are always in this order, so that the neurons come last. Fields that depend on each other,
and neurons that are zero, are functions of fewer standard normals than there are fields.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer
from scipy.linalg import block_diag

from sgdlimits._tracing import dynamic
from sgdlimits.data.base import AbstractDataLaw
from sgdlimits.expectations.looked_plane import LookAtMany, LookedPlane
from sgdlimits.expectations.rules import AbstractRule
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.flat_nodes import flat_nodes

# Nodes of noise that the model's own rule leaves to a formula. Exact to degree 5: the squares of a
# squared loss's weights have degree 4.
_HERMITE = 3
_PIECE = 2**11  # samples that a program sees at once

#: (model, arguments, s, label) -> numbers: what is averaged, or what is sharp where that is.
Values = Callable[[MultiIndexModel, Any, Array, Array], Array]


class LabelledNodes(NamedTuple):
    """Nodes of some cases, replicate by replicate; label noise is averaged over, no coordinate.

    A case is a class, or one with a condition. Each replicate's weights sum to one.
    """

    z: Float[np.ndarray, "cases replicates nodes coordinates"]  # normals behind the fields
    weight: Float[np.ndarray, "cases replicates nodes"]
    s: Float[np.ndarray, "cases replicates nodes neurons"]
    labels: Float[np.ndarray, "cases replicates nodes outputs"]

    def values(self, function: Callable[..., Array], *arguments: Any) -> np.ndarray:
        """function(*arguments, s, labels) of samples on a first axis, at all nodes."""
        shape = self.weight.shape
        found = in_pieces(function, arguments, *(_flat(x, 3) for x in (self.s, self.labels)))
        return found.reshape(*shape, *found.shape[1:])

    def moments(
        self, D: Float[np.ndarray, "cases replicates nodes *rest"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """E[D] and E[D z], shapes (cases, replicates, *rest) and (..., coordinates)."""
        weighted = self.weight.reshape(*self.weight.shape, *[1] * (D.ndim - 3)) * D
        first = np.einsum("crn...,crnz->cr...z", weighted, self.z, optimize=True)
        return weighted.sum(2), first

    def second_moments(self, D: Float[np.ndarray, "cases replicates nodes"]) -> np.ndarray:
        """E[D z zᵀ]."""
        scaled = (self.weight * D)[..., None] * self.z
        return np.swapaxes(scaled, 2, 3) @ self.z


def in_pieces(
    function: Callable[..., Array], arguments: tuple[Any, ...], *rows: np.ndarray
) -> np.ndarray:
    """function(*arguments, *rows) of rows of any number, by one program for pieces of one size."""
    count = len(rows[0])
    pieces = []
    for first in range(0, count, _PIECE):
        part = [row[first : first + _PIECE] for row in rows]
        size = len(part[0])
        if size < _PIECE:  # repeat one
            missing = _PIECE - size
            part = [np.concatenate([x, np.repeat(x[:1], missing, axis=0)]) for x in part]
        pieces.append(np.asarray(function(*arguments, *map(jnp.asarray, part)))[:size])
    return np.concatenate(pieces)


def _flat(x: np.ndarray, axes: int) -> np.ndarray:
    return x.reshape(int(np.prod(x.shape[:axes])), *x.shape[axes:])


def seen_rows(
    law: AbstractDataLaw, neurons: Float[np.ndarray, "p n"], frame: Float[np.ndarray, "r n"]
) -> Float[np.ndarray, "fields n"]:
    """The rows through which a weight sees a sample, in any coordinates."""
    return np.concatenate([frame, neurons]) if law.labels_see_fields else neurons


@eqx.filter_jit
def labels_of(
    law: AbstractDataLaw,
    c: Integer[Array, ""],
    f: Float[Array, "samples directions"],
    noise: Float[Array, "samples noises"],
) -> Float[Array, "samples outputs"]:
    """Labels of samples of class ``c``."""
    return jax.vmap(law.label, in_axes=(None, 0, 0))(c, f, noise)


@eqx.filter_jit
def _labels_of_each(
    law: AbstractDataLaw, c: Array, f: Array, noise: Array
) -> Float[Array, "samples outputs"]:
    return jax.vmap(law.label)(c, f, noise)


@eqx.filter_jit
def _values_of_each(
    model: MultiIndexModel,
    arguments: Any,
    values: Values,
    c: Array,
    s: Array,
    f: Array,
    noise: Array,
) -> Float[Array, "samples components"]:
    def one(c: Array, s: Array, f: Array, noise: Array) -> Array:
        return values(model, arguments, s, model.data.label(c, f, noise))

    return jax.vmap(one)(c, s, f, noise)


class Cases(NamedTuple):
    """Classes, or classes with a condition, and the fields there: means + deviation factor z."""

    numbers: Integer[np.ndarray, " cases"]  # of the classes; with noise
    means: Float[np.ndarray, "cases fields"]
    deviations: Float[np.ndarray, " cases"]
    factor: Float[np.ndarray, "fields coordinates"]  # of full column rank


def labelled_nodes(
    model: MultiIndexModel,
    cases: Cases,
    rule: AbstractRule | None,
    apart: bool,
    values: Values,
    arguments: Any,
) -> LabelledNodes:
    """Nodes of some classes.

    Args:
        model: whose labels.
        cases: the classes; some neurons may have been left out.
        rule, apart: of ``field_rules``; None for no coordinate.
        values: of the model, ``arguments``, preactivations and a label: rules that look for sharp
            points look at these.
        arguments: of ``values``.
    """
    law, noises = model.data, model.data.label_noises
    numbers, means, deviations, factor = cases
    count, coordinates = len(numbers), factor.shape[1]
    factors = deviations[:, None, None] * factor
    seen_noise = 0 if apart else noises
    if rule is None:
        z, weight = np.zeros((count, 1, 1, 0)), np.ones((count, 1, 1))
    else:
        if seen_noise:
            factors = np.stack([np.asarray(block_diag(one, np.eye(noises))) for one in factors])
            means = np.concatenate([means, np.zeros((count, noises))], axis=1)
        if isinstance(rule, LookedPlane):
            look = _look(model, numbers, means, factors, seen_noise, values, arguments)
            z, weight = (x[:, None] for x in rule.of_many(means, factors, model.kinks, look))
        else:
            each = [
                flat_nodes(rule, m, L, model.kinks) for m, L in zip(means, factors, strict=True)
            ]
            z, weight = (np.stack(x) for x in zip(*each, strict=True))
        factors, means = factors[:, : len(factor)], means[:, : len(factor)]
    if noises and (apart or rule is None):
        z, weight, noise = _with_noise(z, weight, noises)
    else:
        noise = z[..., coordinates:]
    z = z[..., :coordinates]
    s, f = _fields(law, means, factors[..., :coordinates], z)
    c = np.broadcast_to(numbers[:, None, None], weight.shape)
    labels = in_pieces(_labels_of_each, (dynamic(law),), *(_flat(x, 3) for x in (c, f, noise)))
    return LabelledNodes(z, weight, s, labels.reshape(*weight.shape, -1))


def _fields(
    law: AbstractDataLaw, means: np.ndarray, factors: np.ndarray, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(s, f) at nodes (cases, ..., coordinates); f is zero where labels do not see it."""
    between = (slice(None), *[None] * (z.ndim - 2))
    fields = means[between] + np.einsum("c...z,cfz->c...f", z, factors)
    if law.labels_see_fields:
        return fields[..., law.directions :], fields[..., : law.directions]
    return fields, np.zeros((*fields.shape[:-1], law.directions))


def _look(
    model: MultiIndexModel,
    numbers: np.ndarray,
    means: np.ndarray,
    factors: np.ndarray,
    noises: int,
    values: Values,
    arguments: Any,
) -> LookAtMany:
    """Values at nodes (cases, nodes, dim), whose last coordinates are the seen noise."""
    law, fixed = model.data, (dynamic(model), arguments, values)
    fields = means.shape[1] - noises

    def look(z: np.ndarray) -> np.ndarray:
        seen = z.shape[2] - noises
        s, f = _fields(law, means[:, :fields], factors[:, :fields, :seen], z[..., :seen])
        noise = z[..., seen:] if noises else np.zeros((*z.shape[:2], law.label_noises))
        c = np.broadcast_to(numbers[:, None], z.shape[:2])
        found = in_pieces(_values_of_each, fixed, *(_flat(x, 2) for x in (c, s, f, noise)))
        return np.moveaxis(found.reshape(*z.shape[:2], -1), -1, 0)

    return look


def _with_noise(
    z: np.ndarray, weight: np.ndarray, noises: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every node at every node of the noise: z, weight, noise."""
    x, share = np.polynomial.hermite_e.hermegauss(_HERMITE)
    grid = np.stack(np.meshgrid(*[x] * noises, indexing="ij"), -1).reshape(-1, noises)
    of_grid = np.ones(1)
    for _ in range(noises):
        of_grid = np.outer(of_grid, share / share.sum()).ravel()
    noise = np.broadcast_to(grid, (*z.shape[:3], *grid.shape)).reshape(*z.shape[:2], -1, noises)
    both = (weight[..., None] * of_grid).reshape(*z.shape[:2], -1)
    return np.repeat(z, len(grid), axis=2), both, noise
