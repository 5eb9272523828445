"""Walls that a state slides on, to first order in a displacement."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array


class Constraints(NamedTuple):
    """Walls that a state slides on because the drift pushes towards them from both sides.

    To first order in a displacement y from the state: normals @ y = 0, enforced infinitely fast by
    moving along ``forces``.
    """

    normals: np.ndarray  # (constraints, statistics)
    forces: np.ndarray  # (constraints, statistics)

    @classmethod
    def create(cls, size: int, normals: list[Array], forces: list[Array]) -> "Constraints":
        """From lists of vectors, possibly empty."""
        stack = [np.asarray(x, dtype=float).reshape(-1, size) for x in (normals, forces)]
        return cls(*stack)

    @property
    def projector(self) -> np.ndarray:
        """P with normals P = 0 and P forcesᵀ = 0: what the walls leave of a displacement."""
        inner = self.normals @ self.forces.T
        return np.eye(self.normals.shape[1]) - self.forces.T @ np.linalg.solve(inner, self.normals)
