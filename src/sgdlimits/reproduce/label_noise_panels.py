"""What of the limit depends on the law of the labels' noise: not the path, but its fluctuations.

Linear regression, f = s, y = s* + sqrt(noise) xi with xi of variance 1 and any law. The error is
e = s - s* - sqrt(noise) xi; the ODE needs E e^2 only, and the covariance of the steps needs E e^4,
where the fourth moment of xi stands: the limit is universal, its fluctuations are not.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from scipy.integrate import solve_ivp

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.data.teacher import Teacher
from sgdlimits.models.losses import squared
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.models.network import Network
from sgdlimits.plots import COLOURS
from sgdlimits.reproduce.checks import Check, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_STEP, _NOISE, _TIME = 1.0, 1.0, 4.0
_BIAS = 8.0  # relative, times 1/d: what the variance may differ from its limit by


class _Law(NamedTuple):
    """Labels as a function of f and a standard normal, E xi^4, and how it is drawn."""

    label: Callable
    fourth: float
    colour: str
    ring: float  # size of a marker


def _laplace(z: jax.Array) -> jax.Array:
    return -jnp.sign(z) * (jnp.log(2.0) + jax.scipy.special.log_ndtr(-jnp.abs(z))) / 2**0.5


def _gaussian_label(f: jax.Array, z: jax.Array) -> jax.Array:
    return f[0] + _NOISE**0.5 * z


def _rademacher_label(f: jax.Array, z: jax.Array) -> jax.Array:
    return f[0] + _NOISE**0.5 * jnp.sign(z)


def _laplace_label(f: jax.Array, z: jax.Array) -> jax.Array:
    return f[0] + _NOISE**0.5 * _laplace(z)


LAWS = {
    "Gaussian": _Law(_gaussian_label, 3.0, "simulation", 7.0),
    "Rademacher": _Law(_rademacher_label, 1.0, "second", 4.5),
    "Laplace": _Law(_laplace_label, 6.0, "third", 2.0),
}


def _neuron(v: jax.Array, s: jax.Array) -> jax.Array:
    return s[0]


def _model(name: str) -> MultiIndexModel:
    network = Network(_neuron, width=1, layer=0)
    return MultiIndexModel(data=Teacher(LAWS[name].label), network=network, loss=squared)


def theory(fourth: float, times: np.ndarray) -> np.ndarray:
    """(m, q, d Var m, d Cov(m, q), d Var q) at the times, from m = 0, q = 1; asymptotic."""

    def field(_: float, y: np.ndarray) -> list[float]:
        m, q, mm, mq, qq = y
        c, rest = _STEP, 1 - 2 * m + q
        power, a, b = rest + _NOISE, m - 1, q - m
        squares = 2 * rest**2 + 4 * rest * _NOISE + (fourth - 1) * _NOISE**2  # Var e^2
        noise_mm = c * (power + a * a)
        noise_mq = c * (2 * (power * m + a * b) - 2 * c * power * a)
        noise_qq = c * (4 * (power * q + b * b) - 8 * c * power * b + c * c * squares)
        back, fall = 2 - 2 * c, c - 2
        return [
            1 - m, 2 * (m - q) + c * power, -2 * mm + noise_mm,
            -mq + back * mm + fall * mq + noise_mq, 2 * (back * mq + fall * qq) + noise_qq,
        ]  # fmt: skip

    start, span = [0.0, 1.0, 0.0, 0.0, 0.0], (0.0, float(times[-1]))
    return solve_ivp(field, span, start, t_eval=times, rtol=1e-9, atol=1e-11).y


def draw(work: Workspace, axes: np.ndarray) -> list[Check]:
    """Means, variances along the path, and variances at its end against d."""
    dims = work.size((64, 256, 1024), (64, 256, 1024, 4096), (16,))
    runs = work.size(2000, 10_000, 16)
    sgd, start = OnlineSGD(step=_STEP), Statistics([], [[0.0]], [[1.0]])
    ends: dict[str, list[xr.DataArray]] = {}
    checks = []
    for name, law in LAWS.items():
        q = [
            work.simulate(
                f"noise-{name}-{dim}", _model(name), sgd, "chain", dim=dim, time=_TIME, runs=runs,
                initial=start, record=17,
            )["Q"].isel(neuron=0, other_neuron=0)
            for dim in dims
        ]  # fmt: skip
        times = q[-1]["time"].values
        expected = theory(law.fourth, times)
        colour = COLOURS[law.colour]
        # Rings, one in the other: they would cover each other.
        ring = {"ms": law.ring, "mfc": "none", "mew": 0.9, "color": colour}
        axes[0].plot(times, q[-1].mean("run"), "o", **ring, label=f"{name} noise, SGD")
        axes[1].plot(times, dims[-1] * q[-1].var("run"), "o", ms=3, color=colour, label=name)
        axes[1].plot(times, expected[4], color=colour, lw=0.9)
        ends[name] = [x.isel(time=-1) for x in q]
        checks += _checks(name, ends[name], expected[:, -1], dims)
        _ends(axes[2], ends[name], expected[4, -1], dims, colour, name)
    grid = np.linspace(0, _TIME, 65)
    axes[0].plot(grid, theory(3.0, grid)[1], "k--", label="ODE")
    _decorate(axes, dims)
    return checks


def _ends(
    axis: Axes,
    ends: list[xr.DataArray],
    limit: float,
    dims: tuple[int, ...],
    colour: str,
    name: str,
) -> None:
    values = np.array([d * float(x.var()) for d, x in zip(dims, ends, strict=True)])
    error = [_error(x) * d for d, x in zip(dims, ends, strict=True)]
    axis.errorbar(dims, values, error, fmt="o", ms=3.5, capsize=2, color=colour, label=name)
    axis.axhline(limit, color=colour, lw=0.9)


def _error(values: xr.DataArray) -> float:
    """Standard error of the variance, from the squares themselves."""
    squares = (values - values.mean()) ** 2
    return float(squares.std(ddof=1)) / values.size**0.5


def _decorate(axes: np.ndarray, dims: tuple[int, ...]) -> None:
    axes[0].set(xlabel="$t$", ylabel=r"mean of $q = |w|^2$", title="      one path")
    axes[0].legend(loc="lower right")
    axes[1].set(xlabel="$t$", ylabel=r"$d\,\mathrm{Var}(q)$", title="      three variances")
    axes[1].legend(loc="lower right", title="noise (lines: theory)")
    axes[2].set(xscale="log", xlabel="$d$", ylabel=rf"$d\,\mathrm{{Var}}(q)$ at $t = {_TIME:g}$")
    axes[2].set_ylim(bottom=0)
    axes[2].set_xticks(dims, [str(d) for d in dims])
    axes[2].minorticks_off()


def _checks(
    name: str, ends: list[xr.DataArray], expected: np.ndarray, dims: tuple[int, ...]
) -> list[Check]:
    last, dim = ends[-1], dims[-1]
    mean, error = float(last.mean()), float(last.std(ddof=1)) / last.size**0.5
    allowed = 4 * error + _BIAS / dim
    variance, spread = dim * float(last.var(ddof=1)), dim * _error(last)
    room = 4 * spread + _BIAS / dim * expected[4]
    return [
        holds(f"{name} noise, d = {dim}: mean of q follows the one ODE", "–",
              abs(mean - expected[1]) < allowed,
              f"{mean:.4f}, ODE {expected[1]:.4f}, allowed {allowed:.4f}: 4 s.e. + 8/d"),
        holds(f"{name} noise, d = {dim}: d Var(q) is that of its own fourth moment", "–",
              abs(variance - expected[4]) < room,
              f"{variance:.2f}, theory {expected[4]:.2f}, allowed {room:.2f}: 4 s.e. + 8/d of it"),
    ]  # fmt: skip
