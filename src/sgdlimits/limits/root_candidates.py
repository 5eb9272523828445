"""Zeros of the drift from random starts, by expectations that are quick rather than accurate."""

from collections.abc import Callable
from typing import TypeVar

import jax.numpy as jnp
import numpy as np

from sgdlimits._tracing import dynamic
from sgdlimits.limits import flow, roots
from sgdlimits.limits.newton import newton
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)

_TOGETHER, _COSTLY_TOGETHER = 128, 16  # starts, where drifts are quick and where they are not
_QUICK_NODES = 4096  # times statistics
_STEPS = 24
_PATIENCE = 40  # steps of a further round, of points that still come nearer
_ROUNDS = 5
_SETTLED = 1e-11  # Newton's next step, relative
_FOLLOWED = 60.0  # in units of the typical fastest rate
_FLOW_STEPS, _COSTLY_FLOW_STEPS = 1000, 200
_FLOW_TOLERANCES = (1e-5, 1e-8)
_LEAST = 64  # starts without a new root after which there may be no more
_NEAR = 0.3  # distance within which points of sets of roots tell nothing new
_MOST_RELABELLED = 512


def candidates(
    process: Process[S], starts: int, seed: int, advance: Callable[[float], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct roots (roots, statistics), and how many flat directions the drift has there.

    Also those that are reached by relabelling the neurons of others.

    Newton finds unstable points too, the flow finds attracting ones from far away. ``advance`` is
    told of every start, tried or not.
    """
    points = np.asarray(process.search_points(np.random.default_rng(seed), starts).vector)
    costly = process.model.expectation_nodes * (points.shape[1] + 1) > _QUICK_NODES
    together = _COSTLY_TOGETHER if costly else _TOGETHER
    together = min(together, 1 << (starts - 1).bit_length())
    steps = _COSTLY_FLOW_STEPS if costly else _FLOW_STEPS
    half = -(-together // 2)
    block = together + half
    found, last, end = np.empty((0, points.shape[1])), 0, 0
    for begin in range(0, starts, together):
        part = points[begin : begin + together]
        some = np.concatenate([part, _follow(process, part[::2], half, block, steps)])
        new = roots.distinct(process, _settle(process, some, block), block)
        before, found = found, roots.joined(found, new)
        advance(len(part))
        end = begin + len(part)
        last = end if _is_new(before, found[len(before) :]) else last
        if end - last >= max(_LEAST, last):  # as many again brought nothing new
            break
    advance(max(0, starts - end))
    found = _with_relabelled(process, found, block)
    rates = newton(process, found, 0, block=block).rates
    return found, np.array([len(roots.flat_directions(J)) for J in rates], dtype=int)


def _is_new(known: np.ndarray, others: np.ndarray) -> bool:
    if not len(known) or not len(others):
        return bool(len(others))
    gaps = np.linalg.norm(others[:, None] - known[None], axis=-1).min(1)
    return bool((gaps > _NEAR * (1 + np.linalg.norm(others, axis=1))).any())


def _follow(process: Process, starts: np.ndarray, count: int, block: int, steps: int) -> np.ndarray:
    """The starts a while later; unmoved where that is too much work."""
    rates = newton(process, starts, 0, block=block).rates
    time = _FOLLOWED / float(np.median(np.abs(rates).max((1, 2))))
    padded = np.concatenate([starts, np.repeat(starts[-1:], count - len(starts), axis=0)])
    ends = np.asarray(
        flow.solve_vectors(
            dynamic(process), jnp.asarray(padded), jnp.asarray([time]), *_FLOW_TOLERANCES,
            steps,
        )[0][: len(starts)]
    )  # fmt: skip
    return np.where(np.isfinite(ends).all(1, keepdims=True), ends, starts)


def _settle(process: Process, points: np.ndarray, block: int) -> np.ndarray:
    """Where Newton leads; degenerate roots are approached slowly, and get more steps."""
    found = newton(process, points, _STEPS, block=block)
    settled, going = [], found
    for _ in range(_ROUNDS):
        done = roots.are_near(going.points, going.steps, _SETTLED)
        settled.append(going.points[done])
        going = going.part(~done & np.isfinite(going.points).all(1))
        if not len(going.points):
            break
        before = going.steps
        going = newton(process, going.points, _PATIENCE, block=block)
        # Others jump about without an end.
        going = going.part((going.steps < before / 2) & np.isfinite(going.points).all(1))
    return np.concatenate([*settled, going.points])


def _with_relabelled(process: Process, found: np.ndarray, block: int) -> np.ndarray:
    """Networks that differ in the order of their neurons rest together or not at all."""
    new = found
    while len(new) and len(found) < _MOST_RELABELLED:
        state = process.template.with_vector(jnp.asarray(new))
        others = [np.asarray(x.vector) for x in process.model.relabelled(state)]
        if not others:
            break
        starts = np.concatenate(others)
        starts = starts[np.argsort(np.arange(len(starts)) % len(new), kind="stable")]
        fresh = starts[_distance_to(found, starts) > roots.SAME]
        fresh = roots.joined(np.empty((0, found.shape[1])), fresh)[:_MOST_RELABELLED]
        before = len(found)
        found = roots.joined(found, roots.distinct(process, _settle(process, fresh, block), block))
        new = found[before:]
    return found


def _distance_to(known: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.abs(points[:, None] - known[None]).max(-1).min(1)
