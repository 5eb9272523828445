"""Nodes and weights for E[F(m + C z)], z ~ N(0, I), with F smooth but for kinks in each entry.

A rule maps fixed reference points to nodes z that move smoothly with (m, C) and, in few dimensions,
never cross a kink: every point keeps its side. The expectation is then a smooth function of the
state, so an adaptive ODE solver stays efficient, and the accuracy is that of a smooth integrand
although ReLU is none.
"""

import math
from collections.abc import Callable, Collection, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits import _resources, _validate
from sgdlimits.expectations.abstract_rule import AbstractRule, Nodes
from sgdlimits.expectations.gauss_axes import empty_grid, flat, kink_edges, with_axis
from sgdlimits.expectations.nearest_last import NearestLast
from sgdlimits.expectations.sobol import sobol_normals, sobol_points

_WIDTHS = (2.0, 1.6, 1.4)  # of one, two, more heavy entries
_MOST_HEAVY = 4
_MOST_SPLIT = 5  # dimensions in which Sobol points are split at kinks


_MOST_GRID, _MOST_GRID_DIM, _MOST_ORDER = 10**8, 26, 1000  # of Gauss nodes


class QuasiMonteCarlo(AbstractRule):
    """Scrambled Sobol points, independent scrambles as replicates.

    Args:
        dim: dimension of z.
        log2_nodes: of one scramble.
        replicates: number of scrambles.
        seed: of the scrambles.
        split: map coordinate j piece by piece between the kinks that the coordinates before it
            place on it (the pieces are dyadic intervals, in which Sobol points are balanced). Then
            no node crosses a kink and the result can be differentiated; but half of the nodes stay
            on either side however unlikely it is, so that of the nodes a fraction 2^-dim counts
            once every neuron has chosen a side. Default: up to 5 dimensions.
        heavy: which entries of s the function grows fast in, such as those of a polynomial of
            degree three or more, squared. Nodes are rotated, so that these come first, where Sobol
            points are most even, and drawn from a wider law, with its weights: the tails decide.
            Only without ``split``.
    """

    dim: int = eqx.field(static=True)
    log2_nodes: int = eqx.field(static=True)
    replicates: int = eqx.field(static=True)
    seed: int = eqx.field(static=True)
    split: bool = eqx.field(static=True)
    heavy: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        dim: int,
        log2_nodes: int = 10,
        replicates: int = 8,
        seed: int = 0,
        *,
        split: bool | None = None,
        heavy: Sequence[int] = (),
    ):
        self.dim = _validate.integer("dim", dim, 1)
        self.log2_nodes = _validate.integer("log2_nodes", log2_nodes, 0, 30)
        self.replicates = _validate.integer("replicates", replicates, 1)
        nodes = 8.0 * self.dim * 2**self.log2_nodes
        _resources.check_count("replicates", self.replicates, lambda n: nodes * n)
        self.seed = _validate.integer("seed", seed, 0)
        self.heavy = tuple(
            _validate.integer("heavy", i, 0, dim - 1) for i in _validate.listed("heavy", heavy)
        )
        default = dim <= _MOST_SPLIT and not self.heavy
        self.split = default if split is None else _validate.boolean("split", split)

    @property
    def count(self) -> int:
        """Of all scrambles."""
        return self.replicates * 2**self.log2_nodes

    @property
    def differentiable(self) -> bool:
        """Only if no node crosses a kink."""
        return self.split

    @property
    def is_sampled(self) -> bool:
        """They are scrambled."""
        return True

    @property
    def has_error_estimate(self) -> bool:
        """With two replicates or more."""
        return self.replicates > 1

    def coarser_rules(self) -> "tuple[AbstractRule, ...]":
        """A half and a quarter of the points."""
        some = range(self.log2_nodes - 1, max(-1, self.log2_nodes - 3), -1)
        return tuple(self.with_nodes(log2) for log2 in some)

    def with_nodes(self, log2_nodes: int, of: "QuasiMonteCarlo | None" = None) -> "QuasiMonteCarlo":
        """So many nodes of each scramble, and the scrambles of another rule if one is given."""
        of = self if of is None else of
        split, heavy = self.split, self.heavy
        return QuasiMonteCarlo(
            self.dim, log2_nodes, of.replicates, of.seed, split=split, heavy=heavy
        )

    def finer(self) -> "QuasiMonteCarlo | None":
        """Four times as many points or so, and more if that is not enough."""
        more = next((log2 for log2 in _FINER_LOG2 if log2 > self.log2_nodes), None)
        return None if more is None else self.with_nodes(more)

    def nodes(
        self,
        mean: Float[Array, " dim"],
        factor: Float[Array, "dim dim"],
        kinks: tuple[float, ...],
    ) -> Nodes:
        """Nodes whose piece is fixed by the reference point."""
        settings = self.dim, self.log2_nodes, self.replicates, self.seed
        if self.heavy and not self.split:
            return wide_nodes(jnp.asarray(sobol_normals(*settings)), factor, self.heavy)
        if not kinks or not self.split:
            z = jnp.asarray(sobol_normals(*settings))
            return Nodes(z, jnp.full((len(z), z.shape[2]), 1 / z.shape[2]))
        u = jnp.asarray(sobol_points(*settings))
        columns: list[Array] = []
        weight = jnp.full((len(u), u.shape[2]), 1 / u.shape[2])
        for j in range(u.shape[1]):
            centre = mean[j] + sum(factor[j, k] * columns[k] for k in range(j))
            z, share = _between_kinks(u[:, j], centre, factor[j, j], kinks)
            columns.append(z)
            weight = weight * share
        return Nodes(jnp.stack(columns, axis=1), weight)


