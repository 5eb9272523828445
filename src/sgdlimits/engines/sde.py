"""Sample diffusions of the statistics: a fine enough step for the drift, Gaussian noise.

The scheme is the classical Runge-Kutta step for the drift plus the noise at the old point: for
noise of size eps its error is O(dt^4 + eps dt) (Milstein and Tretyakov 1997, small-noise schemes),
so steps much longer than SGD's own are accurate when the dimension is large.
"""

from collections.abc import Callable, Iterator
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Key

from sgdlimits import _resources, _validate
from sgdlimits._tracing import dynamic
from sgdlimits.engines import lanes
from sgdlimits.engines.base import AbstractEngine, Plan, Problem, RunLane, optional_positive
from sgdlimits.engines.path import AbstractPath, Advanced, Record, run_path
from sgdlimits.engines.sizes import trace
from sgdlimits.engines.solution_error import SolutionError, adequate_error
from sgdlimits.limits.adequate import ENOUGH
from sgdlimits.limits.diffusion import AbstractDiffusion, WeakNoiseDiffusion
from sgdlimits.process.process import Process
from sgdlimits.randomness.streams import run_keys
from sgdlimits.statistics.base import AbstractStatistics

LONGEST_DEFAULT_STEP = 1e-3


class DiffusionPath(AbstractPath):
    """One path of a diffusion; the state is the statistics' vector."""

    diffusion: AbstractDiffusion

    def noise(self, key: Key[Array, ""], steps: int) -> Float[Array, "steps noises"]:
        """Standard normals."""
        state = self.diffusion.process.template.vector
        count = jax.eval_shape(self.diffusion.factor, state, jnp.zeros(())).shape[1]
        return jax.random.normal(key, (count, steps)).T

    def step(
        self,
        state: Float[Array, " statistics"],
        noise: Array,
        time: Float[Array, ""],
        dt: Float[Array, ""],
    ) -> Float[Array, " statistics"]:
        """Runge-Kutta 4 for the drift, Euler-Maruyama for the noise."""
        # Padding after the end has no duration; a step may be an expensive expectation.
        return jax.lax.cond(dt > 0, lambda: self._step(state, noise, time, dt), lambda: state)

    def _step(self, state: Array, noise: Array, time: Array, dt: Array) -> Array:
        drift = self.diffusion.drift_vector
        k1 = drift(state, time)
        k2 = drift(state + dt / 2 * k1, time + dt / 2)
        k3 = drift(state + dt / 2 * k2, time + dt / 2)
        k4 = drift(state + dt * k3, time + dt)
        kick = jnp.sum(self.diffusion.factor(state, time) * noise[None, :], axis=1)
        return state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4) + jnp.sqrt(dt) * kick


class SDE(AbstractEngine):
    """Drift plus noise of variance 1/dim: the statistics to leading order in 1/dim.

    The noise is that of the model's own data law: unlike the drift it is not universal.

    Args:
        dt: longest time step; default one SGD step or 0.001, whichever is longer.
        errors: whether results hold ``<name>_error`` where the drift is not exact.

    Raises:
        TypeError, ValueError: unless ``dt`` is a number above 0, and ``errors`` True or False.
    """

    dt: float | None = eqx.field(converter=optional_positive("dt"), default=None)
    errors: bool = True

    name: ClassVar = "sde"
    exact_for: ClassVar = "leading order in 1/dim"
    cost: ClassVar = "O(1) per step, steps longer than SGD's"
    needs_limit: ClassVar = True

    def __check_init__(self) -> None:
        _validate.boolean("errors", self.errors)

    def view(self, process: Process) -> Process:
        """Without memory that forgets within few steps."""
        return process.in_the_limit()

    def plan(self, problem: Problem, runs: int) -> Plan:
        """By what the coefficients at one state hold."""
        return plan_diffusion(
            self._diffusion(problem), runs, problem.grid.times, self.step(problem)
        )

    def prepare(self, problem: Problem, lane: int) -> RunLane:
        """The diffusion at the recorded times after 0."""
        diffusion, times = self._diffusion(problem), problem.grid.times

        def error_of(start: AbstractStatistics) -> SolutionError | None:
            if not self.errors:
                return None
            # Weak noise: to leading order the error of a path is that of the ODE from its start;
            # and the limit neglects 1/dim.
            enough = max(ENOUGH, 1 / problem.dim)
            return adequate_error(diffusion.process, start, times, enough)

        return prepare_diffusion(diffusion, problem.seed, times, self.step(problem), error_of)

    def step(self, problem: Problem) -> float:
        """The longest time step."""
        if self.dt is not None:
            return self.dt
        return max(problem.process.delta(problem.dim), LONGEST_DEFAULT_STEP)

    def _diffusion(self, problem: Problem) -> WeakNoiseDiffusion:
        return WeakNoiseDiffusion(problem.process, problem.dim)


def plan_diffusion(diffusion: AbstractDiffusion, runs: int, times: np.ndarray, dt: float) -> Plan:
    """The plan of any diffusion; ValueError for a step that is too short."""
    check_step(dt, float(times[-1]))
    coefficients = trace(_coefficients, dynamic(diffusion), diffusion.process.template.vector)
    lane = lanes.of_diffusions(runs, coefficients)
    return Plan(lane, work=float(_counts(times, dt).sum()))


@eqx.filter_jit
def _coefficients(diffusion: AbstractDiffusion, y: Array) -> tuple[Array, Array]:
    return diffusion.drift_vector(y), diffusion.factor(y)


def prepare_diffusion(
    diffusion: AbstractDiffusion,
    seed: int,
    times: np.ndarray,
    dt: float,
    error_of: Callable[[AbstractStatistics], SolutionError | None] = lambda start: None,
) -> RunLane:
    """Lanes of any diffusion.

    Each interval between records is cut into equal steps no longer than ``dt``. ``error_of`` says
    the errors of paths from their starts.
    """
    steps = np.concatenate([[0], np.cumsum(_counts(times, dt))])
    path = DiffusionPath(dynamic(diffusion))

    def clock(step: np.ndarray) -> np.ndarray:
        return np.interp(step, steps, times)  # constant after the end: padding steps do nothing

    def run_lane(
        start: AbstractStatistics, numbers: Integer[Array, " lane"], advanced: Advanced
    ) -> Iterator[Record]:
        error = error_of(start)
        keys = run_keys(seed, "sde", numbers)
        for record in run_path(path, start.vector, keys, steps, clock, advanced):
            state = start.with_vector(jnp.asarray(record.statistics))
            spread = None if error is None else error.at(record.slot)
            yield record._replace(statistics=state, error=spread)

    return run_lane


def check_step(dt: float, time: float) -> None:
    """Raise ValueError for a step that would not advance time, or not within a life."""
    # And below rounding times would stand still.
    _resources.check_steps(f"dt={dt!r}", time / dt, "take a longer dt", f" to time {time:.6g}")


def _counts(times: np.ndarray, dt: float) -> np.ndarray:
    """Steps in each interval; the factor forgives rounding when dt divides the interval."""
    return np.ceil(np.diff(times) / dt * (1 - 1e-9)).astype(np.int64)
