"""The flow of the statistics in a plane, with its fixed points."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from sgdlimits.limits.effective_dynamics import EffectiveDynamics
from sgdlimits.limits.fixed_points import FixedPoint
from sgdlimits.plots.base import COLOURS


def phase_portrait(
    axis: Axes,
    dynamics: EffectiveDynamics,
    x: tuple[str, float, float],
    y: tuple[str, float, float],
    points: int = 40,
) -> None:
    """Stream lines of the drift in the plane of two statistics, with its fixed points.

    Args:
        axis: where to draw.
        dynamics: dynamics with exactly two statistics.
        x, y: (name, low, high) of the axes.
        points: grid points per direction.

    Raises:
        ValueError: if the dynamics have other statistics than the two.
    """
    names = dynamics.names
    if sorted(names) != sorted((x[0], y[0])):
        raise ValueError(f"x, y = {x[0]!r}, {y[0]!r}: expected the two statistics {names}.")
    stream(axis, dynamics, x, y, points)
    draw_fixed_points(axis, dynamics, [names.index(x[0]), names.index(y[0])])
    axis.set_xlim(x[1], x[2])
    axis.set_ylim(y[1], y[2])
    labels = type(dynamics.process.template).labels
    axis.set_xlabel(labels[x[0]].symbol)
    axis.set_ylabel(labels[y[0]].symbol)


def stream(
    axis: Axes,
    dynamics: EffectiveDynamics,
    x: tuple[str, float, float],
    y: tuple[str, float, float],
    points: int,
) -> None:
    """Stream lines where there are states; of dynamics with two statistics."""
    names = dynamics.names
    gx, gy = np.meshgrid(np.linspace(x[1], x[2], points), np.linspace(y[1], y[2], points))
    order = [names.index(x[0]), names.index(y[0])]
    vector = np.empty((*gx.shape, 2))
    vector[..., order[0]], vector[..., order[1]] = gx, gy
    possible = np.ones(gx.shape, dtype=bool)
    if not is_possible(dynamics, vector):
        possible = np.array([[is_possible(dynamics, one) for one in row] for row in vector])
    if not possible.any():
        raise ValueError(f"x={x!r}, y={y!r}: no state has such statistics; choose other ranges.")
    inside = np.where(possible[..., None], vector, vector[possible][0])
    drift = np.asarray(
        dynamics.drift(dynamics.process.template.with_vector(jnp.asarray(inside))).vector
    )
    drift = np.where(possible[..., None], drift, np.nan)
    axis.streamplot(
        gx, gy, drift[..., order[0]], drift[..., order[1]],
        color=COLOURS["flow"], linewidth=0.5, arrowsize=0.6, density=0.9,
    )  # fmt: skip


def draw_fixed_points(axis: Axes, dynamics: EffectiveDynamics, order: Sequence[int]) -> None:
    """Stable fixed points as crosses, the others as open circles."""
    draw_points(axis, dynamics.fixed_points(), order)


def draw_points(axis: Axes, points: Sequence[FixedPoint], order: Sequence[int]) -> None:
    """Those given, in the plane of two places of their vectors."""
    for point in points:
        position = np.asarray(point.statistics.vector)[list(order)]
        if point.stable:
            axis.plot(*position, "x", color="black", ms=6, mew=1.8, zorder=5)
        else:
            axis.plot(*position, "o", mfc="white", mec="black", ms=4, zorder=5)


def is_possible(dynamics: EffectiveDynamics, vector: np.ndarray) -> bool:
    """Whether a state has these statistics."""
    try:
        dynamics.process.check_state(dynamics.process.template.with_vector(jnp.asarray(vector)))
    except ValueError:
        return False
    return True
