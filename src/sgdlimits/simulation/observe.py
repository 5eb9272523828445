"""Look at real parameters while SGD runs, at the recorded times, without storing the path.

An observer is a function of a ``Snapshot`` that returns named arrays; they join the result with the
dimensions (run, time) before their own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PyTree

from sgdlimits import _resources, _validate
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.engines.base import AbstractEngine
from sgdlimits.engines.path import Recorded
from sgdlimits.models.base import Model
from sgdlimits.provenance import describe
from sgdlimits.statistics.reserved import ERROR, RESERVED


@dataclass(frozen=True)
class Snapshot:
    """One run of real SGD at one recorded time.

    Attributes:
        model: what is learned.
        algorithm: what learns it, such as ``OnlineSGD``: its batch, schedule and rule.
        parameters: real parameters in double precision, as ``lift`` gives them.
        frame: the fixed directions, shape (directions, dim).
        time, step: now.
        last_step: step at which the simulation ends.
        seed, run, dtype: of the simulation; they determine the run's samples.
        memo: kept for one run from record to record, for what is costly to set up.
    """

    model: Model
    algorithm: OnlineSGD
    parameters: PyTree
    frame: Float[Array, "directions dim"]
    time: float
    step: int
    last_step: int
    seed: int
    run: int
    dtype: str
    memo: dict[Any, Any]


#: Snapshot -> name: array (or labelled array), with the same names and shapes at every time. One
#: that has a method ``check(model, dim)`` is asked before the first step, and may raise.
Observer = Callable[[Snapshot], Mapping[str, Any]]


def check_observers(
    observe: object, engine: AbstractEngine, model: Model, dim: int, keeps: bool
) -> tuple[Observer, ...]:
    """The observers as a tuple.

    Raises:
        TypeError: unless they are a list of functions, whose inputs can be described if the result
            is to be kept.
        ValueError: for an engine without real parameters.
    """
    if isinstance(observe, str | Mapping) or not isinstance(observe, Sequence):
        raise TypeError(f"observe={observe!r}: expected a list of functions of a Snapshot.")
    for observer in observe:
        if not callable(observer):
            raise TypeError(f"observe: {observer!r} is not a function of a Snapshot.")
        if keeps:
            describe(observer)  # raises for one that cannot be told from others
    if observe and not engine.has_real_vectors:
        raise ValueError(
            f"observe: engine={engine.name!r} has no real parameters; use engine='sgd'."
        )
    for observer in observe:
        if callable(own := getattr(observer, "check", None)):
            own(model, dim)
    return tuple(observe)


@dataclass(frozen=True)
class Observing:
    """The observers and what they need to know of the simulation."""

    observers: tuple[Observer, ...]
    model: Model
    algorithm: OnlineSGD
    dim: int
    seed: int
    dtype: str
    grid: Recorded

    def of(self, runs: np.ndarray, advanced: Callable[[float], None]) -> "Observations":
        """Room for the observations of some runs; ``advanced`` is told of every snapshot."""
        return Observations(self, runs, self.model.frame(self.dim), advanced)


@dataclass
class Observations:
    """What was observed so far; NaN where nothing was."""

    setting: Observing
    runs: np.ndarray
    frame: Array
    advanced: Callable[[float], None]
    values: dict[str, np.ndarray] = field(default_factory=dict)
    labels: dict[str, xr.DataArray] = field(default_factory=dict)
    memos: dict[int, dict[Any, Any]] = field(default_factory=dict)

    def take(self, slot: int, parameters: PyTree, rows: slice, gone: np.ndarray) -> None:
        """Observe the runs in ``rows``, those that diverged left out."""
        grid, last = self.setting.grid, slot + 1 == len(self.setting.grid.steps)
        for index, row in enumerate(range(rows.start, rows.stop)):
            if not gone[index]:
                snapshot = Snapshot(
                    model=self.setting.model,
                    algorithm=self.setting.algorithm,
                    parameters=jax.tree.map(lambda x, i=index: x[i].astype(float), parameters),
                    frame=self.frame,
                    time=float(grid.times[slot]),
                    step=int(grid.steps[slot]),
                    last_step=int(grid.steps[-1]),
                    seed=self.setting.seed,
                    run=int(self.runs[row]),
                    dtype=self.setting.dtype,
                    memo=self.memos.setdefault(row, {}),
                )
                self._observe(snapshot, slot, row)
            if last or gone[index]:
                self.memos.pop(row, None)
            self.advanced(1.0)

    def _observe(self, snapshot: Snapshot, slot: int, row: int) -> None:
        found: dict[str, xr.DataArray] = {}
        for observer in self.setting.observers:
            given = observer(snapshot)
            if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
                raise TypeError(
                    f"observe: {observer!r} gives {given!r}, expected a dict of names and arrays."
                )
            for name, value in given.items():
                if name in found:
                    raise ValueError(f"observe: two observers give {name!r}; rename one.")
                found[name] = _labelled(name, value)
        if not self.labels:
            self._make_room(found)
        if found.keys() != self.labels.keys():
            raise ValueError(
                f"observe: {sorted(found)} at time {snapshot.time:.6g}, after {sorted(self.labels)}"
                " before; an observer must always give the same."
            )
        for name, value in found.items():
            if value.shape != self.labels[name].shape:
                raise ValueError(
                    f"observe: {name!r} has shape {value.shape} at time {snapshot.time:.6g}, after "
                    f"{self.labels[name].shape} before."
                )
            self.values[name][row, slot] = value.values

    def _make_room(self, found: dict[str, xr.DataArray]) -> None:
        template = self.setting.model.template
        taken = {*type(template).dims, *RESERVED}
        times, runs = len(self.setting.grid.steps), len(self.runs)
        size = 8.0 * runs * times * sum(value.size for value in found.values())
        _resources.check_fits("What observe gives", size, "lower record or runs, or observe less")
        sizes: dict[Any, int] = {}
        for name, dims in type(template).dims.items():
            sizes.update(zip(dims, np.shape(getattr(template, name)), strict=True))
        for name, value in found.items():
            if name in taken or name.removesuffix(ERROR) in type(template).dims:
                raise ValueError(f"observe: {name!r} is the name of another variable; rename it.")
            for dim, length in zip(value.dims, value.shape, strict=True):
                if sizes.setdefault(dim, length) != length:
                    raise ValueError(
                        f"observe: {name!r} has {length} along {dim!r}, another variable "
                        f"{sizes[dim]}; rename the dimension."
                    )
            self.values[name] = np.full((runs, times, *value.shape), np.nan)
        self.labels = found

    def variables(self) -> tuple[dict[str, xr.Variable], dict[str, xr.Variable]]:
        """Labelled (variables, coordinates)."""
        data, coordinates = {}, {}
        for name, label in self.labels.items():
            dims = ("run", "time", *map(str, label.dims))
            data[name] = xr.Variable(dims, self.values[name], label.attrs)
            for key, coordinate in label.coords.items():
                coordinates[str(key)] = coordinate.variable
        return data, coordinates


def _labelled(name: str, value: Any) -> xr.DataArray:
    """An array with dimensions of its own if it comes without."""
    if isinstance(value, xr.DataArray):
        return value
    array = _validate.reals(f"observe: {name!r}", value)
    return xr.DataArray(array, dims=[f"{name}_axis_{i}" for i in range(array.ndim)])
