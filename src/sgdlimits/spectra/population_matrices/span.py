"""Coordinates of neurons and fixed directions in an orthonormal basis of their span."""

import numpy as np
from jaxtyping import Array

from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.blocks import of_parameters, of_statistics
from sgdlimits.statistics.overlaps import Statistics

_INDEPENDENT = 1e-12  # relative size of what is left of a row, below which it is rounding


def span_coordinates(
    model: MultiIndexModel, given: object, frame: Array | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """v, and the coordinates of neurons (p, n) and fixed directions (r, n), n = p + r.

    Args:
        model: whose data law.
        given: one state of statistics, or real parameters.
        frame: of real parameters; default ``model.frame(dim)``.

    Raises:
        TypeError, ValueError: unless ``given`` is one of the two.
    """
    if isinstance(given, Statistics):
        u = of_statistics(model, given)
    else:
        parameters = of_parameters(model, given)
        F = model.frame(parameters.W.shape[1]) if frame is None else frame
        u = model.statistics(parameters, F)
    root = np.asarray(model.data.root)
    B = np.linalg.solve(root, np.asarray(u.M).T).T
    rest = _lower_root(np.asarray(u.Q) - B @ B.T)
    p, r = B.shape
    return np.asarray(u.v), np.hstack([B, rest]), np.hstack([root, np.zeros((r, p))])


def _lower_root(matrix: np.ndarray) -> np.ndarray:
    """Lower triangular L with L Lᵀ = matrix, for matrices that may be singular."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    L, _ = lower_orthonormal(vectors * np.sqrt(np.maximum(values, 0)))
    return L


def lower_orthonormal(T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """T = L O with L lower triangular, its diagonal at least 0, and orthonormal rows of O.

    A row that depends on those before it has a zero column in L, so that no later row gets its kink
    in a coordinate that has none of its own. T has at most as many rows as columns.
    """
    O = np.zeros(T.shape)  # noqa: E741
    for i, row in enumerate(T):
        rest = row
        for _ in range(2):  # twice: orthogonal to rounding
            rest = rest - (O @ rest) @ O
        size = np.linalg.norm(rest)
        if size > _INDEPENDENT * np.linalg.norm(row):
            O[i] = rest / size
    L = np.tril(T @ O.T)
    free = np.flatnonzero(~O.any(axis=1))
    beyond = np.linalg.svd(O)[2][len(T) - len(free) :]
    O[free] = beyond[: len(free)]
    return L, O
