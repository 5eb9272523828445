"""Random points of a fibre that a run may visit: not only the typical ones.

In high dimension the points of a fibre reached from random starts look alike: what the statistics
leave out (an overlap of two neurons, the weight on an eigenspace of the data) concentrates, and
hides. Points are therefore taken where runs go: from random starts with their parts mixed and
scaled, moved by real SGD for a random time, and only then brought onto the fibre.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from sgdlimits._tracing import dynamic
from sgdlimits.models.base import AbstractModel
from sgdlimits.models.monte_carlo_fibre import VectorStatistics, onto_fibre
from sgdlimits.process.process import Process

_LONGEST = 1.0  # time of SGD, in units of steps * step / dim
_FROZEN_SHARE = 4  # one point in so many is not moved by SGD


class Scene(NamedTuple):
    """One model in one dimension, seen through some of its statistics, on flat parameters."""

    process: Process
    frame: Float[Array, "directions dim"]
    chosen: tuple[int, ...]  # positions of the statistics that are kept
    coordinates: bool

    @property
    def model(self) -> AbstractModel:
        """What is learned."""
        return self.process.model

    @property
    def delta(self) -> Any:
        """Size of one step."""
        return self.process.delta(float(self.dim))

    @property
    def dim(self) -> int:
        """Dimension of the data."""
        return self.frame.shape[1]

    def shapes(self) -> PyTree:
        """Shapes of the real parameters."""
        key, model = jax.random.key(0), self.model
        if model.starts_from_parameters:
            return jax.eval_shape(lambda: model.initial_parameters(key, self.frame))
        return jax.eval_shape(lambda: model.lift(key, model.template, self.frame))

    def unravel(self) -> Callable[[Array], PyTree]:
        """From flat parameters back."""
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), self.shapes())
        return ravel_pytree(zeros)[1]

    def statistics(self) -> VectorStatistics:
        """Flat parameters to the kept statistics."""
        unravel, chosen = self.unravel(), jnp.asarray(self.chosen)
        return lambda x: self.model.statistics(unravel(x), self.frame).vector[chosen]


def parameter_rows(parameters: PyTree, dim: int) -> list[tuple[str, Array]]:
    """Named vectors of length ``dim`` among the parameters: neurons, or the parameter itself."""
    rows = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(parameters)[0]:
        name = "".join(str(getattr(k, "name", getattr(k, "key", getattr(k, "idx", k))))
                       for k in path) or "x"  # fmt: skip
        if leaf.ndim and leaf.shape[-1] == dim:
            flat = leaf.reshape(-1, dim)
            single = leaf.ndim == 1
            rows += [(name if single else f"{name}_{i + 1}", row) for i, row in enumerate(flat)]
    return rows


def _starts(scene: Scene, rng: np.random.Generator, count: int) -> PyTree:
    """Random starts (count, ...): the model's own, else Gaussian vectors of norm about one."""
    if scene.model.starts_from_parameters:
        keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), count)
        return jax.tree.map(np.array, _own_starts(scene, keys))

    def gaussian(shape: jax.ShapeDtypeStruct) -> np.ndarray:
        wide = shape.ndim > 0 and shape.shape[-1] == scene.dim
        draw = rng.standard_normal((count, *shape.shape))
        return draw / scene.dim**0.5 if wide else draw

    return jax.tree.map(gaussian, scene.shapes())


@eqx.filter_jit
def _own_starts(scene: Scene, keys: Array) -> PyTree:
    return jax.vmap(lambda key: scene.model.initial_parameters(key, scene.frame))(keys)


def _mixed(scene: Scene, rng: np.random.Generator, count: int) -> np.ndarray:
    """Starts (count, n), flat, with their vectors mixed with each other and known directions."""
    leaves, _ = jax.tree.flatten(_starts(scene, rng, count))
    leaves = [x * rng.uniform(0.5, 1.5, (count,) + (1,) * (x.ndim - 1)) for x in leaves]
    wide = [i for i, x in enumerate(leaves) if x.ndim > 1 and x.shape[-1] == scene.dim]
    if wide:
        stacked = [leaves[i].reshape(count, -1, scene.dim) for i in wide]
        sizes = [x.shape[1] for x in stacked]
        rows = sum(sizes)
        mix = np.eye(rows) + 0.7 / rows**0.5 * rng.standard_normal((count, rows, rows))
        frame = np.asarray(scene.frame)
        onto = 0.6 * rng.standard_normal((count, rows, len(frame)))
        mixed = mix @ np.concatenate(stacked, axis=1) + onto @ frame
        if scene.coordinates:
            mixed += _spikes(rng, count, rows, scene.dim)
        parts = np.split(mixed, np.cumsum(sizes)[:-1], axis=1)
        for i, part in zip(wide, parts, strict=True):
            leaves[i] = part.reshape(leaves[i].shape)
    return np.concatenate([x.reshape(count, -1) for x in leaves], axis=1)


