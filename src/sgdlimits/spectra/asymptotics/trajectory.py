"""Spectra along training, predicted from the effective dynamics: no vector, no matrix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np

from sgdlimits import _validate
from sgdlimits._progress import progress_bar
from sgdlimits.limits import flow
from sgdlimits.limits.effective_dynamics import EffectiveDynamics
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.asymptotics.block_spectrum import BlockSpectrum, asymptotic
from sgdlimits.spectra.asymptotics.outliers import Outlier
from sgdlimits.spectra.asymptotics.thresholds import outlier_thresholds
from sgdlimits.spectra.asymptotics.weight_law import check_block
from sgdlimits.spectra.blocks import Kind, check_multi_index
from sgdlimits.statistics.overlaps import Statistics

if TYPE_CHECKING:
    import xarray as xr

_SIDES = ("left", "right")


def along(
    dynamics: EffectiveDynamics[Statistics],
    u0: Statistics,
    times: Sequence[float] | np.ndarray,
    block: tuple[int, int] = (0, 0),
    *,
    kind: Kind = "hessian",
    alpha: float,
    dim: int | None = None,
    count: int | None = None,
    thresholds: bool = False,
    nodes: int | None = None,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    progress: bool | None = None,
) -> "xr.Dataset":
    """The spectrum of one block along the ballistic limit du = h(u) dt.

    Args:
        dynamics: ``effective_dynamics(model, sgd)``.
        u0: the start, one state.
        times: increasing times >= 0, in units of steps * step / dim.
        block, kind, alpha, dim, nodes: as in ``asymptotic``.
        count: also predict the squared norm of every neuron's part in the span of so many
            eigenvectors, those of the eigenvalues largest in size; needs ``dim``.
        thresholds: also compute how many samples per dimension each outlier on the right needs.
        rtol, atol: tolerances of the flow.
        progress: show a bar over times; default: when standard error is a terminal, and in a
            notebook.

    Returns:
        What ``along_path`` returns.

    Raises:
        TypeError, ValueError: for arguments that do not fit.
    """
    model = check_multi_index(dynamics.model)
    check_block(model, u0, block, kind)
    times = flow.check_times(times)
    path = dynamics.solve(u0, times, rtol=rtol, atol=atol)
    return along_path(
        model, path, times, block, kind=kind, alpha=alpha, dim=dim, count=count,
        thresholds=thresholds, nodes=nodes, progress=progress,
    )  # fmt: skip


def along_path(
    model: MultiIndexModel,
    path: Statistics,
    times: Sequence[float] | np.ndarray,
    block: tuple[int, int] = (0, 0),
    *,
    kind: Kind = "hessian",
    alpha: float,
    dim: int | None = None,
    count: int | None = None,
    thresholds: bool = False,
    nodes: int | None = None,
    progress: bool | None = None,
) -> "xr.Dataset":
    """The spectrum of one block at every state of a path: of an ODE, a chain, or real SGD.

    Args:
        model: a ``MultiIndexModel``, on a mixture or with a teacher.
        path: statistics with one leading axis, time.
        times: of the states.
        block, kind, alpha, dim, nodes: as in ``asymptotic``.
        count, thresholds, progress: as in ``along``.

    Returns:
        Dataset over time and outlier, outliers by decreasing size of the eigenvalue and padded
        with NaN: ``value``, ``value_error``, ``mass`` (squared norm of the vector's part in V),
        ``deviation`` (of the eigenvalue at this dim), ``overlap_neuron`` and ``overlap_direction``
        (squared, with the unit vectors along neurons and fixed directions), and ``right`` (whether
        it is right of the bulk); over time: ``separated`` (number of outliers), ``atom``,
        ``atom_error``, ``edge``, ``edge_error`` and ``tail_noise`` (left and right); with ``count``
        ``captured`` over neurons, with ``thresholds`` ``threshold`` and ``threshold_error`` over
        outliers. Overlaps with a neuron that is zero, and what is captured of it, are NaN. Errors
        are those of the spectrum at the state given, from the nodes of the weights' law.

    Warns:
        InaccurateWarning: as ``asymptotic``.

    Raises:
        TypeError, ValueError: for arguments that do not fit.
    """
    import xarray as xr

    from sgdlimits.simulation.coordinates import labelled

    check_multi_index(model)
    times = flow.check_times(times)
    if path.batch_shape != times.shape:
        raise ValueError(f"path has batch shape {path.batch_shape}: expected {times.shape}.")
    alpha = _validate.positive("alpha", alpha)
    if dim is not None:
        dim = _validate.integer("dim", dim, model.minimum_dim + 1)
    elif count is not None:
        raise ValueError(f"count={count!r}: needs dim, which says what share of the bulk it is.")
    if progress is not None:
        _validate.boolean("progress", progress)
    rows = []
    with progress_bar(progress, "spectra", len(times)) as advanced:
        for index in range(len(times)):
            u = jax.tree.map(lambda x, i=index: np.asarray(x)[i], path)
            found = asymptotic(model, u, block, kind=kind, alpha=alpha, dim=dim, nodes=nodes)
            row = _describe(found, model, count)
            if thresholds:
                needed = outlier_thresholds(model, u, block, kind=kind, dim=dim, nodes=nodes)
                row["threshold"] = _padded(needed, model.minimum_dim, np.inf)
                row["threshold_error"] = _padded(needed.error, model.minimum_dim)
            rows.append(row)
            advanced(1)
    columns = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    attributes = {"alpha": alpha, "kind": kind, "block": list(block)}
    attributes |= {} if dim is None else {"dim": dim}
    dataset = xr.Dataset(
        {name: (("time", *_DIMS[name]), values) for name, values in columns.items()},
        coords={"time": times, "side": list(_SIDES)},
        attrs=attributes,
    )
    return labelled(dataset)


_DIMS = {
    "value": ("outlier",),
    "value_error": ("outlier",),
    "mass": ("outlier",),
    "deviation": ("outlier",),
    "right": ("outlier",),
    "overlap_neuron": ("outlier", "neuron"),
    "overlap_direction": ("outlier", "direction"),
    "separated": (),
    "atom": (),
    "atom_error": (),
    "edge": ("side",),
    "edge_error": ("side",),
    "tail_noise": ("side",),
    "captured": ("neuron",),
    "threshold": ("outlier",),
    "threshold_error": ("outlier",),
}


def _describe(
    spectrum: BlockSpectrum, model: MultiIndexModel, count: int | None
) -> dict[str, np.ndarray]:
    size = model.minimum_dim
    found: list[Outlier] = sorted(spectrum.outliers, key=lambda outlier: -abs(outlier.value))
    neurons, frame = _unit(spectrum.space.neurons), _unit(spectrum.space.frame)
    root = np.sqrt(spectrum.samples) if np.isfinite(spectrum.samples) else np.nan
    over = lambda rows: np.array([[o.overlap(e) for e in rows] for o in found])  # noqa: E731
    row = {
        "value": _padded([o.value for o in found], size),
        "value_error": _padded([o.error for o in found], size),
        "mass": _padded([o.mass for o in found], size),
        "deviation": _padded([o.deviation / root for o in found], size),
        "right": np.arange(size) < 0,
        "overlap_neuron": _padded(over(neurons).reshape(-1, len(neurons)), size),
        "overlap_direction": _padded(over(frame).reshape(-1, len(frame)), size),
        "separated": np.array(len(found)),
        "atom": np.array(spectrum.bulk.atom),
        "atom_error": np.array(spectrum.bulk.atom_error),
        "edge_error": np.array([spectrum.bulk.left.error, spectrum.bulk.right.error]),
        "edge": np.array([spectrum.bulk.left.x, spectrum.bulk.right.x]),
        "tail_noise": np.array([spectrum.bulk.left.tail_noise, spectrum.bulk.right.tail_noise]),
    }
    row["right"][: len(found)] = [o.side == "right" for o in found]
    if count is not None:
        row["captured"] = np.array([spectrum.captured(e, count) for e in neurons])
    return row


def _padded(values: object, size: int, fill: float = np.nan) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    padding = np.full((size - len(array), *array.shape[1:]), fill)
    return np.concatenate([array, padding])


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.full_like(rows, np.nan), where=norms > 0)
