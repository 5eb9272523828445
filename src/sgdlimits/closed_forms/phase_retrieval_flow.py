"""The flow of projected phase retrieval at any width, many states at once.

f = (1/p) sum s_j^2, y = s*^2 + sqrt(noise) z, rows on the sphere; state M (p,), Q (p, p), Q_jj = 1.
Arnaboldi, Krzakala, Loureiro and Stephan (2023), eqs. (21), (26), (30), (31), in our time, which
is theirs times p. Exact as dim -> infinity.
"""

import numpy as np


def excess_risk(M: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """1 + |Q|^2/p^2 - 2 |M|^2/p, shapes (..., p), (..., p, p) to (...); eq. (42)."""
    p = M.shape[-1]
    return np.asarray(1 + (Q**2).sum((-2, -1)) / p**2 - 2 * (M**2).sum(-1) / p)


def rates(M: np.ndarray, Q: np.ndarray, step: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """(dM/dt, dQ/dt), of the shapes of M and Q."""
    p = M.shape[-1]
    of_m = np.einsum("...ij,...j->...i", Q, M)
    outer = M[..., :, None] * M[..., None, :]
    cross = M[..., :, None] * of_m[..., None, :]
    square = Q @ Q
    first = outer - square / p
    second = outer - (cross + np.swapaxes(cross, -1, -2)) / p + square @ Q / p**2
    power = 2 * excess_risk(M, Q)[..., None, None] * Q + 8 * second + noise * Q
    phi = 8 * first + 4 * step / p * power
    own = np.einsum("...ii->...i", phi)
    dM = 4 * (M - of_m / p) - M * own / 2
    dQ = phi - Q * (own[..., :, None] + own[..., None, :]) / 2
    return dM / p, dQ / p


def runge_kutta(
    M: np.ndarray, Q: np.ndarray, dt: float, step: float, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """(M, Q) after the time dt, by one classical step."""
    a = rates(M, Q, step, noise)
    b = rates(M + dt / 2 * a[0], Q + dt / 2 * a[1], step, noise)
    c = rates(M + dt / 2 * b[0], Q + dt / 2 * b[1], step, noise)
    d = rates(M + dt * c[0], Q + dt * c[1], step, noise)
    new = (x + dt / 6 * (k + 2 * m + 2 * n + o)
           for x, k, m, n, o in zip((M, Q), a, b, c, d, strict=True))  # fmt: skip
    M, Q = new
    return M, Q
