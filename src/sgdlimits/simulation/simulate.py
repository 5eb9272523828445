"""One process, several magnifications, one call."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from sgdlimits import __version__, _validate
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.engines import mean_field as reduced
from sgdlimits.engines import sde
from sgdlimits.engines.chain import run_chain
from sgdlimits.engines.ode import run_ode, solution_error
from sgdlimits.engines.path import Advanced, Record
from sgdlimits.engines.sgd import run_sgd
from sgdlimits.limits.diffusion import AbstractDiffusion, WeakNoiseDiffusion
from sgdlimits.limits.mean_field import MeanField
from sgdlimits.limits.rescaled import RescaledDynamics
from sgdlimits.models.base import AbstractModel, Model, check_model
from sgdlimits.models.committee import Committee
from sgdlimits.process.initial import check_dim, draw_initial
from sgdlimits.provenance import describe
from sgdlimits.randomness.streams import check_seed, run_keys
from sgdlimits.simulation import memory
from sgdlimits.simulation.grid import Grid
from sgdlimits.simulation.lanes import (
    lane_of_diffusions,
    lane_of_solutions,
    lane_of_statistics,
    lane_of_vectors,
    lanes,
)
from sgdlimits.simulation.observe import Observer, Observing, check_observers
from sgdlimits.simulation.progress import progress_bar
from sgdlimits.simulation.result import DivergenceWarning, Recorder, attributes
from sgdlimits.simulation.risk_record import with_risk
from sgdlimits.statistics.base import AbstractStatistics

Engine = Literal["sgd", "chain", "sde", "ode", "mean_field"]
ENGINES: tuple[Engine, ...] = ("sgd", "chain", "sde", "ode", "mean_field")
#: Those whose results hold the model's own statistics.
FULL_ENGINES = ENGINES[:-1]

#: Runs one lane: (start statistics, run numbers, recorded grid, progress) -> records.
_Lane = Callable[[AbstractStatistics, jax.Array, Grid, Advanced], Iterator[Record]]
#: What is added to a finished part of the result.
_Finish = Callable[[xr.Dataset], xr.Dataset]


class SimulationInterrupted(KeyboardInterrupt):
    """A simulation was interrupted; ``partial`` holds what was recorded (NaN where nothing was)."""

    def __init__(self, partial: xr.Dataset):
        super().__init__("interrupted; the records so far are in the attribute 'partial'")
        self.partial = partial


def simulate(
    model: Model,
    sgd: OnlineSGD | None = None,
    engine: str = "chain",
    *,
    dim: int,
    time: float,
    runs: int = 1,
    seed: int = 0,
    initial: AbstractStatistics | None = None,
    record: int | np.ndarray = 101,
    first_run: int = 0,
    dtype: str = "float64",
    literal: bool = False,
    dt: float | None = None,
    risk: bool | None = None,
    mean_field: MeanField | None = None,
    observe: Sequence[Observer] = (),
    progress: bool | None = None,
    out: str | Path | None = None,
) -> xr.Dataset:
    """Simulate the summary statistics of online SGD with one of the engines.

    Args:
        model: what is learned, for example ``SpikedTensor()``.
        sgd: the algorithm; default ``OnlineSGD()``.
        engine: "sgd" (real vectors), "chain" (the exact law of the statistics), "sde" (drift and
            noise to leading order in 1/dim), "ode" (dim -> infinity) or "mean_field" (committees:
            width -> infinity too, at a cost linear in the width; results hold v, M and q).
        dim: dimension of the data. The ODE uses it only for the initial law and the time grid.
        time: horizon, in units of steps * step / dim; rounded to whole steps.
        runs: number of independent runs.
        seed: integer seed; decides everything. Engines with one seed share initial conditions.
        initial: statistics to start from, one state or one per run; default: the papers' random
            start, ``initial(model, dim, runs, seed)``.
        record: number of equally spaced records, or a list of times. Times are rounded to whole
            steps; the start and the end are always recorded.
        first_run: number of the first run: ensembles simulated in pieces fit together.
        dtype: "float64" or "float32", for the vectors of engine "sgd".
        literal: engine "sgd" draws samples as the paper writes them and differentiates the loss,
            instead of an equal law that is cheaper.
        dt: step of engine "sde"; default one SGD step or 0.001, whichever is longer.
        risk: add the population risk at each record as the variable ``risk``; default: for
            committees, where it costs little.
        mean_field: which terms engine "mean_field" keeps; default ``MeanField()``, all of them.
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
    sgd = OnlineSGD() if sgd is None else sgd
    _check_model(model, sgd)
    engine = _validate.one_of("engine", engine, ENGINES)
    if engine == "mean_field":
        dim = reduced.check_dim(model, dim)
    else:
        dim = check_dim(model, dim)
    if mean_field is not None and (engine != "mean_field" or not isinstance(mean_field, MeanField)):
        raise ValueError(
            f"mean_field={mean_field!r}: expected a MeanField, with engine='mean_field'."
        )
    _validate.one_of("dtype", dtype, ("float64", "float32"))
    _validate.boolean("literal", literal)
    _check_options(engine, dtype, literal, dt)
    dt = None if dt is None else _validate.positive("dt", dt)
    _check_chain(model, engine)
    _check_places(progress, out)
    observers = check_observers(observe, engine, keeps=out is not None)
    grid = Grid.create(time, sgd.delta(dim), record)
    numbers, seed = _check_runs(runs, first_run, seed)
    config = _config(model, sgd, engine, dim, numbers, seed, initial, grid, dtype, literal, dt)
    wants_risk = _wants_risk(model, risk)
    if risk is not None:
        config["risk"] = risk
    observing = None
    if observers:
        config["observe"] = [describe(o) if out is not None else repr(o) for o in observers]
        observing = Observing(observers, model, dim, seed, dtype, grid)
    run_lane: _Lane
    if engine == "mean_field":
        reduction = MeanField() if mean_field is None else mean_field
        config["mean_field"] = describe(reduction)
        assert isinstance(model, Committee)  # check_dim has seen to it
        begin = reduced.start(model, sgd, initial, dim, numbers, seed)
        _check_records(begin[0], runs, grid)
        lane = lane_of_solutions(runs)
        run_lane = partial(_mean_field_lane, reduction, model, sgd)
        finish = partial(reduced.with_mean_field_risk, model=model, reduction=reduction)
        finish = finish if wants_risk else None
        return _run(run_lane, lane, begin, numbers, grid, config, 1.0, progress, out, finish)
    if engine == "sgd":
        size = model.literal_sample_size(dim) if literal else _vector_size(model, dim)
        lane = lane_of_vectors(runs, size)
        what = "literal=True" if literal else "engine='sgd'"
        memory.check_fits(
            f"{what} at dim={dim}", 48.0 * lane * size, "lower dim, or use engine='chain'"
        )
        own_start = initial is None and model.starts_from_parameters
        run_lane = partial(_sgd_lane, model, sgd, dim, seed, dtype, literal, own_start)
        work = float(grid.steps[-1])
    elif engine == "chain":
        lane = lane_of_statistics(runs)
        run_lane = partial(_chain_lane, model, sgd, dim, seed)
        work = float(grid.steps[-1])
    elif engine == "sde":
        dt = sde.default_dt(sgd.delta(dim)) if dt is None else dt
        diffusion = WeakNoiseDiffusion(model, sgd, dim)
        lane = lane_of_diffusions(runs, diffusion.noise_model.expectation_size)
        run_lane = partial(_diffusion_lane, diffusion, seed, dt)
        work = float(sde.sub_steps(grid.times, dt))
    else:
        lane = lane_of_solutions(runs)
        run_lane = partial(_ode_lane, model, sgd)
        work = 1.0
    _check_records(model.template, runs, grid)
    start = _start(model, sgd, initial, dim, numbers, seed)
    finish = partial(with_risk, model=model) if wants_risk else None
    return _run(
        run_lane, lane, start, numbers, grid, config, work, progress, out, finish, observing
    )


