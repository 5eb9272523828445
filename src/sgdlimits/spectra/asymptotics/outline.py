"""What pictures show of a limiting spectrum."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Outline(NamedTuple):
    """A limiting spectrum as it is drawn.

    Attributes:
        curves: (eigenvalues, density) of each piece of the bulk; empty where it has no formula.
        edges: (lowest, highest) of each piece.
        outliers: (eigenvalue, standard deviation, NaN where it is not known).
        atom: share of eigenvalues 0.
    """

    curves: Sequence[tuple[np.ndarray, np.ndarray]]
    edges: Sequence[tuple[float, float]]
    outliers: Sequence[tuple[float, float]]
    atom: float = 0.0
