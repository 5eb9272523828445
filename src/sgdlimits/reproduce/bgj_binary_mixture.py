"""Ben Arous, Gheissari and Jagannath (2022), Fig. 2: the binary mixture at N = 250."""

import math

import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.analysis.compare import compare
from sgdlimits.closed_forms.relu_mixture_fixed_points import bin_mass
from sgdlimits.limits.effective_dynamics import EffectiveDynamics, effective_dynamics
from sgdlimits.limits.fixed_points import FixedPoint
from sgdlimits.limits.ornstein_uhlenbeck import OrnsteinUhlenbeck
from sgdlimits.models.mixtures_zoo import binary_gmm
from sgdlimits.plots import COLOURS, new_figure
from sgdlimits.reproduce import mixture_panels as panels
from sgdlimits.reproduce.checks import Check, against_simulation, agree, equal, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_SNR, _RIDGE = 100.0, 0.1
_ANGLE, _DIFFUSION_TIME = 0.6, 12.0  # where on the ring to magnify, and how long
_NOISELESS = binary_gmm(snr=math.inf, ridge=_RIDGE)
_ROOT = math.sqrt(bin_mass(0.5, _RIDGE))  # sqrt(C_alpha)


def figure_2(work: Workspace) -> tuple[Figure, list[Check]]:
    """Panels (a)-(d): who reaches the optimum, where runs end, and the diffusion on the ring."""
    limit = effective_dynamics(_NOISELESS)
    known = limit.fixed_points()
    model = binary_gmm(snr=_SNR, ridge=_RIDGE)
    dim, time = work.size((250, 40.0), (250, 40.0), (30, 8.0))
    record = work.size(81, 81, 17)
    real = work.simulate(
        "sgd", model, engine="sgd", dim=dim, time=time, runs=work.size(200, 200), record=record,
        dtype="float32",
    )  # fmt: skip
    chain = work.simulate(
        "chain", model, dim=dim, time=time, runs=work.size(1024, 8192), record=record
    )
    ring = _ring_point()
    diffusion = [
        work.simulate(
            f"ring-{n}", _NOISELESS, dim=n, time=until, runs=work.size(512, 512), initial=ring,
            record=61,
        )
        for n, until in ((dim, _DIFFUSION_TIME), (work.size(4000, 20_000, 200), 6.0))
    ]  # fmt: skip
    figure, axes = new_figure(2, 2, height=5.2)
    _panel_fraction(axes[0, 0], known, real, chain)
    _panel_ends(axes[0, 1], real)
    process = limit.linearise(ring)
    _panel_path(axes[1, 0], diffusion[0], ring, process)
    _panel_plane(axes[1, 1], diffusion[0], ring, process)
    checks = _check_fixed_points(known) + _check_ends(known, real, chain)
    checks.append(agree("all statistics at all times: SGD against the exact chain", "–",
                        compare(real, chain, level=1e-3)))  # fmt: skip
    checks += _check_basins(work, dim, limit, known)
    return figure, checks + _check_diffusion(diffusion[1], ring, process)


def _ring_point() -> Statistics:
    a = _ROOT * np.array([math.cos(_ANGLE), math.sin(_ANGLE)])
    return Statistics(a, a[:, None], np.outer(a, a))


def _optimum(known: list[FixedPoint]) -> list[FixedPoint]:
    return [point for point in known if point.stable]


# -- panels ----------------------------------------------------------------------------------------


def _panel_fraction(
    axis: Axes, known: list[FixedPoint], real: xr.Dataset, chain: xr.Dataset
) -> None:
    for dataset, name, colour in ((chain, "exact chain", "simulation"), (real, "SGD", "second")):
        reached = panels.near(dataset, _optimum(known), 0.5 * _ROOT)
        panels.panel_fraction(
            axis, dataset, reached, color=COLOURS[colour], label=f"{name}, {len(reached)} runs"
        )
    axis.plot(chain["time"][-1], 0.5, "kx", ms=7, mew=2, clip_on=False, label="predicted, 1/2")
    axis.set_ylim(0, 0.75)
    axis.set_title(rf"$N={chain.attrs['dim']}$, $\lambda={_SNR:g}$, $\alpha={_RIDGE:g}$")
    axis.legend(loc="lower right")


