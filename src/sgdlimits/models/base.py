"""The one protocol that every engine is written against.

A model says four things: its real SGD step, its statistics of real parameters, its exact chain
step, and its one-step moments. All methods act on one run; engines vectorise them.
"""

from abc import abstractmethod
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.fixed_sets import FixedSet

S = TypeVar("S", bound=AbstractStatistics)


class OneStepMoments(NamedTuple):
    """Exact moments of the increment of the statistics in one step at finite dim.

    ``mean`` and ``covariance`` are of the increment itself, in the order of ``names``.
    """

    mean: Float[Array, "*batch statistics"]
    covariance: Float[Array, "*batch statistics statistics"]


class Constraints(NamedTuple):
    """Walls that a state slides on because the drift pushes towards them from both sides.

    To first order in a displacement y from the state: normals @ y = 0, enforced infinitely fast by
    moving along ``forces``.
    """

    normals: np.ndarray  # (constraints, statistics)
    forces: np.ndarray  # (constraints, statistics)

    @classmethod
    def create(cls, size: int, normals: list[Array], forces: list[Array]) -> "Constraints":
        """From lists of vectors, possibly empty."""
        stack = [np.asarray(x, dtype=float).reshape(-1, size) for x in (normals, forces)]
        return cls(*stack)

    @property
    def projector(self) -> np.ndarray:
        """P with normals P = 0 and P forcesᵀ = 0: what the walls leave of a displacement."""
        inner = self.normals @ self.forces.T
        return np.eye(self.normals.shape[1]) - self.forces.T @ np.linalg.solve(inner, self.normals)


