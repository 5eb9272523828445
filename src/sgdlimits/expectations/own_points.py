"""An activation's own points: where it breaks, and where it bends, on its own axis.

Between two of them it is close to a polynomial of low degree, so that a Gauss rule between them is
accurate however wide the Gaussian is that it meets.
"""

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sgdlimits.expectations.activations import AbstractActivation, Activation, Erf, Polynomial, Relu
from sgdlimits.expectations.breaks import Sampled, distinct, find_breaks
from sgdlimits.expectations.sampled import sampled

_FAR = 256.0  # 8.5 standard deviations of a neuron of norm 30
_DEGREE = 7  # of the polynomial in every panel
_CLOSE = 2e-3  # relative error that it may have
_MOST_BENDS = 12
_HAVE_LOOKED = (Activation, Erf, Relu, Polynomial)  # their ``kinks`` are all there are
_NEAR = np.geomspace(1e-4, _FAR, 500)
_GRID = np.unique(np.concatenate([-_NEAR, _NEAR, np.linspace(-16, 16, 801) + 0.00123]))

Smooth = Callable[[float, float], bool]


class OwnPoints(NamedTuple):
    """Ascending; ``bends`` are further points where panels end.

    ``breaks`` are jumps of the function, its slope, or its curvature: these only to place panels
    well, nothing is integrated but what SGD sees.
    """

    breaks: tuple[float, ...]
    bends: tuple[float, ...]

    @property
    def all(self) -> tuple[float, ...]:
        """Both, ascending."""
        return tuple(sorted({*self.breaks, *self.bends}))


def own_points(activation: AbstractActivation) -> OwnPoints:
    """Of an activation; known from the first call on."""
    try:
        return _cached(activation)
    except TypeError:  # holds arrays, so that it cannot be looked up
        return _look(activation)


def growth(activation: AbstractActivation) -> float:
    """The power at which an activation grows far out: 1 for ReLU, 3 for a cubic."""
    if activation.degree is not None:
        return float(activation.degree)
    size = np.max(np.abs(sampled(activation)(np.array([-16.0, 16.0, -4.0, 4.0])).reshape(2, 2)), 1)
    return float(np.log(size[0] / size[1]) / np.log(4)) if size.all() else 0.0


@lru_cache(maxsize=256)
def _cached(activation: AbstractActivation) -> OwnPoints:
    return _look(activation)


def _look(activation: AbstractActivation) -> OwnPoints:
    if activation.degree is not None and activation.degree <= _DEGREE + 1:
        return OwnPoints(tuple(activation.kinks), ())
    both = sampled(lambda x: jnp.stack([activation(x), activation.slope(x)]))
    found = () if isinstance(activation, _HAVE_LOOKED) else find_breaks(both)
    breaks = distinct(np.array([*activation.kinks, *found, *_curvature_breaks(activation)]))
    on_grid = both(_GRID)
    ends = [-_FAR, *(b for b in sorted({0.0, *breaks}) if abs(b) < _FAR), _FAR]

    def smooth(low: float, high: float) -> bool:
        return _is_polynomial(both, on_grid, low, high)

    ends = _merge(smooth, _split(smooth, ends), {*breaks})
    return OwnPoints(breaks, tuple(float(x) for x in ends[1:-1] if x not in breaks))


def _curvature_breaks(activation: AbstractActivation) -> tuple[float, ...]:
    def curvature(x: Array) -> Array:
        return jax.jvp(activation.slope, (x,), (jnp.ones_like(x),))[1][None]

    try:
        return find_breaks(sampled(curvature))
    except Exception:  # a slope that JAX cannot differentiate, which nothing depends on
        return ()


def _split(smooth: Smooth, ends: list[float]) -> list[float]:
    """Halve what is no polynomial yet, that nearest to zero first."""
    most, open_ = len(ends) + 4 * _MOST_BENDS, list(itertools.pairwise(ends))
    done: list[tuple[float, float]] = []
    while open_ and len(open_) + len(done) < most:
        open_.sort(key=lambda panel: min(abs(panel[0]), abs(panel[1])))
        low, high = open_.pop(0)
        if high - low < 1e-6 * max(1.0, abs(low)) or smooth(low, high):
            done.append((low, high))
        else:
            middle = (low + high) / 2
            open_ += [(low, middle), (middle, high)]
    return sorted({x for panel in (*done, *open_) for x in panel})


def _merge(smooth: Smooth, ends: list[float], keep: set[float]) -> list[float]:
    """Drop ends that a longer panel does without, then those furthest out beyond the most."""
    k = 1
    while k < len(ends) - 1:
        if ends[k] not in keep and smooth(ends[k - 1], ends[k + 1]):
            ends = ends[:k] + ends[k + 1 :]
        else:
            k += 1
    bends = sorted((x for x in ends[1:-1] if x not in keep), key=abs)[
        : max(0, _MOST_BENDS - len(keep))
    ]
    return sorted({ends[0], *bends, *keep, ends[-1]})


def _is_polynomial(both: Sampled, on_grid: np.ndarray, low: float, high: float) -> bool:
    """Whether function and slope are close to polynomials there, both relative to their size."""
    count = _DEGREE + 1
    nodes = np.cos(np.pi * (np.arange(count) + 0.5) / count)
    half = (high - low) / 2
    edge = 1e-8 * max(1.0, abs(low), abs(high))
    inside = (low + edge < _GRID) & (high - edge > _GRID)
    further_in = np.abs(_GRID) <= max(abs(low), abs(high))
    with np.errstate(all="ignore"):
        size = np.nanmax(np.abs(on_grid[:, further_in]), axis=1, initial=0.0)
        values = both((low + high) / 2 + half * nodes)
        fit = np.polynomial.chebyshev.chebfit(nodes, values.T, count - 1)
        at = (_GRID[inside] - low) / half - 1
        miss = np.abs(np.polynomial.chebyshev.chebval(at, fit) - on_grid[:, inside])
        return bool((np.max(miss, axis=1, initial=0.0) <= _CLOSE * size).all())