def wide_nodes(
    normals: Float[Array, "replicates dim nodes"],
    factor: Float[Array, "dim dim"],
    heavy: tuple[int, ...],
) -> Nodes:
    """Normal nodes drawn from a wider law in the directions of some entries of factor z.

    Those directions are the first coordinates of ``normals``. The scale of the proposal was chosen
    for the squared error of cubics times squared slopes, where it divides the error by forty.
    """
    dim, heavy = normals.shape[1], heavy[-_MOST_HEAVY:]
    count = len(heavy)
    width = _WIDTHS[min(count, len(_WIDTHS)) - 1]
    first = normals[:, :count]
    density = width * jnp.exp(-(width**2 - 1) / 2 * first * first)
    weight = jnp.prod(density, axis=1) / normals.shape[2]
    # Last coordinates first: rows of a lower triangular factor end in a positive number, so that
    # the reflections below never change their sign from one state to the next.
    z = jnp.concatenate([width * first, normals[:, count:]], axis=1)[:, ::-1]
    rows = factor[jnp.asarray(heavy[::-1])]
    reflections = []
    for t in range(count):
        row = rows[t]
        for reflect in reflections:
            row = reflect(row)
        reflections.append(_reflection(jnp.where(jnp.arange(dim) < dim - t, row, 0.0), dim - 1 - t))
    for reflect in reversed(reflections):
        z = jnp.moveaxis(reflect(jnp.moveaxis(z, 1, -1)), -1, 1)
    return Nodes(z, weight)


def _reflection(row: Array, axis: int) -> Callable[[Array], Array]:
    """The reflection, of last axes, that takes a row's direction to that of a coordinate."""
    norm = jnp.sqrt(jnp.sum(row * row))
    safe = jnp.where(norm > 0, norm, 1.0)
    normal = (row / safe).at[axis].add(jnp.where(row[axis] < 0, -1.0, 1.0))
    square = jnp.sum(normal * normal)

    def reflect(x: Array) -> Array:
        return x - 2 / square * (x @ normal)[..., None] * normal

    return reflect


def _between_kinks(
    u: Array, centre: Array, scale: Array, kinks: tuple[float, ...]
) -> tuple[Array, Array]:
    """One coordinate: node and weight of uniform points, interval by interval between the kinks."""
    pieces = 2 ** int(np.ceil(np.log2(len(kinks) + 1)))  # dyadic; surplus pieces share the last
    edges = kink_edges(centre, scale, kinks)
    # Values of the normal law at the edges, from both tails so that neither loses digits.
    lower = [jnp.zeros_like(centre), *[jax.scipy.special.ndtr(e) for e in edges]]
    upper = [jnp.ones_like(centre), *[jax.scipy.special.ndtr(-e) for e in edges]]
    lower.append(jnp.ones_like(centre))
    upper.append(jnp.zeros_like(centre))
    index = jnp.floor(u * pieces)
    within = u * pieces - index
    z, share = jnp.zeros_like(u), jnp.zeros_like(u)
    last = len(kinks)
    for piece in range(pieces):
        i = min(piece, last)
        surplus = pieces - last if i == last else 1
        fraction = (within + (piece - last if i == last else 0)) / surplus
        low = lower[i] + fraction * (lower[i + 1] - lower[i])
        high = upper[i + 1] + (1 - fraction) * (upper[i] - upper[i + 1])
        here = index == piece
        from_low = jax.scipy.special.ndtri(jnp.clip(low, 1e-300, 0.5))
        from_high = -jax.scipy.special.ndtri(jnp.clip(high, 1e-300, 0.5))
        width = jnp.where(low < 0.5, lower[i + 1] - lower[i], upper[i] - upper[i + 1])
        z = jnp.where(here, jnp.where(low < 0.5, from_low, from_high), z)
        share = jnp.where(here, pieces / surplus * width, share)
    return z, share


