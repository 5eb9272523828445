"""Which roots belong to one connected set, and where that set ends."""

from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from sgdlimits.limits import roots, walks
from sgdlimits.limits.newton import ON_SETS, Found, newton
from sgdlimits.process.process import Process

_MOST = 64  # roots of sets that are kept, those furthest apart
_NEIGHBOURS = 3  # sets that a set is joined with, if a walk leads there
_ROUNDS = 8
_EXPLORERS = 6  # walks a flat direction, through sets of more than one
_TURNS = 3
_FINE = 4001  # points that a curve is measured by
_BESIDE = 2e-3  # of a set's end: an isolated root there is that end


class ConnectedSet(NamedTuple):
    """A connected set of roots, as walks through it found it; or one isolated root."""

    points: np.ndarray  # (points, statistics), in order along a curve
    rates: np.ndarray
    dimension: int
    ends: np.ndarray  # (ends, statistics)
    beyond: np.ndarray  # past the ends


def centre(process: Process, one: ConnectedSet) -> np.ndarray:
    """The point that stands for a set: of a curve the middle, wherever the search came from."""
    if len(one.points) == 1:
        return one.points[0]
    if one.dimension > 1:
        return one.points[np.linalg.norm(one.points - one.points.mean(0), axis=1).argmin()]
    chords = np.linalg.norm(np.diff(one.points, axis=0), axis=1)
    curve = CubicSpline(np.concatenate([[0.0], chords.cumsum()]), one.points)
    at = np.linspace(0, curve.x[-1], _FINE)
    speed = np.linalg.norm(curve(at, 1), axis=1)
    lengths = np.concatenate([[0.0], ((speed[1:] + speed[:-1]) / 2).cumsum()])
    middle = curve(np.interp(lengths[-1] / 2, lengths, at))
    return newton(process, middle[None], 20, ON_SETS).points[0]


def connected_sets(process: Process, found: Found) -> list[ConnectedSet]:
    """Group roots that walks of roots connect."""
    flat = np.array([len(roots.flat_directions(rates)) for rates in found.rates], dtype=int)
    on_sets = furthest_apart(found.points, np.flatnonzero(flat), _MOST)
    groups = _groups(process, found, on_sets)
    sets = [_explored(process, found, group) for group in groups]
    isolated = [i for i in range(len(found.points)) if not flat[i]]
    isolated += [i for i, one in zip([g[0] for g in groups], sets, strict=True) if one is None]
    sets = _without_parts(process, [one for one in sets if one is not None])
    for i in isolated:
        if not any(_holds(one, found.points[i]) for one in sets):
            nothing = np.zeros((0, found.points.shape[1]))
            sets.append(ConnectedSet(found.points[[i]], found.rates[[i]], 0, nothing, nothing))
    return sets


def furthest_apart(points: np.ndarray, which: np.ndarray, most: int) -> np.ndarray:
    """So many of some points, or all."""
    if len(which) <= most:
        return which
    kept = [0]
    gaps = np.linalg.norm(points[which] - points[which[0]], axis=1)
    while len(kept) < most:
        kept.append(int(gaps.argmax()))
        gaps = np.minimum(gaps, np.linalg.norm(points[which] - points[which[kept[-1]]], axis=1))
    return which[kept]


