"""What the contract suite must know of a model."""

from dataclasses import dataclass

import numpy as np

from sgdlimits import OnlineSGD
from sgdlimits.models.base import AbstractModel
from sgdlimits.statistics.base import AbstractStatistics


@dataclass(frozen=True)
class Case:
    """One model under one algorithm, and where to look at it.

    Attributes:
        id: name in the tests' report.
        model, sgd: what is tested.
        points: states to test at, on one leading axis; the first is generic and off every symmetry.
        small_dims: dimensions at which literal samples are cheap; the smallest possible among them.
        dim: a moderate dimension.
        time: a horizon over which statistics move by order one and no run blows up at ``dim``.
        steps: a number of steps over which hardly any run blows up at the last of ``small_dims``.
        sharp: a state whose next steps show most of the noise: laws are compared from there too.
        control: the model with a chain that is subtly wrong: the comparison of laws must notice.
        slow: left out by default, for models whose expectations take long.
    """

    id: str
    model: AbstractModel
    sgd: OnlineSGD
    points: AbstractStatistics
    small_dims: tuple[int, ...]
    dim: int
    time: float
    steps: int
    sharp: AbstractStatistics
    control: AbstractModel
    slow: bool = False

    @property
    def generic(self) -> AbstractStatistics:
        return self.points[0]

    @property
    def moving(self) -> np.ndarray:
        """Which statistics a step moves: all but the norms Q_ii of a spherical algorithm."""
        resting = {f"Q_{i}{i}" for i in range(1, 10)} if self.sgd.spherical else set()
        return np.array([name not in resting for name in self.points.names])
