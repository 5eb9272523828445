"""One process, several magnifications, one call."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import jax
import numpy as np
import xarray as xr

from sgdlimits import __version__, _resources, _validate
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.engines.base import AbstractEngine, Problem
from sgdlimits.engines.choose import choose
from sgdlimits.engines.sizes import count
from sgdlimits.engines.table import ENGINES, FULL_ENGINES
from sgdlimits.limits.mean_field import MeanField
from sgdlimits.models.base import Model
from sgdlimits.process.process import Process
from sgdlimits.provenance import describe
from sgdlimits.simulation.ensemble import (
    Ensemble,
    SimulationInterrupted,
    check_memory,
    check_records,
    check_runs,
)
from sgdlimits.simulation.grid import Grid
from sgdlimits.simulation.observe import Observer, Observing, check_observers
from sgdlimits.simulation.places import folder_of
from sgdlimits.simulation.result import Recorder, attributes
from sgdlimits.statistics.base import AbstractStatistics

__all__ = ["FULL_ENGINES", "SimulationInterrupted", "simulate"]

_OF_SGD = "it is the algorithm's: give sgd=OnlineSGD(...)"
#: What arguments are called elsewhere.
_WORDS = {
    **dict.fromkeys(("lr", "learning_rate", "step", "batch", "batch_size", "momentum"), _OF_SGD),
    **dict.fromkeys(("schedule", "rule", "spherical", "optimizer"), _OF_SGD),
    **dict.fromkeys(
        ("T", "t", "steps", "n_steps", "epochs", "horizon"), "give time, steps*step/dim"
    ),
    **dict.fromkeys(("d", "n", "dimension", "p"), "give dim"),
    **dict.fromkeys(("n_runs", "replicates", "samples", "trials"), "give runs"),
    **dict.fromkeys(("rng", "key", "random_state"), "give seed, an integer"),
    **dict.fromkeys(("times", "save_at", "saveat", "record_every"), "give record"),
    **dict.fromkeys(("save_to", "path", "folder", "output"), "give out"),
    **dict.fromkeys(("callbacks", "callback", "observers"), "give observe"),
    **dict.fromkeys(("init", "u0", "start", "x0"), "give initial"),
    **dict.fromkeys(("method", "solver", "backend"), "give engine"),
}


@runtime_checkable
class Simulates(Protocol):
    """What knows how to simulate itself: several models one after the other."""

    def simulate(self, sgd: OnlineSGD | None, engine: Any, **options: Any) -> xr.Dataset:
        """The result."""
        ...


@_validate.with_words(_WORDS)
def simulate(
    model: Model | Simulates,
    sgd: OnlineSGD | None = None,
    engine: str | AbstractEngine = "chain",
    *,
    dim: int,
    time: float | None = None,
    runs: int = 1,
    seed: int = 0,
    initial: AbstractStatistics | None = None,
    record: int | np.ndarray = 101,
    first_run: int = 0,
    dtype: str | None = None,
    literal: bool | None = None,
    dt: float | None = None,
    risk: bool | None = None,
    mean_field: MeanField | None = None,
    observe: Sequence[Observer] = (),
    progress: bool | None = None,
    out: str | Path | None = None,
) -> xr.Dataset:
    """Simulate the summary statistics of online SGD with one of the engines.

    Args:
        model: what is learned, for example ``SpikedTensor()``; or a ``Protocol`` of tasks.
        sgd: the algorithm; default ``OnlineSGD()``.
        engine: "sgd" (real vectors), "chain" (the exact law of the statistics), "sde" (drift and
            noise to leading order in 1/dim), "ode" (dim -> infinity) or "mean_field" (committees:
            width -> infinity too, at a cost linear in the width; results hold v, M and q). Or one
            of ``sgdlimits.engines`` with its options, such as ``ODE(rtol=1e-6)``.
        dim: dimension of the data. The ODE uses it only for the initial law and the time grid.
        time: horizon, in units of steps * step / dim; rounded to whole steps. None for a
            ``Protocol``, whose tasks have times.
        runs: number of independent runs.
        seed: integer seed; decides everything. Engines with one seed share initial conditions.
        initial: statistics to start from, one state or one per run; default: the papers' random
            start, ``initial(model, dim, runs, seed)``.
        record: number of equally spaced records, or a list of times. Times are rounded to whole
            steps; the start and the end are always recorded.
        first_run: number of the first run: ensembles simulated in pieces fit together.
        dtype, literal, dt, mean_field: the engine's options beside its name: ``engines.SGD(dtype,
            literal)``, ``engines.SDE(dt)``, and for engine "mean_field" a ``MeanField`` that says
            which terms are kept. Default: as the engine says.
        risk: add the population risk at each record as the variable ``risk``; default: for
            committees, where it costs little.
        observe: functions of a ``Snapshot`` of real parameters that engine "sgd" calls at every
            recorded time, such as ``spectra.Spectrum``. What they return, names with arrays, joins
            the result.
        progress: show a progress bar; default: when standard error is a terminal.
        out: folder to keep the result in. Finished parts are written as they are done, and the
            same call resumes there after an interruption.

    Returns:
        Dataset with one variable per statistic, dims (run, time, ...), coordinates time and step,
        ``diverged`` (run) with the time of divergence, and provenance in ``attrs``.

    Raises:
        TypeError, ValueError: for bad input, before any work starts.
        FileExistsError: if ``out`` holds another run.
        SimulationInterrupted: on an interrupt; what was recorded is in its ``partial``.

    Warns:
        DivergenceWarning: if runs left the range of floating point.
    """
    _check_places(progress, out)
    if isinstance(model, Simulates):
        return model.simulate(
            sgd, engine, dim=dim, time=time, runs=runs, seed=seed, initial=initial, record=record,
            first_run=first_run, dtype=dtype, literal=literal, dt=dt, mean_field=mean_field,
            observe=observe, progress=progress, out=out,
        )  # fmt: skip
    time = _validate.positive("time", time)
    checked = check(
        cast(Model, model), sgd, engine, dim=dim, time=time, runs=runs, seed=seed, initial=initial,
        record=record, first_run=first_run, dtype=dtype, literal=literal, dt=dt, risk=risk,
        mean_field=mean_field, observe=observe, keeps=out is not None,
    )  # fmt: skip
    return checked.ensemble().run(progress, out)


class Checked(NamedTuple):
    """A simulation that can be run: nothing is compiled, and nothing is large."""

    problem: Problem
    engine: AbstractEngine
    numbers: np.ndarray
    config: dict[str, Any]
    given: AbstractStatistics | None
    observing: Observing | None
    wants_risk: bool

    def ensemble(self) -> Ensemble:
        """All that it takes."""
        problem, engine = self.problem, self.engine
        plan = engine.plan(problem, len(self.numbers))
        check_memory(plan)
        given = self.given
        return Ensemble(
            plan=plan,
            run_lane=engine.prepare(problem, plan.lane),
            start=engine.start(problem, self.numbers) if given is None else given,
            numbers=self.numbers,
            grid=problem.grid,
            config=self.config,
            finish=partial(_finished, problem, engine if self.wants_risk else None),
            observing=self.observing,
            solves=engine.solves,
        )

    def likeness(self) -> xr.Dataset:
        """A dataset with names and sizes of the result, and any numbers: without errors."""
        runs, grid = len(self.numbers), self.problem.grid
        one = self.engine.template(self.problem.process)
        start = jax.tree.map(lambda x: np.broadcast_to(x, (runs, *x.shape)), one)
        recorder = Recorder(start, len(grid.steps))
        rng = np.random.default_rng(0)
        for values in recorder.values.values():
            values[:] = rng.uniform(0.1, 1.0, values.shape)
        dataset = recorder.dataset(self.numbers, grid, attributes(self.config))
        if self.wants_risk:
            risk = rng.uniform(0.1, 1.0, (runs, len(grid.steps)))
            dataset = dataset.assign(risk=(("run", "time"), risk))
        return dataset


def check(
    model: Model,
    sgd: OnlineSGD | None = None,
    engine: str | AbstractEngine = "chain",
    *,
    dim: int,
    time: float,
    runs: int = 1,
    seed: int = 0,
    initial: AbstractStatistics | None = None,
    record: int | np.ndarray = 101,
    first_run: int = 0,
    dtype: str | None = None,
    literal: bool | None = None,
    dt: float | None = None,
    risk: bool | None = None,
    mean_field: MeanField | None = None,
    observe: Sequence[Observer] = (),
    keeps: bool = False,
) -> Checked:
    """The arguments of ``simulate``, or its errors."""
    process = _process(model, sgd)
    chosen = choose(engine, dtype=dtype, literal=literal, dt=dt, mean_field=mean_field)
    algorithm, process = process.algorithm, chosen.view(process)
    dim = chosen.check(process, dim)
    observers = check_observers(observe, chosen, process.model, dim, keeps=keeps)
    wants_risk = _wants_risk(process, risk)
    delta = process.delta(dim)
    check_records(_state_size(process, chosen), runs, Grid.records(time, delta, record))
    grid = Grid.create(time, delta, record)
    if chosen.steps_like_sgd:
        steps = float(grid.steps[-1])
        _resources.check_steps(
            f"time={time!r} at dim={dim}", steps, "lower time or dim, or use engine='ode'"
        )
    numbers, seed = check_runs(runs, first_run, seed)
    problem = Problem(process, dim, seed, grid, initial)
    given = None if initial is None else chosen.start(problem, numbers)
    config = _config(problem, chosen, numbers) | {"algorithm": describe(algorithm)}
    if risk is not None:
        config["risk"] = risk
    observing = None
    if observers:
        config["observe"] = [describe(o) if keeps else repr(o) for o in observers]
        observing = Observing(
            observers, process.model, process.algorithm, dim, seed, chosen.precision, grid
        )
    return Checked(problem, chosen, numbers, config, given, observing, wants_risk)


def _process(model: object, sgd: object) -> Process:
    """Of the model under the algorithm; by default plain SGD of step 1."""
    if isinstance(sgd, str) and sgd in ENGINES:
        raise TypeError(f"sgd={sgd!r}: expected an OnlineSGD; choose an engine by engine={sgd!r}.")
    return Process(model, OnlineSGD() if sgd is None else sgd)  # pyright: ignore[reportArgumentType]


def _state_size(process: Process, engine: AbstractEngine) -> int:
    """Numbers in one state of the results."""
    return count(jax.eval_shape(lambda: engine.template(process)))


def _check_places(progress: object, out: object) -> None:
    if progress is not None:
        _validate.boolean("progress", progress)
    if out is not None:
        folder_of("out", out)


def _wants_risk(process: Process, risk: object) -> bool:
    if risk is None:
        return process.model.records_risk
    if _validate.boolean("risk", risk) and not process.model.has_risk:
        raise ValueError(f"risk=True: {type(process.model).__name__} does not say its risk.")
    return bool(risk)


def _finished(problem: Problem, of_risk: AbstractEngine | None, dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with what follows from its statistics; the risk, if an engine is given."""
    if of_risk is not None:
        dataset = of_risk.with_risk(problem, dataset)
    return problem.process.model.completed(dataset)


def _config(problem: Problem, engine: AbstractEngine, numbers: np.ndarray) -> dict[str, Any]:
    """Everything that decides the result, as plain data."""
    return {
        "model": describe(problem.process.model),
        "algorithm": describe(problem.process.algorithm),
        "dim": problem.dim,
        "runs": len(numbers),
        "first_run": int(numbers[0]),
        "seed": problem.seed,
        "initial": describe(problem.initial),
        "steps": describe(problem.grid.steps),
        **engine.identity(),
        "version": __version__,
    }