def _spikes(rng: np.random.Generator, count: int, rows: int, dim: int) -> np.ndarray:
    """For half of the points, a component of order one along one random coordinate."""
    spikes = np.zeros((count, rows, dim))
    index = np.ix_(np.arange(count), np.arange(rows))
    size = rng.uniform(0.5, 1.5, (count, rows)) * (rng.uniform(size=(count, 1)) < 0.5)
    spikes[*index, rng.integers(0, dim, (count, rows))] = size
    return spikes


@eqx.filter_jit
def _moved(scene: Scene, starts: Array, steps: Array, keys: Array) -> tuple[Array, Array]:
    """Starts after so many steps of SGD, unmoved where that blows up, and their statistics."""
    unravel, statistics = scene.unravel(), scene.statistics()

    def one(start: Array, steps: Array, key: Array) -> tuple[Array, Array]:
        def step(i: Array, x: Array) -> Array:
            each = jax.random.fold_in(key, i)
            moved = scene.process.step(unravel(x), scene.frame, each, 0.0)
            return ravel_pytree(moved)[0]

        moved = jax.lax.fori_loop(0, steps, step, start)
        calm = jnp.sum(moved**2) < 100 * (1 + jnp.sum(start**2))  # false where not finite
        x = jnp.where(calm, moved, start)
        return x, statistics(x)

    return jax.vmap(one)(starts, steps, keys)


def visited(scene: Scene, count: int, seed: int) -> tuple[Array, Array]:
    """Flat parameters (count, n) of mixed starts after a random time of SGD; their statistics."""
    rng = np.random.default_rng([seed, scene.dim, count])
    starts = _mixed(scene, rng, count)
    time = np.maximum(0.0, rng.uniform(-1 / _FROZEN_SHARE, 1.0, count)) * _LONGEST
    steps = np.rint(time / float(scene.delta)).astype(int)
    keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), count)
    return _moved(_dynamic(scene), jnp.asarray(starts), jnp.asarray(steps), keys)


def _dynamic(scene: Scene) -> Scene:
    return scene._replace(process=dynamic(scene.process))


@eqx.filter_jit
def _onto(scene: Scene, x: Array, targets: Array) -> tuple[Array, Array]:
    statistics = scene.statistics()
    return jax.lax.map(lambda pair: tuple(onto_fibre(statistics, *pair)), (x, targets))


def random_fibres(scene: Scene, count: int, seed: int) -> np.ndarray:
    """Targets (count, statistics): the statistics of visited points."""
    return np.asarray(visited(scene, count, seed)[1])


def fibre_points(scene: Scene, targets: np.ndarray, points: int, seed: int) -> np.ndarray:
    """Flat parameters (fibres, points, n) on the fibres of the targets (fibres, statistics).

    Raises:
        ValueError: if a fibre is not reached from enough of the visited points.
    """
    fibres, tries = len(targets), 2 * points
    x, _ = visited(scene, fibres * tries, seed)
    x, reached = _onto(_dynamic(scene), x, jnp.repeat(jnp.asarray(targets), tries, axis=0))
    x, reached = np.asarray(x).reshape(fibres, tries, -1), np.asarray(reached)
    found = []
    for fibre, good in enumerate(reached.reshape(fibres, tries)):
        if good.sum() < points:
            raise ValueError(
                f"at: fibre {np.round(targets[fibre], 4).tolist()} was reached from {good.sum()} "
                f"of {tries} points in dim={scene.dim}, expected at least {points}; is it possible?"
            )
        found.append(x[fibre][good][:points])
    return np.stack(found)
