"""Risk curves on inputs with a covariance: least squares and logistic regression, two step rules.

Collins-Woodfin et al. (2024): one-pass SGD with step gamma/d, and AdaGrad-norm. Eigenvalues i/d,
one for each of the d dimensions, and two eigenvalues in halves. Logistic regression has the
expected label of its teacher, y = 1/(1 + exp(-f)).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.algorithms.rules import adagrad_norm
from sgdlimits.closed_forms.least_squares import LeastSquares
from sgdlimits.data.spectrum import Spectrum
from sgdlimits.data.teacher import Teacher
from sgdlimits.engines.ode import ODE
from sgdlimits.expectations.activations import Polynomial
from sgdlimits.expectations.rules import TruncatedGauss
from sgdlimits.models.committees_zoo import committee
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.models.network import Network
from sgdlimits.plots import COLOURS, PAGE, band, new_figure
from sgdlimits.reproduce.checks import Check, against_simulation, equal, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.block_overlaps import BlockStatistics

_DIM, _NOISE = 512, 0.01
_FLOORS = {0.5: 7.16e-4, 1.0: 1.67e-3, 1.5: 3.01e-3}
_SHADES = ("simulation", "third", "second")
_START, _RATE = 0.5, 1.0  # AdaGrad-norm: b(0), gamma
_BIAS = 4.0  # relative, over d: discrete steps, and fluctuations that do not average out


def risk_curves(work: Workspace) -> tuple[Figure, list[Check]]:
    """Constant steps and floors; AdaGrad-norm; logistic regression; and AdaGrad's own steps."""
    dim = work.size(_DIM, _DIM, 8)
    spectra = {
        r"$\lambda_i = i/d$": Spectrum(np.arange(1, dim + 1) / dim),
        r"$\lambda \in \{1, 0.1\}$": Spectrum([1.0, 0.1]),
    }
    names = list(spectra)[: work.size(2, 2, 1)]
    spectra = {name: spectra[name] for name in names}
    figure, axes = new_figure(1, 4, width=PAGE, height=2.5)
    checks = _constant_steps(work, axes[0, 0], dim)
    checks += _adaptive(work, axes[0, 1], axes[0, 3], dim, spectra)
    checks += _logistic(work, axes[0, 2], dim, spectra)
    for axis in axes[0]:
        axis.set_xlabel("$t$ = samples$/d$")
    axes[0, 0].set_ylabel(r"$\mathcal{R}(t) - \sigma^2/2$")
    axes[0, 1].set_ylabel(r"$\mathcal{R}(t)$")
    axes[0, 2].set_ylabel(r"$\mathcal{R}(t)$, excess")
    axes[0, 3].set_ylabel(r"$\gamma_t = \gamma/b(t)$")
    return figure, checks


def _start(spectrum: Spectrum, dim: int) -> BlockStatistics:
    """A row without overlap, of norm 1 where blocks have room for it: else with random signs."""
    shares = np.array(spectrum.fractions)
    M = np.zeros(len(shares))
    if spectrum.blocks == dim:  # one dimension a block: a row is its overlap
        M = np.random.default_rng(1).choice([-1.0, 1.0], dim) / dim
    return BlockStatistics(jnp.zeros(0), M[:, None, None], shares[:, None, None])


def _pair(
    work: Workspace, name: str, model: Any, sgd: OnlineSGD, dim: int, runs: int, samples: float
) -> tuple[xr.Dataset, xr.Dataset]:
    """Real SGD and its limit from one start, against samples per dimension."""
    blocks = model.data.covariance
    step = float(sgd.step)
    times = np.concatenate([[0.0], np.geomspace(0.05, samples, 41)])
    options = {"dim": dim, "time": samples * step, "initial": _start(blocks, dim), "risk": True}
    real = work.simulate(
        f"{name}-sgd", model, sgd, "sgd", runs=runs, record=times * step, **options
    )
    whole = real["time"].values  # those of whole steps
    ode = work.simulate(
        f"{name}-ode", model, sgd, ODE(errors=False), runs=1, record=whole, **options
    )  # fmt: skip
    return tuple(x.assign_coords(time=whole / step) for x in (real, ode))  # pyright: ignore


def _linear(spectrum: Spectrum, noise: float) -> Any:
    return committee(1, 1, Polynomial([0.0, 1.0]), noise=noise, covariance=spectrum)


def _draw(axis: Axes, real: xr.DataArray, ode: xr.DataArray, colour: str, label: str) -> None:
    band(axis, real, COLOURS[colour])
    axis.plot(real["time"], real.mean("run"), "o", ms=1.8, color=COLOURS[colour], label=label)
    axis.plot(ode["time"], ode[0], color=COLOURS["theory"], lw=0.9)
    axis.set_xscale("log")
    axis.set_yscale("log")


def _follows(name: str, real: xr.DataArray, ode: xr.DataArray, dim: int, runs: int) -> Check:
    mean, error = real.mean("run").values, real.std("run", ddof=1).values / runs**0.5
    away = np.abs(mean - ode[0].values)
    allowed = 4 * error + _BIAS / dim * np.abs(ode[0].values)
    worst = float((away - allowed).max())
    relative = float((away / np.abs(ode[0].values)).max())
    return holds(
        f"{name}, d = {dim}: real SGD follows the ODE", "theory = SGD", worst <= 0,
        f"largest distance {100 * relative:.1f} %, allowed 4 s.e. + {_BIAS:g}/d of it",
    )  # fmt: skip


