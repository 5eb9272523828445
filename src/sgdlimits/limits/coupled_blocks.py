"""Linear solves with the Jacobian of many blocks that are coupled through a few sums.

The drift of overlaps in J blocks sees the other blocks through W y alone, a few weighted sums over
blocks, and a few numbers v that belong to none. So the matrix of an implicit step is

    [ B + U W   C ]
    [   R W     S ],     B block diagonal, (J, m, m),

and a solve costs O(J): blocks one by one, and a small system for the sums (Woodbury). The matrix is
known by its products alone; a few of them find its parts. Patterns over blocks whose weighted sums
all vanish see B without U; then the weights themselves see U.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array, Float, Integer, PyTree

_TRIES = 64
_RELATIVE_ZERO = 1e-9


class Couplings(eqx.Module):
    """What blocks of a state see of each other.

    Args:
        weights: of the sums, (sums, blocks).
        parts: of a state, which follow each other: whether each is of blocks, and how many numbers
            it has, of every block or in all.
    """

    sums: Float[Array, "sums blocks"]  # an orthonormal basis of the weights
    pattern: Float[Array, " blocks"]  # whose sums vanish
    order: Integer[Array, " n"]  # first what belongs to no block, then the others' parts
    layer: int = eqx.field(static=True)
    parts: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self, weights: Float[np.ndarray, "sums blocks"], parts: Sequence[tuple[bool, int]]
    ):
        _, sizes, rows = np.linalg.svd(weights, full_matrices=False)
        basis = rows[sizes > _RELATIVE_ZERO * sizes.max(initial=0.0)]
        self.sums, self.pattern = jnp.asarray(basis), jnp.asarray(_without_sums(basis))
        sizes = [size * weights.shape[1] if inside else size for inside, size in parts]
        places = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
        order = sorted(range(len(parts)), key=lambda i: parts[i][0])
        self.order = jnp.asarray(np.concatenate([places[i] for i in order]))
        self.layer = sum(size for inside, size in parts if not inside)
        self.parts = tuple(size for inside, size in parts if inside)

    def split(self, y: Float[Array, " n"]) -> tuple[Float[Array, " layer"], Array]:
        """(v, (blocks, m)) of a state."""
        y = y[self.order]
        v, rest, first = y[: self.layer], y[self.layer :], 0
        blocks, found = self.pattern.shape[0], []
        for size in self.parts:
            found.append(rest[first : first + blocks * size].reshape(blocks, size))
            first += blocks * size
        return v, jnp.concatenate(found, axis=1)

    def join(self, v: Array, blocks: Float[Array, "blocks m"]) -> Float[Array, " n"]:
        """The inverse of ``split``."""
        edges = np.cumsum(self.parts)[:-1]
        y = jnp.concatenate([v, *(x.reshape(-1) for x in jnp.split(blocks, edges, axis=1))])
        return jnp.zeros_like(y).at[self.order].set(y, unique_indices=True)


def _without_sums(basis: Float[np.ndarray, "sums blocks"]) -> Float[np.ndarray, " blocks"]:
    """Numbers of order one, group by group of neighbours, that all sums weigh to zero."""
    count, blocks = basis.shape
    size = min(2 * (count + 1), blocks)
    rng, pattern = np.random.default_rng(0), np.zeros(blocks)
    edges = np.append(np.arange(0, blocks - size + 1, size), blocks)
    for first, last in pairwise(edges):
        part = basis[:, first:last]
        free = np.linalg.svd(part)[2][np.linalg.matrix_rank(part, tol=1e-300) :]
        tries = rng.standard_normal((_TRIES, len(free))) @ free
        tries /= np.abs(tries).max(axis=1, keepdims=True)
        pattern[first:last] = tries[np.abs(tries).min(axis=1).argmax()]
    return pattern


class _State(NamedTuple):
    blocks: PyTree  # factors of B
    from_sums: Array  # B^-1 of the columns of (sums, v): (blocks, m, couplings)
    small: PyTree  # factor of the system of the sums and v
    rows: Array  # (R, S): what v sees of the sums, and of itself


class CoupledBlocks(lx.AbstractLinearSolver):
    """A direct solver for such matrices, at a cost linear in the number of blocks."""

    couplings: Couplings

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> _State:
        """Find the parts, and factor them."""
        c = self.couplings
        blocks, m = c.pattern.shape[0], sum(c.parts)
        sums, layer = c.sums, c.layer
        nothing = jnp.zeros(layer)

        def product(v: Array, y: Array) -> tuple[Array, Array]:
            return c.split(operator.mv(c.join(v, y)))

        alone = jnp.eye(m)[:, None, :] * c.pattern[:, None]
        columns = jax.lax.map(lambda y: product(nothing, y)[1], alone)
        B = jnp.moveaxis(columns / c.pattern[:, None], 0, -1)  # (blocks, m, m)
        kinds = len(sums) * m
        weighted = (sums[:, None, :, None] * jnp.eye(m)[None, :, None, :]).reshape(kinds, blocks, m)

        def of_sum(y: Array) -> tuple[Array, Array]:
            in_v, in_blocks = product(nothing, y)
            return in_v, in_blocks - jnp.einsum("jab,jb->ja", B, y)

        in_v, U = jax.lax.map(of_sum, weighted)
        if layer:
            zero = jnp.zeros((blocks, m))
            of_v = jax.lax.map(lambda v: product(v, zero), jnp.eye(layer))
            in_v, U = (jnp.concatenate(x) for x in zip((in_v, U), of_v, strict=True))
        factors = jax.vmap(jax.scipy.linalg.lu_factor)(B)
        right = jnp.transpose(U, (1, 2, 0))
        from_sums = jax.vmap(jax.scipy.linalg.lu_solve)(factors, right)
        small = jnp.eye(kinds + layer)
        small = small.at[:kinds].add(self._sums(from_sums))
        # v = S^-1 (...): its own rows stand as they are.
        small = small.at[kinds:].set(in_v.T)
        return _State(factors, from_sums, jax.scipy.linalg.lu_factor(small), in_v.T)

    def _sums(self, blocks: Float[Array, "blocks m *n"]) -> Float[Array, "sums_m *n"]:
        total = jnp.tensordot(self.couplings.sums, blocks, axes=1)
        return total.reshape(-1, *blocks.shape[2:])

    def compute(
        self, state: _State, vector: PyTree, options: dict[str, Any]
    ) -> tuple[PyTree, lx.RESULTS, dict[str, Any]]:
        """Solve for one right-hand side."""
        right_v, right = self.couplings.split(vector)
        alone = jax.vmap(jax.scipy.linalg.lu_solve)(state.blocks, right)
        small = jnp.concatenate([self._sums(alone), right_v])
        coupled = jax.scipy.linalg.lu_solve(state.small, small)
        blocks = alone - state.from_sums @ coupled
        v = coupled[len(coupled) - self.couplings.layer :]
        return self.couplings.join(v, blocks), lx.RESULTS.successful, {}

    def transpose(self, state: _State, options: dict[str, Any]) -> Any:
        """Not needed: nothing is differentiated through a solution."""
        raise NotImplementedError("CoupledBlocks solves with the matrix itself only.")

    def conj(self, state: _State, options: dict[str, Any]) -> Any:
        """Real matrices are their own."""
        return state, options

    def assume_full_rank(self) -> bool:
        """Implicit steps have regular matrices."""
        return True
