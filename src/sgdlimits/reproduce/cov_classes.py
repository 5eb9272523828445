"""Binary logistic regression on two classes with covariances of their own, in common blocks.

Zero-one model: in a fourth of the dimensions neither class has noise, in a fourth both have, and in
a fourth each one of them alone. Power laws: variances (i/d)^1.1 in one class, (i/d)^1.5 in the
other. The means are spread evenly over all dimensions, so that along what is learned of them the
clean blocks stand out. Control: both classes isotropic.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.data.mixture import GaussianMixture
from sgdlimits.data.spectrum import Spectrum
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.models.network import Network
from sgdlimits.plots import COLOURS, PAGE, band, new_figure
from sgdlimits.reproduce.checks import Check, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.block_overlaps import BlockStatistics

_STEP = 1.0
_EXPONENTS = (1.1, 1.5)
_BIAS = 6.0  # over d: discrete steps; overlaps are of order one
_NAMES = (
    r"$(0, 0)$", r"$(1, 0)$", r"$(0, 1)$", r"$(1, 1)$",
)  # fmt: skip
_COLOURS = ("simulation", "third", "fourth", "second")


def classes(work: Workspace) -> tuple[Figure, list[Check]]:
    """Overlaps with the means, block by block, against time, and at the end against variance."""
    figure, axes = new_figure(1, 3, width=PAGE, height=2.4)
    checks = _zero_one(work, axes[0, 0])
    checks += _power_laws(work, axes[0, 1], axes[0, 2])
    return figure, checks


def _output(v: jax.Array, s: jax.Array) -> jax.Array:
    return s[0]


def _cross_entropy(output: jax.Array, label: jax.Array) -> jax.Array:
    return jnp.logaddexp(0.0, output) - label[0] * output


def _model(spectrum: Spectrum) -> Any:
    data = GaussianMixture([[1.0], [-1.0]], [1.0, 0.0], covariance=spectrum)
    network = Network(_output, width=1, layer=0)
    return MultiIndexModel(data=data, network=network, loss=_cross_entropy)


def _pair(work: Workspace, name: str, spectrum: Spectrum) -> tuple[xr.DataArray, xr.DataArray]:
    """m_j/phi_j: overlaps with the mean, as if every block were the whole; from w = 0."""
    model, sgd = _model(spectrum), OnlineSGD(_STEP)
    dim, time = work.size(400, 2000, 80), work.size(30.0, 100.0, 0.5)
    zero = jnp.zeros((spectrum.blocks, 1, 1))
    start = BlockStatistics(jnp.zeros(0), zero, zero)
    options, runs = {"dim": dim, "time": time, "initial": start}, work.size(64, 256, 4)
    real = work.simulate(f"{name}-chain", model, sgd, "chain", runs=runs, record=31, **options)
    times = real["time"].values  # those of whole steps
    ode = work.simulate(f"{name}-ode", model, sgd, "ode", runs=1, record=times, **options)
    found = [x["M"][..., 0, 0] / x["fraction"] for x in (real, ode)]
    return found[0], found[1]


def _follows(name: str, real: xr.DataArray, ode: xr.DataArray, dim: int) -> Check:
    error = real.std("run", ddof=1) / real.sizes["run"] ** 0.5
    away = abs(real.mean("run") - ode[0])
    worst = float((away - 4 * error - _BIAS / dim).max())
    return holds(
        f"{name}, d = {dim}: SGD follows the ODE in every block", "theory = SGD", worst <= 0,
        f"largest distance {float(away.max()):.3f} of {float(ode.max()):.2f}, "
        f"allowed 4 s.e. + {_BIAS:g}/d",
    )  # fmt: skip


def _zero_one(work: Workspace, axis: Axes) -> list[Check]:
    spectrum = Spectrum([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    real, ode = _pair(work, "zero-one", spectrum)
    for j, (name, colour) in enumerate(zip(_NAMES, _COLOURS, strict=True)):
        band(axis, real[..., j], COLOURS[colour])
        axis.plot(real["time"], real[..., j].mean("run"), "o", ms=1.8, color=COLOURS[colour],
                  label=name)  # fmt: skip
        axis.plot(ode["time"], ode[0, :, j], color=COLOURS["theory"], lw=0.9)
    axis.set_ylim(top=1.7 * float(ode.max()))
    axis.legend(loc="upper left", title="variances of the classes")
    axis.set(xlabel="$t$ = samples$/d$", ylabel=r"$m_j/\phi_j$")
    axis.set_title("      zero-one model", fontsize=7)
    end = ode[0, -1].values
    first, last = ode[0, 1].values, ode[0, -1].values
    return [
        _follows("zero-one model", real, ode, work.size(400, 2000, 80)),
        holds("zero-one model: clean block first, noisy one last", "aligned with clean directions",
              end[0] > max(end[1:3]) and min(end[1:3]) > end[3],
              "m_j/phi_j at the end: " + ", ".join(f"{x:.2f}" for x in end)),
        holds("zero-one model: the clean block's share grows with time", "–",
              last[0] / last.sum() > first[0] / first.sum(),
              f"from {first[0] / first.sum():.3f} to {last[0] / last.sum():.3f}"),
        holds("zero-one model: exchange of the classes exchanges the mixed blocks", "symmetry",
              abs(end[1] - end[2]) < 1e-6, f"|difference| {abs(end[1] - end[2]):.1e}", exact=True),
    ]  # fmt: skip


def _power_laws(work: Workspace, axis: Axes, ends: Axes) -> list[Check]:
    count, dim = work.size(20, 40, 4), work.size(400, 2000, 80)
    places = (np.arange(count) + 0.5) / count
    laws = {
        "power laws": Spectrum(np.stack([places**x for x in _EXPONENTS])),
        "isotropic": Spectrum(np.ones((2, count))),
    }
    checks, found = [], {}
    for (name, spectrum), colour in zip(laws.items(), ("simulation", "second"), strict=True):
        real, ode = _pair(work, name.replace(" ", "-"), spectrum)
        end = found[name] = ode[0, -1].values
        mean, error = real[:, -1].mean("run"), real[:, -1].std("run", ddof=1)
        ends.errorbar(places, mean, error / real.sizes["run"] ** 0.5, fmt="o", ms=2,
                      color=COLOURS[colour], label=name)  # fmt: skip
        ends.plot(places, end, color=COLOURS["theory"], lw=0.9)
        checks.append(_follows(name, real, ode, dim))
        if name == "isotropic":
            spread = float(np.ptp(ode[0].values, axis=1).max())
            checks.append(holds("isotropic control: no block is before another", "–",
                                spread < 1e-7, f"spread {spread:.1e}", exact=True))  # fmt: skip
            continue
        for j in (0, count // 2, count - 1):
            tint = 0.75 * j / count
            axis.plot(real["time"], real[..., j].mean("run"), "o", ms=1.8, color=str(tint),
                      label=f"$i/d={places[j]:.2f}$")  # fmt: skip
            axis.plot(ode["time"], ode[0, :, j], color=COLOURS["theory"], lw=0.9)
        falls = bool((np.diff(end) < 0).all())
        checks.append(holds("power laws: the cleaner a block, the more is learned of the mean",
                            "aligned with clean directions", falls,
                            f"m_j/phi_j from {end[0]:.2f} down to {end[-1]:.2f}"))  # fmt: skip
    axis.set(xlabel="$t$ = samples$/d$", ylabel=r"$m_j/\phi_j$")
    axis.set_title(r"      $(i/d)^{1.1}$ and $(i/d)^{1.5}$", fontsize=7)
    axis.legend(loc="upper left")
    ends.set(xlabel="$i/d$", ylabel=r"$m_j/\phi_j$ at the end")
    ends.set_ylim(bottom=0)
    ends.legend(loc="lower left")
    return checks
