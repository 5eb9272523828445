"""Sample diffusions of the statistics: a fine enough step for the drift, Gaussian noise.

The scheme is the classical Runge-Kutta step for the drift plus the noise at the old point: for
noise of size eps its error is O(dt^4 + eps dt) (Milstein and Tretyakov 1997, small-noise schemes),
so steps much longer than SGD's own are accurate when the dimension is large.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sgdlimits._tracing import dynamic
from sgdlimits.engines.path import AbstractPath, Advanced, Record, run_path
from sgdlimits.limits.diffusion import AbstractDiffusion
from sgdlimits.statistics.base import AbstractStatistics

LONGEST_DEFAULT_STEP = 1e-3


class DiffusionPath(AbstractPath):
    """One path of a diffusion; the state is the statistics' vector."""

    diffusion: AbstractDiffusion

    def noise(self, key: Key[Array, ""], steps: int) -> Float[Array, "steps noises"]:
        """Standard normals."""
        size = self.diffusion.model.template.vector.shape
        count = jax.eval_shape(self.diffusion.factor, jax.ShapeDtypeStruct(size, float)).shape[1]
        return jax.random.normal(key, (count, steps)).T

    def step(
        self, state: Float[Array, " statistics"], noise: Array, dt: Float[Array, ""]
    ) -> Float[Array, " statistics"]:
        """Runge-Kutta 4 for the drift, Euler-Maruyama for the noise."""
        # Padding after the end has no duration; a step may be an expensive expectation.
        return jax.lax.cond(dt > 0, lambda: self._step(state, noise, dt), lambda: state)

    def _step(self, state: Array, noise: Array, dt: Array) -> Array:
        drift = self.diffusion.drift_vector
        k1 = drift(state)
        k2 = drift(state + dt / 2 * k1)
        k3 = drift(state + dt / 2 * k2)
        k4 = drift(state + dt * k3)
        kick = jnp.sum(self.diffusion.factor(state) * noise[None, :], axis=1)
        return state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4) + jnp.sqrt(dt) * kick


def run_diffusion(
    diffusion: AbstractDiffusion,
    start: AbstractStatistics,
    keys: Key[Array, " lane"],
    times: np.ndarray,
    dt: float,
    advanced: Advanced,
) -> Iterator[Record]:
    """Yield the diffusion at the recorded ``times`` after 0.

    Each interval between records is cut into equal steps no longer than ``dt``.
    """
    steps = np.concatenate([[0], np.cumsum(_counts(times, dt))])
    path = DiffusionPath(dynamic(diffusion))

    def clock(step: np.ndarray) -> np.ndarray:
        return np.interp(step, steps, times)  # constant after the end: padding steps do nothing

    for record in run_path(path, start.vector, keys, steps, clock, advanced):
        yield record._replace(statistics=start.with_vector(jnp.asarray(record.statistics)))


def sub_steps(times: np.ndarray, dt: float) -> int:
    """Number of steps that ``run_diffusion`` will take."""
    return int(_counts(times, dt).sum())


def _counts(times: np.ndarray, dt: float) -> np.ndarray:
    """Steps in each interval; the factor forgives rounding when dt divides the interval."""
    return np.ceil(np.diff(times) / dt * (1 - 1e-9)).astype(np.int64)


def default_dt(delta: float) -> float:
    """One SGD step, or the longest default step if that is longer."""
    return max(delta, LONGEST_DEFAULT_STEP)