def sample_diffusion(
    dynamics: RescaledDynamics,
    *,
    initial: AbstractStatistics,
    time: float,
    runs: int = 1,
    seed: int = 0,
    record: int | np.ndarray = 101,
    dt: float = sde.LONGEST_DEFAULT_STEP,
    progress: bool | None = None,
) -> xr.Dataset:
    """Sample paths of a rescaled diffusive limit, ``effective_dynamics(...).rescale(...)``.

    Args:
        dynamics: the diffusion.
        initial: rescaled states to start from (scaled entries magnified), one or one per run.
        time: horizon, in the same units as everywhere.
        runs, seed, record, progress: as in ``simulate``.
        dt: longest time step.

    Returns:
        A dataset as ``simulate`` returns it; scaled statistics are magnified.

    Raises:
        TypeError, ValueError: for bad input, before any work starts.
    """
    if not isinstance(dynamics, RescaledDynamics):
        raise TypeError(f"dynamics={dynamics!r}: expected effective_dynamics(...).rescale(...).")
    dt = _validate.positive("dt", dt)
    time = _validate.positive("time", time)
    numbers, seed = _check_runs(runs, 0, seed)
    grid = Grid.create(time, time / max(1, round(time / dt)), record)
    _check_records(dynamics.model.template, runs, grid)
    config = {
        "model": describe(dynamics.model),
        "algorithm": describe(dynamics.sgd),
        "engine": "rescaled sde",
        "dim": dynamics.dim or "limit",
        "scaled": list(dynamics.scaled_names),
        "centre": describe(dynamics.centre),
        "runs": len(numbers),
        "seed": seed,
        "initial": describe(initial),
        "steps": describe(grid.steps),
        "dt": dt,
        "version": __version__,
    }
    start = _broadcast(initial, runs)
    lane = lane_of_diffusions(runs, dynamics.model.expectation_size)
    run_lane = partial(_diffusion_lane, dynamics, seed, dt)
    work = float(sde.sub_steps(grid.times, dt))
    dataset = _run(run_lane, lane, start, numbers, grid, config, work, progress, None)
    for name in set(dynamics.scaled_names) & set(dataset.data_vars):
        attrs = dataset[name].attrs
        attrs["symbol"] = rf"$\sqrt{{d}}$ {attrs['symbol']}"
        attrs["long_name"] = f"sqrt(dim) times: {attrs['long_name']}"
    return dataset


