"""What a model says, whatever the algorithm: its statistics, its gradients, their expectations.

A model is a data law, a network and a loss, seen through summary statistics. It knows no optimiser:
``Process`` joins it with one. Where methods take a step, it is that of plain SGD, as numbers.
"""

from abc import abstractmethod
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits import _x64
from sgdlimits._shown import facts_table
from sgdlimits.models.rule_errors import Coarser
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.constraints import Constraints
from sgdlimits.statistics.fixed_sets import FixedSet

S = TypeVar("S", bound=AbstractStatistics)


class PlainStep(NamedTuple):
    """Plain SGD as numbers: step c (delta = c/dim), rate of the second layer, samples a step."""

    step: Array | float
    rate: Array | float = 1.0
    batch: int = 1


class AbstractModel(eqx.Module, Generic[S]):
    """A loss and a data law whose SGD closes on finitely many summary statistics."""

    statistics_class: ClassVar[type[AbstractStatistics]]
    citation: ClassVar[str]
    #: How steps are made: "rows" move along samples, "blocks" likewise on inputs with several
    #: eigenvalues, "tree" is any tree of parameters.
    kernel: ClassVar[str]
    #: Whether results of ``simulate`` carry the risk unasked, because it costs little.
    records_risk: ClassVar[bool] = False
    #: Whether the model says its risk.
    has_risk: ClassVar[bool] = True
    #: Whether the law of the statistics at finite dim is known exactly.
    has_chain: ClassVar[bool] = True
    #: Whether moments of one step at finite dim are known.
    has_one_step_moments: ClassVar[bool] = True
    #: Whether ``spectra`` knows its Hessian and gradient matrices.
    has_curvature: ClassVar[bool] = False
    #: Whether there are reduced equations for width -> infinity.
    has_mean_field: ClassVar[bool] = False
    #: Whether real SGD starts from ``initial_parameters`` rather than from lifted statistics.
    starts_from_parameters: ClassVar[bool] = False
    #: Whether drift and diffusion are Monte Carlo estimates, with ``replicates`` for their error.
    moments_are_estimates: ClassVar[bool] = False
    #: How ``plot`` draws it: under plain SGD of step 1.
    picture: ClassVar[str] = "draw_dynamics"

    @property
    @abstractmethod
    def template(self) -> S:
        """One state of all zeros: its names, its shapes, and a way back from vectors."""

    # -- what is allowed -----------------------------------------------------------------------

    @property
    @abstractmethod
    def minimum_dim(self) -> int:
        """Smallest dimension in which every state of the statistics can be realised."""

    @property
    @abstractmethod
    def layer_size(self) -> int:
        """Length of the second layer (or any finite rest) that is trained; 0 without one."""

    @abstractmethod
    def check_statistics(self, u: S) -> None:
        """Raise ValueError unless ``u`` has this model's shapes and real vectors can realise it."""

    def check_vectors(self, u: S, dim: int) -> None:
        """Raise ValueError where R^dim holds no vectors with these statistics, possible elsewhere.

        Default: from ``minimum_dim`` on it holds all.
        """

    def check_capability(self, what: str) -> None:
        """Raise ValueError where the model has no such thing, such as "fixed_points", with why."""

    def accurate_to(self, error: float) -> "AbstractModel[S]":
        """The model with expectations no finer than this, where it is cheaper; default: itself."""
        return self

    def finer(self) -> "AbstractModel[S] | None":
        """With finer expectations than by default; None: there are none."""
        return None

    def coarser(self) -> "Coarser[AbstractModel[S]] | None":
        """With coarser expectations, whose distances tell this model's errors.

        None, the default, where nothing is known.
        """
        return None

    def coupled_blocks(self) -> Float[np.ndarray, "sums blocks"] | None:
        """Weights of the sums over blocks of statistics through which alone blocks are coupled.

        For states of many blocks, whose ODE is stiff; None, the default: it has no blocks, or few.
        """
        return None

    @property
    def allowed_error(self) -> float | None:
        """Of expectations, in units of their scales, as its user asks; None: the default 1e-3."""
        return None

    @property
    def expectation_nodes(self) -> int:
        """Nodes of one expectation; 0 where all is by formula."""
        return 0

    def relative_errors(self, u: S) -> dict[str, Float[Array, ""]]:
        """Estimated errors of expectations at one state in units of their scales, by name."""
        return {}

    @property
    def expectation_size(self) -> int:
        """Numbers that the diffusion at one state goes through; sizes the batches of runs."""
        return 1

    def admissible(self, u: S) -> S:
        """``u`` moved into the domain of the drift and diffusion, for the SDE's overshoots.

        The continuous SDE stays in the domain; its time discretisation may leave it by O(dt), and
        its coefficients are then taken at this point ("full truncation"). Default: ``u`` itself.
        """
        return u

    def varied(self, name: str, value: float) -> "AbstractModel[S]":
        """The model with another number in place of one of its own, such as ``ridge``.

        Raises:
            ValueError: if it has no such number, or cannot be built again from its numbers.
        """
        raise ValueError(
            f"parameter={name!r}: {type(self).__name__} cannot be built again with another one; "
            "give a function of the value, such as lambda width: xor_gmm(width=int(width))."
        )

    # -- real parameters -----------------------------------------------------------------------

    @abstractmethod
    def frame(self, dim: int) -> Float[Array, "directions dim"]:
        """The fixed directions of the data law, in coordinates."""

    @abstractmethod
    def statistics(self, parameters: PyTree, frame: Float[Array, "directions dim"]) -> S:
        """The summary statistics of real parameters."""

    @abstractmethod
    def literal_gradient(
        self, parameters: PyTree, frame: Float[Array, "directions dim"], key: Key[Array, ""]
    ) -> PyTree:
        """Gradient of the loss of one fresh sample, as the paper writes both, ridge included."""

    def literal_sample_size(self, dim: int) -> int:
        """Numbers that one literal sample holds, to refuse what does not fit."""
        return dim

    @abstractmethod
    def lift(self, key: Key[Array, ""], u: S, frame: Float[Array, "directions dim"]) -> PyTree:
        """Real parameters, uniform among those with the statistics ``u``."""

    # -- starts --------------------------------------------------------------------------------

    @abstractmethod
    def initial_constants(self, dim: int) -> PyTree:
        """Whatever the initial law needs once, such as a table for its chi-square."""

    @abstractmethod
    def initial_statistics(
        self, key: Key[Array, ""], dim: Float[Array, ""], constants: PyTree
    ) -> S:
        """One draw of the papers' random start, without vectors."""

    def initial_parameters(
        self, key: Key[Array, ""], frame: Float[Array, "directions dim"]
    ) -> PyTree:
        """Real parameters of one random start; default: lifted from ``initial_statistics``."""
        key_u, key_lift = jax.random.split(key)
        dim = frame.shape[1]
        constants = self.initial_constants(dim)
        u = self.initial_statistics(key_u, jnp.asarray(float(dim)), constants)
        return self.lift(key_lift, u, frame)

    # -- limits of plain SGD -------------------------------------------------------------------

    @property
    def knows_errors(self) -> bool:
        """Whether the errors of its expectations are known: claimed, or nought by formula."""
        return True

    def replicates(self) -> "tuple[AbstractModel[S], ...]":
        """Models with independent estimates of these moments, whose mean is this model's.

        Default: the model itself, for moments that are not random.
        """
        return (self,)

    @property
    def has_jacobian(self) -> bool:
        """Whether the drift may be differentiated."""
        return True

    @property
    def drift_is_sampled(self) -> bool:
        """Whether drifts are sums over random points, the same at every state."""
        return False

    @property
    def drift_is_rough(self) -> bool:
        """Whether drifts, smooth as they are, are known to a few digits; default: if sampled."""
        return self.drift_is_sampled

    @property
    def drift_is_smooth(self) -> bool:
        """Whether drifts are smooth in the state to rounding; default: if they have a Jacobian."""
        return self.has_jacobian

    def interior(self, u: S) -> S:
        """Where the drift is differentiated: ``u``, or beside it where that would be wrong."""
        return u

    def on_border(self, u: S) -> S:
        """``u``, on the border of the domain where it is there to rounding; default: ``u`` itself.

        For drifts whose derivative is another beside the border than on it.
        """
        return u

    def constraints(self, u: S) -> Constraints:
        """Walls that the state ``u`` (concrete) slides on; default none."""
        return Constraints.create(len(self.template.names), [], [])

    def risk(self, u: S) -> Float[Array, ""]:
        """Expected loss of a fresh sample at one state, without the ridge."""
        raise NotImplementedError(f"{type(self).__name__} does not say its risk; define risk(u).")

    def risk_deviations(self, u: S) -> Float[Array, " estimates"] | None:
        """What ``risk`` may be off by: squares add up; NaN: not known. None: it has no error."""
        coarser = self.coarser()
        if coarser is None:
            return jnp.full(1, jnp.nan)
        if not coarser.others:
            return None
        return jnp.stack(coarser.map(lambda model: model.risk(u)).deviations(self.risk(u)))

    def irreducible_risk(self) -> Float[Array, ""] | None:
        """Risk that no parameters can remove; None where it is not known."""
        return None

    def completed(self, dataset: xr.Dataset) -> xr.Dataset:
        """A result of ``simulate`` with what follows from the statistics by a name of its own."""
        return dataset

    # -- landmarks -----------------------------------------------------------------------------

    @abstractmethod
    def search_points(self, rng: np.random.Generator, count: int, step: float) -> S:
        """Random valid statistics (count,) wide enough to find every fixed point from."""

    def neighbours(self, u: S, rng: np.random.Generator, count: int, radius: float) -> S:
        """Random valid statistics (at most ``count``) at a distance of order ``radius`` of ``u``.

        Default: random directions, those that lead out of the domain left out.
        """
        kept = []
        for direction in rng.standard_normal((count, len(self.template.names))):
            move = radius * direction / np.linalg.norm(direction)
            near = u.with_vector(u.vector + move)
            try:
                self.check_statistics(near)
            except ValueError:
                continue
            kept.append(np.asarray(near.vector))
        return u.with_vector(jnp.asarray(np.array(kept).reshape(-1, len(self.template.names))))

    def relabelled(self, u: S) -> list[S]:
        """States, batch axes kept, that differ from ``u`` in names only; default none known.

        Where a search found one fixed point it starts from these too.
        """
        return []

    def known_fixed_points(self, plain: PlainStep) -> list[FixedSet] | None:
        """All fixed points of plain SGD by formula, one a connected set; None without a formula."""
        return None

    def zero_noise(self) -> "AbstractModel[S]":
        """The model whose fixed points and basins stand for this one's; default itself.

        Mixtures give their limit snr = inf, where fixed points are known by formula.
        """
        return self

    # -- how it shows itself -------------------------------------------------------------------

    def facts(self) -> dict[str, str]:
        """What a table in a notebook says of it, in words and numbers."""
        return {}

    def _repr_html_(self) -> str:
        names = self.template.names
        shown = ", ".join([*names[:6], "..."] if len(names) > 6 else names)
        facts = {**self.facts(), "statistics": f"{len(names)}: {shown}"}
        return facts_table(type(self).__name__, facts)

    def citations(self) -> tuple[str, ...]:
        """The papers that this model comes from."""
        return (self.citation,)


Model = AbstractModel[Any]


def check_model(model: object) -> None:
    """Raise TypeError unless ``model`` is one, RuntimeError without double precision."""
    _x64.require()
    if not isinstance(model, AbstractModel):
        hint = "; call it first" if callable(model) else ""
        raise TypeError(f"model={model!r}: expected a model such as SpikedTensor(){hint}.")
