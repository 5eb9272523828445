"""Loureiro (2023), slides, and Veiga et al. (2022), Fig. 1: regimes of width and step.

p = p0 d^kappa, gamma = g0 d^-delta. For each region of the plane one property of its limit is
measured with the exact chain at growing d: the final excess risk (perfect learning, plateau), how
far M and Q move (bad learning), and what one step does to Q (no ODE). Last, the rate
sqrt(gamma/(p d)) at which the statistics approach the ODE.
"""

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.analysis.compare import compare
from sgdlimits.closed_forms.committee_regimes import ode_error_scale, regime
from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.limits.risk import risk
from sgdlimits.models.committees_zoo import committee
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_NOISE, _P, _K = 0.05, 2, 2
_MODEL = committee(_P, _K, noise=_NOISE)
_TAU = 5.0  # in units of p^2 d / gamma^2 steps
_REGION_COLOURS = {"perfect learning": "#B7E3C0", "bad learning": "#FAD7A8", "no ODE": "#F4B6B0"}
_TAUGHT = Statistics(jnp.zeros(0), jnp.eye(_K), jnp.eye(_K))
_GENERIC = Statistics(
    jnp.zeros(0), jnp.array([[0.3, -0.1], [0.1, 0.4]]), jnp.array([[0.9, 0.2], [0.2, 0.8]])
)


def regimes(work: Workspace) -> tuple[Figure, list[Check]]:
    """Phase diagram, and one measurement in each of its regions."""
    figure, axes = new_figure(2, 3, width=PAGE, height=4.6)
    _draw_diagram(axes[0, 0])
    checks = _final_risk(work, axes[0, 1])
    checks += _bad_learning(work, axes[0, 2], axes[1, 0])
    checks += _one_step(work, axes[1, 1])
    checks += _rate(work, axes[1, 2])
    return figure, checks


def _draw_diagram(axis: Axes) -> None:
    kappas, deltas = np.linspace(0, 1, 201), np.linspace(-1.2, 0.8, 201)
    names = ["perfect learning", "bad learning", "no ODE"]
    place = np.array([
        [names.index(regime(k, d).name) if abs(k + d) > 1e-9 else 0 for k in kappas] for d in deltas
    ])  # fmt: skip
    colours = [_REGION_COLOURS[name] for name in names]
    axis.contourf(kappas, deltas, place, levels=[-0.5, 0.5, 1.5, 2.5], colors=colours)
    axis.plot(kappas, -kappas, color=COLOURS["simulation"], lw=2)
    for text, x, y in (("perfect\nlearning", 0.55, 0.35), ("bad\nlearning", 0.3, -0.56),
                       ("no ODE", 0.28, -1.0)):  # fmt: skip
        axis.text(x, y, text, ha="center", va="center")
    axis.text(0.72, -0.62, "plateau", color=COLOURS["simulation"], rotation=-40, ha="center")
    axis.plot([0, 0, 0.2, 0, 0], [0.5, 0, -0.5, -0.3, -0.75], "ko", ms=3.5, clip_on=False)
    axis.set_xlabel(r"$\kappa$,  $p\propto d^{\,\kappa}$")
    axis.set_ylabel(r"$\delta$,  $\gamma\propto d^{-\delta}$")


# -- perfect learning and plateau ------------------------------------------------------------------


def _final_risk(work: Workspace, axis: Axes) -> list[Check]:
    dims = work.size((100, 400, 1600), (100, 400, 1600, 6400), (25, 50))
    runs, checks = work.size(32, 128), []
    for delta, colour, label in (
        (0.5, "third", "perfect learning"),
        (0.0, "simulation", "plateau"),
    ):
        means, errors, limits = [], [], []
        for dim in dims:
            step = float(dim) ** -delta
            chain = work.simulate(
                f"final-{delta:g}-{dim}", _MODEL, OnlineSGD(step), dim=dim,
                time=work.size(30.0, 30.0, 15.0), runs=runs, initial=_TAUGHT, record=121,
            )  # fmt: skip
            late = chain["risk"].sel(time=slice(10.0, None)).mean("time").values - _NOISE / 2
            means.append(late.mean())
            errors.append(late.std(ddof=1) / runs**0.5)
            end = effective_dynamics(_MODEL, OnlineSGD(step)).solve(_TAUGHT, [20.0])
            limits.append(float(risk(_MODEL, end, excess=True)[0]))
            checks.append(against_simulation(
                f"final excess risk, delta = {delta:g}, d = {dim}: ODE", label, limits[-1],
                means[-1], float(errors[-1]), bias=0.05 * limits[-1] + 0.3 * limits[-1] * step,
                why_bias="(finite d)",
            ))  # fmt: skip
        axis.errorbar(dims, means, 2 * np.array(errors), fmt="o", ms=4, color=COLOURS[colour],
                      label=rf"$\delta={delta:g}$")  # fmt: skip
        axis.plot(dims, limits, color=COLOURS[colour], lw=0.9)
        slope = float(np.polyfit(np.log(dims), np.log(means), 1)[0])
        expected = regime(0.0, delta).excess_exponent or 0.0
        checks.append(holds(
            f"exponent of the final excess risk, {label}", f"{expected:g}",
            abs(slope - expected) < 0.06, f"fitted {slope:.3f}, within 0.06",
        ))  # fmt: skip
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel(r"$d$")
    axis.set_ylabel(r"final $\mathcal{R}-\Delta/2$")
    axis.set_title("lines: ODE")
    axis.legend(loc="center left")
    return checks