# -- one lane of each engine -----------------------------------------------------------------------


def _sgd_lane(model, sgd, dim, seed, dtype, literal, own_start, start, numbers, grid, advanced):
    lift_keys, keys = run_keys(seed, "lift", numbers), run_keys(seed, "sgd", numbers)
    # The keys behind ``start``, so that its statistics are those of the parameters.
    initial_keys = run_keys(seed, "initial", numbers) if own_start else None
    return run_sgd(
        model, sgd, dim, start, lift_keys, keys, grid.steps, advanced,
        dtype=dtype, literal=literal, initial_keys=initial_keys,
    )  # fmt: skip


def _chain_lane(model, sgd, dim, seed, start, numbers, grid, advanced):
    keys = run_keys(seed, "chain", numbers)
    return run_chain(model, sgd, dim, start, keys, grid.steps, advanced)


def _diffusion_lane(
    diffusion: AbstractDiffusion, seed: int, dt: float, start, numbers, grid, advanced
):
    keys = run_keys(seed, "sde", numbers)
    records = sde.run_diffusion(diffusion, start, keys, grid.times, dt, advanced)
    # Weak noise: to leading order the error of a path is that of the ODE from the same start.
    error = solution_error(diffusion.model, diffusion.sgd, start, grid.times)
    for record in records:
        if error is not None:
            record = record._replace(error=start.with_vector(jnp.asarray(error[record.slot])))
        yield record


