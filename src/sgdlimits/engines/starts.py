"""States that runs start from: given ones, checked, or random ones."""

import jax
import jax.numpy as jnp
import numpy as np

from sgdlimits import _validate
from sgdlimits.process.initial import draw_initial
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics


def start(
    process: Process,
    given: AbstractStatistics | None,
    dim: int,
    numbers: np.ndarray,
    seed: int,
) -> AbstractStatistics:
    """One state per run, on the leading axis.

    Raises:
        TypeError, ValueError: if the process cannot be at a given state.
    """
    if given is None:
        return draw_initial(process, dim, numbers, seed)
    state = process.complete(given)
    if not isinstance(state, process.statistics_class):
        name, model = process.statistics_class.__name__, type(process.model).__name__
        raise TypeError(f"initial={given!r}: expected {name} to start {model} from.")
    with _validate.renamed("statistics", "initial"):
        process.check_state(state)
    return broadcast(state, len(numbers))


def broadcast(given: AbstractStatistics, runs: int) -> AbstractStatistics:
    """One state for all runs, or one per run, as one per run."""
    shape = given.batch_shape
    if shape not in ((), (runs,)):
        raise ValueError(
            f"initial has batch shape {shape}: expected one state, or one per run ({runs},)."
        )
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (runs, *x.shape[len(shape) :])), given)
