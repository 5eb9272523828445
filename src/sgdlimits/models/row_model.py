"""What all models share whose samples see rows R of parameters through R X and F X alone.

R is the first layer, trained (one row for a single vector); F a frame of a few fixed directions,
with Gram matrix G = F Fᵀ. The gradient of one sample's loss is pull R + push F + g X in the rows
and h in a finite rest v: everything that SGD does follows from these (see ``process``).
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits.data.base import AbstractDataLaw
from sgdlimits.expectations.small_linalg import symmetric_root
from sgdlimits.models.base import AbstractModel, PlainStep
from sgdlimits.models.expectation_scales import relative_errors
from sgdlimits.models.expectations import Expectations
from sgdlimits.models.node_expectations import node_deviations, node_expectations, node_moments
from sgdlimits.models.sample_gradient import Gradient, Seen
from sgdlimits.randomness.chi_square import ChiSquares
from sgdlimits.statistics import rows
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.gram_domain import check_overlaps, into_domain
from sgdlimits.statistics.overlaps import Coordinates, Parameters, Statistics

S = TypeVar("S", bound=AbstractStatistics)

_INSIDE = 1e-6  # relative; the derivative is wrong by about this


class AbstractRowModel(AbstractModel[S]):
    """Rows that samples move: the kernel's view of a model."""

    kernel: ClassVar = "rows"
    #: Whether gradients look at the rows' overlaps, and not only at the sample.
    sees_overlaps: ClassVar[bool] = False
    #: Dimensions of a row's overlaps with the directions, and with rows, in results.
    overlap_dims: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]] = (
        Statistics.dims["M"], Statistics.dims["Q"],
    )  # fmt: skip
    #: Whether ``increment_moments`` are right for any batch, and not for one sample only.
    knows_batches: ClassVar[bool] = False

    if TYPE_CHECKING:  # type checkers would ask subclasses with a property for an argument

        @property
        def data(self) -> AbstractDataLaw:
            """The law of the samples."""
            ...

    else:
        #: The law of the samples.
        data: eqx.AbstractVar[AbstractDataLaw]

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of rows."""

    # -- rows and coordinates of one state -----------------------------------------------------

    @abstractmethod
    def rows_of(self, parameters: PyTree) -> Parameters:
        """(v, R) of real parameters."""

    @abstractmethod
    def parameters_of(self, rows: Parameters) -> PyTree:
        """The inverse of ``rows_of``."""

    @abstractmethod
    def overlaps(self, u: S) -> Statistics:
        """(v, M, Q) of one state."""

    @abstractmethod
    def of_overlaps(self, overlaps: Statistics) -> S:
        """The inverse of ``overlaps``."""

    def coordinates(self, u: S) -> Coordinates:
        """(v, B, rest) of one state: B = M R^-T, rest = Q - B Bᵀ."""
        overlaps = self.overlaps(u)
        return Coordinates(overlaps.v, *rows.coordinates(overlaps, self.data.root))

    def of_coordinates(self, state: Coordinates) -> S:
        """The inverse of ``coordinates``."""
        return self.of_overlaps(
            Statistics(state.v, *rows.overlaps(state.B, state.rest, self.data.root))
        )

    @property
    def minimum_dim(self) -> int:
        """A dimension for each row and each fixed direction."""
        return self.width + self.data.directions

    def frame(self, dim: int) -> Float[Array, "directions dim"]:
        """Rows with Gram matrix G."""
        return self.data.frame(dim)

    # -- one sample, and expectations over it --------------------------------------------------

    @abstractmethod
    def gradient(self, v: Float[Array, " layer"], seen: Seen) -> Gradient:
        """Gradient of one sample's loss, ridge included."""

    @property
    def kinks(self) -> tuple[float, ...]:
        """Values of R X at which the gradient is not smooth."""
        return ()

    def literal_gradient(
        self, parameters: PyTree, frame: Float[Array, "directions dim"], key: Key[Array, ""]
    ) -> PyTree:
        """Of one fresh sample; default: ``gradient``, in R^dim."""
        v, R = self.rows_of(parameters)
        x, label = self.data.sample(key, frame, R.dtype)
        M, Q = (R @ frame.T, R @ R.T) if self.sees_overlaps else (None, None)
        g, h, pull, push, _ = self.gradient(v, Seen(R @ x, label, M, Q))
        in_rows = pull * R + g[:, None] * x[None, :]
        in_rows = in_rows if push is None else in_rows + push @ frame
        return self.parameters_of(Parameters(h, in_rows))

    def expectations(self, u: S) -> Expectations:
        """Of the gradient, as dim -> infinity; default: by quadrature."""
        return node_expectations(self, u)

    def deviations(self, u: S) -> Expectations | None:
        """Errors of ``expectations``, whose squares add up along a leading axis; None: no error.

        Default: of the default ``expectations``. Models with formulas say None.
        """
        return node_deviations(self, u)

    def relative_errors(self, u: S) -> dict[str, Float[Array, ""]]:
        """Of the four expectations that drifts are made of; none where all is by formula."""
        return relative_errors(self, u) if self.knows_errors else {}

    def increment_moments(
        self, u: S, plain: PlainStep, dim: Float[Array, ""] | None
    ) -> tuple[Float[Array, " statistics"], Float[Array, "statistics statistics"]]:
        """Mean and covariance of increment/delta of plain SGD; ``dim`` None: the limit.

        For one sample a step unless the model says otherwise: ``process`` knows the rest. Default:
        by quadrature.
        """
        return node_moments(self, u, plain, dim)

    def increment_factor(self, u: S, plain: PlainStep) -> Float[Array, "statistics noises"]:
        """B with B Bᵀ = the limit's covariance; default: its symmetric root."""
        return symmetric_root(self.increment_moments(u, plain, None)[1])