# -- bad learning ----------------------------------------------------------------------------------


def _bad_learning(work: Workspace, moved: Axes, inflated: Axes) -> list[Check]:
    checks: list[Check] = []
    dims = work.size((10**3, 10**4, 10**5), (10**3, 10**4, 10**5, 10**6), (100, 1000))
    runs = work.size(64, 256)
    for kappa, delta, colour in ((0.0, -0.3, "second"), (0.2, -0.5, "fourth")):
        shift, norms = [], []
        for dim in dims:
            p = max(_P, round(_P * (dim / dims[0]) ** kappa))
            step = p / _P * (dim ** -(delta + kappa))  # so that gamma/p is the same for both
            model, start = _wide(p)
            chain = work.simulate(
                f"bad-{kappa:g}-{dim}", model, OnlineSGD(step), dim=dim, time=_TAU * p * p / step,
                runs=runs, initial=start, record=2,
            )  # fmt: skip
            shift.append(
                float(np.abs(chain["M"].values[:, -1] - np.asarray(start.M)).max((1, 2)).mean())
            )
            norms.append(chain["Q"].values[:, -1, 0, 0])
        slope = float(np.polyfit(np.log(dims), np.log(shift), 1)[0])
        label = rf"$\kappa={kappa:g},\ \delta={delta:g}$"
        moved.loglog(dims, shift, "o-", ms=4, lw=0.8, color=COLOURS[colour], label=label)
        limit = _inflation(_GENERIC)
        mean = np.array([q.mean() for q in norms])
        error = np.array([q.std(ddof=1) / runs**0.5 for q in norms])
        inflated.errorbar(dims, mean, 2 * error, fmt="o", ms=4, color=COLOURS[colour], label=label)
        checks.append(holds(
            f"M stands still, kappa = {kappa:g}, delta = {delta:g}",
            f"|M - M_0| ~ d^{kappa + delta:g}", abs(slope - (kappa + delta)) < 0.1,
            f"fitted exponent {slope:.2f}, within 0.1",
        ))  # fmt: skip
        if kappa == 0:
            inflated.axhline(limit, color=COLOURS["theory"], lw=0.9, label="noise term alone")
            inflated.axhline(float(_GENERIC.Q[0, 0]), color="grey", ls=":", label="start")
            gap = limit - mean
            rate = float(np.polyfit(np.log(dims), np.log(gap), 1)[0])
            checks.append(holds(
                f"Q_11 after tau = {_TAU:g} tends to {limit:.4g}, the noise term alone",
                "norms inflate", abs(rate - delta) < 0.1 and gap[-1] < 0.3 * (limit - 0.9),
                "distances " + ", ".join(f"{g:.3f}" for g in gap)
                + f" at growing d; fitted exponent {rate:.2f}, within 0.1 of {delta:g}",
            ))  # fmt: skip
    moved.set_xlabel(r"$d$")
    moved.set_ylabel(r"$\max|M-M_0|$, bad learning")
    moved.legend(loc="lower left")
    inflated.set_xscale("log")
    inflated.set_xlabel(r"$d$")
    inflated.set_ylabel(rf"$Q_{{11}}$ at $\tau={_TAU:g}$, bad learning")
    inflated.legend(loc="lower right")
    return checks


