"""The exact law of the summary statistics at finite dim, without the vectors."""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.engines.path import AbstractPath, Advanced, Record, run_path
from sgdlimits.models.base import AbstractModel
from sgdlimits.statistics.base import AbstractStatistics


class ChainPath(AbstractPath):
    """The model's Markov chain; one path step is one SGD step."""

    model: AbstractModel
    sgd: OnlineSGD
    dim: Float[Array, ""]
    constants: PyTree

    def noise(self, key: Key[Array, ""], steps: int) -> PyTree:
        """All random numbers of a block of steps."""
        return self.model.chain_noise(key, steps, self.constants)

    def step(self, state: PyTree, noise: PyTree, dt: Float[Array, ""]) -> PyTree:
        """One exact step."""
        return self.model.chain_step(state, noise, self.sgd, self.dim)


def run_chain(
    model: AbstractModel,
    sgd: OnlineSGD,
    dim: int,
    start: AbstractStatistics,
    keys: Key[Array, " lane"],
    steps: np.ndarray,
    advanced: Advanced,
) -> Iterator[Record]:
    """Yield the chain at the recorded steps after 0."""
    path = ChainPath(
        dynamic(model), dynamic(sgd), jnp.asarray(float(dim)), model.chain_constants(dim)
    )
    state = _to_state(path.model, start)
    for record in run_path(path, state, keys, steps, lambda step: step * sgd.delta(dim), advanced):
        yield record._replace(statistics=_to_statistics(path.model, record.statistics))


@eqx.filter_jit
def _to_state(model: AbstractModel, u: AbstractStatistics) -> PyTree:
    return jax.vmap(model.chain_state)(u)


@eqx.filter_jit
def _to_statistics(model: AbstractModel, state: PyTree) -> AbstractStatistics:
    return jax.vmap(model.chain_statistics)(state)
