"""States whose memory is generic, and not as it starts."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from sgdlimits.process.layout import Layout, Whole
from sgdlimits.process.process import Process
from sgdlimits.statistics import rows
from sgdlimits.statistics.base import AbstractStatistics

_SIZE = 0.5
_SCALAR = 1.3


def with_memory(process: Process, points: AbstractStatistics, seed: int) -> Any:
    """The process's states with these statistics of the model, and memories of order one.

    Every memory is its start, moved at random in the span of directions and rows and outside.
    """
    model: Any = process.model
    if model.kernel != "rows" or not (model_memory := _layout(process).memory):
        return _scaled(process, process.begin(points))
    layout, rng = _layout(process), np.random.default_rng(seed)
    p, r, extra = model.width, model.data.directions, len(model_memory) * model.width
    states = []
    for i in range(len(points.vector)):
        begun = layout.begin(points[i])
        whole = layout.split(begun)
        B, rest = rows.coordinates(whole.rows, model.data.root)
        values, vectors = np.linalg.eigh(np.asarray(rest))
        root = vectors * np.sqrt(np.maximum(values, 0))
        inside = np.concatenate([np.asarray(B), root, np.zeros((len(B), extra))], axis=1)
        inside[p:] += _SIZE * rng.standard_normal((extra, inside.shape[1])) / np.sqrt(r + 2 * p)
        v = np.array(whole.v)
        v[1:] += _SIZE * rng.standard_normal(v[1:].shape)
        M = inside[:, :r] @ np.asarray(model.data.root).T
        Q = jnp.asarray(inside @ inside.T)
        moved = Whole(jnp.asarray(v), jnp.asarray(M), Q, whole.scalars)
        states.append(np.asarray(layout.with_base(layout.join(moved), points[i]).vector))
    return _scaled(process, process.template.with_vector(jnp.asarray(np.array(states))))


def _layout(process: Process) -> Layout:
    model: Any = process.model
    return Layout.of(model, process.algorithm.rule)


def _scaled(process: Process, points: Any) -> Any:
    """With scalars above their start."""
    fields = {name: getattr(points, name) for name in points.dims}
    for x in process.algorithm.rule.scalars:
        fields[x.name] = _SCALAR * fields[x.name]
    return type(points)(**fields)
