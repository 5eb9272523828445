"""Ben Arous, Gheissari and Jagannath (2022), Fig. 3: the XOR mixture at N = 250, width 4."""

import math

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.analysis.compare import compare
from sgdlimits.closed_forms.relu_mixture_fixed_points import bin_mass
from sgdlimits.limits.effective_dynamics import EffectiveDynamics, effective_dynamics
from sgdlimits.limits.fixed_points import FixedPoint
from sgdlimits.limits.ornstein_uhlenbeck import OrnsteinUhlenbeck
from sgdlimits.models.mixtures_zoo import xor_gmm
from sgdlimits.plots import COLOURS, new_figure
from sgdlimits.reproduce import mixture_panels as panels
from sgdlimits.reproduce.checks import Check, against_simulation, agree, equal, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_SNR, _RIDGE = 1000.0, 0.1
_SMALLER_RIDGE = 0.03
_SUCCESS = 3 / 32
_DIFFUSION_TIME = 12.0
_MASS = bin_mass(0.25, _RIDGE)  # C_alpha
_MAIN = ("M_11", "M_21", "M_32", "M_42")  # the overlaps that are not zero on the rings


def figure_3(work: Workspace) -> tuple[Figure, list[Check]]:
    """Panels (a)-(d): who reaches the optimum and when, where runs end, the rank-2 diffusion."""
    limit = effective_dynamics(xor_gmm(snr=math.inf, ridge=_RIDGE))
    known = limit.fixed_points()
    model = xor_gmm(snr=_SNR, ridge=_RIDGE)
    # Times are even, and so are the records. In the end, six times the slowest growth time
    # 1/(1/8 - alpha) = 40.
    dim, end = work.size((250, 240), (250, 240), (30, 12))
    chain = work.simulate(
        "chain", model, dim=dim, time=end, runs=work.size(512, 8192), record=1 + end // 2
    )
    real_end = work.size(60, 240, 6)
    real = work.simulate(
        "sgd", model, engine="sgd", dim=dim, time=real_end, runs=work.size(100, 200),
        record=1 + real_end // 2, dtype="float32",
    )  # fmt: skip
    faster_end = work.size(80, 80, 6)
    faster = work.simulate(
        "chain-smaller-ridge", xor_gmm(snr=_SNR, ridge=_SMALLER_RIDGE), dim=dim, time=faster_end,
        runs=work.size(256, 8192), record=1 + faster_end // 2,
    )  # fmt: skip
    rings = _rings()
    diffusion = [
        work.simulate(
            f"rings-{n}", limit.model, dim=n, time=until, runs=work.size(512, 512), initial=rings,
            record=61,
        )
        for n, until in ((dim, _DIFFUSION_TIME), (work.size(3000, 10_000, 200), 8.0))
    ]  # fmt: skip
    figure, axes = new_figure(2, 2, height=5.4)
    _panel_fraction(axes[0, 0], known, chain, real, faster)
    _panel_ends(axes[0, 1], chain)
    process = limit.linearise(rings)
    _panel_plane(axes[1, 0], diffusion[0], rings, process, (0, 1))
    _panel_plane(axes[1, 1], diffusion[0], rings, process, (0, 2))
    checks = _check_fixed_points(known) + _check_success(work, limit, known, chain, faster)
    checks += _check_real(known, chain, real)
    same = chain.isel(time=slice(real.sizes["time"]))
    checks.append(agree("all statistics at all times: SGD against the exact chain", "–",
                        compare(real, same, level=1e-3)))  # fmt: skip
    return figure, checks + _check_diffusion(diffusion[1], rings, process)


def _rings() -> Statistics:
    """Neurons 1 and 2 share the class mu, 3 and 4 the class nu (Prop. 5.1)."""
    a = math.sqrt(_MASS) * np.array([np.cos(0.6), np.sin(0.6), -np.cos(0.9), -np.sin(0.9)])
    M = np.zeros((4, 2))
    M[:2, 0], M[2:, 1] = a[:2], np.abs(a[2:])
    return Statistics(a, M, M @ M.T)


def _optimum(known: list[FixedPoint]) -> list[FixedPoint]:
    return [point for point in known if point.stable]


def _at_optimum(known: list[FixedPoint], dataset: xr.Dataset, mass: float = _MASS) -> np.ndarray:
    """(run, time): within half the distance of a neuron at the optimum from zero, sqrt(2 C)/2."""
    return panels.near(dataset, _optimum(known), math.sqrt(mass / 2))


# -- panels ----------------------------------------------------------------------------------------


