"""The process that a model and an algorithm make together: the one object that engines see."""

import dataclasses
from typing import Any, Generic, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.models.base import AbstractModel, PlainStep, check_model
from sgdlimits.models.rule_errors import Coarser
from sgdlimits.process.kernels import kernel_of
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.constraints import Constraints
from sgdlimits.statistics.fixed_sets import FixedSet

S = TypeVar("S", bound=AbstractStatistics)

Time = Float[Array, ""] | float


class OneStepMoments(NamedTuple):
    """Moments of the increment of the statistics in one step at finite dim.

    ``mean`` and ``covariance`` are of the increment itself, in the order of ``names``.
    """

    mean: Float[Array, "*batch statistics"]
    covariance: Float[Array, "*batch statistics statistics"]


class Process(eqx.Module, Generic[S]):
    """A model under an algorithm: real steps, the exact chain, drift and diffusion, clock, starts.

    All methods act on one run; engines vectorise them. Time is nominal, t = steps * step / dim; a
    step starts at its ``time``, which only schedules look at.

    Raises:
        TypeError: unless it is given a model and an algorithm.
        ValueError: if the model has no such algorithm.
    """

    model: AbstractModel[S]
    algorithm: OnlineSGD

    def __check_init__(self) -> None:
        check_model(self.model)
        if not isinstance(self.algorithm, OnlineSGD):
            hint = "; call it first: OnlineSGD()" if self.algorithm is OnlineSGD else ""
            raise TypeError(f"sgd={self.algorithm!r}: expected an OnlineSGD{hint}.")
        name = type(self.model).__name__
        if self.algorithm.second_layer_rate != 1.0 and self.model.layer_size == 0:
            raise ValueError(
                f"second_layer_rate={self.algorithm.second_layer_rate!r}: {name} has no second "
                "layer that is trained; leave it at 1.0."
            )
        rule = self.algorithm.rule
        kernel = kernel_of(self.model, self.algorithm)
        if self.algorithm.spherical:
            kernel.check_spherical(self.model)
        if not rule.simple:
            kernel.check_rule(self.model, rule)

    @property
    def kernel(self) -> Any:
        """How the model's parameters move."""
        return kernel_of(self.model, self.algorithm)(self.model, self.algorithm)

    # -- states --------------------------------------------------------------------------------

    @property
    def template(self) -> S:
        """One state of all zeros."""
        return self.kernel.template

    @property
    def statistics_class(self) -> type[S]:
        """Of the states: the model's own, beside what the rule carries along."""
        return type(self.template)

    def begin(self, base: AbstractStatistics) -> S:
        """States with these statistics of the model, whose memory is as it starts."""
        return self.kernel.begin(base)

    def complete(self, u: Any) -> S:
        """``u``, or the states begun from it where it is the model's own statistics."""
        begun: Any = self.begin(u) if isinstance(u, self.model.statistics_class) else u
        return begun

    def base(self, u: S) -> AbstractStatistics:
        """The model's own statistics of states."""
        return self.kernel.base(u)

    @property
    def minimum_dim(self) -> int:
        """Smallest dimension in which every state can be realised."""
        return self.kernel.minimum_dim

    def check_state(self, u: S) -> None:
        """Raise ValueError unless the process can be at ``u``."""
        self.kernel.check_state(u)

    def constrained(self, u: S) -> S:
        """``u`` as the algorithm keeps it, with unit rows where it is spherical; any batch axes."""
        return self.kernel.constrained(u)

    def admissible(self, u: S) -> S:
        """``u`` moved into the domain of drift and diffusion, for the SDE's overshoots."""
        return self.kernel.admissible(u)

    def interior(self, u: S) -> S:
        """Where the drift is differentiated: ``u``, or beside it where that would be wrong."""
        return self.kernel.interior(u)

    def on_border(self, u: S) -> S:
        """``u``, on the border of the domain where it is there to rounding."""
        return self.kernel.on_border(u)

    def neighbours(self, u: S, rng: np.random.Generator, count: int, radius: float) -> S:
        """Random valid states (at most ``count``) at a distance of order ``radius`` of ``u``."""
        return self.kernel.neighbours(u, rng, count, radius)

    # -- clock ---------------------------------------------------------------------------------

    def delta(self, dim: Any) -> Any:
        """Nominal time of one step, step / dim."""
        return self.algorithm.delta(dim)

    @property
    def autonomous(self) -> bool:
        """Whether the drift does not depend on time."""
        return self.algorithm.constant and self.algorithm.rule.constant

    @property
    def changing(self) -> str:
        """What of the algorithm depends on time, for messages."""
        algorithm = self.algorithm
        if algorithm.constant:
            return f"rule={algorithm.rule!r}"
        return f"schedule={algorithm.schedule!r}"

    # -- real vectors --------------------------------------------------------------------------

    def frame(self, dim: int) -> Float[Array, "directions dim"]:
        """The fixed directions of the data law."""
        return self.kernel.frame(dim)

    def lift(self, key: Key[Array, ""], u: S, frame: Float[Array, "directions dim"]) -> PyTree:
        """Real state, uniform among those with the statistics ``u``."""
        return self.kernel.lift(key, u, frame)

    def random_start(self, key: Key[Array, ""], frame: Float[Array, "directions dim"]) -> PyTree:
        """Real state of one random start."""
        return self.kernel.random_start(key, frame)

    def draw(
        self, key: Key[Array, ""], frame: Float[Array, "directions dim"], dtype: Any
    ) -> PyTree:
        """The samples of one real step, for ``step_on``."""
        return self.kernel.draw(key, frame, dtype)

    def step_on(
        self, state: PyTree, frame: Float[Array, "directions dim"], samples: PyTree, time: Time
    ) -> PyTree:
        """One real step on given samples."""
        return self.kernel.step_on(state, frame, samples, jnp.asarray(time))

    def step(
        self,
        state: PyTree,
        frame: Float[Array, "directions dim"],
        key: Key[Array, ""],
        time: Time,
        *,
        literal: bool = False,
    ) -> PyTree:
        """One real step on fresh samples, which starts at nominal ``time``.

        ``literal`` draws samples as the paper writes them and differentiates the loss, where the
        default may draw the gradient in a cheaper form of exactly the same law.
        """
        if not literal:
            dtype = jax.tree.leaves(state)[-1].dtype
            return self.step_on(state, frame, self.draw(key, frame, dtype), time)
        return self.kernel.literal(state, frame, key, jnp.asarray(time))

    def statistics(self, state: PyTree, frame: Float[Array, "directions dim"]) -> S:
        """Statistics of a real state."""
        return self.kernel.statistics(state, frame)

    def parameters(self, state: PyTree) -> PyTree:
        """The model's parameters in a real state, without what the algorithm remembers."""
        return self.kernel.parameters(state)

    # -- the exact chain -----------------------------------------------------------------------

    def chain_constants(self, dim: int) -> PyTree:
        """Whatever the chain needs once per run."""
        return self.kernel.chain_constants(dim)

    def chain_noise(self, key: Key[Array, ""], steps: int, constants: PyTree) -> PyTree:
        """All random numbers of ``steps`` steps; every leaf has a leading axis of that length."""
        return self.kernel.chain_noise(key, steps, constants)

    def chain_state(self, u: S) -> PyTree:
        """The chain's own coordinates of ``u``."""
        return self.kernel.chain_state(u)

    def chain_statistics(self, state: PyTree) -> S:
        """The inverse of ``chain_state``."""
        return self.kernel.chain_statistics(state)

    def chain_step(self, state: PyTree, noise: PyTree, dim: Float[Array, ""], time: Time) -> PyTree:
        """One step, from nominal ``time`` on, with exactly the law of one real step."""
        return self.kernel.chain_step(state, noise, dim, jnp.asarray(time))

    # -- limits --------------------------------------------------------------------------------
    # In nominal time a step that is s(t) times as long moves the statistics s(t) times as fast.

    def in_the_limit(self) -> "Process[S]":
        """The process whose limit is this one's: without memory that forgets within few steps."""
        rule = self.algorithm.rule.in_the_limit()
        if rule is self.algorithm.rule:
            return self
        return Process(self.model, dataclasses.replace(self.algorithm, rule=rule))

    def _step(self, time: Time) -> Any:
        return self.algorithm.step * self.algorithm.factor(time)

    def _per_time(self, value: PyTree, time: Time) -> PyTree:
        if self.algorithm.constant:
            return value
        factor = self.algorithm.factor(time)
        return jax.tree.map(lambda x: factor * x, value)

    def population_drift(self, u: S, time: Time = 0.0) -> S:
        """f, the statistics' rate of change under the gradient of the population loss."""
        return self._per_time(self.kernel.population_drift(u, time), time)

    def corrector(self, u: S, time: Time = 0.0) -> S:
        """g, the second-order effect of the sample noise."""
        return self._per_time(self.kernel.corrector(u, self._step(time), time), time)

    def drift(self, u: S, time: Time = 0.0) -> S:
        """h = -f + g per unit of nominal time."""
        return self._per_time(self.kernel.drift(u, self._step(time), time), time)

    def relative_errors(self, u: S) -> dict[str, Float[Array, ""]]:
        """Estimated errors of expectations at one state in units of their scales, by name."""
        return self.kernel.relative_errors(u)

    def drift_error(self, u: S, time: Time = 0.0) -> S:
        """Estimated absolute error of ``drift``."""
        each = self.drift_deviations(u, time)
        if each is None:
            return jax.tree.map(jnp.zeros_like, u)
        return jax.tree.map(lambda x: jnp.sqrt(jnp.sum(x * x, axis=0)), each)

    @property
    def drift_is_exact(self) -> bool:
        """Whether ``drift`` has no error, from formulas alone."""
        return eqx.filter_eval_shape(_drift_deviations, dynamic(self), self.template) is None

    def drift_deviations(self, u: S, time: Time = 0.0) -> S | None:
        """What ``drift`` may be off by, with signs: squares add up along a leading axis.

        None where expectations are exact.

        Raises:
            ValueError: if the model's rule for expectations has no error estimate.
        """
        each = self.kernel.drift_deviations(u, self._step(time), time)
        return None if each is None else self._per_time(each, time)

    def diffusion_factor(self, u: S, time: Time = 0.0) -> Float[Array, "statistics noises"]:
        """B with B Bᵀ = covariance per unit time of sqrt(dim) u."""
        factor = self.kernel.diffusion_factor(u, self._step(time), time)
        return factor if self.algorithm.constant else jnp.sqrt(self.algorithm.factor(time)) * factor

    def one_step_moments(self, u: S, dim: Float[Array, ""], time: Time = 0.0) -> OneStepMoments:
        """Mean and covariance of one step's increment at finite dim.

        Raises:
            ValueError: if the model knows none.
        """
        self.check_one_step_moments()
        time = jnp.asarray(time)
        return OneStepMoments(*self.kernel.one_step_moments(u, self._step(time), dim, time))

    @property
    def has_one_step_moments(self) -> bool:
        """Whether moments of a step are known."""
        try:
            self.check_one_step_moments()
        except ValueError:
            return False
        return True

    def check_one_step_moments(self) -> None:
        """Raise ValueError unless moments of a step are known."""
        if not self.model.has_one_step_moments:
            raise ValueError(
                f"{type(self.model).__name__} knows no exact moments of a step; use drift, "
                "corrector and diffusion, which are estimates, or sgdlimits.audit."
            )
        self.kernel.check_one_step_moments()

    @property
    def has_jacobian(self) -> bool:
        """Whether the drift may be differentiated."""
        return self.kernel.has_jacobian

    @property
    def drift_is_sampled(self) -> bool:
        """Whether drifts are sums over random points, the same at every state."""
        return self.kernel.drift_is_sampled

    @property
    def drift_is_rough(self) -> bool:
        """Whether drifts, smooth as they are, are known to a few digits only."""
        return self.kernel.drift_is_rough

    @property
    def drift_is_smooth(self) -> bool:
        """Whether drifts are smooth in the state to rounding."""
        return self.kernel.drift_is_smooth

    def accurate_to(self, error: float) -> "Process[S]":
        """With expectations no finer than this, where it is cheaper."""
        if not self.kernel.can_refine:
            return self
        model = self.model.accurate_to(error)
        return self if model is self.model else eqx.tree_at(lambda p: p.model, self, model)

    def finer(self) -> "Process[S] | None":
        """With finer expectations than by default; None: there are none."""
        model = self.model.finer() if self.kernel.can_refine else None
        return None if model is None else eqx.tree_at(lambda p: p.model, self, model)

    def coarser(self) -> "Coarser[Process[S]] | None":
        """With coarser expectations, whose distances tell errors; None: they are not known."""
        models = self.model.coarser()
        if models is None:
            return None
        return models.map(lambda model: eqx.tree_at(lambda p: p.model, self, model))

    def replicates(self) -> "tuple[Process[S], ...]":
        """With independent estimates of the moments, whose mean is this process's."""
        return tuple(
            eqx.tree_at(lambda p: p.model, self, model) for model in self.model.replicates()
        )

    # -- landmarks -----------------------------------------------------------------------------

    def known_fixed_points(self) -> list[FixedSet] | None:
        """All fixed points by formula; None without one, or where formulas are for other steps."""
        algorithm, factor = self.algorithm, self.algorithm.rule.plain_factor
        if factor is None or not algorithm.constant or algorithm.spherical:
            return None
        step = float(algorithm.step) * float(factor) / algorithm.batch
        return self.model.known_fixed_points(PlainStep(step, float(algorithm.second_layer_rate)))

    def search_points(self, rng: np.random.Generator, count: int) -> S:
        """Random valid states (count,) wide enough to find every fixed point from."""
        step = float(self.algorithm.step) / self.algorithm.batch
        return self.constrained(self.kernel.search_points(rng, count, step))

    def constraints(self, u: S) -> Constraints:
        """Walls that the state ``u`` (concrete) slides on."""
        return self.kernel.constraints(u)

    def zero_noise(self) -> "Process[S]":
        """The process whose fixed points and basins stand for this one's."""
        return Process(self.model.zero_noise(), self.algorithm)

    # -- starts --------------------------------------------------------------------------------

    def initial_constants(self, dim: int) -> PyTree:
        """Whatever the initial law needs once."""
        return self.model.initial_constants(dim)

    def initial_statistics(
        self, key: Key[Array, ""], dim: Float[Array, ""], constants: PyTree
    ) -> S:
        """One draw of the papers' random start, as the algorithm keeps it."""
        base = self.model.initial_statistics(key, dim, constants)
        return self.constrained(self.begin(base))


@eqx.filter_jit  # so that what was traced once is remembered
def _drift_deviations(process: Process, u: AbstractStatistics) -> AbstractStatistics | None:
    return process.drift_deviations(u)
