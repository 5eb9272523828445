"""What an engine is: a way to simulate a process, with its options and what it can do.

An engine is written once, against ``Process``; the loop over runs around it (progress, storage,
interruption) is ``simulation``'s.
"""

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import numpy as np
import xarray as xr
from jaxtyping import Array, Integer

from sgdlimits import _validate
from sgdlimits.engines import starts
from sgdlimits.engines.path import Advanced, Record, Recorded
from sgdlimits.engines.recorded_risk import with_risk
from sgdlimits.process.process import Process
from sgdlimits.provenance import describe
from sgdlimits.statistics.base import AbstractStatistics

#: Options that identities name whatever the engine, so that stored results stay valid.
_ALWAYS_NAMED = {"dtype": "float64", "literal": False, "dt": None}


def optional_positive(name: str) -> Callable[[Any], float | None]:
    """Converter of an option that is a number above 0, or None."""
    return lambda value: None if value is None else _validate.positive(name, value)


class Problem(NamedTuple):
    """What is simulated, whatever the engine; all of it is checked."""

    process: Process
    dim: int
    seed: int
    grid: Recorded
    initial: AbstractStatistics | None  # None: the random start


class Memory(NamedTuple):
    """What an engine will fill memory with."""

    what: str
    size: float  # bytes
    remedy: str


class Plan(NamedTuple):
    """How many runs are computed together, and what that takes."""

    lane: int
    work: float  # what one run adds up to in what lanes tell of their progress
    part: int | None = None  # runs that are stored together, a multiple of the lane; None: a lane
    memory: Memory | None = None  # what must fit, beside the records


#: (states, numbers of a full lane of runs, progress) -> records at the grid's times after 0 or all.
RunLane = Callable[[AbstractStatistics, Integer[Array, " lane"], Advanced], Iterator[Record]]


class AbstractEngine(eqx.Module):
    """A way to simulate a process. Its fields are its options, here and in configuration files."""

    #: How it is chosen by a string, and called in results.
    name: ClassVar[str]
    #: Of what its results are the truth, and what they cost: for tables.
    exact_for: ClassVar[str] = ""
    cost: ClassVar[str] = ""
    #: Whether it needs the exact law of the statistics.
    needs_chain: ClassVar[bool] = False
    #: Whether it needs drift and diffusion.
    needs_limit: ClassVar[bool] = False
    #: Whether there are real vectors to observe.
    has_real_vectors: ClassVar[bool] = False
    #: Whether results hold the model's own statistics.
    keeps_full_statistics: ClassVar[bool] = True
    #: Whether its steps are SGD's own, so that a path does not depend on where it is recorded.
    steps_like_sgd: ClassVar[bool] = False
    #: Whether an adaptive solver takes the steps, which may be more than it can take.
    solves: ClassVar[bool] = False

    @property
    def precision(self) -> str:
        """Floating point numbers of its state."""
        return "float64"

    def identity(self) -> dict[str, Any]:
        """What decides the result, as plain data. Other options are named where not at default."""
        own = {
            field.name: describe(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if field.name in _ALWAYS_NAMED or getattr(self, field.name) != field.default
        }
        return {"engine": self.name, **_ALWAYS_NAMED, **own}

    # -- before any work -----------------------------------------------------------------------

    def check(self, process: Process, dim: object) -> int:
        """``dim`` as an int, or an error if there is no such simulation of the process."""
        if self.needs_chain and not process.model.has_chain:
            raise ValueError(
                f"engine={self.name!r}: {type(process.model).__name__} has no exact chain; use "
                "'sgd', 'ode' or 'sde'."
            )
        if self.needs_limit:
            process.kernel.check_limit()
        rule = process.algorithm.rule
        if self.needs_chain and rule.by_coordinate:
            raise ValueError(
                f"engine={self.name!r}, rule={rule!r}: coordinates are moved one by one, which no "
                "few statistics know at finite dim; use 'sgd', 'ode' or 'sde'."
            )
        return _validate.integer("dim", dim, process.minimum_dim)

    def view(self, process: Process) -> Process:
        """The process that is simulated in the place of this one."""
        return process

    def template(self, process: Process) -> AbstractStatistics:
        """One state of the results, of all zeros."""
        return process.template

    def start(self, problem: Problem, numbers: np.ndarray) -> AbstractStatistics:
        """Checked states to start from, one for each of the numbered runs."""
        return starts.start(problem.process, problem.initial, problem.dim, numbers, problem.seed)

    @abstractmethod
    def plan(self, problem: Problem, runs: int) -> Plan:
        """Sizes, before anything is computed."""

    # -- work ----------------------------------------------------------------------------------

    @abstractmethod
    def prepare(self, problem: Problem, lane: int) -> RunLane:
        """What computes lanes of that many runs, with all that lanes share."""

    def with_risk(self, problem: Problem, dataset: xr.Dataset) -> xr.Dataset:
        """The dataset with ``risk`` (run, time): expected loss at each record."""
        return with_risk(dataset, problem.process.model)