class AbstractModel(eqx.Module, Generic[S]):
    """A loss and a data law whose SGD closes on finitely many summary statistics."""

    statistics_class: ClassVar[type[AbstractStatistics]]
    citation: ClassVar[str]
    #: Whether results of ``simulate`` carry the risk unasked, because it costs little.
    records_risk: ClassVar[bool] = False
    #: Whether the law of the statistics at finite dim is known exactly; a model without it raises
    #: ValueError in the chain's methods.
    has_chain: ClassVar[bool] = True
    #: Whether real SGD starts from ``initial_parameters`` rather than from lifted statistics.
    starts_from_parameters: ClassVar[bool] = False
    #: Whether drift and diffusion are Monte Carlo estimates, with ``replicates`` for their error.
    moments_are_estimates: ClassVar[bool] = False

    @property
    @abstractmethod
    def template(self) -> S:
        """One state of all zeros: its names, its shapes, and a way back from vectors."""

    # -- what is allowed -----------------------------------------------------------------------

    @property
    @abstractmethod
    def minimum_dim(self) -> int:
        """Smallest dimension in which every state of the statistics can be realised."""

    @abstractmethod
    def check_algorithm(self, sgd: OnlineSGD) -> None:
        """Raise ValueError if this model has no such algorithm."""

    @abstractmethod
    def check_statistics(self, u: S) -> None:
        """Raise ValueError unless ``u`` has this model's shapes and real vectors can realise it."""

    def check_state(self, u: S, sgd: OnlineSGD) -> None:
        """Raise ValueError unless the algorithm can be at ``u``; default ``check_statistics``."""
        self.check_statistics(u)

    def constrained(self, u: S, sgd: OnlineSGD) -> S:
        """``u`` as the algorithm keeps it, with unit rows where it is spherical; any batch axes."""
        return u

    def accurate_to(self, error: float) -> "AbstractModel[S]":
        """The model with expectations no finer than this, where it is cheaper; default: itself."""
        return self

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

    # -- 1. the real SGD step ------------------------------------------------------------------

    @abstractmethod
    def frame(self, dim: int) -> Float[Array, "directions dim"]:
        """The fixed directions of the data law, in coordinates."""

    @abstractmethod
    def sgd_step(
        self,
        parameters: PyTree,
        frame: Float[Array, "directions dim"],
        key: Key[Array, ""],
        sgd: OnlineSGD,
        *,
        literal: bool = False,
    ) -> PyTree:
        """One step of real SGD on one fresh sample.

        ``literal`` draws the sample as the paper writes it and differentiates the loss, where the
        default may draw the gradient in a cheaper form of exactly the same law.
        """

    def literal_sample_size(self, dim: int) -> int:
        """Numbers that one literal sample holds, to refuse what does not fit."""
        return dim

    # -- 2. statistics of real parameters ------------------------------------------------------

    @abstractmethod
    def statistics(self, parameters: PyTree, frame: Float[Array, "directions dim"]) -> S:
        """The summary statistics of real parameters."""

    # -- 3. the exact chain --------------------------------------------------------------------

    @abstractmethod
    def chain_constants(self, dim: int) -> PyTree:
        """Whatever the chain needs once per run, such as a table for its chi-square."""

    @abstractmethod
    def chain_noise(self, key: Key[Array, ""], steps: int, constants: PyTree) -> PyTree:
        """All random numbers of ``steps`` steps; every leaf has a leading axis of that length."""

    @abstractmethod
    def chain_step(
        self, state: PyTree, noise: PyTree, sgd: OnlineSGD, dim: Float[Array, ""]
    ) -> PyTree:
        """One step with exactly the law of the statistics of one real SGD step."""

    def chain_state(self, u: S) -> PyTree:
        """The chain's own coordinates of ``u``; default: the statistics themselves."""
        return u

    def chain_statistics(self, state: PyTree) -> S:
        """Statistics of the chain's state; the inverse of ``chain_state``."""
        return state

    # -- 4. one-step moments -------------------------------------------------------------------

    def replicates(self) -> "tuple[AbstractModel[S], ...]":
        """Models with independent estimates of these moments, whose mean is this model's.

        Default: the model itself, for moments that are not random.
        """
        return (self,)

    @abstractmethod
    def population_drift(self, u: S, sgd: OnlineSGD) -> S:
        """f = A u, the statistics' rate of change under the gradient of the population loss."""

    @abstractmethod
    def corrector(self, u: S, sgd: OnlineSGD) -> S:
        """g, the second-order effect of the sample noise at step size step/dim, dim -> infinity."""

    def drift(self, u: S, sgd: OnlineSGD) -> S:
        """h = -f + g. Override where f and g share most of their cost."""
        f, g = self.population_drift(u, sgd), self.corrector(u, sgd)
        return jax.tree.map(lambda f, g: g - f, f, g)

    def drift_error(self, u: S, sgd: OnlineSGD) -> S:
        """Estimated absolute error of ``drift``; default zero, for models with formulas."""
        return jax.tree.map(jnp.zeros_like, u)

    def constraints(self, u: S, sgd: OnlineSGD) -> Constraints:
        """Walls that the state ``u`` (concrete) slides on; default none."""
        return Constraints.create(len(self.template.names), [], [])

    @abstractmethod
    def diffusion_factor(self, u: S, sgd: OnlineSGD) -> Float[Array, "statistics noises"]:
        """B with B Bᵀ = limit of step * Cov(increment / delta)."""

    @abstractmethod
    def one_step_moments(self, u: S, sgd: OnlineSGD, dim: Float[Array, ""]) -> OneStepMoments:
        """Mean and covariance of one step's increment, exact at finite dim."""

    # -- the risk ------------------------------------------------------------------------------

    def risk(self, u: S) -> Float[Array, ""]:
        """Expected loss of a fresh sample at one state, without the ridge."""
        raise NotImplementedError(f"{type(self).__name__} does not say its risk; define risk(u).")

    def irreducible_risk(self) -> Float[Array, ""] | None:
        """Risk that no parameters can remove; None where it is not known."""
        return None

    # -- laws and landmarks --------------------------------------------------------------------

    @abstractmethod
    def initial_statistics(
        self, key: Key[Array, ""], dim: Float[Array, ""], constants: PyTree
    ) -> S:
        """One draw of the papers' random start, without vectors."""

    @abstractmethod
    def initial_constants(self, dim: int) -> PyTree:
        """Whatever the initial law needs once, such as a table for its chi-square."""

    def initial_parameters(
        self, key: Key[Array, ""], frame: Float[Array, "directions dim"]
    ) -> PyTree:
        """Real parameters of one random start; default: lifted from ``initial_statistics``."""
        key_u, key_lift = jax.random.split(key)
        dim = frame.shape[1]
        constants = self.initial_constants(dim)
        u = self.initial_statistics(key_u, jnp.asarray(float(dim)), constants)
        return self.lift(key_lift, u, frame)

    @abstractmethod
    def lift(self, key: Key[Array, ""], u: S, frame: Float[Array, "directions dim"]) -> PyTree:
        """Real parameters, uniform among those with the statistics ``u``."""

    @abstractmethod
    def search_points(self, rng: np.random.Generator, count: int, sgd: OnlineSGD) -> S:
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

    def known_fixed_points(self, sgd: OnlineSGD) -> list[FixedSet] | None:
        """All fixed points by formula, one entry per connected set; None without a formula."""
        return None

    @property
    def has_jacobian(self) -> bool:
        """Whether the drift may be differentiated."""
        return True

    def interior(self, u: S) -> S:
        """Where the drift is differentiated: ``u``, or beside it where that would be wrong."""
        return u

    def zero_noise(self) -> "AbstractModel[S]":
        """The model whose fixed points and basins stand for this one's; default itself.

        Mixtures give their limit snr = inf, where fixed points are known by formula.
        """
        return self

    def citations(self) -> tuple[str, ...]:
        """The papers that this model comes from."""
        return (self.citation,)


Model = AbstractModel[Any]


def check_model(model: object) -> None:
    """Raise TypeError unless ``model`` is one."""
    if not isinstance(model, AbstractModel):
        hint = "; call it first" if callable(model) else ""
        raise TypeError(f"model={model!r}: expected a model such as SpikedTensor(){hint}.")
