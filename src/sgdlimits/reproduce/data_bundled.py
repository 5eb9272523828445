"""Real data: laws are estimated, SGD predicted, and compared with SGD on the samples.

``data-digits``: images, even digits against odd, ten classes of Gaussian noise. ``data-tabular``:
tumours (two classes, logistic regression) and the progress of diabetes (linear regression). Risks
are means over all samples; SGD draws from them with repetition, so that they are the population.
"""

import warnings
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.data.estimated import SamplesWarning, estimate
from sgdlimits.engines.ode import ODE
from sgdlimits.models.losses import squared
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.models.network import Network
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.bundled_data import Runs, Table, load, on_samples
from sgdlimits.reproduce.checks import Check, holds
from sgdlimits.reproduce.workspace import Workspace
from sgdlimits.statistics.block_overlaps import BlockStatistics

_ALLOWED = 0.15  # relative: where the Gaussian law may be off and still count as a prediction


class _Case(NamedTuple):
    """One set of data with its network."""

    name: str
    table: Table
    law: Any
    model: Any
    step: float
    time: float
    labels: np.ndarray  # as the loss is given them


def digits(work: Workspace) -> tuple[Figure, list[Check]]:
    """Even against odd digits: two neurons of tanh, and a linear output for comparison."""
    table = load("digits")
    # The mean image has twice the square of all that varies, and the steps would be its own.
    table = Table(table.X - table.X.mean(0), table.y)
    values = np.array([1.0, -1.0])[np.arange(10) % 2]
    law = _estimated(table, label=lambda i: values[i])
    labels = values[table.y.astype(int)][:, None]
    networks = {
        "linear": Network(_linear, width=1, layer=0),
        "two neurons": Network(_neurons, width=2, layer=0),
    }
    networks = dict(list(networks.items())[: work.size(2, 2, 1)])
    figure, axes = new_figure(1, len(networks), width=PAGE, height=2.6)
    checks = []
    for axis, (name, network) in zip(axes[0], networks.items(), strict=True):
        model = MultiIndexModel(data=law, network=network, loss=squared)
        case = _Case(f"digits, {name}", table, law, model, 0.1, work.size(12.0, 50.0, 0.5), labels)
        checks += _compare(work, axis, case)
    checks.append(_said(law, "digits"))
    return figure, checks


def tables(work: Workspace) -> tuple[Figure, list[Check]]:
    """Logistic regression of tumours, linear regression of diabetes."""
    figure, axes = new_figure(1, 2, width=PAGE, height=2.6)
    checks = []
    for axis, name in zip(axes[0], ("breast_cancer", "diabetes"), strict=True):
        table = load(name)
        if name == "diabetes":
            centred = (table.y - table.y.mean()) / table.y.std()
            table, loss, step, time = Table(table.X, centred), squared, 0.3, 30.0
        else:
            logs = np.log(np.maximum(table.X, 1e-3))  # sizes of cells have long tails
            logs = (logs - logs.mean(0)) / logs.std(0)
            table, loss, step, time = Table(logs, table.y), _cross_entropy, 0.3, 30.0
        law = _estimated(table, blocks=table.X.shape[1])
        model = MultiIndexModel(data=law, network=Network(_linear, width=1, layer=0), loss=loss)
        time = work.size(time, 3 * time, 0.5)
        case = _Case(name, table, law, model, step, time, table.y[:, None])
        checks += [*_compare(work, axis, case), _said(law, name)]
    return figure, checks


def _linear(v: Array, s: Array) -> Array:
    return s[0]


def _neurons(v: Array, s: Array) -> Array:
    return jnp.tanh(s[0]) + jnp.tanh(s[1])


def _cross_entropy(output: Array, label: Array) -> Array:
    return jnp.logaddexp(0.0, output) - label[0] * output


def _estimated(table: Table, **options: Any) -> Any:
    with warnings.catch_warnings():  # what it warns of is in the checks
        warnings.simplefilter("ignore", SamplesWarning)
        return estimate(table.X, table.y, **options)


