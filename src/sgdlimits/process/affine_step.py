"""The one step, R' = A R + C F + K X, in coordinates: the arithmetic of the exact chain.

A row is its coordinates in the frame's span (rows of B) and a part outside it; of the latter only
the Gram matrix, ``rest``, matters. A step shrinks the rows, pushes them along the frame, and moves
each along the samples of a batch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.expectations.small_linalg import (
    MOST_UNROLLED,
    cholesky_of_step,
    cholesky_rows,
    dot,
    entries,
    stack,
)
from sgdlimits.process.sample import Samples


class Move(NamedTuple):
    """R' = shrink R + push F + kick X; the batch is the last axis of ``kick``, if there is one."""

    shrink: Array
    kick: Float[Array, "rows *batch"]
    push: Float[Array, "rows directions"] | None


#: Preactivations of the batch -> (the move, anything else).
Decide = Callable[[Float[Array, "rows *batch"]], tuple[Move, Any]]


def advance(
    B: Float[Array, "rows directions"],
    rest: Float[Array, "rows rows"],
    samples: Samples,
    root: Float[Array, "directions directions"],
    decide: Decide,
) -> tuple[Array, Array, Any]:
    """(B, rest) after the step, and what ``decide`` also gives.

    The new rest is a sum of squares, so it stays positive semidefinite. ``root`` holds the frame's
    own coordinates.
    """
    if B.shape[0] > MOST_UNROLLED:
        return _as_matrices(B, rest, samples, root, decide)
    # Entry by entry: fused into a few loops over the runs, about twice as fast.
    (p, r), batched = B.shape, samples.e.ndim > 1
    L, b, e, xi = cholesky_rows(rest), entries(B), list(samples.e), list(samples.xi)
    s = [dot(b[i], e) + dot(L[i][: i + 1], xi[: i + 1]) for i in range(p)]
    (shrink, kick, push), other = decide(jnp.stack(s))
    total = (lambda x: jnp.sum(x, axis=-1)) if batched else lambda x: x
    pushed = [[0.0] * r] * p if push is None else entries(push @ root)
    new = [
        [shrink * b[i][a] + total(kick[i] * e[a]) + pushed[i][a] for a in range(r)]
        for i in range(p)
    ]
    moved = [
        [(shrink * L[i][j] if j <= i else 0.0) + total(kick[i] * xi[j]) for j in range(p)]
        for i in range(p)
    ]
    outside = _outside(kick, samples)
    lower = [[dot(moved[i], moved[j]) + outside(i, j) for j in range(i + 1)] for i in range(p)]
    symmetric = [[lower[max(i, j)][min(i, j)] for j in range(p)] for i in range(p)]
    return stack(new), stack(symmetric), other


def _outside(kick: Array, samples: Samples) -> Callable[[int, int], Array]:
    """Overlaps of what the rows gain outside the span, entry by entry."""
    if samples.e.ndim == 1:
        return lambda i, j: samples.outside * kick[i] * kick[j]
    p, scaled = kick.shape[0], [kick[i] * samples.deviation for i in range(kick.shape[0])]
    gram = [[jnp.sum(scaled[i] * scaled[j], axis=-1) for j in range(p)] for i in range(p)]
    C, T = cholesky_rows(stack(gram)), entries(samples.outside)
    gain = [[dot(C[i][j : i + 1], [T[k][j] for k in range(j, i + 1)]) for j in range(i + 1)]
            for i in range(p)]  # fmt: skip
    return lambda i, j: dot(gain[i][: j + 1], gain[j])


def _as_matrices(
    B: Array, rest: Array, samples: Samples, root: Array, decide: Decide
) -> tuple[Array, Array, Any]:
    factor = cholesky_of_step(rest)
    batched = samples.e.ndim > 1
    (shrink, kick, push), other = decide(B @ samples.e + factor @ samples.xi)
    if batched:
        scaled = kick * samples.deviation
        # Fewer samples than rows: they are a root of their Gram matrix, which is singular.
        few = len(samples.outside) < len(kick)
        gain = (scaled if few else cholesky_of_step(scaled @ scaled.T)) @ samples.outside
        B, factor = shrink * B + kick @ samples.e.T, shrink * factor + kick @ samples.xi.T
        rest = factor @ factor.T + gain @ gain.T
    else:
        B = shrink * B + kick[:, None] * samples.e
        factor = shrink * factor + kick[:, None] * samples.xi
        rest = factor @ factor.T + samples.outside * kick[:, None] * kick
    B = B if push is None else B + push @ root
    return B, (rest + rest.T) / 2, other
