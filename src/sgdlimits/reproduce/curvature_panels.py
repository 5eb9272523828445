"""Panels of spectra and alignments along training, with the sharp prediction over the data."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.plots import COLOURS
from sgdlimits.spectra.asymptotics.block_spectrum import asymptotic
from sgdlimits.spectra.asymptotics.trajectory import along_path
from sgdlimits.spectra.blocks import Kind
from sgdlimits.statistics.overlaps import Statistics

TIME_LABEL = r"$t$ = steps $/\, d$"
NAMES = {"hessian": r"$\nabla^2\hat R$", "gradient": r"$\hat G$"}
NODES = 2**14  # of the weights' law: its error is far below a sample's noise


def predicted(
    model: MultiIndexModel, path: Statistics, times: np.ndarray, kind: Kind, alpha: float,
    dim: int, nodes: int = NODES,
) -> xr.Dataset:  # fmt: skip
    """The asymptotic spectrum of the first block at states that the run passed."""
    return along_path(model, path, times, (0, 0), kind=kind, alpha=alpha, dim=dim, nodes=nodes)


def predicted_alignment(
    model: MultiIndexModel, u: Statistics, kind: Kind, alpha: float, dim: int, neuron: int,
    count: int, nodes: int = NODES,
) -> float:  # fmt: skip
    """rho(W_i, E_count) of the neuron's own block, at one state."""
    spectrum = asymptotic(
        model, u, (neuron, neuron), kind=kind, alpha=alpha, dim=dim, nodes=nodes
    )  # fmt: skip
    return spectrum.captured(spectrum.direction(neurons=neuron), count) ** 0.5


def some(times: np.ndarray, count: int) -> np.ndarray:
    """Indices of about so many of the times, the first and the last among them."""
    return np.unique(np.rint(np.linspace(0, len(times) - 1, count)).astype(int))


def panel_alignment(
    axis: Axes, data: xr.DataArray, symbol: str, theory: tuple[np.ndarray, np.ndarray] | None,
    legend: bool = True, shown: int = 0,
) -> None:  # fmt: skip
    """rho of every block against time; the one shown and its prediction stand out."""
    values = data.values[0]
    others = [c for c in range(values.shape[1]) if c != shown]
    for number, c in enumerate([*others, shown]):
        label = {0: "SGD, other blocks", len(others): f"SGD, block {shown + 1}"}.get(number)
        axis.plot(data["time"], values[:, c], lw=1.2 if c == shown else 0.7, label=label,
                  color=COLOURS["second" if c == shown else "flow"])  # fmt: skip
    if theory is not None:
        axis.plot(*theory, "k--", marker="o", ms=2.5, label=f"prediction, block {shown + 1}")
    axis.set_ylim(0, 1.02)
    axis.set_xlabel(TIME_LABEL)
    axis.set_ylabel(symbol)
    if legend:
        axis.legend(loc="lower right", frameon=True, framealpha=0.85, edgecolor="none")


def panel_eigenvalues(
    axis: Axes, time: np.ndarray, values: np.ndarray, symbol: str, theory: xr.Dataset | None = None
) -> None:
    """Recorded eigenvalues against time, the largest on top; predicted outliers and edges."""
    for rank in range(values.shape[1] - 1, -1, -1):
        colour = "second" if rank == 0 else "simulation"
        label = {0: "largest", values.shape[1] - 1: "others"}.get(rank)
        axis.plot(time, values[:, rank], lw=0.8, color=COLOURS[colour], label=label)
    if theory is not None:
        for index in range(theory.sizes["outlier"]):
            axis.plot(theory["time"], theory["value"][:, index], "k--", lw=0.7, marker="o", ms=2,
                      label="predicted outliers" if index == 0 else None)  # fmt: skip
        axis.fill_between(theory["time"], *theory["edge"].values.T, color=COLOURS["flow"],
                          alpha=0.5, lw=0, label="predicted bulk")  # fmt: skip
    axis.set_ylim(top=1.45 * np.nanmax(values))  # room for the legend
    axis.set_xlabel(TIME_LABEL)
    axis.set_ylabel(symbol)
    axis.legend(loc="upper right", ncols=2)