def _ode_lane(model, sgd, start, numbers, grid, advanced):
    return run_ode(model, sgd, start, grid.times, advanced)


def _mean_field_lane(reduction, model, sgd, start, numbers, grid, advanced):
    return reduced.run_mean_field(reduction, model, sgd, start, grid.times, advanced)


def _vector_size(model: Model, dim: int) -> int:
    """Numbers in the real parameters of one run."""
    key = jax.random.key(0)
    shapes = jax.eval_shape(lambda: model.lift(key, model.template, model.frame(dim)))
    return sum(x.size for x in jax.tree.leaves(shapes))


# -- checks ----------------------------------------------------------------------------------------


def _check_model(model: object, sgd: object) -> None:
    check_model(model)
    if not isinstance(sgd, OnlineSGD):
        named = isinstance(sgd, str) and sgd in ENGINES
        hint = f"; choose an engine by engine={sgd!r}" if named else ""
        hint = "; call it first: OnlineSGD()" if sgd is OnlineSGD else hint
        raise TypeError(f"sgd={sgd!r}: expected an OnlineSGD{hint}.")
    model.check_algorithm(sgd)  # type: ignore[attr-defined]


def _check_options(engine: str, dtype: str, literal: bool, dt: float | None) -> None:
    if engine != "sgd" and dtype != "float64":
        raise ValueError(f"dtype={dtype!r}: engine={engine!r} computes in float64; leave it out.")
    if engine != "sgd" and literal:
        raise ValueError(f"literal=True: engine={engine!r} draws no samples; use engine='sgd'.")
    if engine != "sde" and dt is not None:
        raise ValueError(f"dt={dt!r}: engine={engine!r} has no time step to choose; leave it out.")


def _check_chain(model: Model, engine: str) -> None:
    if engine == "chain" and not model.has_chain:
        raise ValueError(
            f"engine='chain': {type(model).__name__} has no exact chain; use 'sgd', 'ode' or 'sde'."
        )


def _wants_risk(model: Model, risk: object) -> bool:
    if risk is None:
        return model.records_risk
    if _validate.boolean("risk", risk) and type(model).risk is AbstractModel.risk:
        raise ValueError(f"risk=True: {type(model).__name__} does not say its risk.")
    return bool(risk)


def _check_places(progress: object, out: object) -> None:
    if progress is not None:
        _validate.boolean("progress", progress)
    if out is not None and not isinstance(out, str | Path):
        raise TypeError(f"out={out!r}: expected the path of a folder.")


def _check_runs(runs: object, first_run: object, seed: object) -> tuple[np.ndarray, int]:
    count = _validate.integer("runs", runs, 1)
    memory.check_fits(f"runs={runs!r}", 8.0 * count, "lower runs")
    first = _validate.integer("first_run", first_run, 0, 2**31 - 1 - count)
    return first + np.arange(count), check_seed(seed)


def _check_records(state: AbstractStatistics, runs: int, grid: Grid) -> None:
    numbers = sum(x.size for x in jax.tree.leaves(state))
    size = 2 * 8.0 * runs * len(grid.steps) * numbers
    memory.check_fits(
        f"Recording {runs} runs at {len(grid.steps)} times", size, "lower record or runs"
    )


def _start(
    model: Model,
    sgd: OnlineSGD,
    given: AbstractStatistics | None,
    dim: int,
    numbers: np.ndarray,
    seed: int,
) -> AbstractStatistics:
    if given is None:
        return draw_initial(model, dim, numbers, seed, sgd)
    if not isinstance(given, model.statistics_class):
        name = model.statistics_class.__name__
        raise TypeError(f"initial={given!r}: expected {name} to start {type(model).__name__} from.")
    model.check_state(given, sgd)
    return _broadcast(given, len(numbers))


def _broadcast(given: AbstractStatistics, runs: int) -> AbstractStatistics:
    shape = given.batch_shape
    if shape not in ((), (runs,)):
        raise ValueError(
            f"initial has batch shape {shape}: expected one state, or one per run ({runs},)."
        )
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (runs, *x.shape[len(shape) :])), given)


