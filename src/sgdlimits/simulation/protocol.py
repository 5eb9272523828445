"""Tasks one after the other: what is learned changes, what was learned is where the next begins."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.engines.choose import choose_full
from sgdlimits.limits.risk import risk_of_batch
from sgdlimits.models.base import AbstractModel, check_model
from sgdlimits.randomness.streams import check_seed
from sgdlimits.simulation.places import folder_of
from sgdlimits.simulation.simulate import simulate
from sgdlimits.simulation.states import states
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.reserved import is_error

_CHECKED_AT = 64  # dimension, or the least that the models need


class Protocol:
    """Tasks that are learned one after the other by one network.

    The tasks are models with the same statistics over the same frame, such as committees of one
    width whose teachers are rows of one frame (a teacher's second layer of zeros leaves rows out),
    or mixtures that differ in labels, snr or ridge. A model may come back: replay, interleaving and
    curricula are longer lists.

    Args:
        tasks: (model, time) in order; time in units of steps * step / dim, as everywhere.
        names: one for every different model; default "1", "2", ... in order of appearance.

    Raises:
        TypeError, ValueError: for an empty list, times that are not above 0, models whose
            statistics or frames differ, or names that do not fit.
    """

    def __init__(
        self, tasks: Sequence[tuple[AbstractModel, float]], names: Sequence[str] | None = None
    ):
        self.tasks = tuple(_task(task) for task in _validate.listed("tasks", tasks))
        if not self.tasks:
            raise ValueError("tasks=[]: expected at least one (model, time).")
        self.models: list[AbstractModel] = []
        for model, _ in self.tasks:
            if not any(_same(model, other) for other in self.models):
                self.models.append(model)
        for model in self.models[1:]:
            _check_alike(self.models[0], model)
        self.names = _check_names(names, len(self.models))

    @property
    def time(self) -> float:
        """Of all tasks together."""
        return sum(time for _, time in self.tasks)

    def __repr__(self) -> str:
        """Which task is learned for how long."""
        parts = [f"{self.names[self._number(model)]} for {time:g}" for model, time in self.tasks]
        return f"Protocol({', then '.join(parts)})"

    def _number(self, model: AbstractModel) -> int:
        return next(i for i, other in enumerate(self.models) if _same(model, other))

    def simulate(
        self,
        sgd: OnlineSGD | None = None,
        engine: Any = "chain",
        *,
        dim: int,
        runs: int = 1,
        seed: int = 0,
        initial: AbstractStatistics | None = None,
        record: int = 101,
        out: str | Path | None = None,
        **options: Any,
    ) -> xr.Dataset:
        """Simulate the tasks in order; ``simulate(protocol, ...)`` is the same.

        Every task starts where the one before ended, memories of the rule included; the schedule
        goes on. Real vectors are drawn anew at a change, given the statistics: for isotropic inputs
        and rotation-invariant frames the law of the statistics is the same.

        Args:
            sgd, engine, dim, runs, seed, initial: as for ``simulate``; not engine "mean_field".
            record: number of records, spread over the tasks by their times, at least two each.
            out: folder to keep the parts in, one folder a task; the same call resumes.
            options: further arguments of ``simulate`` for every task.

        Returns:
            Dataset over the whole time. ``training`` (time) is the number of the task from this
            record on, ``risk`` (run, time, task) the risk of every task, if the models say theirs.
            Errors of statistics are known within the first task only, NaN afterwards.

        Raises:
            TypeError, ValueError: for bad input, before any work starts.
        """
        algorithm = OnlineSGD() if sgd is None else sgd
        for word in ("time", "observe", "first_run"):
            if word in options and options.pop(word) not in (None, (), 0):
                raise ValueError(f"{word}: a Protocol has none; its tasks say their times.")
        chosen = choose_full(engine)
        if chosen.name == "mean_field":
            raise ValueError("engine='mean_field': its statistics cannot be handed on to a task.")
        record, seed = _validate.integer("record", record, 2), check_seed(seed)
        folder = None if out is None else folder_of("out", out)
        pieces, begin, state = [], 0.0, initial
        for number, (model, time) in enumerate(self.tasks):
            part = simulate(
                model, _later(algorithm, begin), engine, dim=dim, time=time, runs=runs,
                seed=_seed(seed, number), initial=state,
                record=max(2, round(record * time / self.time)),
                out=None if folder is None else folder / f"task-{number + 1}", **options,
            )  # fmt: skip
            pieces.append(self._piece(part, number, begin))
            ends = (states(part.isel(time=i), model, algorithm) for i in (0, -1))
            state = _onward(*ends)
            begin = float(pieces[-1]["time"][-1])
        return self._joined(pieces)

    def _piece(self, part: xr.Dataset, number: int, begin: float) -> xr.Dataset:
        """One task's records in the clock of all, without the first unless it begins them."""
        model, _ = self.tasks[number]
        part = part.assign_coords(time=part["time"] + begin)
        if number:
            part = part.isel(time=slice(1, None))
            for name in [name for name in part.data_vars if is_error(str(name))]:
                part[name] = xr.full_like(part[name], np.nan)
        if all(model.has_risk for model in self.models):
            part = part.drop_vars(["risk", "risk_error"], errors="ignore")
            of_all = [
                np.asarray(risk_of_batch(dynamic(m), states(part, m), 2)) for m in self.models
            ]
            part["risk"] = xr.Variable(
                ("run", "time", "task"), np.stack([np.asarray(x) for x in of_all], axis=-1),
                {"long_name": "population risk of each task", "units": "1"},
            )  # fmt: skip
            part = part.assign_coords(task=list(self.names))
        training = np.full(part.sizes["time"], self._number(model) + 1)
        return part.assign_coords(training=("time", training))

    def _joined(self, pieces: list[xr.Dataset]) -> xr.Dataset:
        first = pieces[0]
        diverged = first["diverged"].values
        steps, times = 0, []
        for number, piece in enumerate(pieces):
            times.append(piece["step"].values + steps)
            steps += int(piece["step"].values[-1])
            if number:
                begin = float(pieces[number - 1]["time"][-1])
                found = np.where(np.isnan(diverged), piece["diverged"].values + begin, diverged)
                broken = ~np.isnan(diverged)
                diverged = found
                for name in piece.data_vars:
                    if "time" in piece[name].dims and "run" in piece[name].dims:
                        piece[name] = piece[name].where(xr.DataArray(~broken, dims="run"))
        shared = [p.drop_vars(["diverged", "step"]) for p in pieces]
        joined = xr.concat(shared, "time", data_vars="minimal", coords="minimal", compat="override",
                           combine_attrs="override")  # fmt: skip
        joined["diverged"] = ("run", diverged, first["diverged"].attrs)
        joined = joined.assign_coords(step=("time", np.concatenate(times), first["step"].attrs))
        for name in ("identity", "config"):
            joined.attrs.pop(name, None)
        return joined.assign_attrs(protocol=repr(self))


class _Later(eqx.Module):
    """A schedule that began earlier."""

    schedule: Any
    begin: float

    def __call__(self, time: Any) -> Any:
        return self.schedule(time + self.begin)


def _later(algorithm: OnlineSGD, begin: float) -> OnlineSGD:
    if algorithm.constant or begin == 0:
        return algorithm
    return replace(algorithm, schedule=_Later(algorithm.schedule, begin))


def _seed(seed: int, number: int) -> int:
    """Independent for every task; the first has the seed itself, and so the usual start."""
    if number == 0:
        return seed
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)


