"""The law of one sample of a block (1/M) sum_l D_l X_l X_lᵀ, as few numbers.

With noise of standard deviation sigma_c in class c, X = sigma_c Y and t = sigma_c^2 D: the block is
(1/M) sum_l t_l Y_l Y_lᵀ, where Y has unit noise in every class. All that asymptotics need is
E[f(t)] and E[f(t) y yᵀ], y the part of Y in V, for functions f of the weight alone: weights are
sorted into narrow bins, each with its mass, its mean weight and its second moment of y. Labels that
depend on f = F X and on noise change nothing in this: F lies in V, and the part of Y outside of V
is independent of the weight.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import ArrayLike

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.expectations.sobol import sobol_normals
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.asymptotics.signal_space import SignalSpace
from sgdlimits.spectra.blocks import (
    Block,
    Kind,
    check_kind,
    check_multi_index,
    first_layer_weights,
)
from sgdlimits.spectra.labelled_nodes import labels_of
from sgdlimits.statistics.overlaps import Statistics

_BINS = 400  # of equal width, and as many of equal mass
_TAIL = 128  # extreme nodes on either side that have a bin each
_LEAST_LOG2, _MOST_LOG2 = 17, 19
MOST_NODES = 2**_MOST_LOG2
_GROUPS = 8  # of nodes, whose spread tells the error
_UNSEEN, _UNSEEN_COUNTS = 8.0, 2.0  # nodes in a tail that is not known, and how often they count
_SEED = 7  # of the nodes' scrambles


@dataclass(frozen=True)
class Samples:
    """Nodes of the law, sorted by weight: mass, t, and mean of y given the part in U."""

    mass: np.ndarray  # (nodes,)
    t: np.ndarray  # (nodes,)
    y: np.ndarray  # (nodes, rank)


@dataclass(frozen=True)
class Groups:
    """All nodes in groups, each of which is a law by itself: their spread tells the error.

    Groups are runs of one Sobol sequence, which together are more even than if they were
    independent: errors are estimated on the safe side.

    Attributes:
        t: weights, those in tails that were cut at the cut, shape (nodes,).
        y: as in ``Samples``.
        index: of the node's group.
        mass: of the nodes, each group's adding up to that of all.
        cut: -1 or 1 for nodes in a tail that was cut, 0 for others.
    """

    t: np.ndarray
    y: np.ndarray
    index: np.ndarray
    mass: np.ndarray
    cut: np.ndarray

    @classmethod
    def create(cls, samples: Samples, index: np.ndarray) -> "Groups":
        """From nodes and the number of each one's group."""
        total = np.bincount(index, samples.mass)
        none = np.zeros(len(index), np.int8)
        mass = samples.mass * (samples.mass.sum() / total)[index]
        return cls(samples.t, samples.y, index, mass, none)

    def clipped(self, low: float, high: float) -> "Groups":
        """With tails cut: to first order, what is cut counts as if it were at the cut."""
        cut = np.where(self.t > high, 1, np.where(self.t < low, -1, 0)).astype(np.int8)
        return replace(self, t=np.clip(self.t, low, high), cut=cut)

    def error(self, values: np.ndarray) -> float:
        """Standard error of the mean of a function, from its values at the nodes."""
        for side in (-1, 1):
            beyond = self.cut == side
            if beyond.any():
                values = np.where(beyond, values[beyond].mean(), values)
        return standard_error(np.bincount(self.index, self.mass * values))

    @cached_property
    def largest(self) -> np.ndarray:
        """Largest and smallest weight of every group, shape (2, groups)."""
        count = self.index.max() + 1
        found = np.stack([np.full(count, -np.inf), np.full(count, np.inf)])
        np.maximum.at(found[0], self.index, self.t)
        np.minimum.at(found[1], self.index, self.t)
        return found


def standard_error(means: np.ndarray) -> float:
    """Of the mean of the means of groups; nan for one group."""
    count = len(means)
    return float(means.std(ddof=1) / count**0.5) if count > 1 else np.nan


