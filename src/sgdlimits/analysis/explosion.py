"""How often SGD without the spherical constraint explodes at finite dimension."""

import math
import warnings
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sgdlimits import _validate
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.engines.base import AbstractEngine
from sgdlimits.engines.choose import choose_full
from sgdlimits.models.base import Model, check_model
from sgdlimits.simulation.result import DivergenceWarning
from sgdlimits.simulation.simulate import simulate
from sgdlimits.statistics.base import AbstractStatistics


@dataclass(frozen=True)
class Proportion:
    """A probability that was counted.

    Attributes:
        count: how often it happened.
        runs: out of how many.
    """

    count: int
    runs: int

    @property
    def value(self) -> float:
        """count/runs."""
        return self.count / self.runs

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Wilson's interval: all p with |count/runs - p| <= z sqrt(p(1 - p)/runs).

        Wilson (1927), Journal of the American Statistical Association 22, 209. Never empty, nor
        beyond [0, 1], also when nothing was seen.
        """
        confidence = _validate.positive("confidence", confidence)
        if confidence >= 1:
            raise ValueError(f"confidence={confidence!r}: expected a number below 1.")
        z, n, p = float(stats.norm.isf((1 - confidence) / 2)), self.runs, self.value
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        low = 0.0 if self.count == 0 else centre - half
        return low, 1.0 if self.count == n else centre + half

    def __repr__(self) -> str:
        """Value with its 95 % interval."""
        low, high = self.interval()
        return f"{self.value:.3g} ({self.count}/{self.runs}; 95 %: {low:.3g} to {high:.3g})"


def explosion_probability(
    model: Model,
    sgd: OnlineSGD,
    *,
    dim: int,
    time: float,
    runs: int = 1000,
    seed: int = 0,
    initial: AbstractStatistics | None = None,
    bound: float = 1e3,
    engine: str | AbstractEngine = "chain",
) -> Proportion:
    """Probability that some statistic exceeds ``bound``, or floating point, by time ``time``.

    With losses of degree four, such as phase retrieval's, one step can throw a neuron so far that
    all that follow throw it further: at finite dim that has positive probability at any step size,
    also where the ODE stays bounded. Seen at the end of each run; nothing returns from there.

    Args:
        model, sgd, dim, time, runs, seed, initial, engine: as for ``simulate``.
        bound: above any value that a run that has not exploded takes.

    Returns:
        The count, with ``interval()``.

    Raises:
        TypeError, ValueError: as ``simulate``, or if ``bound`` is not above 0.
    """
    check_model(model)
    bound = _validate.positive("bound", bound)
    choose_full(engine)  # options beside a name are for ``simulate`` to join
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)  # it is what is counted
        dataset = simulate(
            model, sgd, engine, dim=dim, time=time, runs=runs, seed=seed, initial=initial, record=2
        )
    largest = np.zeros(runs)
    for name in model.template.dims:
        values = np.abs(np.asarray(dataset[name].isel(time=-1))).reshape(runs, -1)
        if values.shape[1]:
            largest = np.maximum(largest, np.where(np.isnan(values), np.inf, values).max(1))
    return Proportion(int((largest > bound).sum()), runs)