def _panel_ends(axis: Axes, real: xr.Dataset) -> None:
    panels.ring(axis, _ROOT, ((1, 1), (-1, -1)), r"rings, $\lambda=\infty$")
    end = real["M"].isel(time=-1, direction=0).values
    axis.plot(*end.T, "o", ms=2.5, mfc="none", color=COLOURS["second"], label="SGD")
    points = np.array([[_ROOT, -_ROOT], [-_ROOT, _ROOT]])
    axis.plot(*points.T, "kx", ms=7, mew=2, label=r"optimum, $\lambda=\infty$")
    axis.set_aspect("equal")
    axis.set_xlabel(r"$m_1$")
    axis.set_ylabel(r"$m_2$")
    axis.set_title(rf"end points, $t={float(real['time'][-1]):g}$")
    axis.legend(loc="center")


def _panel_path(axis: Axes, dataset: xr.Dataset, ring: Statistics, process) -> None:
    index = process.names.index("M_11")
    dim = dataset.attrs["dim"]
    paths = panels.magnified(dataset, ring, dim)[..., index]
    variance = process.covariance(dataset["time"].values)[:, index, index]
    panels.panel_band(axis, dataset, paths, variance)
    axis.set_ylabel(r"$\sqrt{N}\,(m_1-a_1)$")
    axis.set_title(rf"on the ring, $N={dim}$, $\lambda=\infty$")
    axis.set_ylim(-0.62, 0.42)
    axis.legend(loc="lower left")


def _panel_plane(axis: Axes, dataset: xr.Dataset, ring: Statistics, process) -> None:
    pair = [process.names.index(name) for name in ("M_11", "M_21")]
    points = panels.magnified(dataset, ring, dataset.attrs["dim"])[:, -1][:, pair]
    covariance = panels.covariance_at(process, _DIFFUSION_TIME)[np.ix_(pair, pair)]
    panels.panel_cloud(axis, points, covariance)
    axis.set_aspect("equal", adjustable="datalim")
    axis.set_xlabel(r"$\sqrt{N}\,(m_1-a_1)$")
    axis.set_ylabel(r"$\sqrt{N}\,(m_2-a_2)$")
    axis.set_title(rf"rank 1, $t={_DIFFUSION_TIME:g}$")
    axis.legend(loc="upper left")


# -- checks ----------------------------------------------------------------------------------------


def _check_fixed_points(known: list[FixedPoint]) -> list[Check]:
    optimum = _optimum(known)
    rings = [p for p in known if p.dimension == 1]
    theory = -2 * _RIDGE * bin_mass(0.5, _RIDGE) * (1 - 2 * _RIDGE)
    return [
        equal("C_alpha = log(1 - 2 alpha) - log(2 alpha)", "minus sign lost in print",
              math.log(0.8 / 0.2), bin_mass(0.5, _RIDGE), 1e-14),
        holds("fixed sets", "origin, two quarter circles, two stable points",
              (len(known), len(rings), len(optimum)) == (5, 2, 2), "5, of them 2 rings, 2 points",
              exact=True),
        holds("rings", "unstable", all(p.attracting and not p.stable for p in rings),
              "neutral inside, left at their ends only", exact=True),
        equal("slowest eigenvalue at the optimum", "–", -2 * _RIDGE,
              float(optimum[0].eigenvalues[0]), 1e-9),
        equal("eigenvalue -2 C alpha (1 - 2 alpha) at the optimum", "–", theory,
              float(optimum[0].eigenvalues[-1]), 1e-9),
    ]  # fmt: skip


