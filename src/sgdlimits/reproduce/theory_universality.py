"""Which data does the limit depend on? Gaussian, Rademacher and uniform inputs of one covariance.

Beyond the papers: a student erf(<w, x>/sqrt 2) learns a teacher of the same form, v spread over all
coordinates. A start that is spread out sees sums of many small terms and follows the Gaussian
ODE whatever the law of the inputs; a start along one coordinate does not. And only this path is
universal: fluctuations about it see the fourth moment of the labels' noise.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.scipy.special import erf
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.analysis.compare import Comparison, compare
from sgdlimits.models.committees_zoo import committee
from sgdlimits.models.custom import CustomModel
from sgdlimits.plots import COLOURS, PAGE, band, new_figure
from sgdlimits.reproduce import label_noise_panels
from sgdlimits.reproduce.checks import Check, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_STEP, _TIME, _OVERLAP = 1.0, 8.0, 0.2
_BIAS = 6.0  # the mean may differ from the limit by this many times 1/d
_INPUTS: dict[str, Callable] = {
    "Gaussian": jax.random.normal,
    "Rademacher": lambda key, shape: jax.random.rademacher(key, shape, float),
    "uniform": lambda key, shape: 3**0.5 * jax.random.uniform(key, shape, minval=-1.0, maxval=1.0),
}
_CASES = (
    ("Gaussian", "spread out"), ("Rademacher", "spread out"), ("uniform", "spread out"),
    ("Gaussian", "along a coordinate"), ("Rademacher", "along a coordinate"),
)  # fmt: skip


def _teacher(dim: int) -> jax.Array:
    return jnp.ones(dim) / jnp.sqrt(1.0 * dim)


def _sample(inputs: str, key: jax.Array, dim: int) -> jax.Array:
    return _INPUTS[inputs](key, (dim,))


def _loss(w: jax.Array, x: jax.Array) -> jax.Array:
    teacher = erf(jnp.sum(_teacher(x.size).astype(x.dtype) * x) / 2**0.5)
    return 0.5 * (erf(jnp.sum(w * x) / 2**0.5) - teacher) ** 2


def _overlaps(w: jax.Array) -> dict[str, jax.Array]:
    return {"m": jnp.sum(w * _teacher(w.size)), "q": jnp.sum(w * w)}


def _start(where: str, key: jax.Array, dim: int) -> jax.Array:
    """Overlap 0.2 with the teacher and norm 1; the rest spread out or along e_1."""
    v = _teacher(dim)
    rest = jax.random.normal(key, (dim,)) if where == "spread out" else jnp.eye(dim)[0]
    rest = rest - jnp.sum(rest * v) * v
    return _OVERLAP * v + (1 - _OVERLAP**2) ** 0.5 * rest / jnp.linalg.norm(rest)


def model(inputs: str, where: str) -> CustomModel:
    """One law of the inputs and one kind of start."""

    def sample(key: jax.Array, dim: int) -> jax.Array:
        return _sample(inputs, key, dim)

    def initial(key: jax.Array, dim: int) -> jax.Array:
        return _start(where, key, dim)

    return CustomModel(loss=_loss, sample=sample, statistics=_overlaps, initial=initial)


def universality(work: Workspace) -> tuple[Figure, list[Check]]:
    """Paths of q for both starts, and the distance from the Gaussian limit against d.

    Below: labels with three laws of noise, of one variance.
    """
    dims = work.size((64, 128, 256), (64, 128, 256, 512, 1024), (16,))
    runs = work.size(32, 128)
    sgd = OnlineSGD(step=_STEP)
    results: dict[tuple[str, str, int], xr.Dataset] = {}
    compared: dict[tuple[str, str, int], Comparison] = {}
    for dim in dims:
        theory = _limit(work, sgd, dim)
        for inputs, where in _CASES:
            name = f"{inputs}-{where}-{dim}".replace(" ", "-")
            results[inputs, where, dim] = ds = work.simulate(
                name, model(inputs, where), sgd, "sgd", dim=dim, time=_TIME, runs=runs, record=21
            )
            # Of another law of inputs on purpose, which ``compare`` would refuse.
            gaussian = theory.assign_attrs(model=ds.attrs["model"])
            compared[inputs, where, dim] = compare(ds, gaussian, level=1e-3, allowed=_BIAS / dim)
    figure, axes = new_figure(2, 3, width=PAGE, height=5.0)
    for axis, where in ((axes[0, 0], "spread out"), (axes[0, 1], "along a coordinate")):
        _paths(axis, results, _limit(work, sgd, dims[-1]), where, dims[-1])
    _distances(axes[0, 2], compared, dims)
    return figure, [*_checks(compared, dims), *label_noise_panels.draw(work, axes[1])]


def _limit(work: Workspace, sgd: OnlineSGD, dim: int) -> xr.Dataset:
    """The Gaussian ODE of m and q from the start that all runs share."""
    start = Statistics(np.zeros(0), [[_OVERLAP]], [[1.0]])
    ode = work.simulate(
        f"ode-{dim}", committee(1, 1, "erf", noise=0.0), sgd, "ode", dim=dim, time=_TIME, runs=1,
        initial=start, record=21,
    )  # fmt: skip
    return xr.Dataset(
        {"m": ode["M"].isel(neuron=0, direction=0), "q": ode["Q"].isel(neuron=0, other_neuron=0)},
        attrs=ode.attrs,
    )


def _paths(axis: Axes, results: dict, theory: xr.Dataset, where: str, dim: int) -> None:
    colours = {"Gaussian": "simulation", "Rademacher": "second", "uniform": "third"}
    for inputs, colour in colours.items():
        if (inputs, where, dim) in results:
            band(axis, results[inputs, where, dim]["q"], COLOURS[colour], label=f"{inputs}, SGD")
            mean = results[inputs, where, dim]["q"].mean("run")
            axis.plot(mean["time"], mean, color=COLOURS[colour], lw=0.9)
    axis.plot(theory["time"], theory["q"][0], "k--", label=f"Gaussian ODE, $d={dim}$")
    axis.set(xlabel="$t$", ylabel=r"$q = |w|^2$", ylim=(0.3, 1.1))
    axis.set_title("      " + ("spread-out start" if where == "spread out" else "coordinate start"))
    axis.legend(loc="lower right")


def _distances(axis: Axes, compared: dict, dims: tuple[int, ...]) -> None:
    colours = {"Gaussian": "simulation", "Rademacher": "second", "uniform": "third"}
    for inputs, where in _CASES:
        each = [compared[inputs, where, dim] for dim in dims]
        low, high = np.array([c.distance_band for c in each]).T
        distance = np.array([c.distance for c in each])
        spread = where == "spread out"
        axis.errorbar(dims, distance, [0 * low, high - distance], ms=3.5, capsize=2,
                      fmt="o-" if spread else "s--", lw=0.9, color=COLOURS[colours[inputs]],
                      label=f"{inputs}, {'spread' if spread else 'coordinate'}")  # fmt: skip
    grid = np.array(dims, dtype=float)
    axis.plot(grid, _BIAS / grid, color=COLOURS["flow"], label="allowed, $6/d$")
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="$d$",
        ylabel="sup-distance of the mean",
        ylim=(3e-4, 0.3),
    )
    axis.set_xticks(dims, [str(d) for d in dims])
    axis.minorticks_off()
    axis.legend(loc="lower left", fontsize=6)


def _checks(compared: dict, dims: tuple[int, ...]) -> list[Check]:
    checks = []
    for inputs, where in _CASES:
        last = compared[inputs, where, dims[-1]]
        low, high = last.distance_band
        universal = inputs == "Gaussian" or where == "spread out"
        rule = f"sup-distance {last.distance:.3f} in [{low:.3f}, {high:.3f}], allowed 6/d"
        passed = last.agrees if universal else not last.agrees
        verb = "follows" if universal else "leaves"
        checks.append(
            holds(f"{inputs} inputs, start {where}, d = {dims[-1]}: {verb} the Gaussian ODE", "–",
                  passed, rule)
        )  # fmt: skip
    return checks
