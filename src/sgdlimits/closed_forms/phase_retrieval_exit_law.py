"""The law of the exit from a random start of phase retrieval, at any width, with SGD's noise.

Near the start sqrt(dim) M_j grows like e^(omega t) U_j with U_j = x_j + sqrt(a) z_j: the start's
share and that of SGD's noise, standard normal. Once the noise has no more say the path is that of
the flow, from a far smaller M in the direction of U. Matching the two at any scale between,

    T = tau(U/|U|, threshold) + (log(eps sqrt(dim)) - log|U|)/omega,

tau the flow's time from |M| = eps to the threshold. The threshold is a share of each start's own
risk, and noise keeps the overlaps of neurons with each other from vanishing: both are of order
1/dim, and counted. Drawn by scrambled Sobol points.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from sgdlimits.closed_forms.exit_law import ExitLaw
from sgdlimits.closed_forms.phase_retrieval_flow import excess_risk, runge_kutta
from sgdlimits.expectations.sobol import sobol_normals
from sgdlimits.formulas import formula

_EPS = 3e-3  # |M| from which the flow is followed; errors are of the order of its square
_STEP = 0.05  # of the flow, in units of 1/omega and of what the fastest direction allows
_LONGEST = 40.0  # of the flow, in units of 1/omega: log(1/_EPS) and much more
_SCRAMBLES, _LOG2_POINTS = 8, 8


class Escape(NamedTuple):
    """The linearisation about M = 0, Q = I, and the algorithm.

    ``added`` is a; ``sustained`` dim times the variance of each overlap between neurons that noise
    keeps alive.
    """

    step: float
    noise: float
    width: int
    rate: float
    added: float
    sustained: float


@formula("asymptotic", "noise of SGD near the start, the flow up to the threshold")
def exit_law(escape: Escape, dim: int, drop: float, seed: int = 0) -> ExitLaw:
    """Law of the first time at which the excess risk has lost the fraction ``drop`` of its start.

    Status: asymptotic, dim * drop -> infinity; ``error`` adds to the spread of the scrambles the
    size of the next order, p (1 + a)/(dim |M|^2)/omega with |M|^2 that of the exit.

    Raises:
        ValueError: if overlaps between neurons alone lower the risk of some starts by the drop.
    """
    normals = sobol_normals(2 * escape.width + 1, _LOG2_POINTS, _SCRAMBLES, seed)
    each = [_draw(escape, dim, drop, one) for one in np.asarray(normals)]
    means = np.array([times.mean() for times in each])
    exit_size = drop * (escape.width + 1) / 2
    missing = (1 + escape.added) / (dim * exit_size) / escape.rate
    spread = float(means.std(ddof=1)) / math.sqrt(_SCRAMBLES) if np.isfinite(means).all() else 0.0
    return ExitLaw(np.sort(np.concatenate(each)), spread + escape.width * missing)


def _draw(escape: Escape, dim: int, drop: float, normals: np.ndarray) -> np.ndarray:
    """Exit times of one scramble, (2 p + 1, points) standard normals."""
    p = escape.width
    pairs = p * (p - 1) // 2
    x, z, last = normals[:p].T, normals[p : 2 * p].T, normals[-1]
    U = x + math.sqrt(escape.added) * z
    size = np.sqrt((U**2).sum(1))
    mu = (x**2).sum(1)
    tau = 2 * stats.chi2.isf(special.ndtr(last), pairs) if pairs else np.zeros(len(last))
    start = 1 + 1 / p + (tau - 2 * p * mu) / (p * p * dim)
    raised = p * (p - 1) * escape.sustained / (p * p * dim)
    threshold = (1 - drop) * start - raised
    if (threshold >= 1 + 1 / p - 4 * _EPS**2 / p).any():
        raise ValueError(
            f"dim={dim}, drop={drop!r}: too small for width={p}; the overlaps between neurons of a "
            "random start lower the risk by as much."
        )
    time = _flow_times(escape, U / size[:, None], threshold)
    matched = time + (math.log(_EPS * math.sqrt(dim)) - np.log(size)) / escape.rate
    return np.maximum(matched, 0.0)


def _flow_times(escape: Escape, directions: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Times of the flow from ``_EPS`` times unit vectors (points, p) to the risks; inf if never."""
    p, single = escape.width, escape.width == 1
    M = _EPS * directions[:1] if single else _EPS * directions  # one neuron has one direction
    Q = np.broadcast_to(np.eye(p), (len(M), p, p)).copy()
    dt = _STEP / max(escape.rate, 4 / p)
    found = np.full(len(directions), np.inf)
    risk = excess_risk(M, Q)
    for i in range(math.ceil(_LONGEST / escape.rate / dt)):
        M, Q = runge_kutta(M, Q, dt, escape.step, escape.noise)
        new = excess_risk(M, Q)
        crossed = np.isinf(found) & (new <= threshold)
        if crossed.any():
            # What the risk has lost grows like an exponential: interpolate its logarithm.
            top = 1 + 1 / p
            before, after, level = (np.broadcast_to(np.log(top - r), found.shape)[crossed]
                                    for r in (risk, new, threshold))  # fmt: skip
            found[crossed] = (i + (level - before) / (after - before)) * dt
        if np.isfinite(found).all():
            break
        risk = new
    return found
