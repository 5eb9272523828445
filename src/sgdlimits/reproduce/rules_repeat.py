"""Repeated samples and alternating layers: a cubic teacher is learned in O(dim) steps, up to a log.

ReLU student, teacher He_3/sqrt(6), correlation loss, unit rows, step 0.5 (the setting of Dandi et
al. 2024, with one gradient ahead of itself). Plain SGD does not learn it: y has no part along f.

Alternating: the second layer starts every step at nothing (a ridge that takes it all away) and
first learns v = rate y relu(s) from the sample, so that the first layer then sees the loss
-rate y² relu(s)², and y² f has a part along f. Near m = 0, with kappa = step * rate and samples per
dimension for time, m grows at the rate

    kappa (E[y² f²]/2 - E[y²]/2) - kappa² E[y⁴]/4 = 3 kappa - 23.25 kappa².
"""

import warnings

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms import rules
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.data.teacher import Teacher
from sgdlimits.limits.adequate import InaccurateWarning
from sgdlimits.limits.effective_dynamics import effective_dynamics
from sgdlimits.models.losses import correlation
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.models.network import Network
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.checks import Check, equal, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.overlaps import Statistics

_STEP, _LEVEL, _SAMPLES = 0.5, 0.5, 30.0  # samples per dimension
_KAPPA, _LONGER, _LEFT = 0.04, 50.0, 0.3  # |m| that has left its random start
_GROWTH = 3 * _KAPPA - 23.25 * _KAPPA**2
_EXITS = {100: 15.8, 400: 17.8, 1600: 18.2}
_DRIFTS = {0.0: 0.0, 0.25: -0.049, 0.5: -0.053, 1.0: -0.0402, 2.0: -0.016}


def _cubic(f, z):
    return (f**3 - 3 * f) / 6**0.5


def _relu(v, s):
    return jnp.maximum(s[0], 0.0)


def _model() -> MultiIndexModel:
    network = Network(_relu, width=1, layer=0, kinks=(0.0,))
    return MultiIndexModel(data=Teacher(_cubic, gram=((1.0,),)), network=network, loss=correlation)


def _trained(v, s):
    return v[0] * jnp.maximum(s[0], 0.0)


def _alternating(dim: int) -> tuple[MultiIndexModel, OnlineSGD]:
    """A second layer of one number, which forgets all before every step."""
    rate = _KAPPA / _STEP
    network = Network(_trained, width=1, layer=1, kinks=(0.0,))
    teacher = Teacher(_cubic, gram=((1.0,),))
    model = MultiIndexModel(data=teacher, network=network, loss=correlation, ridge=1 / rate)
    return model, OnlineSGD(
        _STEP, rule=rules.alternate(), spherical=True, second_layer_rate=rate * dim / _STEP
    )


def repeated_samples(work: Workspace) -> tuple[Figure, list[Check]]:
    """|m| against samples per dimension: repeated, plain, alternating; the drift at m = 0."""
    figure, axes = new_figure(1, 3, width=PAGE, height=2.5)
    checks = [*_exits(work, axes[0, 0]), *_alternated(work, axes[0, 1])]
    return figure, [*checks, *_drifts(axes[0, 2])]


