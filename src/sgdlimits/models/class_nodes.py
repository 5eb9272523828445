"""What a network on a mixture sees of one class: nodes, and affine functions of them."""

from typing import NamedTuple

from jaxtyping import Array

from sgdlimits.expectations.rules import Nodes


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
    """Nodes of one class; their preactivations, and the mean of f given these."""

    nodes: Nodes
    s: Affine
    f: Affine