def _said(law: Any, name: str) -> Check:
    """What the law knows that it cannot hold."""
    r = law.report
    return holds(
        f"{name}: {r.samples} samples of {r.features} features; what the law leaves out", "–",
        np.isfinite([r.apart, r.kurtosis, r.residual]).all(),
        f"{100 * r.apart:.0f} % of squared covariances do not commute, excess kurtosis "
        f"{r.kurtosis:.1f}, {100 * r.residual:.0f} % of the label not linear", exact=True,
    )  # fmt: skip


def _compare(work: Workspace, axis: Axes, case: _Case) -> list[Check]:
    """SGD on the samples; on samples of the law; and the ODE, all from one start."""
    law, X = case.law, case.law.report.coordinates(case.table.X)
    dim, runs = X.shape[1], work.size(16, 64, 2)
    width = case.model.width
    rows = np.random.default_rng(3).standard_normal((width, dim)) * 0.3 / dim**0.5
    real = on_samples(case.model, rows, X, case.labels, case.step, case.time, runs, work.seed)
    start = _start(law, X, case, rows)
    options = {"dim": dim, "time": float(real.times[-1]), "initial": start, "risk": True}
    sgd, slug = OnlineSGD(case.step), case.name.replace(", ", "-").replace(" ", "-")
    gaussian = work.simulate(
        f"{slug}-law", case.model, sgd, "sgd", runs=runs, record=real.times, **options
    )
    ode = work.simulate(
        f"{slug}-ode", case.model, sgd, ODE(errors=False), runs=1,
        record=gaussian["time"].values, **options,
    )  # fmt: skip
    risk = gaussian["risk"].values
    drawn = {"the data": (real.risk, "simulation"), "the Gaussian law": (risk, "second")}
    for name, (values, colour) in drawn.items():
        low, high = np.quantile(values, [0.05, 0.95], axis=0)
        axis.fill_between(real.times, low, high, color=COLOURS[colour], alpha=0.25, lw=0)
        axis.plot(real.times, values.mean(0), "o", ms=2, color=COLOURS[colour],
                  label=f"SGD on {name}")  # fmt: skip
    limit = ode["risk"].values[0]
    axis.plot(real.times, limit, color=COLOURS["theory"], lw=0.9, label="ODE")
    axis.set(xlabel=r"$t$ = samples $\times\,\gamma/d$", ylabel="risk")
    axis.set_title(f"      {case.name}", fontsize=7)
    axis.legend()
    return _verdicts(case, real, risk, limit)


def _verdicts(case: _Case, real: Runs, risk: np.ndarray, limit: np.ndarray) -> list[Check]:
    mean, runs = real.risk.mean(0), len(real.risk)
    error = real.risk.std(0, ddof=1) / runs**0.5
    other = risk.std(0, ddof=1) / runs**0.5
    away = np.abs(risk.mean(0) - mean)
    beyond = away > 4 * np.hypot(error, other)
    first = f"from t = {real.times[beyond.argmax()]:.2g} on" if beyond.any() else "nowhere"
    size = float((away / mean).max())
    theory = np.abs(limit - risk.mean(0)) / limit
    return [
        holds(f"{case.name}: the Gaussian law predicts SGD on the data", "–",
              size < _ALLOWED, f"risk off by at most {100 * size:.1f} %, allowed "
              f"{100 * _ALLOWED:.0f} %; beyond 4 s.e. {first}"),
        holds(f"{case.name}, d = {case.law.report.features}: SGD on the law follows the ODE",
              "theory = SGD", float(theory.max()) < 0.15,
              f"at most {100 * float(theory.max()):.1f} % apart at this d, allowed 15 %"),
    ]  # fmt: skip


def _start(law: Any, X: np.ndarray, case: _Case, rows: np.ndarray) -> BlockStatistics:
    """Overlaps of the rows with what the law calls its frame, block by block."""
    dim = X.shape[1]
    frame = law.report.frame
    parts = np.split(np.arange(dim), np.cumsum(law.covariance.sizes(dim))[:-1])
    return BlockStatistics(
        jnp.zeros(0),
        np.stack([rows[:, part] @ frame[:, part].T for part in parts]),
        np.stack([rows[:, part] @ rows[:, part].T for part in parts]),
    )
