"""Coordinates of neurons and fixed directions in an orthonormal basis of their span."""

import numpy as np
from jaxtyping import Array

from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.blocks import of_parameters, of_statistics
from sgdlimits.statistics.overlaps import Statistics

# Relative size of what is left of a row, below which it depends on those before. Roots of overlaps
# are known to 1e-8 there, and a kink of two neurons that close is one kink.
_INDEPENDENT = 1e-7


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
    rest = _lower_root(np.asarray(u.Q) - B @ B.T, np.diagonal(np.asarray(u.Q)))
    p, r = B.shape
    return np.asarray(u.v), np.hstack([B, rest]), np.hstack([root, np.zeros((r, p))])


def _lower_root(matrix: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Lower triangular L with L Lᵀ = matrix, for matrices that may be singular.

    Rows of less than rounding of what has the squared ``sizes`` are zero.
    """
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    rows = vectors * np.sqrt(np.maximum(values, 0))
    rows[np.diagonal(matrix) <= _INDEPENDENT**2 * sizes] = 0.0
    own = np.full(len(rows), -1)
    L, _ = _triangular(rows, own)
    square = np.zeros_like(rows)
    square[:, own[own >= 0]] = L  # a row that depends on those before it has no coordinate
    return square


def independent_coordinates(T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """T = L O with orthonormal rows of O, as many as there are independent rows in T.

    L has as many columns. A row of T that is independent of those before it brings a coordinate, in
    which it is positive; the others bring none. So no row gets its kink in a coordinate that is not
    its own.
    """
    return _triangular(T, np.full(len(T), -1))


def _triangular(T: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L and O; ``own`` becomes the number of those rows that bring a coordinate, or -1."""
    O = np.zeros((0, T.shape[1]))  # noqa: E741
    for i, row in enumerate(T):
        rest = row
        for _ in range(2):  # twice: orthogonal to rounding
            rest = rest - (O @ rest) @ O
        size = np.linalg.norm(rest)
        if size > _INDEPENDENT * np.linalg.norm(row):
            O, own[i] = np.vstack([O, rest / size]), i  # noqa: E741
    L = T @ O.T
    L[np.arange(len(T))[:, None] < own[own >= 0]] = 0.0
    return L, O
