"""What the figures of Ben Arous, Gheissari, Huang and Jagannath (2023) share: models and runs.

k-GMM: k = 10 orthonormal means, d = 1000, snr 10, ridge 0.01, delta = 1/d, to t = 50. XOR: d and
snr as before, width K = 20; the paper names neither ridge nor horizon there: 0.01 and 50 here. Nor
does it say how large the test sets are: as large as the training set of k-GMM, 50 samples per
dimension (for XOR 20). Quick forms have d = 200 at the same samples per dimension.
"""

import equinox as eqx
import numpy as np
import xarray as xr

from sgdlimits.expectations.rules import QuasiMonteCarlo
from sgdlimits.models.mixtures_zoo import k_gmm, xor_gmm
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.process.initial import initial
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.simulation.observe import Snapshot
from sgdlimits.spectra.sampled.recording import Spectrum, TestData, TrainingData
from sgdlimits.statistics.overlaps import Statistics

CLASSES, WIDTH, SNR, RIDGE = 10, 20, 10.0, 0.01
HORIZON = 50.0
ALPHA, ALPHA_XOR = 50, 20  # samples per dimension


def dimension(work: Workspace) -> int:
    """d."""
    return work.size(200, 1000, 40)


def times(work: Workspace) -> np.ndarray:
    """Recorded times, closer together at the start, where things happen."""
    count = work.size(9, 26, 3)
    return np.round(HORIZON * np.linspace(0, 1, count) ** 1.5, 2)


def nodes(work: Workspace, most: int) -> int:
    """Of the laws of weights; few in the tiny form."""
    return work.size(most, most, 2**9)


def k_gmm_model() -> MultiIndexModel:
    """Ten orthonormal classes."""
    return k_gmm(CLASSES, snr=SNR, ridge=RIDGE)


def xor_model(snr: float = SNR) -> MultiIndexModel:
    """XOR with 20 neurons; its expectations are over 4096 points, to about a per cent."""
    model = xor_gmm(snr=snr, ridge=RIDGE, width=WIDTH, tolerance=1.0)
    rule = QuasiMonteCarlo(WIDTH, 10, 4)
    return MultiIndexModel(
        data=model.data, network=model.network, loss=model.loss, ridge=RIDGE, rule=rule
    )


def test_or_training(training: bool, count: int) -> TestData | TrainingData:
    """The data of the matrices; training data are the full batch, up to ``count`` samples."""
    return TrainingData(count) if training else TestData(count)


class Neurons(eqx.Module):
    """Records the first rows of W, coordinate by coordinate."""

    rows: int = 2

    def __call__(self, snapshot: Snapshot) -> dict[str, xr.DataArray]:
        """Shape (row, coordinate)."""
        W = np.asarray(snapshot.parameters.W)[: self.rows]
        return {"neurons": xr.DataArray(W, dims=("row", "coordinate"))}


def k_gmm_run(work: Workspace, *, training: bool = False, **spectrum) -> xr.Dataset:
    """One run of SGD with its first rows and the spectra of its diagonal blocks, ten values each.

    ``spectrum`` are arguments of ``Spectrum``.
    """
    d = dimension(work)
    options = {"blocks": [(c, c) for c in range(CLASSES)], "k": CLASSES, **spectrum}
    observer = Spectrum(data=test_or_training(training, ALPHA * d), **options)
    return work.simulate(
        "sgd", k_gmm_model(), engine="sgd", dim=d, time=HORIZON, record=times(work),
        observe=[observer, Neurons()],
    )  # fmt: skip


def xor_run(
    work: Workspace,
    *spectra: Spectrum,
    name: str = "sgd",
    start: Statistics | None = None,
    snr: float = SNR,
) -> xr.Dataset:
    """One run of SGD on XOR."""
    return work.simulate(
        name, xor_model(snr), engine="sgd", dim=dimension(work), time=HORIZON, record=times(work),
        observe=list(spectra), initial=start,
    )  # fmt: skip


def states(dataset: xr.Dataset) -> Statistics:
    """Statistics of the first run, one state per time."""
    return Statistics(*(dataset[name].values[0] for name in ("v", "M", "Q")))


def start_in_bins(work: Workspace, bins: int) -> Statistics:
    """A random start moved into the basin in which only the first ``bins`` of four are occupied.

    A neuron with v > 0 belongs to mu or -mu, by the sign of its overlap with mu; with v < 0 to nu
    or -nu. Order: mu, nu, -mu, -nu. Signs alone do not decide at finite d and snr: a neuron of
    small |v| changes sign before its overlap has grown. So |v| is at least 0.5, the overlap with
    the neuron's mean at least 0.1 and with the other zero; the rest is the random start.
    """
    model = xor_model()
    u = initial(model, dimension(work), 1, work.seed)[0]
    state = model.coordinates(u)
    v, B = np.array(state.v), np.array(state.B)
    for i in range(WIDTH):
        direction, sign = [(0, 1), (1, 1), (0, -1), (1, -1)][i % bins]
        v[i] = max(np.abs(v[i]), 0.5) * (1 if direction == 0 else -1)
        B[i, direction] = sign * max(np.abs(B[i, direction]), 0.1)
        B[i, 1 - direction] = 0.0
    M = B @ np.asarray(model.data.root).T
    return Statistics(v, M, B @ B.T + np.asarray(state.rest))