def _constant_steps(work: Workspace, axis: Axes, dim: int) -> list[Check]:
    spectrum, checks = Spectrum(np.arange(1, dim + 1) / dim), []
    model, runs = _linear(spectrum, _NOISE), work.size(8, 32, 2)
    samples = work.size(60.0, 200.0, 0.5)
    paper = Spectrum(np.arange(1, _DIM + 1) / _DIM)
    stable = LeastSquares(paper).stable_step
    checks.append(equal("largest stable step, d = 512", "2d/tr", 2 * _DIM / 256.5, stable, 1e-12))
    for gamma, floor in _FLOORS.items():
        known = LeastSquares(paper, step=gamma, noise=_NOISE).floor
        checks.append(equal(
            f"floor of the excess risk, gamma = {gamma:g}", f"{floor:.3g}", floor, known, 5e-6,
        ))  # fmt: skip
    drawn = list(_FLOORS)[: work.size(3, 3, 1)]
    for gamma, colour in zip(drawn, _SHADES, strict=False):
        law = LeastSquares(spectrum, step=gamma, noise=_NOISE)
        real, ode = _pair(work, f"ls-{gamma}", model, OnlineSGD(gamma), dim, runs, samples)
        excess, limit = (x["risk"] - _NOISE / 2 for x in (real, ode))
        _draw(axis, excess, limit, colour, rf"$\gamma={gamma:g}$")
        axis.axhline(law.floor, color=COLOURS[colour], lw=0.7, ls=":")
        start = _start(spectrum, dim)
        distances = np.asarray(start.Q[:, 0, 0] - 2 * start.M[:, 0, 0]) + 1 / dim
        formula = law.excess_risk(ode["time"].values * gamma, np.maximum(distances, 0.0))
        off = float(np.abs(limit[0].values / formula - 1).max())
        checks.append(holds(f"least squares, gamma = {gamma:g}: ODE of {dim} blocks = Volterra",
                            "equal", off < 1e-5, f"relative difference {off:.1e}"))  # fmt: skip
        late = excess.isel(time=slice(-3, None)).mean("time")
        checks.append(against_simulation(
            f"least squares, gamma = {gamma:g}: excess risk at the end", "–",
            float(limit[0, -3:].mean()), float(late.mean()),
            float(late.std(ddof=1)) / runs**0.5, _BIAS / dim * float(limit[0, -1]), "(4/d of it)",
        ))  # fmt: skip
    axis.legend(loc="upper right")
    axis.set_title("      least squares", fontsize=7)
    return checks


def _adaptive(
    work: Workspace, axis: Axes, steps: Axes, dim: int, spectra: dict[str, Spectrum]
) -> list[Check]:
    checks, sgd = [], OnlineSGD(_RATE, rule=adagrad_norm(_START))
    runs, samples = work.size(16, 64, 2), work.size(60.0, 400.0, 0.5)
    for (name, spectrum), colour in zip(spectra.items(), _SHADES, strict=False):
        model = _linear(spectrum, 0.0)
        real, ode = _pair(work, f"ada-{colour}", model, sgd, dim, runs, samples)
        _draw(axis, real["risk"], ode["risk"], colour, name)
        gamma = [_RATE / x["accumulated_square"] ** 0.5 for x in (real, ode)]
        _draw(steps, gamma[0], gamma[1], colour, name)
        checks.append(_follows(f"AdaGrad-norm, {name}", real["risk"], ode["risk"], dim, runs))
        end = gamma[0].isel(time=-1)
        checks.append(against_simulation(
            f"AdaGrad-norm, {name}: step at the end", "–", float(gamma[1][0, -1]),
            float(end.mean()), float(end.std(ddof=1)) / runs**0.5, _BIAS / dim, "(4/d)",
        ))  # fmt: skip
        # b^2 gains 2 R tr(Sigma)/d a unit of samples/d, and noiseless risk decays: steps stay up.
        last = gamma[1].sizes["time"] - 1
        stays = gamma[1][0].isel(time=[last - last // 5, last]).values
        checks.append(holds(
            f"AdaGrad-norm, {name}: the step tends to a constant above 0", "constant",
            stays[1] > 0.9 * stays[0], f"{stays[0]:.4f}, then {stays[1]:.4f}",
        ))  # fmt: skip
    axis.set_title("      AdaGrad-norm", fontsize=7)
    steps.set_yscale("linear")
    steps.legend(loc="upper right")
    steps.set_title("      AdaGrad-norm", fontsize=7)
    return checks


def _logit(v: jax.Array, s: jax.Array) -> jax.Array:
    return s[0]


def _chance(f: jax.Array, z: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(3.0 * f[0])


def _cross_entropy(output: jax.Array, label: jax.Array) -> jax.Array:
    """Above that of the label itself."""
    y = label[0]
    own = -y * jnp.log(y) - (1 - y) * jnp.log1p(-y)
    return jnp.logaddexp(0.0, output) - y * output - own


def _logistic(work: Workspace, axis: Axes, dim: int, spectra: dict[str, Spectrum]) -> list[Check]:
    checks, runs = [], work.size(16, 64, 2)
    samples = work.size(40.0, 400.0, 0.5)
    for (name, spectrum), colour in zip(spectra.items(), _SHADES, strict=False):
        model = MultiIndexModel(
            data=Teacher(_chance, covariance=spectrum),
            network=Network(_logit, width=1, layer=0),
            loss=_cross_entropy,
            rule=TruncatedGauss(3, (16, 16, 1)),
        )
        real, ode = _pair(work, f"logistic-{colour}", model, OnlineSGD(1.0), dim, runs, samples)
        _draw(axis, real["risk"], ode["risk"], colour, name)
        checks.append(_follows(f"logistic, {name}", real["risk"], ode["risk"], dim, runs))
    axis.legend(loc="lower left")
    axis.set_title("      logistic", fontsize=7)
    return checks
