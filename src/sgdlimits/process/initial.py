"""Where runs start: the papers' random law without vectors, or given statistics; and back."""

from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from sgdlimits import _resources, _validate
from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.models.base import AbstractModel, check_model
from sgdlimits.process.lanes import LARGE, map_lanes
from sgdlimits.process.process import Process
from sgdlimits.randomness.streams import check_seed, run_keys
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
        sgd: the algorithm that is to start there: a spherical one has the rows normalised, and a
            rule with memory has it as it starts.

    Returns:
        Statistics with a leading axis of length ``runs``.

    Raises:
        TypeError, ValueError: if an argument is of another kind, or out of range.
    """
    dim = check_dim(model, dim)
    runs, seed = _validate.integer("runs", runs, 1), check_seed(seed)
    state = 8.0 * (1 + model.template.vector.size)  # with the run's number
    _resources.check_count("runs", runs, lambda runs: 2 * state * runs)
    numbers = np.arange(runs)
    if sgd is None:
        return _draw_lanes(model, dim, numbers, seed, lambda u: u)
    return draw_initial(Process(model, sgd), dim, numbers, seed)


def draw_initial(process: Process[S], dim: int, numbers: np.ndarray, seed: int) -> S:
    """``initial`` of the runs with these numbers; nothing is checked."""
    begin = lambda u: process.constrained(process.begin(u))  # noqa: E731
    return _draw_lanes(process.model, dim, numbers, seed, begin)


def _draw_lanes(
    model: AbstractModel[S], dim: int, numbers: np.ndarray, seed: int, constrain: Callable[[S], S]
) -> S:
    constants, size = model.initial_constants(dim), jnp.asarray(float(dim))
    model = dynamic(model)  # one program for all values of its numbers

    def one_lane(numbers: Array) -> S:
        return constrain(_draw(model, run_keys(seed, "initial", numbers), size, constants))

    return jax.tree.map(jnp.asarray, map_lanes(one_lane, numbers, LARGE))


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
    model.check_vectors(statistics, dim)
    shape = statistics.batch_shape
    if len(shape) > 1:
        raise ValueError(f"statistics have batch shape {shape}: expected at most one run axis.")
    runs = shape[0] if shape else 1
    slope = runs * _lifted_bytes(model, dim) / dim
    _resources.check_count("dim", dim, lambda dim: slope * dim)
    frame = model.frame(dim)
    keys = run_keys(seed, "lift", jnp.arange(runs))
    if not shape:
        return model.lift(keys[0], statistics, frame)
    return jax.vmap(lambda key, u: model.lift(key, u, frame))(keys, statistics)


def _lifted_bytes(model: AbstractModel[S], dim: int) -> float:
    """Of one run's vectors and the normals they are made of, and of the fixed directions."""

    def make() -> tuple[PyTree, Array]:
        frame = model.frame(dim)
        return model.lift(jax.random.key(0), model.template, frame), frame

    vectors, frame = (jax.tree.leaves(x) for x in jax.eval_shape(make))
    return 8.0 * (3 * sum(float(x.size) for x in vectors) + sum(float(x.size) for x in frame))