def _panel_fraction(axis: Axes, known, chain, real, faster) -> None:
    panels.panel_fraction(
        axis, chain, _at_optimum(known, chain), color=COLOURS["simulation"],
        label=rf"chain, $\alpha={_RIDGE:g}$",
    )  # fmt: skip
    panels.panel_fraction(
        axis, real, _at_optimum(known, real), color=COLOURS["second"],
        label=rf"SGD, $\alpha={_RIDGE:g}$",
    )  # fmt: skip
    panels.panel_fraction(
        axis, faster, _reached_with_smaller_ridge(faster), color=COLOURS["third"],
        label=rf"chain, $\alpha={_SMALLER_RIDGE:g}$",
    )  # fmt: skip
    axis.plot(chain["time"][-1], _SUCCESS, "kx", ms=7, mew=2, clip_on=False,
              label="predicted, 3/32")  # fmt: skip
    axis.set_ylim(0, 0.16)
    axis.set_title(rf"$N={chain.attrs['dim']}$, $\lambda={_SNR:g}$")
    axis.legend(loc="upper right")


def _reached_with_smaller_ridge(dataset: xr.Dataset) -> np.ndarray:
    limit = effective_dynamics(xor_gmm(snr=math.inf, ridge=_SMALLER_RIDGE))
    sets = limit.process.known_fixed_points()
    assert sets is not None
    u = panels.statistics(dataset)
    distances = [one.distance(u) for one in sets if one.stable and one.distance is not None]
    return np.min(distances, axis=0) <= math.sqrt(bin_mass(0.25, _SMALLER_RIDGE) / 2)


def _panel_ends(axis: Axes, chain: xr.Dataset) -> None:
    root = math.sqrt(_MASS)
    panels.ring(axis, root, ((1, 1), (-1, -1)), r"rings, $\lambda=\infty$")
    end = chain["M"].isel(time=-1, direction=0).values[:200, :2]
    axis.plot(*end.T, "o", ms=2.5, mfc="none", color=COLOURS["simulation"],
              label=f"chain, {len(end)} runs")  # fmt: skip
    points = root * np.array([[0, 0], [1, -1], [-1, 1], [1, 0], [0, 1], [-1, 0], [0, -1]])
    axis.plot(*points.T, "kx", ms=6, mew=1.5, label=r"optimum, $\lambda=\infty$")
    axis.set_aspect("equal")
    axis.set_xlabel(r"$m_1^\mu$")
    axis.set_ylabel(r"$m_2^\mu$")
    axis.set_title(rf"end points, $t={float(chain['time'][-1]):g}$, $\alpha={_RIDGE:g}$")
    axis.set_xlim(-0.72, 0.72)
    axis.set_ylim(-0.72, 0.72)
    axis.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.22), ncols=3, fontsize=5.5,
                columnspacing=1, handletextpad=0.4)  # fmt: skip


def _panel_plane(
    axis: Axes, dataset: xr.Dataset, rings: Statistics, process: OrnsteinUhlenbeck, pair
) -> None:
    index = [process.names.index(_MAIN[i]) for i in pair]
    points = panels.magnified(dataset, rings, dataset.attrs["dim"])[:, -1][:, index]
    covariance = panels.covariance_at(process, _DIFFUSION_TIME)[np.ix_(index, index)]
    panels.panel_cloud(axis, points, covariance)
    axis.set_aspect("equal", adjustable="datalim")
    symbols = (r"m_1^\mu", r"m_2^\mu", r"m_3^\nu", r"m_4^\nu")
    name_x, name_y = (rf"$\sqrt{{N}}\,({symbols[i]}-|a_{i + 1}|)$" for i in pair)
    axis.set_xlabel(name_x)
    axis.set_ylabel(name_y)
    kind = "one ring: a line" if pair == (0, 1) else "two rings: anticorrelated"
    axis.set_title(rf"{kind}, $t={_DIFFUSION_TIME:g}$")
    axis.legend(loc="upper left" if pair == (0, 1) else "upper right")


# -- checks ----------------------------------------------------------------------------------------


def _check_fixed_points(known: list[FixedPoint]) -> list[Check]:
    optimum = _optimum(known)
    values = np.real(optimum[0].eigenvalues)
    slow = float(values[np.isfinite(values)].min())
    theory = min(-2 * _RIDGE, -2 * _MASS * _RIDGE * (1 - 4 * _RIDGE))
    return [
        equal("C_alpha = -logit(4 alpha)", "-logit(4 alpha); logit(-4 alpha) in the sequel",
              math.log(0.6 / 0.4), _MASS, 1e-14),
        equal("connected sets of fixed points", "39", 39, len(known), 0),
        equal("stable ones", "4! = 24", 24, len(optimum), 0),
        holds("sets that attract but are left at their edge", "unstable",
              sum(p.attracting and not p.stable for p in known) == 14, "14 continua",
              exact=True),
        equal("fastest eigenvalue at the optimum (off the walls)", "–", theory, slow, 1e-9),
    ]  # fmt: skip