def _check_ends(known: list[FixedPoint], real: xr.Dataset, chain: xr.Dataset) -> list[Check]:
    checks, everything = [], [p for p in known if p.attracting]
    dim, time = real.attrs["dim"], float(real["time"][-1])
    for name, dataset in (("SGD", real), ("chain", chain)):
        reached = panels.near(dataset, _optimum(known), 0.5 * _ROOT)[:, -1]
        checks.append(
            against_simulation(
                f"fraction at the optimum, {name}, t = {time:g}", "1/2", 0.5, reached.mean(),
                0.5 / reached.size**0.5,
            )
        )  # fmt: skip
        start = panels.statistics(dataset.isel(time=0))
        side = np.sign(np.asarray(start.v) + np.asarray(start.M)[..., 0])
        rule = (side[:, 0] * side[:, 1] < 0) == reached
        checks.append(
            holds(f"sign of v_i(0) + m_i(0) decides, {name}", "–", rule.mean() > 0.97,
                  f"{rule.mean():.2%} of runs, allowed above 97 % (noise at N = {dim})")
        )  # fmt: skip
    end = panels.statistics(real.isel(time=-1))
    distance = np.min([p.distance(end) for p in everything], axis=0)
    checks.append(
        holds("SGD ends at a point or ring of the lambda = inf limit", "see panel (b)",
              bool(np.median(distance) < 3 / _SNR**0.5),
              f"median distance {np.median(distance):.3f}, allowed 3 lambda^-1/2")
    )  # fmt: skip
    return checks


def _check_basins(
    work: Workspace, dim: int, limit: EffectiveDynamics, known: list[FixedPoint]
) -> list[Check]:
    result = limit.basin_probabilities(
        dim=dim, runs=work.size(256, 4096), time=40.0, seed=work.seed, components=known,
        progress=work.progress,
    )  # fmt: skip
    p, error = result.of(lambda component: component.stable)
    return [
        against_simulation("P(optimum), flow at lambda = inf", "1/2", 0.5, p, error),
        holds("runs that rest nowhere known", "0", result.unresolved == 0, "flow, lambda = inf"),
    ]


def _check_diffusion(dataset: xr.Dataset, ring: Statistics, process) -> list[Check]:
    names = ["v_1", "v_2", "M_11", "M_21"]
    index = [process.names.index(name) for name in names]
    a = np.asarray(ring.v)
    pattern = _RIDGE**2 * np.outer(np.tile(a, 2), np.tile(a, 2))
    sigma = np.asarray(process.diffusion)[np.ix_(index, index)]
    checks = [
        equal("Sigma = alpha² a_i a_j, largest difference", "alpha² a_i a_j", 0.0,
              float(np.abs(sigma - pattern).max()), 1e-12),
        holds("rank of Sigma", "1", np.linalg.matrix_rank(sigma, 1e-10) == 1, "exact", exact=True),
    ]  # fmt: skip
    dim, time = dataset.attrs["dim"], 6.0
    theory = panels.covariance_at(process, time)
    samples = panels.magnified(dataset, ring, dim)[:, -1]
    for name, i in zip(names, index, strict=True):
        value, error = panels.variance_error(samples[:, i])
        checks.append(
            against_simulation(
                f"variance of sqrt(N) {name} at t = {time:g}, chain N = {dim}",
                "drift printed with the wrong sign", float(theory[i, i]), value, error,
            )
        )  # fmt: skip
    wrong = _printed_variance(a, time)
    value, error = panels.variance_error(samples[:, index[0]])
    checks.append(
        holds("the printed sign of the drift (Prop. 4.3) is refuted", "+ a_i (alpha - 2 alpha²)",
              abs(value - wrong) > 20 * error, f"it gives {wrong:.3f} for v_1: "
              f"{abs(value - wrong) / error:.0f} s.e. away")
    )  # fmt: skip
    values = np.linalg.eigvalsh(np.cov(samples[:, index[2:]].T))
    checks.append(
        holds("the cloud (m_1, m_2) is a line", "rank 1", values[0] < 0.02 * values[1],
              f"variance across / along = {values[0] / values[1]:.1e}")
    )  # fmt: skip
    return checks


def _printed_variance(a: np.ndarray, time: float) -> float:
    """Variance of v_1 with the rank-one drift of the printed sign."""
    both, eye = np.tile(a, 2), np.eye(2)
    swap = _RIDGE * np.block([[-eye, eye], [eye, -eye]])
    drift = swap + (_RIDGE - 2 * _RIDGE**2) * np.outer(both, both)
    names = ("v_1", "v_2", "m_1", "m_2")
    noise = _RIDGE**2 * np.outer(both, both)
    process = OrnsteinUhlenbeck(jnp.asarray(drift), jnp.asarray(noise), names)
    return float(process.covariance([time])[0][0, 0])
