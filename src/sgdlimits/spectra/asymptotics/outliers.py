"""Eigenvalues that leave the bulk: where they are, how far into V their vectors reach, their noise.

On every interval of a without bulk the eigenvalues of B(a) - z(a) fall with a; each zero is one
outlier. With q the unit eigenvector there, the part of the outlier's vector in V is sqrt(mass) q,

    mass = (gamma - E[tau^2]) / (gamma - E[tau^2] + E[tau^2 (q.y)^2]).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sgdlimits._roots import bracketed_root
from sgdlimits.spectra.asymptotics.bulk import Bulk
from sgdlimits.spectra.asymptotics.companion import Companion
from sgdlimits.spectra.asymptotics.weight_law import Samples

_GROWTH = 4.0
_ROWS = 2**13  # nodes at once: in cache


@dataclass(frozen=True)
class Outlier:
    """One eigenvalue outside the bulk and its vector.

    Attributes:
        value: its limit z.
        side: "right" or "left" of the bulk, or in a "gap".
        mass: squared norm of the part of its unit vector in V; the rest is noise.
        vector: unit vector q in V along that part, shape (rank,).
        deviation: limit of sqrt(M) times the standard deviation of the eigenvalue, for one that is
            not degenerate.
        a: its companion coordinate.
        error: estimated error of ``value``, from the nodes of the weights' law.
    """

    value: float
    side: str
    mass: float
    vector: np.ndarray
    deviation: float
    a: float
    error: float

    def overlap(self, direction: np.ndarray) -> float:
        """Squared overlap of the outlier's unit vector with a fixed unit vector.

        Args:
            direction: the fixed vector's coordinates in V, shape (rank,).
        """
        return float(self.mass * (self.vector @ direction) ** 2)


def find_outliers(bulk: Bulk) -> tuple[Outlier, ...]:
    """All outliers, by decreasing value."""
    companion = bulk.companion
    found = [
        (side, index, a)
        for side, low, high in _intervals(bulk)
        for index, a in _zeros(companion, low, high)
    ]
    if not found:
        return ()
    a = np.array([place for _, _, place in found])
    q = np.stack([_vector(companion, place, index) for _, index, place in found])
    mass = np.array([_mass(companion, *pair) for pair in zip(a, q, strict=True)])
    deviation = _deviations(companion, a, q, mass)
    error = _errors(companion, a, q, mass)
    outliers = [
        Outlier(float(companion.z(place)), side, *of)
        for (side, _, place), of in zip(
            found,
            zip(map(float, mass), q, map(float, deviation), a, map(float, error), strict=True),
            strict=True,
        )
    ]
    return tuple(sorted(outliers, key=lambda outlier: -outlier.value))


def _intervals(bulk: Bulk) -> Iterator[tuple[str, float, float]]:
    """Where a may be outside the bulk, without a = 0 (the atom)."""
    yield "right", bulk.right.a, np.inf
    yield "left", -np.inf, bulk.left.a
    for low, high, *_ in bulk.gaps:
        yield "gap", low, high


def _zeros(companion: Companion, low: float, high: float) -> Iterator[tuple[int, float]]:
    """(index, a) of every zero of a margin in the open interval, its ends being edges."""
    if low < 0 < high:
        # All margins vanish at a = 0 unless there are classes without noise.
        tiny = (
            1e-9 * min(-low, high) if np.isfinite(high - low) else 1e-9 * min(abs(low), abs(high))
        )
        yield from _zeros(companion, low, -tiny)
        yield from _zeros(companion, tiny, high)
        return
    low, high = _finite(companion, low, high)
    start, end = companion.margins(np.array([low, high]))
    for index in np.flatnonzero((start > 0) & (end < 0)):
        margin = lambda a, i=index: companion.margins(a)[i]  # noqa: E731
        yield int(index), bracketed_root(margin, low, high, 1e-14 * max(abs(low), abs(high)))


def _finite(companion: Companion, low: float, high: float) -> tuple[float, float]:
    """Replace an infinite end by a point beyond which no margin changes sign."""
    scale = max(np.abs(companion.law.t).max(), abs(high if np.isinf(low) else low))
    while np.isinf(high) or np.isinf(low):
        scale *= _GROWTH
        if np.isinf(high) and companion.margins(scale)[0] < 0:
            high = scale
        elif np.isinf(low) and companion.margins(-scale)[-1] > 0:
            low = -scale
    return low, high


def _vector(companion: Companion, a: float, index: int) -> np.ndarray:
    return np.linalg.eigh(companion.signal(a)).eigenvectors[:, -1 - index]


def _mass(companion: Companion, a: float, q: np.ndarray) -> float:
    slope = float(companion.slope(a))
    return float(slope / (slope - q @ companion.signal_slope(a) @ q))


def _deviations(companion: Companion, a: np.ndarray, q: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """sqrt(M) times the standard deviations: of the sample mean, and of the noise of the rest."""
    law, gamma = companion.law, companion.gamma
    energy = np.array([companion.energy(place) for place in a])
    noise = 2 / gamma * (1 - energy / gamma) * (1 - mass) ** 2 * (gamma * a) ** 2
    return np.sqrt(_variances(law.samples, law.space.seen, a, q, mass) + noise)


def _errors(companion: Companion, a: np.ndarray, q: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """A root moves by mass db + (1 - mass) dz, where b and z do at fixed a.

    Roots that are close to each other mix: by all that B moves between them, or what second order
    makes of it if that is less.
    """
    law = companion.law
    groups, seen, value = law.groups, law.space.seen, companion.z(a)
    result = np.zeros(len(a))
    for i, place in enumerate(a):
        scaled = place * groups.t / (place - groups.t)
        own = groups.y @ q[i]
        free = q[:, seen:] @ q[i, seen:]
        size = mass[i] * (own**2 + free[i]) + 1 - mass[i]
        binned = _binning(companion, place, q[i], mass[i])
        result[i] = groups.error(scaled * size) ** 2 + binned**2
        for j in np.flatnonzero(np.arange(len(a)) != i):
            share = (mass[i] * mass[j]) ** 0.5
            between = share * groups.error(scaled * (own * (groups.y @ q[j]) + free[j]))
            gap = abs(value[i] - value[j])
            result[i] += min(between, between**2 / max(gap, 1e-300)) ** 2
    return np.sqrt(result)


def _binning(companion: Companion, a: float, q: np.ndarray, mass: float) -> float:
    """What bins change."""
    law = companion.law
    nodes, free = law.samples, float(np.sum(q[law.space.seen :] ** 2))
    size = mass * ((nodes.y @ q) ** 2 + free) + 1 - mass
    by_nodes = nodes.mass @ (a * nodes.t / (a - nodes.t) * size)
    signal = q @ (companion.signal(a) - law.constant) @ q
    noise = float(companion.z(a)) - companion.gamma * a
    return float(by_nodes - mass * signal - (1 - mass) * noise)


def _variances(
    samples: Samples, seen: int, a: np.ndarray, q: np.ndarray, mass: np.ndarray
) -> np.ndarray:
    """Var of a tau (mass (q.y)^2 + 1 - mass) under the law, V minus U integrated exactly.

    Of all outliers at once, chunk by chunk: the nodes are many and are read once.
    """
    free, rest = np.sum(q[:, seen:] ** 2, axis=1), 1 - mass
    s1, s1x, s2, s2x, s2xx = np.zeros((5, len(a)))
    for first in range(0, len(samples.t), _ROWS):
        rows = slice(first, first + _ROWS)
        t, weight = samples.t[rows, None], samples.mass[rows]
        scaled, x = a * t / (a - t), (samples.y[rows] @ q.T) ** 2
        product = scaled * x
        s1 += weight @ scaled
        s1x += weight @ product
        s2 += weight @ scaled**2
        s2x += weight @ (scaled * product)
        s2xx += weight @ product**2
    total = samples.mass.sum()
    mean = (mass * s1x + (mass * free + rest) * s1) / total
    constant = 3 * (mass * free) ** 2 + 2 * mass * rest * free + rest**2
    linear = 6 * mass**2 * free + 2 * mass * rest
    return (mass**2 * s2xx + linear * s2x + constant * s2) / total - mean**2