def _config(
    model, sgd, engine, dim, numbers, seed, initial, grid, dtype, literal, dt
) -> dict[str, Any]:
    """Everything that decides the result, as plain data."""
    return {
        "model": describe(model),
        "algorithm": describe(sgd),
        "engine": engine,
        "dim": dim,
        "runs": len(numbers),
        "first_run": int(numbers[0]),
        "seed": seed,
        "initial": describe(initial),
        "steps": describe(grid.steps),
        "dtype": dtype,
        "literal": literal,
        "dt": dt,
        "version": __version__,
    }


# -- the loop over lanes ---------------------------------------------------------------------------


def _run(
    run_lane: _Lane,
    lane: int,
    start: AbstractStatistics,
    numbers: np.ndarray,
    grid: Grid,
    config: dict[str, Any],
    work: float,
    progress: bool | None,
    out: str | Path | None,
    finish: _Finish | None = None,
    observing: Observing | None = None,
) -> xr.Dataset:
    attrs = attributes(config)
    # Nobody knows what observers cost; the bar gives them as much room as the steps.
    total = work * (_padded(len(numbers), lane) + (len(numbers) if observing else 0))
    part_of = partial(
        _run_part,
        run_lane,
        lane,
        finish=finish,
        observing=observing,
        share=work / len(grid.steps),
    )
    if out is None:
        with progress_bar(progress, config["engine"], total) as bar:
            return part_of(start, numbers, grid, attrs, bar)
    from sgdlimits.simulation.store import (
        PartialStore,  # storage libraries only where they are used
    )

    store = PartialStore.open(Path(out), config)
    if store.complete:
        return store.result()
    with progress_bar(progress, config["engine"], total) as bar:
        for first in range(0, len(numbers), lane):
            rows = slice(first, min(first + lane, len(numbers)))
            if store.has(first):
                bar(work * (lane + (rows.stop - rows.start if observing else 0)))
                continue
            part = part_of(start[rows], numbers[rows], grid, attrs, bar)
            store.write(first, part)
    return store.finish()


def _padded(runs: int, lane: int) -> int:
    return -(-runs // lane) * lane


def _run_part(
    run_lane: _Lane,
    lane: int,
    start: AbstractStatistics,
    numbers: np.ndarray,
    grid: Grid,
    attrs: dict[str, Any],
    advanced: Advanced,
    *,
    finish: _Finish | None,
    observing: Observing | None,
    share: float,
) -> xr.Dataset:
    observations = observing and observing.of(numbers, lambda looks: advanced(looks * share))
    recorder = Recorder(start, len(grid.steps), observations)
    first = 0
    try:
        for padded, count in lanes(numbers, lane):
            rows = slice(first, first + count)
            index = np.minimum(first + np.arange(lane), first + count - 1)
            records = run_lane(start[index], padded, grid, advanced)
            recorder.consume(records, rows, grid.times)
            first += count
    except KeyboardInterrupt as error:
        raise SimulationInterrupted(recorder.dataset(numbers, grid, attrs)) from error
    dataset = recorder.dataset(numbers, grid, attrs)
    if finish is not None:
        dataset = finish(dataset)
    _warn_of_divergence(dataset)
    return dataset


def _warn_of_divergence(dataset: xr.Dataset) -> None:
    times = dataset["diverged"].values
    gone = np.flatnonzero(~np.isnan(times))
    if gone.size:
        first = gone[np.argmin(times[gone])]
        why = ""
        if dataset.attrs["engine"] in ("ode", "mean_field"):
            why = " (or need more steps than the solver may take)"
        warnings.warn(
            f"{gone.size} of {times.size} runs diverged, first run {int(dataset.run[first])} at "
            f"time {times[first]:.6g}{why}; they are NaN from then on (variable 'diverged').",
            DivergenceWarning,
            stacklevel=5,  # the caller of simulate
        )
