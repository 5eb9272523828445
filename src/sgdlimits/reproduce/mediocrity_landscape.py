"""Arnaboldi, Krzakala, Loureiro and Stephan (2023), Fig. 4 and App. H: the landscape, walked on.

The paper draws the population risk; here paths of real SGD lie on it. Its factors are corrected:
see ``analysis.phase_retrieval_landscape``.
"""

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import special

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.closed_forms.phase_retrieval_landscape import (
    critical_points,
    excess_risk,
    spherical_critical_points,
    spherical_hessian,
)
from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.models.committees_zoo import phase_retrieval
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.process.process import Process
from sgdlimits.randomness.streams import run_keys
from sgdlimits.reproduce.checks import Check, equal, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Parameters, Statistics

_STEP = 0.02
_GLOBE_STEP, _GLOBE_RUNS = 0.006, 8
_DIMS = (3, 30, 3000)


def figure_4(work: Workspace) -> tuple[Figure, list[Check]]:
    """Risk over the plane of teacher and rest, on the globe, and against the overlap."""
    figure, axes = new_figure(1, 3, width=PAGE, height=2.5)
    checks = _plane(work, axes[0, 0])
    checks += _globe(work, axes[0, 1])
    _golf(axes[0, 2])
    return figure, checks + _points(work)


def _dim(work: Workspace) -> int:
    return work.size(100, 100, 20)


def _plane(work: Workspace, axis: Axes) -> list[Check]:
    dim = _dim(work)
    paths = work.simulate(
        "plane", phase_retrieval(), OnlineSGD(_STEP), "sgd", dim=dim, time=3.0,
        runs=work.size(8, 16), record=work.size(301, 301, 61),
    )  # fmt: skip
    m, q = paths["M"].values[:, :, 0, 0], paths["Q"].values[:, :, 0, 0]
    across = np.sqrt(np.maximum(q - m * m, 0))
    x, y = np.meshgrid(np.linspace(-1.35, 1.35, 200), np.linspace(0, 1.25, 120))
    levels = np.array([0.02, 0.1, 0.3, 0.6, 1, 4 / 3, 1.5, 2, 3, 5])
    axis.contour(x, y, excess_risk(x, x * x + y * y), levels, colors="#999999", linewidths=0.5)
    for one, other in zip(m, across, strict=True):
        axis.plot(one, other, color=COLOURS["simulation"], lw=0.6, alpha=0.9)
    for point in critical_points(dim):
        marker = {"maximum": "^", "saddle": "o", "minimum": "x"}[point.kind]
        for sign in (1, -1):
            axis.plot(sign * point.m, np.sqrt(point.q - point.m**2), marker, color="black",
                      mfc="white", ms=5, mew=1.3, zorder=5)  # fmt: skip
    axis.set_ylim(-0.05, 1.25)
    axis.set_xlabel(r"$m = w \cdot w_\star$")
    axis.set_ylabel(r"$|w - m w_\star|$")
    axis.set_title(rf"$\mathbb{{R}}^{{{dim}}}$")
    low = excess_risk(m[:, -1], q[:, -1])
    starts = Statistics(jnp.zeros((len(m), 0)), m[:, :1, None], q[:, :1, None])
    flow = effective_dynamics(phase_retrieval(), OnlineSGD(_STEP)).solve(
        starts, paths["time"].values
    )
    least, least_of_flow = q.min(1), np.asarray(flow.Q)[..., 0, 0].min(0)
    return [
        holds("real SGD ends at ±w⋆, noise-free labels, all runs", "global minima",
              bool((low < 1e-2).all()), f"largest excess risk {low.max():.2g}"),
        holds("on the way |w|² falls towards 1/3, as the ODE's from the same start", "–",
              bool((np.abs(least - least_of_flow) < 0.15).all() and least.min() < 0.45),
              f"least |w|² of a run: {least.min():.2g} to {least.max():.2g}, of the ODE "
              f"{least_of_flow.min():.2g} to {least_of_flow.max():.2g}, apart by at most "
              f"{np.abs(least - least_of_flow).max():.2g}"),
    ]  # fmt: skip


def _walk(work: Workspace) -> np.ndarray:
    """Real projected SGD in three dimensions: positions (runs, steps, 3)."""
    process = Process(phase_retrieval(), OnlineSGD(_GLOBE_STEP, True))
    frame, steps = process.frame(3), work.size(20_000, 20_000, 500)
    angles = np.linspace(0, 2 * np.pi, _GLOBE_RUNS, endpoint=False) + 0.3
    tilt = 0.06  # off the equator, to either side
    w0 = np.stack([tilt * (-1.0) ** np.arange(_GLOBE_RUNS), np.cos(angles), np.sin(angles)], 1)
    w0 /= np.linalg.norm(w0, axis=1, keepdims=True)
    start = Parameters(jnp.zeros((_GLOBE_RUNS, 0)), jnp.asarray(w0)[:, None])

    def one(parameters, key):
        def body(parameters, key):
            after = process.step(parameters, frame, key, 0.0)
            return after, after.W[0]

        return jax.lax.scan(body, parameters, jax.random.split(key, steps))[1]

    keys = run_keys(work.seed, "sgd", jnp.arange(_GLOBE_RUNS))
    return np.asarray(jax.jit(jax.vmap(one))(start, keys))


