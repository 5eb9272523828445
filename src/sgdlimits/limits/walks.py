"""Walks along connected sets of roots: to where they end, or towards another root.

A step goes along the flat directions of the Jacobian and Newton's method corrects it. Where that
leads elsewhere, the step is halved; where no step is short enough the set ends: at the border of
the domain of the statistics, or at a kink of the drift.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from sgdlimits.limits import roots
from sgdlimits.limits.newton import ON_SETS, Found, newton
from sgdlimits.process.process import Process

LONGEST, SHORTEST = 0.06, 1e-4  # steps, in units of the size of a state
_CORRECTIONS = 12
_MOST_STEPS = 200

Heading = Callable[["Walk"], np.ndarray | None]


@dataclass
class Walk:
    """One walk: where it has been, and how it came to its end."""

    path: list[np.ndarray]
    rates: list[np.ndarray]
    heading: np.ndarray  # a unit vector
    step: float
    goal: np.ndarray | None = None
    over: bool = False
    arrived: bool = False
    ended: bool = field(default=False)  # where the set does

    @property
    def here(self) -> np.ndarray:
        """The last point."""
        return self.path[-1]

    @property
    def beyond(self) -> np.ndarray:
        """Past the end, no root any more."""
        return self.here + 10 * SHORTEST * _size(self.here) * self.heading


def _size(y: np.ndarray) -> float:
    return 1.0 + float(np.linalg.norm(y))


def begin(y: np.ndarray, rates: np.ndarray, heading: np.ndarray, goal: np.ndarray | None = None):
    """A walk from a root, given the Jacobian there."""
    walk = Walk([y], [rates], heading, LONGEST * _size(y), goal)
    _turn(walk)
    return walk


def follow(process: Process, walks: list[Walk]) -> None:
    """Take every walk to its end."""
    for _ in range(_MOST_STEPS):
        going = [walk for walk in walks if not walk.over]
        if not going:
            return
        aims = np.array([walk.here + walk.step * walk.heading for walk in going])
        found = newton(process, aims, _CORRECTIONS, ON_SETS, inside=True)
        good = roots.are_roots(process, found)
        for k, walk in enumerate(going):
            _advance(walk, aims[k], found.part(k), bool(good[k]))
    for walk in walks:
        walk.over = True


def _advance(walk: Walk, aim: np.ndarray, found: Found, good: bool) -> None:
    moved = found.points - walk.here
    onward = good and moved @ walk.heading > walk.step / 2
    if not (onward and np.linalg.norm(found.points - aim) < walk.step / 2):
        walk.step /= 2
        walk.over = walk.ended = walk.step < SHORTEST * _size(walk.here)
        return
    walk.path.append(found.points)
    walk.rates.append(found.rates)
    walk.heading = moved / np.linalg.norm(moved)
    walk.step = min(1.5 * walk.step, LONGEST * _size(walk.here))
    _turn(walk)


def _turn(walk: Walk) -> None:
    """The next heading: within the set, and towards the goal if there is one."""
    flat = roots.flat_directions(walk.rates[-1])
    toward = walk.heading
    if walk.goal is not None:
        toward = walk.goal - walk.here
        distance = np.linalg.norm(toward)
        if distance <= max(roots.SAME, 2 * SHORTEST * _size(walk.here)):
            walk.over = walk.arrived = True
            return
        walk.step = min(walk.step, float(distance))
        toward = toward / distance
    along = flat.T @ (flat @ toward)
    length = np.linalg.norm(along)
    if length < 0.1:  # the set does not go there, or this is its end
        walk.over, walk.ended = True, walk.goal is None
        return
    walk.heading = along / length
    if walk.goal is None and len(walk.path) > 3:  # a closed curve
        walk.over = bool(np.linalg.norm(walk.path[0] - walk.here) < walk.step / 2)


def directions(process: Process, y: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Orthonormal rows along which there are roots beside a root; none if it is isolated.

    A singular Jacobian does not tell: steps along its flat directions are taken, and corrected.
    """
    flat = roots.flat_directions(rates)
    if not len(flat):
        return flat
    mixed = np.random.default_rng(0).standard_normal((2 * len(flat), len(flat))) @ flat
    ways = np.concatenate([flat, mixed / np.linalg.norm(mixed, axis=1, keepdims=True)])
    ways = np.concatenate([ways, -ways])
    length = 0.05 * LONGEST * _size(y)
    found = newton(process, y + length * ways, 4 * _CORRECTIONS, ON_SETS, inside=True)
    moved = (found.points - y) / length
    distances = np.linalg.norm(moved, axis=1)
    good = roots.are_roots(process, found) & (distances > 0.2) & (distances < 3)
    if not good.any():
        return flat[:0]
    _, values, right = np.linalg.svd(moved[good])
    return right[: int((values > 0.1 * values[0]).sum())]