@dataclass(frozen=True)
class WeightLaw:
    """Binned law of (t, y).

    Attributes:
        space: coordinates of V.
        mass, t: of the bins, shape (bins,), t increasing.
        second: E[y yᵀ t; bin]/t, so that E[t y yᵀ] is exact, shape (bins, rank, rank).
        constant: E[D x xᵀ] over the classes without noise, shape (rank, rank).
        samples: the nodes.
        starts: first node of each bin.
        groups: all nodes, for errors.
    """

    space: SignalSpace
    mass: np.ndarray
    t: np.ndarray
    second: np.ndarray
    constant: np.ndarray
    samples: Samples
    starts: np.ndarray
    groups: Groups

    @classmethod
    def create(
        cls,
        model: MultiIndexModel,
        u: Statistics,
        block: tuple[int, int] = (0, 0),
        kind: Kind = "hessian",
        nodes: int | None = None,
    ) -> "WeightLaw":
        """The law at one state.

        Args:
            model: a ``MultiIndexModel``.
            u: one state.
            block: the two neurons (i, j), from 0.
            kind: "hessian" (D = d2l/ds_i ds_j, almost everywhere) or "gradient"
                (D = dl/ds_i dl/ds_j); neither has the ridge.
            nodes: number of quasi-random nodes, rounded up to a power of 2 a class.

        Raises:
            TypeError, ValueError: for arguments that do not fit.
        """
        check_block(model, u, block, kind)
        nodes = 2**_LEAST_LOG2 if nodes is None else _validate.integer("nodes", nodes, 1, 2**24)
        space = SignalSpace.create(model, u, block)
        noisy = np.flatnonzero(~np.array(model.data.noiseless))
        if not noisy.size:
            raise ValueError("snr=inf in every class: without noise there is no bulk; give a snr.")
        noises = model.data.label_noises
        standard = standard_nodes(space.seen + noises, len(noisy), nodes)
        pair = [Block("WW", *block)]

        def weight(c: int, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
            s, labels = seen_at(model, space, c, x, noise)
            D = first_layer_weights(model, jnp.asarray(u.v), s, labels, pair, kind)
            return finite_weights(D[0])

        samples, groups = _sorted_samples(model, space, noisy, standard, weight)
        constant = np.zeros((space.rank, space.rank))
        for c in np.flatnonzero(np.array(model.data.noiseless)):
            mean = space.means[c]
            D = weight(int(c), mean[None], np.zeros((1, noises)))[0]
            constant += float(model.data.weights[c]) * D * np.outer(mean, mean)
        return cls.from_samples(space, samples, groups, constant)

    @classmethod
    def from_samples(
        cls,
        space: SignalSpace,
        samples: Samples,
        groups: np.ndarray,
        constant: np.ndarray | None = None,
    ) -> "WeightLaw":
        """Bin nodes that are sorted by weight; ``groups``: the number of each one's group."""
        constant = np.zeros((space.rank, space.rank)) if constant is None else constant
        starts = _bin_starts(samples.t)
        mass = np.add.reduceat(samples.mass, starts)
        t = np.add.reduceat(samples.mass * samples.t, starts) / mass
        second = np.empty((len(starts), space.rank, space.rank))
        # Weighted by t as well: classes of small noise have large y and small t in one bin.
        sizes = np.diff([*starts, len(samples.t)])
        mean = np.repeat(t, sizes)
        relative = np.divide(samples.t, mean, out=np.ones_like(mean), where=mean != 0)
        scaled = np.sqrt(samples.mass * relative)[:, None] * samples.y
        for b, (low, high) in enumerate(zip(starts, [*starts[1:], len(samples.t)], strict=True)):
            second[b] = scaled[low:high].T @ scaled[low:high]
        free = np.arange(space.seen, space.rank)
        second[:, free, free] += mass[:, None]  # unit variance in V minus U
        grouped = Groups.create(samples, groups)
        return cls(space, mass, t, second, constant, samples, starts, grouped)

    def expect(self, values: np.ndarray) -> Any:
        """E[f(t)] from f at the bins, shape (..., bins)."""
        return values @ self.mass

    def expect_outer(self, values: np.ndarray) -> np.ndarray:
        """E[f(t) y yᵀ] from f at the bins, shape (..., bins)."""
        flat = self.second.reshape(len(self.t), -1)
        return (values @ flat).reshape(*values.shape[:-1], *self.second.shape[1:])

    def expect_excess(self, values: np.ndarray) -> np.ndarray:
        """E[f(t) (y yᵀ - I)], which is zero where y is pure noise."""
        identity = np.eye(self.space.rank)
        return self.expect_outer(values) - self.expect(values)[..., None, None] * identity

    @cached_property
    def positive(self) -> float:
        """P(t > 0)."""
        return float(self.mass[self.t > 0].sum())

    @cached_property
    def negative(self) -> float:
        """P(t < 0)."""
        return float(self.mass[self.t < 0].sum())

    @cached_property
    def less_tail(self) -> tuple["WeightLaw", float]:
        """A law with less of the tails, and how often its distance counts as an error.

        Nodes do not show all of a tail. Without a cut, eight times as few would show it up to where
        this law does, and in thin tails what is missing goes on like that; a cut has the place of
        one of so many nodes, to within the root of their number.
        """
        nodes, groups = len(self.groups.t), self.groups.index.max() + 1
        all_mass = float(self.groups.mass.sum()) / groups
        cut = max(0.0, 1.0 - float(self.mass.sum()) / all_mass) * nodes
        if cut < 0.5:
            tail = _UNSEEN / nodes
            low = self.t[np.searchsorted(np.cumsum(self.mass), tail)]
            high = self.t[-1 - np.searchsorted(np.cumsum(self.mass[::-1]), tail)]
            return replace(self, t=np.clip(self.t, low, high)), _UNSEEN_COUNTS
        return self.truncate(nodes / (2 * max(cut, 1.0) ** 0.5)), 1.0

    def truncate(self, samples: float) -> "WeightLaw":
        """Without the tails of mass 1/(2 samples), which that many samples are unlikely to show.

        The upper tail is dropped if positive weights occur, the lower one if negative ones do.
        """
        tail = 1 / (2 * samples)
        factor = np.ones_like(self.mass)
        if self.positive > 0:
            factor *= _without_tail(self.mass[::-1], tail)[::-1]
        if self.negative > 0:
            factor *= _without_tail(self.mass, tail)
        kept = np.flatnonzero(factor > 0)
        if not kept.size:
            raise ValueError(f"samples={samples!r}: fewer than one sample.")
        bins = slice(kept[0], kept[-1] + 1)  # only the ends are cut
        factor, ends = factor[bins], [*self.starts, len(self.samples.t)]
        nodes = slice(ends[bins.start], ends[bins.stop])
        of_node = np.repeat(factor, np.diff(ends[bins.start : bins.stop + 1]))
        second = self.second[bins].copy()
        for b in np.flatnonzero(factor < 1):
            second[b] *= factor[b]
        return replace(
            self,
            mass=self.mass[bins] * factor,
            t=self.t[bins],
            second=second,
            samples=Samples(
                self.samples.mass[nodes] * of_node, self.samples.t[nodes], self.samples.y[nodes]
            ),
            starts=self.starts[bins] - nodes.start,
            groups=self.groups.clipped(self.t[bins][0], self.t[bins][-1]),
        )


def check_block(model: MultiIndexModel, u: Statistics, block: tuple[int, int], kind: str) -> None:
    """Raise TypeError or ValueError unless these name one block at one state."""
    check_multi_index(model)
    model.check_statistics(u)
    if u.batch_shape != ():
        raise ValueError(f"u has batch shape {u.batch_shape}: expected one state.")
    check_kind(kind)
    if not isinstance(block, tuple) or len(block) != 2:
        raise ValueError(f"block={block!r}: expected two neurons (i, j), from 0.")
    for i in block:
        _validate.integer("block", i, 0, model.network.width - 1)


def nodes_for(samples: float | None) -> int:
    """Nodes that resolve the tails that so many samples show."""
    if samples is None:
        return 2**_LEAST_LOG2
    log2 = int(np.ceil(np.log2(8 * max(samples, 1))))
    return 2 ** int(np.clip(log2, _LEAST_LOG2, _MOST_LOG2))


def standard_nodes(dim: int, classes: int, nodes: int) -> np.ndarray:
    """Standard normal nodes (classes, count, dim): at least ``nodes``, a power of 2 a class."""
    log2_nodes = int(np.ceil(np.log2(max(1, nodes / classes))))
    return np.swapaxes(sobol_normals(dim, log2_nodes, classes, _SEED), 1, 2)


def _sorted_samples(
    model: MultiIndexModel,
    space: SignalSpace,
    classes: np.ndarray,
    standard: np.ndarray,
    weight: Callable[[int, np.ndarray, np.ndarray], np.ndarray],
) -> tuple[Samples, np.ndarray]:
    """Nodes sorted by weight, and the number of each one's group."""
    deviations, shares = np.asarray(model.data.deviations), np.asarray(model.data.weights)
    count = standard.shape[1]
    mass, t = np.empty((2, len(classes), count))
    y = np.empty((len(classes), count, space.rank))
    for k, c in enumerate(classes):
        y[k] = space.means[c] / deviations[c]
        y[k, :, : space.seen] += standard[k, :, : space.seen]
        noise = standard[k, :, space.seen :]
        t[k] = deviations[c] ** 2 * weight(int(c), deviations[c] * y[k], noise)
        mass[k] = shares[c] / count
    used = np.flatnonzero(mass.ravel() > 0)
    order = used[np.argsort(t.ravel()[used], kind="stable")]
    groups = np.broadcast_to(group_of(count), t.shape).ravel()[order]
    samples = Samples(mass.ravel()[order], t.ravel()[order], y.reshape(-1, space.rank)[order])
    return samples, groups


def group_of(count: int) -> np.ndarray:
    """The group of every node of one class: runs of equal length."""
    return np.arange(count) * min(_GROUPS, count) // count


def seen_at(
    model: MultiIndexModel, space: SignalSpace, c: int, x: np.ndarray, noise: np.ndarray
) -> tuple[Array, Array]:
    """Preactivations and labels of samples of class ``c``.

    Args:
        x: coordinates of the samples in V, shape (samples, rank).
        noise: standard normals behind the labels, shape (samples, noises).
    """
    s, f = jnp.asarray(x @ space.neurons.T), jnp.asarray(x @ space.frame.T)
    return s, labels_of(dynamic(model.data), jnp.asarray(c), f, jnp.asarray(noise))


def finite_weights(D: ArrayLike) -> np.ndarray:
    """Weights of samples, or a ValueError."""
    D = np.asarray(D)
    if not np.isfinite(D).all():
        raise ValueError("the loss has derivatives that are not finite at this state.")
    return D


def _bin_starts(t: np.ndarray) -> np.ndarray:
    """Where bins start among sorted weights: equal widths and equal masses, zero apart."""
    n = len(t)
    edges = np.linspace(t[0], t[-1], _BINS + 1)
    by_width = np.searchsorted(t, edges[1:-1])
    by_count = np.linspace(0, n, _BINS + 1).astype(int)[:-1]
    tails = np.arange(min(_TAIL, n))
    zero = np.searchsorted(t, 0.0, "left"), np.searchsorted(t, 0.0, "right")
    starts = np.unique(np.concatenate([[0], by_width, by_count, tails, n - 1 - tails, zero]))
    starts = starts[starts < n]
    # Equal weights, such as zeros or those of a linear loss, belong to one bin.
    return starts[np.concatenate([[True], t[starts[1:]] > t[starts[1:] - 1]])]


def _without_tail(mass: np.ndarray, tail: float) -> np.ndarray:
    """Factor of each bin after ``tail`` is taken from the first ones."""
    before = np.concatenate([[0.0], np.cumsum(mass)[:-1]])
    taken = np.clip(tail - before, 0.0, mass)
    return 1 - taken / mass