class TruncatedGauss(AbstractRule):
    """Tensor product of Gauss rules for the normal law on either side of one kink.

    ``order`` nodes a side integrate polynomials of degree 2*order - 1 exactly on each side. Without
    kinks: Gauss-Hermite with twice as many nodes. One replicate, so no error of its own; compare
    two orders.

    One order for all coordinates of z, or one for each. Where a coordinate's kink lies depends on
    the coordinates before it, steeply so if two neurons are nearly aligned: the first need more
    nodes than the last.
    """

    dim: int = eqx.field(static=True)
    order: int | tuple[int, ...] = eqx.field(static=True)

    def __init__(self, dim: int, order: int | Sequence[int]):
        self.dim = _validate.integer("dim", dim, 1)
        if isinstance(order, Sequence):
            self.order = tuple(_validate.integer("order", n, 1) for n in order)
            if len(self.order) != dim:
                raise ValueError(f"order={order!r}: expected {dim} numbers, one a coordinate.")
        else:
            self.order = _validate.integer("order", order, 1)
        if self.dim > _MOST_GRID_DIM or max(self.orders) > _MOST_ORDER or self.count > _MOST_GRID:
            raise ValueError(
                f"dim={dim!r}, order={order!r}: a grid of (2 order)^dim nodes, expected at most "
                f"{_MOST_GRID:.3g} and orders up to {_MOST_ORDER}; use QuasiMonteCarlo."
            )

    @property
    def count(self) -> int:
        """On both sides of every coordinate."""
        return 2**self.dim * math.prod(self.orders)

    @property
    def orders(self) -> tuple[int, ...]:
        """Nodes a side of every coordinate."""
        return self.order if isinstance(self.order, tuple) else (self.order,) * self.dim

    @property
    def is_coarse(self) -> bool:
        """From three axes on: kinks of fields cross where no axis is split."""
        return self.dim > 2

    def nodes(
        self,
        mean: Float[Array, " dim"],
        factor: Float[Array, "dim dim"],
        kinks: tuple[float, ...],
    ) -> Nodes:
        """Nodes of the tensor product."""
        if len(kinks) > 1:
            raise ValueError(f"kinks={kinks!r}: TruncatedGauss takes one; use QuasiMonteCarlo.")
        grid = empty_grid()
        for j, order in enumerate(self.orders):
            grid = with_axis(grid, mean[j], factor[j], order, kinks)
        z, weight = flat(grid)
        return Nodes(z[None], weight[None])

    def coarser(self) -> "TruncatedGauss | None":
        """One node a side less; None if there is only one."""
        if max(self.orders) == 1:
            return None
        if isinstance(self.order, int):
            return TruncatedGauss(self.dim, self.order - 1)
        return TruncatedGauss(self.dim, [max(1, n - 1) for n in self.order])

    def half(self) -> "TruncatedGauss":
        """Half of the nodes a side."""
        return TruncatedGauss(self.dim, [(n + 1) // 2 for n in self.orders])

    @property
    def steps_from_half(self) -> int:
        """By the coordinate with the most nodes."""
        return max(self.orders) // 2

    def turned(self) -> NearestLast | None:
        """The two fields that are nearest to parallel last; none for one field."""
        return NearestLast(self.orders) if self.dim > 1 else None

    def finer(self) -> "AbstractRule | None":
        """Sobol points, which are right at any norm, if slowly."""
        return QuasiMonteCarlo(self.dim, _FINER_LOG2[0], split=False)


#: By dimension and nodes a side (of every coordinate, or one by one): largest error of a drift that
#: benchmarks/expectations.py measured over random states with overlaps of order one and snr from 1
#: to 100, ReLU and softmax.
_GAUSS_ERRORS: dict[int, dict[int | tuple[int, ...], float]] = {
    1: {4: 3e-6, 8: 1e-10},
    2: {4: 8e-4, 6: 1e-4, 8: 4e-5, 12: 3e-6, (16, 8): 3e-7},
    3: {(6, 4, 3): 1.5e-2, (8, 6, 4): 4e-3, (12, 8, 4): 3e-4, (16, 10, 6): 5e-5},
    4: {(4, 3, 2, 2): 3e-3, (6, 4, 3, 3): 5e-4, (6, 5, 4, 3): 2e-4, (10, 8, 5, 4): 6e-6},
}
_DEFAULT: dict[int, int | tuple[int, ...]] = {
    1: 12, 2: 12, 3: (12, 8, 8), 4: (8, 6, 5, 4), 5: (6, 4, 4, 4, 3)
}  # fmt: skip
_DEFAULT_LOG2 = 12
ROUGH_LOG2 = 13  # where integrands jump, and no point stays on its side
_FINER_LOG2 = (14, 16)  # where a default is not accurate enough
_SOBOL_ERROR, _SOBOL_RATE = 3e-3, 0.6  # at 8 x 2^12 points; the power at which it falls
_MOST_LOG2 = 17


def check_rule(rule: object, dim: int, kinks: Collection[float]) -> None:
    """Raise unless ``rule`` is one for ``dim`` normal variables and this many kinks.

    Raises:
        TypeError, ValueError: naming ``rule``.
    """
    if not isinstance(rule, AbstractRule):
        raise TypeError(f"rule={rule!r}: expected TruncatedGauss or QuasiMonteCarlo.")
    if getattr(rule, "dim", dim) != dim:
        raise ValueError(f"rule={rule!r}: expected one of {dim} dimensions.")
    if isinstance(rule, TruncatedGauss) and len(kinks) > 1:
        raise ValueError(
            f"rule={rule!r}: there are {len(kinks)} kinks, and TruncatedGauss takes one; use "
            f"QuasiMonteCarlo({dim})."
        )


def rule_for(
    dim: int, tolerance: float | None = None, kinks: Collection[float] = ()
) -> AbstractRule:
    """The cheapest rule whose measured errors are below ``tolerance``.

    Without a tolerance: Gauss rules of up to 15 000 nodes in four dimensions and 37 000 in five, 8
    scrambles of 2^12 Sobol points above. Errors depend on the state; ``drift_error`` estimates them
    there. Gauss rules are for one kink; with more, Sobol points everywhere.

    Raises:
        ValueError: if no rule that was measured reaches the tolerance.
    """
    if tolerance is None:
        known = dim in _DEFAULT and len(kinks) <= 1
        return TruncatedGauss(dim, _DEFAULT[dim]) if known else QuasiMonteCarlo(dim, _DEFAULT_LOG2)
    tolerance = _validate.positive("tolerance", tolerance)
    measured = _GAUSS_ERRORS.get(dim, {}) if len(kinks) <= 1 else {}
    rules = [TruncatedGauss(dim, order) for order, error in measured.items() if error <= tolerance]
    if rules:
        return min(rules, key=lambda rule: rule.count)
    if not measured:
        for log2_nodes in range(8, _MOST_LOG2 + 1):
            if _sobol_error(log2_nodes) <= tolerance:
                return QuasiMonteCarlo(dim, log2_nodes)
    best = min([*measured.values(), _sobol_error(_MOST_LOG2)])
    raise ValueError(
        f"tolerance={tolerance!r}: the best error that was measured in {dim} dimensions is "
        f"{best:.1e}; raise it, or give a rule of your own, such as TruncatedGauss({dim}, order)."
    )


def coarse_rule(rule: AbstractRule, error: float) -> AbstractRule:
    """The cheapest rule with at most this measured error, in place of a default rule.

    ``rule`` itself if it is no default, or if none that was measured is cheaper.
    """
    if isinstance(rule, TruncatedGauss):
        dim, default = rule.dim, rule.order == _DEFAULT.get(rule.dim)
    elif isinstance(rule, QuasiMonteCarlo):
        dim, default = rule.dim, rule == rule.with_nodes(_DEFAULT_LOG2, QuasiMonteCarlo(rule.dim))
    else:
        return rule.cheaper(error)
    if not default:
        return rule
    # Where Sobol points are the default in few dimensions, Gauss rules were found wanting.
    known = _GAUSS_ERRORS.get(dim, {}) if isinstance(rule, TruncatedGauss) else {}
    gauss = (TruncatedGauss(dim, order) for order, least in known.items() if least <= error)
    sobol = (log2 for log2 in range(8, _DEFAULT_LOG2) if _sobol_error(log2) <= error)
    like = rule if isinstance(rule, QuasiMonteCarlo) else QuasiMonteCarlo(dim)
    found = next(gauss, None)
    if found is None:
        found = next((like.with_nodes(log2) for log2 in sobol), None)
    return rule if found is None or found.count >= rule.count else found


def _sobol_error(log2_nodes: int) -> float:
    return _SOBOL_ERROR * 2 ** (_SOBOL_RATE * (_DEFAULT_LOG2 - log2_nodes))
