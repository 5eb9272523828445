"""The arithmetic of one exact chain step on the neurons' overlaps.

A neuron is its coordinates in the frame's span (rows of B) and a part outside it; of the latter
only the Gram matrix, ``rest``, matters. A step moves every neuron along one sample.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.expectations.small_linalg import (
    MOST_UNROLLED,
    cholesky,
    cholesky_rows,
    dot,
    entries,
    stack,
)


class Sample(NamedTuple):
    """One sample as the chain sees it."""

    e: Float[Array, " directions"]  # coordinates of X in an orthonormal basis of the frame's span
    xi: Float[Array, " width"]  # ... of the span of the neurons' rest
    outside: Float[Array, ""]  # squared norm of everything else
    label: Float[Array, " outputs"]


#: s -> (g, anything else): the gradient of the sample's loss in the preactivations.
Gradient = Callable[[Array], tuple[Array, Array]]


def advance(
    B: Float[Array, "width directions"],
    rest: Float[Array, "width width"],
    sample: Sample,
    gradient: Gradient,
    delta: Array,
    shrink: Array,
) -> tuple[Array, Array, Array]:
    """W -> shrink W - delta g Xᵀ in the coordinates (B, rest), and what ``gradient`` also gives.

    The new rest is a sum of squares, so it stays positive semidefinite.
    """
    p, r = B.shape
    e, xi, outside, _ = sample
    if p > MOST_UNROLLED:
        root = cholesky(rest)
        g, other = gradient(B @ e + root @ xi)
        kick = delta * g
        root = shrink * root - kick[:, None] * xi
        rest = root @ root.T + outside * kick[:, None] * kick
        return shrink * B - kick[:, None] * e, (rest + rest.T) / 2, other
    # The same entry by entry: fused into a few loops over the runs, about twice as fast.
    L, b, e, xi = cholesky_rows(rest), entries(B), entries(e), entries(xi)
    s = [dot(b[i], e) + dot(L[i][: i + 1], xi[: i + 1]) for i in range(p)]
    g, other = gradient(jnp.stack(s))
    kick = [delta * g[i] for i in range(p)]
    new = [[shrink * b[i][a] - kick[i] * e[a] for a in range(r)] for i in range(p)]
    moved = [
        [(shrink * L[i][j] if j <= i else 0.0) - kick[i] * xi[j] for j in range(p)]
        for i in range(p)
    ]
    lower = [
        [dot(moved[i], moved[j]) + outside * kick[i] * kick[j] for j in range(i + 1)]
        for i in range(p)
    ]
    symmetric = [[lower[max(i, j)][min(i, j)] for j in range(p)] for i in range(p)]
    return stack(new), stack(symmetric), other
