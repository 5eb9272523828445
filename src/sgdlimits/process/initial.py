"""Where runs start: the papers' random law without vectors, or given statistics; and back."""

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from sgdlimits import _validate
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.models.base import AbstractModel, check_model
from sgdlimits.randomness.streams import check_seed, run_keys
from sgdlimits.simulation.lanes import LARGE, map_lanes
from sgdlimits.statistics.base import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)


def check_dim(model: AbstractModel, dim: object) -> int:
    """Return ``dim`` as an int that the model's statistics fit into, or raise."""
    check_model(model)
    return _validate.integer("dim", dim, model.minimum_dim)


@eqx.filter_jit
def _draw(model, seed_keys, dim, constants):
    return jax.vmap(lambda key: model.initial_statistics(key, dim, constants))(seed_keys)


def initial(
    model: AbstractModel[S], dim: int, runs: int, seed: int, sgd: OnlineSGD | None = None
) -> S:
    """Statistics of the papers' random start at finite ``dim``, sampled without vectors.

    Run r depends on the seed and r alone; ``simulate`` with the same seed starts here.

    Args:
        model: the model; its documentation names the law.
        dim: dimension of the data.
        runs: number of independent draws.
        seed: integer seed.
        sgd: the algorithm that is to start there: a spherical one has the rows normalised.

    Returns:
        Statistics with a leading axis of length ``runs``.

    Raises:
        TypeError, ValueError: if an argument is of another kind, or out of range.
    """
    dim = check_dim(model, dim)
    runs = _validate.integer("runs", runs, 1)
    if sgd is not None and not isinstance(sgd, OnlineSGD):
        raise TypeError(f"sgd={sgd!r}: expected an OnlineSGD.")
    return draw_initial(model, dim, np.arange(runs), check_seed(seed), sgd)


def draw_initial(
    model: AbstractModel[S], dim: int, numbers: np.ndarray, seed: int, sgd: OnlineSGD | None
) -> S:
    """``initial`` of the runs with these numbers; nothing is checked."""
    constants = model.initial_constants(dim)
    drawn = jax.tree.map(
        jnp.asarray,
        map_lanes(
            lambda numbers: _draw(
                model, run_keys(seed, "initial", numbers), jnp.asarray(float(dim)), constants
            ),
            numbers,
            LARGE,
        ),
    )
    return drawn if sgd is None else model.constrained(drawn, sgd)


def lift(model: AbstractModel[S], statistics: S, dim: int, seed: int) -> PyTree:
    """Real parameters in R^dim, uniform among those with the given statistics.

    Args:
        model: the model.
        statistics: one state, or a batch with one leading run axis.
        dim: dimension of the data.
        seed: integer seed.

    Returns:
        Parameters as the model's real SGD step takes them (SpikedTensor: the vector x), with the
        leading run axis of ``statistics`` if it has one.

    Raises:
        ValueError: if an argument is out of range or no vectors have these statistics.
    """
    dim = check_dim(model, dim)
    seed = check_seed(seed)
    model.check_statistics(statistics)
    shape = statistics.batch_shape
    if len(shape) > 1:
        raise ValueError(f"statistics have batch shape {shape}: expected at most one run axis.")
    frame = model.frame(dim)
    keys = run_keys(seed, "lift", jnp.arange(shape[0] if shape else 1))
    if not shape:
        return model.lift(keys[0], statistics, frame)
    return jax.vmap(lambda key, u: model.lift(key, u, frame))(keys, statistics)
