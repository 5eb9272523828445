"""What all networks share that see a sample x through W x and F x: the overlaps (v, M, Q).

W is the first layer, trained; F a frame of a few fixed directions, with Gram matrix G = F Fᵀ.
"""

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sgdlimits.models.base import AbstractModel
from sgdlimits.randomness.chi_square import ChiSquare
from sgdlimits.statistics import rows
from sgdlimits.statistics.gram_domain import check_overlaps, into_domain
from sgdlimits.statistics.overlaps import Statistics

_INSIDE = 1e-6  # relative; the derivative is wrong by about this


class Parameters(NamedTuple):
    """Real parameters: second layer v (layer,) and first layer W (width, dim)."""

    v: Array
    W: Array


class ChainState(NamedTuple):
    """v, coordinates of the neurons in the frame's span, and Gram matrix of the rest of them."""

    v: Array
    B: Array
    rest: Array


class AbstractOverlapModel(AbstractModel[Statistics]):
    """A network with statistics v, M = W Fᵀ and Q = W Wᵀ.

    A subclass says what its loss does with them: the real step, the chain's step, the moments.
    """

    statistics_class: ClassVar = Statistics

    @property
    @abstractmethod
    def root(self) -> Float[Array, "r r"]:
        """Lower triangular R with G = R Rᵀ."""

    @property
    @abstractmethod
    def template(self) -> Statistics:
        """Zeros."""

    @property
    def minimum_dim(self) -> int:
        """A dimension for each neuron and each fixed direction."""
        return sum(self.template.M.shape)

    def check_statistics(self, u: Statistics) -> None:
        """Shapes, finiteness, symmetry, and Q >= M G^-1 Mᵀ."""
        check_overlaps(u, self.template, self.root)

    def admissible(self, u: Statistics) -> Statistics:
        """The part of Q outside the frame's span made positive semidefinite."""
        batched = jnp.vectorize(
            lambda y: into_domain(u.with_vector(y), self.root).vector, signature="(n)->(n)"
        )
        return u.with_vector(batched(u.vector))

    @property
    def differentiates_nodes(self) -> bool:
        """Whether drifts are sums over nodes L z, Q = L Lᵀ, of smooth functions."""
        return False

    def interior(self, u: Statistics) -> Statistics:
        """Q off the singular matrices, where a derivative through L misses columns that are zero.

        These are states with neurons that are zero, or linearly dependent.
        """
        if not self.differentiates_nodes:
            return u
        scale = jnp.maximum(jnp.trace(u.Q), 1.0)
        singular = jnp.linalg.eigvalsh(u.Q)[0] < _INSIDE * scale
        shift = jnp.where(singular, _INSIDE * scale, 0.0)
        return Statistics(u.v, u.M, u.Q + shift * jnp.eye(len(u.Q)))

    def literal_sample_size(self, dim: int) -> int:
        """The sample is a vector; the parameters are what fills memory."""
        return dim * self.template.M.shape[0]

    def statistics(
        self, parameters: Parameters, frame: Float[Array, "directions dim"]
    ) -> Statistics:
        """v, W Fᵀ, W Wᵀ."""
        v, W = parameters
        return Statistics(v, W @ frame.T, W @ W.T)

    def chain_constants(self, dim: int) -> ChiSquare:
        """|x|^2 outside the span of W and F is chi-square."""
        return ChiSquare(dim - self.minimum_dim)

    def chain_state(self, u: Statistics) -> ChainState:
        """(v, B, rest): B = M R^-T, rest = Q - B Bᵀ."""
        return ChainState(u.v, *rows.coordinates(u, self.root))

    def chain_statistics(self, state: ChainState) -> Statistics:
        """M = B Rᵀ, Q = B Bᵀ + rest."""
        return Statistics(state.v, *rows.overlaps(state.B, state.rest, self.root))

    def initial_constants(self, dim: int) -> None:
        """None: see ``rows.random_rows``."""

    def lift(
        self, key: Key[Array, ""], u: Statistics, frame: Float[Array, "directions dim"]
    ) -> Parameters:
        """Rows with these overlaps; what is free is uniform orthogonal to the frame."""
        return Parameters(u.v, rows.lift_rows(key, u, self.root, frame))
