"""What counts as a zero of the drift, and as the same zero."""

import jax.numpy as jnp
import numpy as np

from sgdlimits.limits.newton import BLOCK, Found, newton
from sgdlimits.limits.vector_field import crosses_jumps
from sgdlimits.process.process import Process

SAME = 1e-6  # distance below which two roots are one
_ROUGHLY_THE_SAME = 2e-2  # where drifts are known roughly
_SNAP = 1e-9  # coordinates below this are zero: degenerate roots converge only linearly
_RESIDUAL = 1e-9
_ROUGH_RESIDUAL = 1e-3  # where nodes cross jumps, the drift is a staircase
_FLAT = 1e-7  # singular value, relative to the largest, below which a direction is neutral


def same(process: Process) -> float:
    """Distance below which two roots are one."""
    return _ROUGHLY_THE_SAME if crosses_jumps(process) else SAME


def are_near(points: np.ndarray, steps: np.ndarray, within: float) -> np.ndarray:
    """Where Newton's next step is small: the drift alone says little at a degenerate root."""
    return steps <= within * (1 + np.abs(points).max(1))


def are_roots(process: Process, found: Found) -> np.ndarray:
    """Which points of Newton's method are zeros of the drift, and possible states."""
    rough = crosses_jumps(process)
    scale = np.maximum(1.0, np.abs(found.rates).max((1, 2), initial=0.0))
    small = np.abs(found.drifts).max(1) <= (_ROUGH_RESIDUAL if rough else _RESIDUAL) * scale
    good = small & are_near(found.points, found.steps, same(process))
    return np.array(
        [ok and is_possible(process, y) for ok, y in zip(good, found.points, strict=True)],
        dtype=bool,
    )


def is_possible(process: Process, y: np.ndarray) -> bool:
    """Not a zero of the formulas outside of the domain of the statistics."""
    if not np.isfinite(y).all():
        return False
    try:
        process.check_state(process.template.with_vector(jnp.asarray(y)))
    except ValueError:
        return False
    return True


def distinct(process: Process, points: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """Those points that are roots, each once."""
    points = points[np.isfinite(points).all(1)]
    points = np.where(np.abs(points) < _SNAP, 0.0, points)
    points = joined(np.empty((0, points.shape[1])), points, same(process))
    return points[are_roots(process, newton(process, points, 0, block=block))]


def joined(known: np.ndarray, others: np.ndarray, within: float = SAME) -> np.ndarray:
    """``known`` and after them what of ``others`` is new."""
    found = known
    for y in others:
        if not len(found) or np.abs(found - y).max(1).min() > within:
            found = np.concatenate([found, y[None]])
    return found


def flat_directions(rates: np.ndarray) -> np.ndarray:
    """Orthonormal rows that a Jacobian takes to nought, not counting walls."""
    _, values, right = np.linalg.svd(rates)
    return right[values < _FLAT * values[0]] if values[0] > 0 else right
