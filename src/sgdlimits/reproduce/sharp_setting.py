"""What the figures of sharp spectra share: the paper's ten classes, their limit, sampled blocks.

Ben Arous, Gheissari, Huang and Jagannath (2023), Section 2.1 and 9: k = 10 orthonormal means, snr
10, ridge 0.01, delta = 1/d, start N(0, I/d), to t = 50. The papers do not say how many samples
their matrices have; everything here is a function of alpha = M/d.
"""

import numpy as np

from sgdlimits.expectations.rules import QuasiMonteCarlo
from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.models.mixtures_zoo import k_gmm
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.process.initial import lift
from sgdlimits.spectra.blocks import Kind
from sgdlimits.spectra.sampled.empirical_matrices import empirical_blocks
from sgdlimits.spectra.sampled.operators import form_together
from sgdlimits.spectra.sampled.samples import fresh_samples
from sgdlimits.statistics.overlaps import Statistics

CLASSES, SNR, RIDGE, END = 10, 10.0, 0.01, 50.0


def model() -> MultiIndexModel:
    """The paper's classes; 2^11 nodes a class suffice for the flow."""
    plain = k_gmm(CLASSES, snr=SNR, ridge=RIDGE)
    return MultiIndexModel(
        data=plain.data, network=plain.network, loss=plain.loss, ridge=RIDGE,
        rule=QuasiMonteCarlo(CLASSES, 9, 4),
    )  # fmt: skip


def limit(times: np.ndarray) -> Statistics:
    """The ballistic limit from M = 0, Q = I."""
    start = Statistics(np.zeros(0), np.zeros((CLASSES, CLASSES)), np.eye(CLASSES))
    return effective_dynamics(model()).solve(start, times, rtol=1e-7, atol=1e-9)


def state(path: Statistics, index: int) -> Statistics:
    """One state of a path."""
    return Statistics(*(np.asarray(x)[index] for x in (path.v, path.M, path.Q)))


def eigenpairs(
    u: Statistics,
    dim: int,
    alpha: float,
    blocks: tuple[tuple[int, int], ...],
    kind: Kind,
    seed: int,
    run: int,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Sampled blocks at real parameters with the statistics ``u``: eigenvalues, and masses in V.

    Parameters and samples are drawn anew for every ``run``. Eigenvalues increase; each mass is the
    squared norm of its unit vector's part in V, the span of the neurons and the means.
    """
    data = fresh_samples(model(), dim, round(alpha * dim), seed, run=run)
    parameters = lift(model(), u, dim, seed + run)
    matrices = empirical_blocks(model(), parameters, data, blocks, kind)
    form_together(matrices)
    signal, _ = np.linalg.qr(np.vstack([parameters.W, model().frame(dim)]).T)
    pairs = [np.linalg.eigh(matrix.dense()) for matrix in matrices]
    return [(values, ((signal.T @ vectors) ** 2).sum(0)) for values, vectors in pairs]
