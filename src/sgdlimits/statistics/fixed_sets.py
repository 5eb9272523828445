"""What a model can say by formula about a connected set of fixed points."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class FixedSet(NamedTuple):
    """One connected component of the zeros of the drift.

    Attributes:
        statistics: one of its points, generic if there are many.
        dimension: 0 for a point.
        stable: whether all solutions that start near the set stay near it; None: find out.
        label: a name for people.
        distance: statistics (batch) -> distance to the set; None: measured to ``statistics``.
    """

    statistics: Any
    dimension: int = 0
    stable: bool | None = None
    label: str = ""
    distance: Callable[[Any], np.ndarray] | None = None