def _exits(work: Workspace, axis: Axes) -> list[Check]:
    checks, time = [], _SAMPLES * _STEP
    for dim, runs in zip(
        _EXITS, work.size((256, 128, 64), (1024, 512, 256), (4, 4, 4)), strict=True
    ):
        dim_used = work.size(dim, dim, 30)
        for rule, style in ((rules.repeat(1.0), "-"), (None, ":")):
            sgd = OnlineSGD(_STEP, rule=rule, spherical=True)
            result = work.simulate(
                f"{dim}-{'plain' if rule is None else 'repeated'}", _model(), sgd, "chain",
                dim=dim_used, time=work.size(time, time, 1.0), runs=runs, record=121,
            )  # fmt: skip
            size, samples = np.abs(result["M"].values[..., 0, 0]), result["time"].values / _STEP
            shade = 0.35 + 0.3 * list(_EXITS).index(dim)
            axis.plot(samples, np.median(size, axis=0), style, color=str(1 - shade),
                      label=f"$d={dim_used}$" if rule else None)  # fmt: skip
            out = size > _LEVEL
            exits = np.where(out.any(1), samples[out.argmax(1)], np.inf)
            if rule is None:
                checks.append(holds(f"plain SGD, d = {dim}: most runs stay", "no exit in O(d)",
                                    dim < 400 or bool(np.isinf(exits).mean() > 0.9),
                                    f"{np.isinf(exits).mean():.0%} stay"))  # fmt: skip
                continue
            middle = float(np.median(exits))
            # A median of n exits whose middle half spans 3 has an error of 3/sqrt(n) at most.
            allowed = 4 * 3.0 / runs**0.5
            checks.append(holds(f"median exit of |m| > 0.5, d = {dim}", f"{_EXITS[dim]}",
                                abs(middle - _EXITS[dim]) < allowed,
                                f"{middle:.1f}, allowed ± {allowed:.1f}"))  # fmt: skip
    axis.set_xlabel("samples per dimension")
    axis.set_ylabel(r"median $|m|$")
    axis.set_title("repeated; dotted: plain")
    axis.legend(fontsize=6)
    return checks


def _alternated(work: Workspace, axis: Axes) -> list[Check]:
    """The second layer first."""
    checks = []
    for dim, runs in zip(_EXITS, work.size((128, 64, 64), (512, 256, 128), (4,)), strict=False):
        dim_used = work.size(dim, dim, 30)
        model, sgd = _alternating(dim_used)
        result = work.simulate(
            f"{dim}-alternating", model, sgd, "chain", dim=dim_used, record=126, runs=runs,
            time=work.size(_LONGER, _LONGER, 2.0) * _STEP,
        )  # fmt: skip
        size, samples = np.abs(result["M"].values[..., 0, 0]), result["time"].values / _STEP
        shade = 0.35 + 0.3 * list(_EXITS).index(dim)
        axis.plot(samples, np.median(size, axis=0), color=str(1 - shade), label=f"$d={dim_used}$")
        start = 0.6745 / dim_used**0.5  # the median of |m|
        grown = start * np.exp(_GROWTH * samples)
        axis.plot(samples[grown < _LEFT], grown[grown < _LEFT], ":", color=COLOURS["second"],
                  label="growth near 0" if dim == min(_EXITS) else None)  # fmt: skip
        out = size > _LEFT
        middle = float(np.median(np.where(out.any(1), samples[out.argmax(1)], np.inf)))
        bound = float(np.log(_LEFT / start) / _GROWTH)
        checks.append(holds(
            f"alternating layers: median exit of |m| > {_LEFT:g}, d = {dim}", "O(d log d)",
            0.3 * bound < middle < 1.2 * bound,
            f"{middle:.1f}; growth near 0 without noise {bound:.1f}, allowed 0.3 to 1.2 of it",
        ))  # fmt: skip
    axis.set_xlabel("samples per dimension")
    axis.set_ylabel(r"median $|m|$")
    axis.set_title("alternating layers")
    axis.legend(fontsize=6)
    return checks


def _drifts(axis: Axes) -> list[Check]:
    found, u = [], Statistics(jnp.zeros(0), [[0.0]], [[1.0]])
    for eta in _DRIFTS:
        sgd = OnlineSGD(_STEP, rule=rules.repeat(eta), spherical=True)
        with warnings.catch_warnings():  # of E[g gᵀ], which this drift does not contain
            warnings.simplefilter("ignore", InaccurateWarning)
            found.append(float(effective_dynamics(_model(), sgd).drift(u).M[0, 0]))
    axis.plot(list(_DRIFTS), found, "o-", color=COLOURS["theory"])
    axis.axhline(0.0, color=COLOURS["flow"], lw=0.7)
    axis.set_xlabel(r"$\eta$")
    axis.set_ylabel(r"$\dot m$ at $m=0$")
    return [
        equal(
            f"drift at m = 0, eta = {eta}", "Monte Carlo of single steps", expected, value, 2.5e-3
        )
        for (eta, expected), value in zip(_DRIFTS.items(), found, strict=True)
    ]