def _wide(p: int):
    """Copies of the two generic neurons, nearly independent outside the teacher's span."""
    M = jnp.tile(_GENERIC.M, (p // 2 + 1, 1))[:p]
    rest = jnp.tile(jnp.diagonal(_GENERIC.Q - _GENERIC.M @ _GENERIC.M.T), p // 2 + 1)[:p]
    if p == _P:
        return _MODEL, _GENERIC
    return committee(p, _K, noise=_NOISE), Statistics(jnp.zeros(0), M, M @ M.T + jnp.diag(rest))


def _inflation(start: Statistics) -> float:
    """Q_11 when the noise term alone acts for tau: dQ/dtau = p^2 E[g gᵀ]."""
    dynamics = effective_dynamics(_MODEL, OnlineSGD(1.0))

    @jax.jit
    def field(y):
        rate = dynamics.corrector(start.with_vector(y))
        return (rate.vector * _P**2).at[: start.M.size].set(0.0)

    solution = solve_ivp(lambda _, y: np.asarray(field(jnp.asarray(y))), (0, _TAU),
                         np.asarray(start.vector), rtol=1e-8, atol=1e-10)  # fmt: skip
    return float(start.with_vector(jnp.asarray(solution.y[:, -1])).Q[0, 0])


# -- no ODE ----------------------------------------------------------------------------------------


def _one_step(work: Workspace, axis: Axes) -> list[Check]:
    dims, draws = (10**2, 10**4, 10**6), work.size(20_000, 200_000, 500)
    checks, means, errors, exact = [], [], [], []
    for dim in dims:
        step = float(dim) ** 0.75
        chain = work.simulate(f"red-{dim}", _MODEL, OnlineSGD(step), dim=dim, time=step / dim,
                              runs=draws, initial=_GENERIC, record=2)  # fmt: skip
        jump = chain["Q"].values[:, -1, 0, 0] - float(_GENERIC.Q[0, 0])
        moments = effective_dynamics(_MODEL, OnlineSGD(step)).one_step_moments(_GENERIC, dim)
        index = _GENERIC.names.index("Q_11")
        exact.append(float(moments.mean[index]))
        means.append(float(jump.mean()))
        errors.append(float(jump.std(ddof=1) / draws**0.5))
        checks.append(against_simulation(
            f"mean of one step's change of Q_11, delta = -3/4, d = {dim}", "order one or more",
            exact[-1], means[-1], errors[-1],
        ))  # fmt: skip
    slope = float(np.polyfit(np.log(dims), np.log(means), 1)[0])
    checks.append(holds("it grows with d", "exponent 2 (3/4) - 1 = 1/2", abs(slope - 0.5) < 0.05,
                        f"fitted {slope:.3f}, within 0.05"))  # fmt: skip
    axis.errorbar(dims, means, 2 * np.array(errors), fmt="o", ms=4, color=COLOURS["simulation"],
                  label="exact chain")  # fmt: skip
    axis.loglog(dims, exact, color=COLOURS["theory"], lw=0.9, label="exact mean")
    axis.set_xlabel(r"$d$")
    axis.set_ylabel(r"$\langle\Delta Q_{11}\rangle$, one step")
    axis.set_title(r"no ODE: $\delta=-3/4$")
    axis.legend(loc="upper left")
    return checks


# -- rate of the ODE approximation -----------------------------------------------------------------


def _rate(work: Workspace, axis: Axes) -> list[Check]:
    dims = work.size((50, 200, 800, 3200), (50, 200, 800, 3200), (50, 200))
    draws, checks = work.size(128, 1024), []
    for step, colour in ((0.25, "simulation"), (2.0, "second")):
        ratios, errors = [], []
        for dim in dims:
            chain, ode = (
                work.simulate(f"rate-{engine}-{step:g}-{dim}", _MODEL, OnlineSGD(step), engine,
                              dim=dim, time=4.0, runs=runs, initial=_GENERIC, record=41)
                for engine, runs in (("chain", draws), ("ode", 1))
            )  # fmt: skip
            squares = compare(chain, ode).dataset["sup_distance"].values ** 2
            rms = np.sqrt(squares.mean())
            scale = ode_error_scale(dim, step, _P)
            ratios.append(rms / scale)
            errors.append(squares.std(ddof=1) / draws**0.5 / (2 * rms) / scale)
        axis.errorbar(dims, ratios, 2 * np.array(errors), fmt="o-", lw=0.8, ms=4,
                      color=COLOURS[colour], label=rf"$\gamma={step:g}$")  # fmt: skip
        spread = max(ratios) / min(ratios)
        checks.append(holds(
            f"RMS of max|Omega - ODE| over sqrt(gamma/(p d)), gamma = {step:g}, d = {dims[0]} to "
            f"{dims[-1]}",
            "constant in d", spread < 1.25,
            ", ".join(f"{r:.3f} ± {e:.3f}" for r, e in zip(ratios, errors, strict=True))
            + "; largest over smallest below 1.25",
        ))  # fmt: skip
    axis.set_xscale("log")
    axis.set_ylim(0, None)
    axis.set_xlabel(r"$d$")
    axis.set_ylabel(r"error of the ODE $/\sqrt{\gamma/(pd)}$")
    axis.legend(loc="lower right")
    return checks