def _onward(start: AbstractStatistics, end: AbstractStatistics) -> AbstractStatistics:
    """States to go on from; a run that diverged goes on from its start, and is marked later."""
    alive = np.isfinite(np.asarray(end.vector)).all(-1, keepdims=True)
    return end.with_vector(jnp.where(alive, end.vector, start.vector))


def _task(task: Any) -> tuple[AbstractModel, float]:
    if not isinstance(task, tuple | list) or len(task) != 2:
        raise TypeError(f"tasks: {task!r}: expected pairs (model, time).")
    check_model(task[0])
    return task[0], _validate.positive("tasks: time", task[1])


def _same(one: AbstractModel, other: AbstractModel) -> bool:
    if one is other:
        return True
    return type(one) is type(other) and bool(eqx.tree_equal(one, other))


def _check_alike(one: AbstractModel, other: AbstractModel) -> None:
    a, b = one.template, other.template
    shapes = [jax.tree.map(np.shape, t) for t in (a, b)]
    if type(a) is not type(b) or jax.tree.leaves(shapes[0]) != jax.tree.leaves(shapes[1]):
        raise ValueError(
            f"tasks: {type(one).__name__} has statistics {', '.join(a.names)}, "
            f"{type(other).__name__} {', '.join(b.names)}; expected the same in every task."
        )
    dim = max(_CHECKED_AT, one.minimum_dim, other.minimum_dim)
    grams = [np.asarray(m.frame(dim) @ m.frame(dim).T) for m in (one, other)]
    if not np.allclose(*grams, atol=1e-12):
        raise ValueError(
            "tasks: the frames of two models have other Gram matrices; expected one frame that "
            "holds the directions of every task."
        )


def _check_names(names: Any, count: int) -> tuple[str, ...]:
    if names is None:
        return tuple(str(i + 1) for i in range(count))
    listed = _validate.listed("names", names)
    if len(listed) != count or len(set(listed)) != count or not all(map(_is_text, listed)):
        raise ValueError(
            f"names={names!r}: expected {count} different texts, one for each different model."
        )
    return tuple(listed)


def _is_text(name: object) -> bool:
    return isinstance(name, str) and bool(name)
