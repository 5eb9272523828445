"""When outliers separate: the samples per dimension, or the snr, that the i-th one needs.

The eigenvalues kappa_i(a) of E[tau (y yᵀ - 1)] do not depend on gamma; an outlier is where one of
them equals gamma, the edge is where E[tau^2] does. So the i-th outlier separates at the last a with
kappa_i(a) = E[tau^2], and alpha = 1/gamma follows in closed form.
"""

import dataclasses
from collections.abc import Callable
from typing import cast

import numpy as np

from sgdlimits import _validate
from sgdlimits._roots import bracketed_root
from sgdlimits.data.mixture import GaussianMixture
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.asymptotics.block_spectrum import asymptotic
from sgdlimits.spectra.asymptotics.companion import Companion
from sgdlimits.spectra.asymptotics.weight_law import WeightLaw, nodes_for
from sgdlimits.spectra.blocks import Kind, check_multi_index
from sgdlimits.statistics.overlaps import Statistics

_GRID = 120  # points in log a
_SIDES = ("right", "left")
_ROUNDS = 12  # of the tails' cut
_CUT = 0.02  # relative change of alpha that does not move the cut, which is logarithmic in it


def outlier_thresholds(
    model: MultiIndexModel,
    u: Statistics,
    block: tuple[int, int] = (0, 0),
    *,
    kind: Kind = "hessian",
    side: str = "right",
    dim: int | None = None,
    nodes: int | None = None,
) -> np.ndarray:
    """alpha = M/dim from which on at least i + 1 outliers are separated, for i = 0, 1, ...

    Args:
        model: a ``MultiIndexModel``.
        u: the statistics at which the matrix is taken.
        block: neurons (i, j), from 0.
        kind: "hessian" or "gradient".
        side: "right" or "left" of the bulk.
        dim: cut the tails of the weights' law that alpha dim samples do not show; None: the strict
            limit, in which thin tails may postpone separation.
        nodes: quasi-random nodes of the weights' law.

    Returns:
        Increasing thresholds, shape (rank,); inf where no number of samples suffices, or more than
        half the number of nodes, which they cannot resolve.

    Raises:
        TypeError, ValueError: for arguments that do not fit.
    """
    sign = 1 if _validate.one_of("side", side, _SIDES) == "right" else -1
    law = WeightLaw.create(model, u, block, kind, nodes)
    limit = thresholds_of_law(law, sign)
    if dim is None:
        return limit
    dim = _validate.integer("dim", dim, model.minimum_dim + 1)
    build = lambda count: WeightLaw.create(model, u, block, kind, count)  # noqa: E731
    return _at_dim(law, sign, dim, limit, build if nodes is None else None)


def _at_dim(
    law: WeightLaw,
    sign: int,
    dim: int,
    limit: np.ndarray,
    build: Callable[[int], WeightLaw] | None,
) -> np.ndarray:
    """Thresholds consistent with the cut of the tails that each implies."""
    share = 1 - law.space.rank / dim  # n/dim
    result = np.full_like(limit, np.inf)
    cut, values = 0.0, limit
    for index in np.flatnonzero(np.isfinite(limit)):
        for _ in range(_ROUNDS):
            if not np.isfinite(values[index]) or abs(values[index] - cut) < _CUT * values[index]:
                break
            cut = values[index]
            if build is not None and len(law.samples.t) < 0.5 * nodes_for(cut * dim):
                law = build(nodes_for(cut * dim))
            values = share * thresholds_of_law(law.truncate(cut * dim), sign)
        result[index] = values[index]
    return np.maximum.accumulate(result)


def thresholds_of_law(law: WeightLaw, sign: int) -> np.ndarray:
    """1/gamma of the last crossing of every kappa_i with E[tau^2], shape (rank,).

    ``sign`` is 1 right of the bulk and -1 left of it.
    """
    companion = Companion(law, 1.0)
    extreme = max(0.0, float((sign * law.t).max()))
    scale = float(np.abs(law.t).max())
    far = 1e6 * scale

    def lead(log: np.ndarray | float) -> np.ndarray:
        a = sign * (extreme + np.exp(log))
        return companion.strengths(a) - companion.energy(a)[..., None]

    grid = np.linspace(np.log(1e-7 * scale), np.log(far), _GRID)
    leads = lead(grid)
    result = np.full(law.space.rank, np.inf)
    for index in range(law.space.rank):
        positive = leads[:, index] > 0
        if not positive[-1]:
            continue
        behind = np.flatnonzero(~positive)
        if not behind.size:
            result[index] = 0.0
            continue
        low, high = grid[behind[-1]], grid[behind[-1] + 1]
        root = bracketed_root(lambda log, i=index: float(lead(log)[i]), low, high, 1e-10)
        needed = 1 / float(companion.energy(sign * (extreme + np.exp(root))))
        result[index] = needed if needed < len(law.samples.t) / 2 else np.inf
    return np.maximum.accumulate(result)


def snr_threshold(
    model: MultiIndexModel,
    u: Statistics,
    block: tuple[int, int] = (0, 0),
    *,
    kind: Kind = "hessian",
    side: str = "right",
    alpha: float,
    index: int = 0,
    bracket: tuple[float, float] = (0.1, 1000.0),
    nodes: int | None = None,
) -> float:
    """snr, the same in every class, at which at least ``index`` + 1 outliers separate.

    Args:
        model, u, block, kind, side, nodes: as in ``outlier_thresholds``; the model's own snr is
            ignored.
        alpha: samples per dimension, in the strict limit.
        index: which outlier, from 0.
        bracket: two snr between which it separates.

    Raises:
        TypeError, ValueError: for a data law without snr; if at both ends of ``bracket`` it is
            separated, or at neither.
    """
    law = check_multi_index(model).data
    if not law.has_snr:
        raise TypeError(
            f"snr_threshold: {type(law).__name__} has no snr; use outlier_thresholds(...)."
        )
    sign = 1 if _validate.one_of("side", side, _SIDES) == "right" else -1
    ends = [_validate.positive("bracket", x) for x in _validate.listed("bracket", bracket)]
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise ValueError(f"bracket={bracket!r}: expected two snr, the smaller first.")
    low, high = ends
    index = _validate.integer("index", index, 0, model.minimum_dim - 1)

    def lead(log_snr: float) -> float:
        changed = dataclasses.replace(
            model, data=cast(GaussianMixture, law).with_snr(float(np.exp(log_snr)))
        )
        spectrum = asymptotic(changed, u, block, kind=kind, alpha=alpha, nodes=nodes)
        edge = spectrum.bulk.right if sign > 0 else spectrum.bulk.left
        strengths = spectrum.bulk.companion.strengths(edge.a)
        return float(strengths[index] * alpha - 1) if index < len(strengths) else -1.0

    ends = np.log(low), np.log(high)
    if lead(ends[0]) * lead(ends[1]) > 0:
        raise ValueError(
            f"bracket={bracket!r}: outlier {index} is separated at both ends or at neither."
        )
    return float(np.exp(bracketed_root(lead, *ends, 1e-8)))
