"""The schedule of step sizes that is best by the ballistic limit, by gradients through its ODE."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy import optimize

from sgdlimits import _validate
from sgdlimits._progress import progress_bar
from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.algorithms.schedules import Linear, linear
from sgdlimits.limits import flow
from sgdlimits.limits.adequate import InaccurateWarning
from sgdlimits.models.base import AbstractModel, check_model
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

_OVER = ("step",)
_FACTORS = 2.0 ** np.arange(-6, 7)  # constants that are tried first
_ROOM = 4.0  # how far above the best constant a schedule may go by default
_TOLERANCES = (1e-7, 1e-9)
_MOST_STEPS = 2**14
_CLOSE = 1e-3  # of the range: at a bound
_PATIENCE, _STALLED = 20, 1e-4  # evaluations that gain less than this share
_WORSE = 1e30  # for the search, where the limit ceases to exist

#: Final statistics (one state) -> a number to be made small.
Objective = Callable[[Any], Any]


class ScheduleWarning(UserWarning):
    """The best schedule found lies at a bound, or the search ended before it converged."""


@dataclass(frozen=True)
class Constant:
    """The best of a family with one number: a constant factor, or the peak of half a cosine."""

    factor: float
    value: float


@dataclass(frozen=True)
class OptimalSchedule:
    """What ``optimise_schedule`` found.

    Attributes:
        schedule: factor of the step against nominal time.
        sgd: the algorithm with that schedule, for ``simulate``.
        value: the objective at the end, by the limit.
        constant: the best constant factor, and its objective.
        cosine: the best peak of half a cosine to 0, and its objective.
        at_bound: for every knot, whether it lies at a bound of its range.
        history: the best objective after each evaluation of the search.
        converged: whether the search ended because it could not improve.
    """

    schedule: Linear
    sgd: OnlineSGD
    value: float
    constant: Constant
    cosine: Constant
    at_bound: Bool[np.ndarray, " knots"]
    history: Float[np.ndarray, " evaluations"]
    converged: bool

    #: How ``plot`` draws it.
    picture: ClassVar[str] = "draw_schedules"

    @property
    def gain(self) -> float:
        """Objective of the best constant over that of the schedule."""
        return self.constant.value / self.value

    def __repr__(self) -> str:
        """What it reached, and what the families reach."""
        return (
            f"OptimalSchedule(value={self.value:.6g}, best constant {self.constant.value:.6g}, "
            f"best cosine {self.cosine.value:.6g}, knots={len(self.at_bound)})"
        )

    def plot(self, axes: Any = None) -> Any:
        """Draw the factor against time, with the best constant and cosine; returns the axes."""
        from sgdlimits.plots.schedules import draw_schedules

        return draw_schedules(self, axes)


def optimise_schedule(
    model: AbstractModel,
    sgd: OnlineSGD | None = None,
    *,
    time: float,
    initial: AbstractStatistics,
    objective: str | Objective = "risk",
    over: str = "step",
    knots: int = 16,
    bounds: tuple[float, float | None] = (0.0, None),
    most_evaluations: int = 500,
    progress: bool | None = None,
) -> OptimalSchedule:
    """Find the schedule of step sizes whose limit ends with the smallest objective.

    The factor s(t) of the step is a straight line between ``knots`` equally spaced times; the
    gradient of the objective comes from reverse differentiation through the solver of the ODE, and
    L-BFGS-B (SciPy) follows it, from the best constant and from the best half cosine. Nominal time,
    and with it the number of samples, is the same for all schedules.

    Args:
        model: what is learned.
        sgd: the algorithm; its own schedule multiplies what is found. Default ``OnlineSGD()``.
        time: end, in units of steps * step / dim.
        initial: statistics to start from, one state or several; of several the mean is minimised.
        objective: "risk", or a function of the final statistics of one state, in JAX.
        over: "step".
        knots: number of values, at least 2.
        bounds: least and largest factor; a largest of None is four times the best constant.
        most_evaluations: of the objective with its gradient, for each of the two searches.
        progress: show a bar; default: when standard error is a terminal.

    Returns:
        The schedule, its value, and what the best constant and the best half cosine reach.

    Raises:
        TypeError, ValueError: for bad input; for models whose drift cannot be differentiated; where
            no constant factor has a finite objective.

    Warns:
        ScheduleWarning: if the optimum is at a bound, or the search did not converge.
        InaccurateWarning: if the model's expectations are not accurate along the way.

    Status: a local optimum of the ballistic limit; at finite dimension the best schedule differs by
    terms of order 1/dim.
    """
    check_model(model)
    process = Process(model, OnlineSGD() if sgd is None else sgd).in_the_limit()
    process.kernel.check_limit()
    time = _validate.positive("time", time)
    _validate.one_of("over", over, _OVER)
    knots = _validate.integer("knots", knots, 2, 4096)
    most_evaluations = _validate.integer("most_evaluations", most_evaluations, 1)
    low, high = _check_bounds(bounds)
    if progress is not None:
        _validate.boolean("progress", progress)
    if not process.has_jacobian:
        raise ValueError(
            f"model={type(model).__name__}: its drift crosses jumps and cannot be differentiated."
        )
    problem = _Problem(process, time, knots, _check_start(process, initial), objective)

    with progress_bar(progress, "schedule", 2.0 * most_evaluations) as advanced:
        one = np.ones(knots)
        wave = (1 + np.cos(math.pi * np.linspace(0.0, 1.0, knots))) / 2
        constant = problem.best_multiple(one, low, high)
        cosine = problem.best_multiple(wave, low, high)
        top = _ROOM * max(constant.factor, cosine.factor) if high is None else high
        searches = [
            problem.descend(family.factor * shape, low, top, most_evaluations, advanced)
            for family, shape in ((constant, one), (cosine, wave))
        ]
    found = min(searches, key=lambda search: search.value)
    at_bound = (found.values <= low + _CLOSE * top) | (found.values >= (1 - _CLOSE) * top)
    _warn(found, at_bound, low, top)
    problem.check_accuracy(found.values)
    times = np.linspace(0.0, time, knots)
    schedule = linear(times.tolist(), found.values.tolist())
    return OptimalSchedule(
        schedule=schedule,
        sgd=_with_schedule(process.algorithm, schedule),
        value=found.value,
        constant=constant,
        cosine=cosine,
        at_bound=at_bound,
        history=found.history,
        converged=found.converged,
    )


class _Product(eqx.Module):
    """A schedule times the one that the algorithm has."""

    first: Any
    second: Any

    def __call__(self, time: Any) -> Array:
        return self.first(time) * self.second(time)


def _with_schedule(algorithm: OnlineSGD, schedule: Any) -> OnlineSGD:
    own = algorithm.schedule
    return replace(algorithm, schedule=schedule if own is None else _Product(own, schedule))


@dataclass(frozen=True)
class _Search:
    values: np.ndarray
    value: float
    history: np.ndarray
    converged: bool


@dataclass(frozen=True)
class _Problem:
    process: Process
    time: float
    knots: int
    start: AbstractStatistics  # a batch
    objective: str | Objective

    def __post_init__(self) -> None:
        if isinstance(self.objective, str):
            _validate.one_of("objective", self.objective, ("risk",))
            if not self.process.model.has_risk:
                name = type(self.process.model).__name__
                raise ValueError(
                    f"objective='risk': {name} does not say its risk; give a function of the "
                    "statistics."
                )
            return
        if not callable(self.objective):
            raise TypeError(
                f"objective={self.objective!r}: expected 'risk' or a function of the statistics."
            )
        one = jax.tree.map(lambda x: x[0], self.start)
        try:
            shape = jax.eval_shape(lambda u: jnp.asarray(self.objective(u)), one).shape  # pyright: ignore
        except Exception as error:
            raise ValueError(
                f"objective: failed on one state (it must be traceable by JAX): {error}"
            ) from error
        if shape != ():
            raise ValueError(f"objective: gives an array of shape {shape}, expected one number.")

    def evaluate(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        """The objective and its gradient; a large number where the limit ceases to exist."""
        value, gradient = _value_and_gradient(
            dynamic(self.process), jnp.asarray(values), self.start, jnp.asarray(self.time),
            self.objective,
        )  # fmt: skip
        if not (np.isfinite(value) and np.isfinite(np.asarray(gradient)).all()):
            return _WORSE, np.zeros(self.knots)
        return float(value), np.asarray(gradient)

    def best_multiple(self, shape: np.ndarray, low: float, high: float | None) -> Constant:
        """Of a given shape; on a grid, then between its neighbours."""
        at = lambda factor: self.evaluate(factor * shape)[0]  # noqa: E731
        least, most = max(low, _FACTORS[0] / 4), _FACTORS[-1] if high is None else high
        grid = np.unique(np.clip(_FACTORS, least, most))
        grid = np.unique([least, *grid, most]) if high is not None else grid
        known = np.array([at(factor) for factor in grid])
        best = int(known.argmin())
        if known[best] >= _WORSE:
            raise ValueError(
                f"time={self.time!r}: the limit ceases to exist before it at every constant factor "
                f"from {grid[0]:.3g} to {grid[-1]:.3g}; lower time or step."
            )
        ends = math.log(grid[max(best - 1, 0)]), math.log(grid[min(best + 1, len(grid) - 1)])
        if ends[0] < ends[1]:
            found = optimize.minimize_scalar(
                lambda x: at(math.exp(x)), bounds=ends, method="bounded", options={"xatol": 1e-3}
            )
            if found.fun < known[best]:
                return Constant(math.exp(found.x), float(found.fun))
        return Constant(float(grid[best]), float(known[best]))

    def descend(
        self, start: np.ndarray, low: float, high: float, most: int, advanced: Callable[..., None]
    ) -> _Search:
        """L-BFGS-B on the logarithm of an objective that is positive, else on the objective."""
        history: list[float] = []
        positive = self.evaluate(start)[0] > 0

        def function(values: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = self.evaluate(values)
            history.append(min([value, *history[-1:]]))
            advanced(1)
            if positive and value > 0:
                return math.log(value), gradient / value
            return value, gradient

        inside = np.clip(start, low, high)
        found = optimize.minimize(
            function, inside, jac=True, method="L-BFGS-B", bounds=[(low, high)] * self.knots,
            options={"maxfun": most, "maxiter": most, "ftol": 1e-8, "gtol": 1e-6},
        )  # fmt: skip
        advanced(most - min(len(history), most))
        value = self.evaluate(found.x)[0]
        # A line search that finds nothing better ends at the accuracy of the solver.
        resting = history[-min(len(history), _PATIENCE)] - history[-1] <= _STALLED * abs(value)
        converged = bool(found.success or (len(history) < most and resting))
        return _Search(found.x, value, np.array(history), converged)

    def check_accuracy(self, values: np.ndarray) -> None:
        """Warn as ``solve`` does where expectations are not accurate along the best solution."""
        times = np.linspace(0.0, self.time, 9)[1:]
        schedule = linear(
            np.linspace(0.0, self.time, self.knots).tolist(), np.maximum(values, 0.0).tolist()
        )
        process = Process(self.process.model, _with_schedule(self.process.algorithm, schedule))
        first = jax.tree.map(lambda x: x[:1], self.start)
        found = flow.solve_adequately(process, first, times, _TOLERANCES)
        if any(each.process.model is not process.model for each in found):
            warnings.warn(
                "the expectations of the search are coarser than the default allows along its "
                "solution; give the model a smaller tolerance=, or a finer rule=.",
                InaccurateWarning,
                stacklevel=3,
            )


@eqx.filter_jit
def _value_and_gradient(
    process: Process, values: Array, start: AbstractStatistics, time: Array, objective: Any
) -> tuple[Array, Array]:
    knots = jnp.linspace(0.0, time, values.shape[0])

    def mean(values: Array) -> Array:
        varied = Linear(knots, values)
        own = process.algorithm.schedule

        def factor(t: Any) -> Array:
            return varied(t) if own is None else own(t) * varied(t)

        algorithm = eqx.tree_at(
            lambda a: a.schedule, process.algorithm, factor, is_leaf=lambda x: x is None
        )
        moving = eqx.tree_at(lambda p: p.algorithm, process, algorithm)

        def one(y: Array) -> Array:
            field = lambda t, y: moving.drift(moving.template.with_vector(y), t).vector  # noqa: E731
            end = flow.integrate(field, y, time[None], *_TOLERANCES, _MOST_STEPS)[-1]
            u = moving.base(moving.template.with_vector(end))
            return (
                process.model.risk(u) if isinstance(objective, str) else jnp.asarray(objective(u))
            )

        return jnp.mean(jax.vmap(one)(start.vector))

    return jax.value_and_grad(mean)(values)


def _check_bounds(bounds: Any) -> tuple[float, float | None]:
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise TypeError(f"bounds={bounds!r}: expected (least, largest), or (least, None).")
    low = _validate.nonnegative("bounds[0]", bounds[0])
    if bounds[1] is None:
        return low, None
    high = _validate.positive("bounds[1]", bounds[1])
    if high <= low:
        raise ValueError(f"bounds={bounds!r}: expected the least below the largest.")
    return low, high


def _check_start(process: Process, initial: Any) -> AbstractStatistics:
    """A batch of states, whose memory is as it starts."""
    if not isinstance(initial, process.model.statistics_class | process.statistics_class):
        name = process.model.statistics_class.__name__
        raise TypeError(
            f"initial={initial!r}: expected {name}, such as sgdlimits.initial(model, dim, runs, 0)."
        )
    u = process.complete(initial)
    process.check_state(u)
    flat = u.vector.reshape(-1, u.vector.shape[-1])
    return u.with_vector(flat)


def _warn(found: _Search, at_bound: np.ndarray, low: float, high: float) -> None:
    inner = (found.values >= (1 - _CLOSE) * high).any() or (low > 0 and at_bound.any())
    said = []
    if inner:
        said.append(
            f"{int(at_bound.sum())} of {len(at_bound)} knots lie at bounds=({low:.3g}, {high:.3g})"
        )
    if not found.converged:
        said.append("the search ended before it converged: raise most_evaluations")
    if said:
        warnings.warn("; ".join(said) + ".", ScheduleWarning, stacklevel=3)
