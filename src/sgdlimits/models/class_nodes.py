"""What a network sees of the samples of one class: nodes, and affine functions of them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.data.base import AbstractDataLaw
from sgdlimits.expectations.rules import AbstractRule, Nodes
from sgdlimits.expectations.small_linalg import cholesky, solve_lower
from sgdlimits.statistics.overlaps import Statistics
from sgdlimits.statistics.rows import coordinates


class Affine(NamedTuple):
    """mean + factor z."""

    mean: Array
    factor: Array

    def __call__(self, z: Array) -> Array:
        """At nodes, which are the last axis."""
        return self.mean[:, None] + self.factor @ z

    def correlate(self, total: Array, with_z: Array) -> Array:
        """E[g (mean + factor z)ᵀ] from E[g] and E[g zᵀ]."""
        return total[..., None] * self.mean + with_z @ self.factor.T


class ClassNodes(NamedTuple):
    """Nodes of one class; the preactivations s there, and the mean of f given the node.

    Labels that depend on f or on noise are functions of the node too: then z stands for f, s and
    the noise, and f is exact. Otherwise z stands for s alone, and the rest of f is independent.
    """

    number: Array  # of the class
    nodes: Nodes
    s: Affine
    f: Affine
    noise: Affine  # standard normals behind the label

    def labels(
        self, law: AbstractDataLaw, z: Float[Array, "coordinates nodes"]
    ) -> Float[Array, "outputs _"]:
        """At nodes, which are the last axis; one for all where it does not depend on them."""
        if not law.labels_see_fields:
            return law.label(self.number, self.f.mean, self.noise.mean)[:, None]
        of_one = lambda f, z: law.label(self.number, f, z)  # noqa: E731
        return jax.vmap(of_one, -1, -1)(self.f(z), self.noise(z))


def node_count(law: AbstractDataLaw, width: int) -> int:
    """Dimensions of the nodes."""
    return width + (law.directions + law.label_noises if law.labels_see_fields else 0)


def field_count(law: AbstractDataLaw, width: int) -> int:
    """Dimensions of X that the nodes stand for."""
    return width + (law.directions if law.labels_see_fields else 0)


class Factors(NamedTuple):
    """Fields of a class of deviation 1, as linear functions of standard normals."""

    s: Float[Array, "width coordinates"]
    f: Float[Array, "directions coordinates"]
    noise: Float[Array, "label_noises coordinates"]


def factors(law: AbstractDataLaw, u: Statistics, *, joint: bool | None = None) -> Factors:
    """Of s = W Z, f = F Z and the label's noise, as functions of nodes.

    ``joint``: the nodes stand for f, s and the noise, in this order; otherwise for s, and f is its
    mean given s. Default: where labels depend on f.
    """
    joint = law.labels_see_fields if joint is None else joint
    return field_factors(u, law.root if joint else None, law.label_noises)


def field_factors(u: Statistics, root: Float[Array, "r r"] | None, noises: int) -> Factors:
    """Of fields with cross covariance M and covariance Q; ``root`` of f's own, None: not joint."""
    if root is None:
        of_s = cholesky(u.Q)
        slope = solve_lower(of_s, u.M).T  # f = slope z + independent residual
        return Factors(of_s, slope, jnp.zeros((noises, len(of_s))))
    # The frame first: labels at the nodes are then the same at every state, and may jump.
    B, rest = coordinates(u, root)
    p, r = B.shape
    f = jnp.concatenate([root, jnp.zeros((r, p + noises))], axis=1)
    s = jnp.concatenate([B, cholesky(rest), jnp.zeros((p, noises))], axis=1)
    return Factors(s, f, jnp.concatenate([jnp.zeros((noises, r + p)), jnp.eye(noises)], axis=1))


def class_nodes(
    law: AbstractDataLaw,
    u: Statistics,
    of: Factors,
    rule: AbstractRule,
    kinks: tuple[float, ...],
    c: Array,
    a: Float[Array, " directions"],
    deviation: Array,
    values: Callable[[Array, Array], Array] | None = None,
) -> ClassNodes:
    """Nodes of class ``c`` with mean coefficients ``a``, for what ``factors`` stand for.

    ``values`` (components, nodes) of the integrand, from preactivations and labels, are there for
    rules that look.
    """
    s = Affine(u.M @ a, deviation * of.s)
    f = Affine(jnp.asarray(law.gram) @ a, deviation * of.f)
    noise = Affine(jnp.zeros(law.label_noises), of.noise)
    return nodes_of_fields(law, s, f, noise, rule, kinks, c, values)


def nodes_of_fields(
    law: AbstractDataLaw,
    s: Affine,
    f: Affine,
    noise: Affine,
    rule: AbstractRule,
    kinks: tuple[float, ...],
    c: Array,
    values: Callable[[Array, Array], Array] | None = None,
) -> ClassNodes:
    """``class_nodes`` of fields with any means and factors."""
    joint = s.factor.shape[1] > s.factor.shape[0]
    all_of = (f, s, noise) if joint else (s,)
    mean, factor = (jnp.concatenate(x) for x in zip(*all_of, strict=True))
    if values is None:
        return ClassNodes(c, rule.nodes(mean, factor, kinks), s, f, noise)

    def look(z: Array) -> Array:
        nowhere = Nodes(z[None], jnp.zeros((1, z.shape[1])))
        return values(s(z), ClassNodes(c, nowhere, s, f, noise).labels(law, z))

    return ClassNodes(c, rule.nodes_of(mean, factor, kinks, look), s, f, noise)