def _globe(work: Workspace, axis: Axes) -> list[Check]:
    """The half of the sphere that faces the reader, the teacher up and towards them."""
    paths = _walk(work)
    # Teacher first coordinate -> up; turned towards the reader by 25 degrees.
    turn = np.radians(25)
    up = np.array([np.cos(turn), 0.0, -np.sin(turn)])  # screen's vertical
    right, out = np.array([0.0, 1.0, 0.0]), np.array([np.sin(turn), 0.0, np.cos(turn)])
    x, y = np.meshgrid(np.linspace(-1, 1, 401), np.linspace(-1, 1, 401))
    with np.errstate(invalid="ignore"):
        depth = np.sqrt(1 - x * x - y * y)
    m = up[0] * y + out[0] * depth
    image = axis.imshow(2 * (1 - m * m), extent=(-1, 1, -1, 1), origin="lower", cmap="cividis")
    axis.figure.colorbar(image, ax=axis, label=r"$\mathcal{R} - \Delta/2$", shrink=0.8)
    for path in paths:
        facing = path @ out > 0
        a, b = np.where(facing, path @ right, np.nan), np.where(facing, path @ up, np.nan)
        axis.plot(a, b, color="white", lw=0.5)
    axis.plot(0, up[0], "x", color="black", ms=6, mew=1.8)
    axis.set_aspect("equal")
    axis.axis("off")
    axis.set_title(r"$\mathbb{S}^2$, $w_\star$ marked")
    end = np.abs(paths[:, -1, 0])
    return [holds("projected SGD on the globe ends at ±w⋆", "global minima",
                  bool((end > 0.999).all()), f"smallest |m| {end.min():.4f}")]  # fmt: skip


def _golf(axis: Axes) -> None:
    m = np.linspace(-1, 1, 1001)
    axis.plot(m, 2 * (1 - m * m), color=COLOURS["theory"], label=r"$2(1-m^2)$")
    for dim, colour in zip(_DIMS, ("third", "simulation", "second"), strict=True):
        log_density = (
            special.gammaln(dim / 2) - special.gammaln((dim - 1) / 2) - np.log(np.pi) / 2
            + (dim - 3) / 2 * np.log1p(-np.minimum(m * m, 1 - 1e-12))
        )  # fmt: skip
        density = np.exp(log_density)
        axis.fill_between(m, density / density.max(), color=COLOURS[colour], alpha=0.3, lw=0,
                          label=rf"starts, $d={dim}$")  # fmt: skip
    axis.set_xlabel(r"$m$")
    axis.set_ylabel(r"$\mathcal{R} - \Delta/2$;  density (scaled)")
    axis.set_ylim(0, 3.1)
    axis.legend(fontsize=6, loc="upper center", ncols=2)


def _points(work: Workspace) -> list[Check]:
    flow = effective_dynamics(phase_retrieval(), OnlineSGD(1e-9))
    found = flow.fixed_points(method="search", starts=work.size(32, 256), seed=work.seed)
    places = {(round(float(p.statistics.M[0, 0]), 6), round(float(p.statistics.Q[0, 0]), 6))
              for p in found}  # fmt: skip
    dim = _dim(work)
    points = critical_points(dim)
    expected = {(sign * p.m, round(p.q, 6)) for p in points for sign in (1, -1)}
    zero, saddle, teacher = points
    equator, _ = spherical_critical_points(dim)
    checks = [
        holds("critical points found by search on the population flow", "0; m=0, q=1/3; ±w⋆",
              places == expected, f"{sorted(places)}"),
    ]  # fmt: skip
    for point, risk, paper in ((zero, "3, eq. (69)", "−2(ρ + 1) = −4 along w⋆, eq. (68)"),
                               (saddle, "10/3, eq. (71)", "eq. (70)"),
                               (teacher, "0", "4(ρ + 1) = 8 along w⋆, eq. (72)")):  # fmt: skip
        value, values = _curvature(point.m, point.q)
        lowest, highest = point.eigenvalues[0], point.eigenvalues[-1]
        checks += [
            equal(f"R − Δ/2 at: {point.label}", risk, point.excess_risk, value, 1e-12),
            equal(f"lowest curvature at: {point.label}", paper, lowest, values[0], 1e-10),
            equal(f"highest curvature at: {point.label}", paper, highest, values[-1], 1e-10),
        ]
    w, up = np.eye(dim)[:2]  # on the equator, and the teacher
    flat = np.sum(np.abs(np.linalg.eigvalsh(spherical_hessian(w, up))) < 1e-12) - 1  # less w itself
    checks.append(
        equal(f"flat directions of the equator, d = {dim}", "d − 1, after eq. (84)",
              equator.multiplicities[1], float(flat), 0)
    )  # fmt: skip
    return checks


def _curvature(m: float, q: float) -> tuple[float, np.ndarray]:
    """Excess risk and eigenvalues of the Hessian in R^6, by differentiation of the model's risk."""
    model, teacher = phase_retrieval(), jnp.eye(6)[0]

    def risk(w: jax.Array) -> jax.Array:
        return model.risk(Statistics(jnp.zeros(0), (w @ teacher)[None, None], (w @ w)[None, None]))

    w = m * jnp.eye(6)[0] + np.sqrt(max(q - m * m, 0.0)) * jnp.eye(6)[1]
    return float(risk(w)), np.linalg.eigvalsh(jax.hessian(risk)(w))
