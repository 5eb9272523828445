"""XOR mixture: the probability of reaching the optimum against the width of the network.

Without noise every neuron belongs from the start to one of four bins, uniformly: the signs of v_i
and of the overlap that grows. The optimum needs all four, so that the probability is that of four
coupons after ``width`` draws. Ben Arous, Gheissari and Jagannath (2022), section 5, has width 4.
"""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.models.mixtures_zoo import xor_gmm
from sgdlimits.plots import COLOURS, new_figure
from sgdlimits.reproduce import mixture_panels as panels
from sgdlimits.reproduce.checks import Check, against_simulation, equal, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_SNR, _RIDGE = 1000.0, 0.03
_TIME = 40.0  # by then the noise has decided the basin; the flow does the rest
_REST = 200.0
_ALL_WIDTHS = np.arange(1, 17)


def success_probability(width: int) -> float:
    """Sum over j of (-1)^j C(4, j) (1 - j/4)^width: all four bins occupied."""
    return sum((-1) ** j * math.comb(4, j) * (1 - j / 4) ** width for j in range(5))


def success_against_width(work: Workspace) -> tuple[Figure, list[Check]]:
    """Probability of success, and how many neurons share a bin."""
    widths = work.size((4, 6, 8), (2, 3, 4, 5, 6, 7, 8, 10, 12, 16), (4,))
    runs, dim = work.size(256, 4096), work.size(250, 250, 50)
    results = {width: _simulate(work, width, dim, runs) for width in widths}
    figure, axes = new_figure(1, 2, height=2.8)
    _panel_success(axes[0, 0], results, dim, runs)
    _panel_failure(axes[0, 1], results, dim, runs)
    checks = [
        equal("P(success) at width 4", "3/32", 3 / 32, success_probability(4), 1e-15),
        equal("P(success) at width 8", "–", 0.6229, success_probability(8), 5e-5),
    ]
    for width, (flow, chain, rule) in results.items():
        theory = success_probability(width)
        error = math.sqrt(theory * (1 - theory) / runs)
        checks += [
            against_simulation(f"P(success), width {width}, flow at lambda = inf",
                               "3/32" if width == 4 else "–", theory, flow.mean(), error),
            against_simulation(f"P(success), width {width}, chain N = {dim}, lambda = {_SNR:g}",
                               "3/32" if width == 4 else "–", theory, chain.mean(), error),
            holds(f"the bins at the start decide, width {width}", "–",
                  bool((rule == flow).mean() > 0.97),
                  f"{(rule == flow).mean():.1%} of runs, allowed above 97 % (m(0) ~ N^-1/2)"),
        ]  # fmt: skip
    return figure, checks


def _simulate(
    work: Workspace, width: int, dim: int, runs: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Success of each run by the flow without noise, by the chain, and by the rule of bins."""
    limit = xor_gmm(snr=math.inf, ridge=_RIDGE, width=width)
    chain = work.simulate(
        f"chain-{width}", xor_gmm(snr=_SNR, ridge=_RIDGE, width=width), dim=dim, time=_TIME,
        runs=runs, record=2,
    )  # fmt: skip
    start, end = (panels.statistics(chain.isel(time=i)) for i in (0, -1))
    return _succeeds(limit, start), _succeeds(limit, end), _all_bins(start)


def _succeeds(limit, u: Statistics) -> np.ndarray:
    """Whether the zero-noise flow from each state rests where every class is fitted."""
    dynamics = effective_dynamics(limit)
    rested = dynamics.solve(u, [_REST], rtol=1e-8, atol=1e-10)[0]
    known = dynamics.process.known_fixed_points() or []
    distances = [one.distance for one in known if _fits_all(limit, one)]
    if not distances:
        return np.zeros(len(np.asarray(u.v)), dtype=bool)
    return np.min([distance(rested) for distance in distances if distance], axis=0) < 0.3


def _fits_all(limit, one) -> bool:
    logits = np.maximum(np.asarray(one.statistics.M) @ np.array(limit.data.coefficients).T, 0)
    output = np.asarray(one.statistics.v) @ logits
    signs = np.where(np.array(limit.data.labels)[:, 0] > 0.5, 1, -1)
    return bool((output * signs > 1e-6).all())


def _all_bins(start: Statistics) -> np.ndarray:
    v, M = np.asarray(start.v), np.asarray(start.M)
    grows = np.where(v > 0, M[..., 0], M[..., 1])
    bins = 2 * (v > 0) + (grows > 0)
    return np.all([(bins == b).any(-1) for b in range(4)], axis=0)


def _panel_success(axis: Axes, results: dict, dim: int, runs: int) -> None:
    axis.plot(_ALL_WIDTHS, [success_probability(int(k)) for k in _ALL_WIDTHS], "-",
              color=COLOURS["theory"], label="four bins occupied")  # fmt: skip
    _points(axis, results, dim, runs, failure=False)
    axis.set_ylabel("P(optimum)")
    axis.set_xlabel("width $K$")
    axis.set_title("random start")
    axis.legend(loc="lower right")


def _panel_failure(axis: Axes, results: dict, dim: int, runs: int) -> None:
    axis.semilogy(_ALL_WIDTHS, [1 - success_probability(int(k)) for k in _ALL_WIDTHS], "-",
                  color=COLOURS["theory"])  # fmt: skip
    axis.semilogy(_ALL_WIDTHS[3:], 4 * 0.75 ** _ALL_WIDTHS[3:], ":", color=COLOURS["theory"],
                  label=r"$4\,(3/4)^K$")  # fmt: skip
    _points(axis, results, dim, runs, failure=True)
    axis.set_ylabel("P(not optimum)")
    axis.set_xlabel("width $K$")
    axis.set_title("failure falls exponentially")
    axis.legend(loc="lower left")


def _points(axis: Axes, results: dict, dim: int, runs: int, failure: bool) -> None:
    for index, (name, colour, marker, shift) in enumerate(
        ((r"flow, $\lambda=\infty$", "third", "s", -0.12),
         (rf"chain, $N={dim}$, $\lambda={_SNR:g}$", "simulation", "o", 0.12))
    ):  # fmt: skip
        widths = np.array(list(results))
        p = np.array([results[width][index].mean() for width in results])
        error = np.sqrt(np.maximum(p * (1 - p), 1 / runs) / runs)
        axis.errorbar(widths + shift, 1 - p if failure else p, error, fmt=marker, ms=3.5,
                      color=COLOURS[colour], label=None if failure else name)  # fmt: skip
