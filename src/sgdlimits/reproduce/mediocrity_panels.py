"""What the figures of Arnaboldi, Krzakala, Loureiro and Stephan (2023) share."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.analysis.compare import compare
from sgdlimits.analysis.exit_time import drop_time
from sgdlimits.models.committees_zoo import phase_retrieval
from sgdlimits.plots import COLOURS, band
from sgdlimits.reproduce.checks import Check, agree, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

PAPER_TIME = r"$t = \nu\gamma/(pd)$"
RISK = r"$\mathcal{R} - \Delta/2$"
_MOST_CENSORED = 0.01  # of the runs
_RISK_BIAS = 10.0  # of the SDE, relative and over dim: the next order
_LEVEL = 1e-3


class Exit(NamedTuple):
    """Mean exit time over runs, its standard error, and that nearly all runs exit."""

    mean: float
    error: float
    complete: Check


class Engines(NamedTuple):
    """One start in all engines: time as in the paper, ``risk`` without Delta/2."""

    sgd: xr.Dataset
    chain: xr.Dataset
    sde: xr.Dataset
    ode: xr.Dataset


def typical_start(width: int, dim: int) -> Statistics:
    """One start with overlaps of the size of a random one: all M_j and Q_jl are dim^-1/2."""
    size = dim**-0.5
    q = (1 - size) * np.eye(width) + size
    return Statistics(jnp.zeros(0), jnp.full((width, 1), size), jnp.asarray(q))


def in_paper_time(dataset: xr.Dataset, width: int, noise: float) -> xr.Dataset:
    """Time divided by the width, and the risk without Delta/2."""
    return dataset.assign(risk=dataset["risk"] - noise / 2).assign_coords(
        time=dataset["time"] / width
    )


def mean_exit(dataset: xr.Dataset, drop: float) -> Exit:
    """Over runs, of a dataset whose ``risk`` is the excess risk."""
    result = drop_time(dataset, drop)
    times, censored = result["time"].values, int(result["censored"].sum())
    kept = times[np.isfinite(times)]
    total = len(times)
    check = holds(
        f"runs without exit, {dataset.attrs['engine']} at d = {dataset.attrs['dim']}", "–",
        censored <= _MOST_CENSORED * total, f"{censored} of {total}; left out of the mean",
    )  # fmt: skip
    error = kept.std(ddof=1) / len(kept) ** 0.5 if len(kept) > 1 else 0.0
    return Exit(float(kept.mean()), float(error), check)


def one_start(
    work: Workspace, width: int, step: float, noise: float, dim: int, horizon: float
) -> Engines:
    """SGD, chain, SDE and ODE from ``typical_start``, up to ``horizon`` in the paper's time.

    Real SGD, for the eye, up to half of it.
    """
    model, sgd = phase_retrieval(width, noise), OnlineSGD(step, True)
    dt = work.size(2e-3, 2e-3, 2e-2) * width  # of the SDE

    def run(engine: str, runs: int, share: float = 1.0, **options) -> xr.Dataset:
        dataset = work.simulate(
            f"start-{engine}", model, sgd, engine, dim=dim, time=share * horizon * width, runs=runs,
            initial=typical_start(width, dim), record=401, **options,
        )  # fmt: skip
        return in_paper_time(dataset, width, noise)

    return Engines(
        run("sgd", work.size(4, 16), 0.5, dtype="float32"),
        run("chain", work.size(256, 4096)),
        run("sde", work.size(256, 4096), dt=dt),
        run("ode", 1),
    )


def same_risk(chain: xr.Dataset, sde: xr.Dataset) -> Check:
    """Mean risk of exact SGD and of the SDE at all times."""
    dim = chain.attrs["dim"]
    allowed = _RISK_BIAS / dim * float(chain["risk"].max())
    whole = compare(chain, sde, statistics=["risk"], level=_LEVEL, allowed=allowed)
    return agree(f"risk at all times, d = {dim}: SDE against SGD", "the same", whole)


def draw_engines(axis: Axes, engines: Engines, drop: float) -> None:
    """Risk of some real SGD runs, bands of chain and SDE over runs, the ODE, and mean exits."""
    sgd, chain, sde, ode = engines
    band(axis, chain["risk"], COLOURS["simulation"], label="SGD, exact law, 5–95 %")
    for quantile in (0.05, 0.95):
        label = "SDE, 5–95 %" if quantile < 0.5 else None
        axis.plot(sde["time"], sde["risk"].quantile(quantile, "run"), "--", lw=1,
                  color=COLOURS["second"], label=label)  # fmt: skip
    for i in range(min(4, sgd.sizes["run"])):
        axis.plot(sgd["time"], sgd["risk"][i], color=COLOURS["simulation"], lw=0.5, alpha=0.8,
                  label="SGD, real vectors" if i == 0 else None)  # fmt: skip
    axis.plot(ode["time"], ode["risk"][0], color=COLOURS["theory"], label="ODE")
    start = float(ode["risk"][0, 0])
    for dataset, colour, height in ((chain, "simulation", 0.15), (sde, "second", 0.1),
                                    (ode, "theory", 0.05)):  # fmt: skip
        axis.plot([mean_exit(dataset, drop).mean] * 2, [0, height * start],
                  color=COLOURS[colour], lw=1.5)  # fmt: skip
    axis.axhline((1 - drop) * start, color=COLOURS["flow"], lw=0.7)
    axis.plot([], [], color="grey", lw=1.5, label=r"bars: mean $t_{\mathrm{ext}}$")
    axis.set_xlabel(PAPER_TIME)
    axis.set_ylabel(RISK)
    axis.set_ylim(0, None)
    axis.set_xlim(0, float(sgd["time"][-1]))