def _groups(process: Process, found: Found, which: np.ndarray) -> list[np.ndarray]:
    """Index sets of roots that walks connect."""
    parent = {int(i): int(i) for i in which}

    def top(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    tried: set[tuple[int, int]] = set()
    for _ in range(_ROUNDS):
        tops = np.array([top(int(i)) for i in which])
        pairs = [pair for pair in _nearest_pairs(found.points, which, tops) if pair not in tried]
        if not pairs:
            break
        tried.update(pairs)
        tour = [
            walks.begin(found.points[i], found.rates[i], np.zeros(0), found.points[j])
            for i, j in pairs
        ]
        walks.follow(process, tour)
        for (i, j), walk in zip(pairs, tour, strict=True):
            if walk.arrived:
                parent[top(i)] = top(j)
    tops = np.array([top(int(i)) for i in which], dtype=int)
    return [which[tops == t] for t in np.unique(tops)]


def _nearest_pairs(
    points: np.ndarray, which: np.ndarray, tops: np.ndarray
) -> list[tuple[int, int]]:
    """From every group to the nearest others, by their nearest members."""
    gaps = np.linalg.norm(points[which][:, None] - points[which][None], axis=-1)
    pairs = []
    for t in np.unique(tops):
        mine = np.flatnonzero(tops == t)
        nearest = []
        for other in np.unique(tops[tops != t]):
            theirs = np.flatnonzero(tops == other)
            block = gaps[np.ix_(mine, theirs)]
            a, b = np.unravel_index(block.argmin(), block.shape)
            nearest.append((block[a, b], int(which[mine[a]]), int(which[theirs[b]])))
        pairs += [(i, j) for _, i, j in sorted(nearest)[:_NEIGHBOURS]]
    return pairs


def _explored(process: Process, found: Found, group: np.ndarray) -> ConnectedSet | None:
    """The set through a group of roots; None if there is none, but a degenerate root."""
    points = found.points[group]
    generic = group[np.linalg.norm(points - points.mean(0), axis=1).argmin()]
    y, rates = found.points[generic], found.rates[generic]
    ways = walks.directions(process, y, rates)
    if not len(ways):
        return None
    if len(ways) == 1:
        tour = [walks.begin(y, rates, way) for way in (ways[0], -ways[0])]
        walks.follow(process, tour)
        forth, back = tour
        path = np.array([*back.path[:0:-1], *forth.path])
        jacobians = np.array([*back.rates[:0:-1], *forth.rates])
    else:
        tour = _exploring(process, y, rates, ways)
        later = [walk for walk in tour if len(walk.path) > 1]
        path = np.concatenate([points, *(np.array(walk.path[1:]) for walk in later)])
        jacobians = np.concatenate(
            [found.rates[group], *(np.array(walk.rates[1:]) for walk in later)]
        )
    ended = [walk for walk in tour if walk.ended]
    ends, beyond = (
        np.array([getattr(walk, name) for walk in ended]).reshape(-1, y.size)
        for name in ("here", "beyond")
    )
    return ConnectedSet(path, jacobians, len(ways), ends, beyond)


def _exploring(
    process: Process, y: np.ndarray, rates: np.ndarray, ways: np.ndarray
) -> list[walks.Walk]:
    """Walks to the ends, and on along these to corners."""
    rng = np.random.default_rng(0)
    tour: list[walks.Walk] = []
    starts = [(y, rates)] * (_EXPLORERS * len(ways))
    for _ in range(_TURNS):
        new = []
        for at, jacobian in starts:
            flat = roots.flat_directions(jacobian)
            if len(flat):
                heading = rng.standard_normal(len(flat)) @ flat
                new.append(walks.begin(at, jacobian, heading / np.linalg.norm(heading)))
        walks.follow(process, new)
        tour += new
        starts = [(walk.here, walk.rates[-1]) for walk in new if walk.ended]
    return tour


def distance_to(one: ConnectedSet, y: np.ndarray) -> np.ndarray:
    """Of points (batch, statistics): to a curve between its points, else to the nearest point."""
    y = np.asarray(y)[..., None, :]
    if one.dimension != 1 or len(one.points) < 2:
        return np.asarray(np.linalg.norm(y - one.points, axis=-1).min(-1))
    low, along = one.points[:-1], np.diff(one.points, axis=0)
    share = ((y - low) * along).sum(-1) / (along * along).sum(-1)
    nearest = low + np.clip(share, 0, 1)[..., None] * along
    return np.asarray(np.linalg.norm(y - nearest, axis=-1).min(-1))


def _holds(one: ConnectedSet, y: np.ndarray) -> bool:
    """Whether an isolated root is an end of a set, where its Jacobian is another."""
    if not len(one.ends):
        return False
    gap = np.linalg.norm(one.ends - y, axis=1).min()
    return bool(gap < _BESIDE * (1 + np.linalg.norm(y)))


def _without_parts(process: Process, sets: list[ConnectedSet]) -> list[ConnectedSet]:
    """Curves that walks did not join, and that turn out to be the same."""
    kept: list[ConnectedSet] = []
    for one in sorted(sets, key=lambda one: (-one.dimension, -len(one.points))):
        middle = centre(process, one)
        within = 1e-3 * (1 + np.linalg.norm(middle))
        if not any(distance_to(other, middle) < within for other in kept):
            kept.append(one)
    return kept