def _check_success(work: Workspace, limit: EffectiveDynamics, known, chain, faster) -> list[Check]:
    result = limit.basin_probabilities(
        dim=chain.attrs["dim"], runs=work.size(256, 4096), time=60.0, seed=work.seed,
        components=known, progress=work.progress,
    )  # fmt: skip
    p, error = result.of(lambda component: component.stable)
    checks = [
        against_simulation("P(optimum), flow at lambda = inf", "3/32", _SUCCESS, p, error),
    ]
    reached = _at_optimum(known, chain)
    for name, sample, dataset in (
        (f"alpha = {_RIDGE:g}", reached[:, -1], chain),
        (f"alpha = {_SMALLER_RIDGE:g}", _reached_with_smaller_ridge(faster)[:, -1], faster),
    ):
        time = float(dataset["time"][-1])
        error = math.sqrt(_SUCCESS * (1 - _SUCCESS) / sample.size)
        checks.append(
            against_simulation(f"fraction at the optimum, chain, {name}, t = {time:g}", "3/32",
                               _SUCCESS, float(sample.mean()), error)
        )  # fmt: skip
    halfway = int(np.argmax(reached.mean(0) >= reached[:, -1].mean() / 2))
    time = float(chain["time"][halfway])
    return [
        *checks,
        holds(f"how long is long enough at alpha = {_RIDGE:g}", "not said", time > 20,
              f"half of them arrive after t = {time:g}; neurons grow at rate 1/8 - alpha = 0.025"),
    ]  # fmt: skip


def _check_real(known, chain: xr.Dataset, real: xr.Dataset) -> list[Check]:
    last = float(real["time"][-1])
    one = _at_optimum(known, chain)[:, int(np.argmin(np.abs(chain["time"].values - last)))]
    other = _at_optimum(known, real)[:, -1]
    pooled = float(np.concatenate([one, other]).mean())
    error = math.sqrt(max(pooled * (1 - pooled), 1e-4) * (1 / one.size + 1 / other.size))
    return [
        against_simulation(
            f"fraction at the optimum at t = {last:g}: chain as theory, SGD as simulation", "–",
            float(one.mean()), float(other.mean()), error,
        )
    ]  # fmt: skip


def _check_diffusion(
    dataset: xr.Dataset, rings: Statistics, process: OrnsteinUhlenbeck
) -> list[Check]:
    names = [*(f"v_{i}" for i in (1, 2, 3, 4)), *_MAIN]
    index = [process.names.index(name) for name in names]
    a = np.concatenate([np.asarray(rings.v), np.abs(np.asarray(rings.v))])
    group = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    pattern = np.where(group[:, None] == group, 3.0, -1.0) * np.outer(a, a) * _RIDGE**2
    sigma = np.asarray(process.diffusion)[np.ix_(index, index)]
    across = process.pinned @ np.asarray(process.diffusion)
    checks = [
        equal("Sigma = 3 alpha² a_i a_j, across groups -alpha² a_i a_j: largest difference",
              "the same", 0.0, float(np.abs(sigma - pattern).max()), 1e-12),
        holds("rank of Sigma", "2", np.linalg.matrix_rank(sigma, 1e-10) == 2, "exact", exact=True),
        holds("overlaps on the walls have no diffusion", "set to 0",
              len(process.pinned) == 4 and bool(np.abs(across).max() < 1e-12), "four walls",
              exact=True),
    ]  # fmt: skip
    dim, time = dataset.attrs["dim"], 8.0
    theory = panels.covariance_at(process, time)
    samples = panels.magnified(dataset, rings, dim)[:, -1]
    for name, i in zip(names[:4], index[:4], strict=True):
        value, error = panels.variance_error(samples[:, i])
        checks.append(
            against_simulation(
                f"variance of sqrt(N) {name} at t = {time:g}, chain N = {dim}",
                "drift printed with the wrong sign", float(theory[i, i]), value, error,
            )
        )  # fmt: skip
    i, j = process.names.index("v_1"), process.names.index("v_3")
    product = samples[:, i] * samples[:, j]
    checks.append(
        against_simulation(
            f"covariance of sqrt(N) v_1 and v_3 at t = {time:g}", "–", float(theory[i, j]),
            float(product.mean()), float(product.std(ddof=1) / product.size**0.5),
        )
    )  # fmt: skip
    return checks