class AbstractNetworkModel(AbstractRowModel[Statistics]):
    """A network with statistics v, M = W Fᵀ and Q = W Wᵀ."""

    statistics_class: ClassVar = Statistics

    @property
    @abstractmethod
    def layer_size(self) -> int:
        """Length of v."""

    @property
    def template(self) -> Statistics:
        """Zeros."""
        p, r = self.width, self.data.directions
        return Statistics(jnp.zeros(self.layer_size), jnp.zeros((p, r)), jnp.zeros((p, p)))

    @property
    def root(self) -> Float[Array, "r r"]:
        """Lower triangular R with G = R Rᵀ."""
        return self.data.root

    def rows_of(self, parameters: Parameters) -> Parameters:
        """The parameters themselves."""
        return parameters

    def parameters_of(self, rows: Parameters) -> Parameters:
        """The rows themselves."""
        return rows

    def overlaps(self, u: Statistics) -> Statistics:
        """The statistics themselves."""
        return u

    def of_overlaps(self, overlaps: Statistics) -> Statistics:
        """The overlaps themselves."""
        return overlaps

    def check_statistics(self, u: Statistics) -> None:
        """Shapes, finiteness, symmetry, and Q >= M G^-1 Mᵀ."""
        check_overlaps(u, self.template, self.root)

    def admissible(self, u: Statistics) -> Statistics:
        """The part of Q outside the frame's span made positive semidefinite."""
        batched = jnp.vectorize(
            lambda y: into_domain(u.with_vector(y), self.root).vector, signature="(n)->(n)"
        )
        return u.with_vector(batched(u.vector))

    def relabelled(self, u: Statistics) -> list[Statistics]:
        """Neighbouring neurons exchanged, with their entries of v if it has one for each."""
        result, p = [], self.width
        for i in range(p - 1):
            order = np.arange(p)
            order[[i, i + 1]] = i + 1, i
            v = u.v[..., order] if self.layer_size == p else u.v
            result.append(Statistics(v, u.M[..., order, :], u.Q[..., order, :][..., order]))
        return result

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
        return dim * self.width

    def statistics(
        self, parameters: Parameters, frame: Float[Array, "directions dim"]
    ) -> Statistics:
        """v, W Fᵀ, W Wᵀ."""
        v, W = parameters
        return Statistics(v, W @ frame.T, W @ W.T)

    def initial_constants(self, dim: int) -> Any:
        """For ``rows.random_rows``."""
        return ChiSquares(dim - self.data.directions, self.width)

    def lift(
        self, key: Key[Array, ""], u: Statistics, frame: Float[Array, "directions dim"]
    ) -> Parameters:
        """Rows with these overlaps; what is free is uniform orthogonal to the frame."""
        return Parameters(u.v, rows.lift_rows(key, u, self.root, frame))
