"""What the contract suite must know of a model."""

from dataclasses import dataclass
from functools import lru_cache

import jax

from sgdlimits import OnlineSGD
from sgdlimits.models.base import AbstractModel
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.testing.check import subject_of
from sgdlimits.testing.subject import Subject


@dataclass(frozen=True, eq=False)
class Case:
    """One model under one algorithm.

    Attributes:
        id: name in the tests' report.
        model, sgd: what is tested.
        points: states to test at, on one leading axis; default: the checker's random ones.
        dim: of most comparisons; default the checker's.
        engines: whether seeds are tested by default: engines know no models, so a few are enough.
        slow: left out by default.
    """

    id: str
    model: AbstractModel
    sgd: OnlineSGD
    points: AbstractStatistics | None = None
    dim: int | None = None
    engines: bool = False
    slow: bool = False

    @property
    def subject(self) -> Subject:
        """What the checker's judges look at."""
        return _subject(self)


@lru_cache(maxsize=1)
def _subject(case: Case) -> Subject:
    """Of one case at a time: its draws and its compiled programs go when the next one comes."""
    jax.clear_caches()
    return subject_of(case.model, case.sgd, points=case.points, dim=case.dim)
