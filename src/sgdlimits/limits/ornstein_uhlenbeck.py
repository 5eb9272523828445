"""The diffusive limit about a fixed point: dY = A Y dt + Sigma^(1/2) dB, Y = sqrt(dim)(u - u*)."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float
from scipy import linalg

from sgdlimits import _validate
from sgdlimits._shown import in_one_line, number, numbers, rows_table
from sgdlimits.closed_forms.exit_time_1d import mean_exit_time
from sgdlimits.limits.flow import check_times

_ROUNDING = 1e-6  # of the scale; diffusions of sampled models are estimates


class OrnsteinUhlenbeck(eqx.Module):
    """Linear diffusion of Y = sqrt(dim) (u - u*), coordinates in the order of ``names``.

    The drift is that of the ballistic limit, which is universal over laws of the inputs with equal
    first two moments; the diffusion is that of the model's own data law, and not universal.

    Attributes:
        drift: A, the Jacobian of the drift at the fixed point, per unit time.
        diffusion: Sigma, covariance per unit time.
        names: the statistics' names.
        pinned: rows n with n.Y = 0 at all times, for walls of the zero-noise limit that the fixed
            point slides on; A and Sigma have no part across them. Usually empty.
        drift_error: estimated absolute error of A, entry by entry: of expectations that have no
            formula, and of differences where nodes cross jumps. Zero where the drift is exact.
    """

    drift: Float[Array, "statistics statistics"]
    diffusion: Float[Array, "statistics statistics"]
    names: tuple[str, ...] = eqx.field(static=True)
    pinned: Float[np.ndarray, "walls statistics"]
    drift_error: Float[np.ndarray, "statistics statistics"]

    def __init__(
        self,
        drift: Float[Array, "statistics statistics"],
        diffusion: Float[Array, "statistics statistics"],
        names: tuple[str, ...],
        pinned: Float[np.ndarray, "walls statistics"] | None = None,
        drift_error: Float[np.ndarray, "statistics statistics"] | None = None,
    ):
        if isinstance(names, str) or not all(
            isinstance(x, str) for x in _validate.listed("names", names)
        ):
            raise TypeError(f"names={names!r}: expected the names of the statistics.")
        n = len(names)
        for name, matrix in (("drift", drift), ("diffusion", diffusion)):
            if _validate.finite(name, matrix).shape != (n, n):
                raise ValueError(
                    f"{name} has shape {np.shape(matrix)}: expected {(n, n)}, a row for each "
                    "of the names."
                )
        _check_covariance("diffusion", diffusion)
        self.drift, self.diffusion, self.names = drift, diffusion, names
        self.pinned = np.zeros((0, n)) if pinned is None else _validate.finite("pinned", pinned)
        if self.pinned.ndim != 2 or self.pinned.shape[1] != n:
            raise ValueError(f"pinned has shape {self.pinned.shape}: expected {('walls', n)}.")
        self.drift_error = np.zeros((n, n))
        if drift_error is not None:
            # NaN: not known.
            self.drift_error = np.asarray(_validate.reals("drift_error", drift_error))
        if self.drift_error.shape != (n, n) or (self.drift_error < 0).any():
            raise ValueError(f"drift_error={drift_error!r}: expected {(n, n)} numbers above 0.")

    @property
    def rates(self) -> np.ndarray:
        """Eigenvalues of A on what is not pinned, by decreasing real part; real when all are."""
        values = np.linalg.eigvals(self._free()[1])
        return np.real_if_close(values[np.argsort(-values.real)])

    @in_one_line
    def __repr__(self) -> str:
        """Whether it is stable, and its rates."""
        stable = "stable" if self.stable else "unstable"
        return f"OrnsteinUhlenbeck({', '.join(self.names)}: {stable}, rates {numbers(self.rates)})"

    def _repr_html_(self) -> str:
        spread = np.full(len(self.names), np.inf)
        if self.stable:
            spread = np.sqrt(np.diag(self.stationary_covariance()).clip(0))
        noise = np.sqrt(np.diag(np.asarray(self.diffusion)).clip(0))
        rows = zip(self.names, map(number, noise), map(number, spread), strict=True)
        head = ("sqrt(dim) times", "noise, / sqrt(time)", "standard deviation at rest")
        return rows_table(repr(self), head, rows)

    def _free(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Orthonormal basis (columns) of the directions that move, and A and Sigma in it."""
        basis = linalg.null_space(self.pinned) if len(self.pinned) else np.eye(len(self.names))
        a, sigma = (basis.T @ np.asarray(x) @ basis for x in (self.drift, self.diffusion))
        return basis, a, sigma

    @property
    def stable(self) -> bool:
        """Whether every eigenvalue of A (on what is not pinned) has negative real part."""
        return bool(np.real(np.linalg.eigvals(self._free()[1])).max() < 0)

    def stationary_covariance(self) -> np.ndarray:
        """C with A C + C Aᵀ + Sigma = 0: covariance of sqrt(dim) u at rest.

        Raises:
            ValueError: if the process is not stable, and so has no stationary law.
        """
        if not self.stable:
            raise ValueError(
                "This Ornstein-Uhlenbeck process is not stable: eigenvalues of A are "
                f"{np.linalg.eigvals(np.asarray(self.drift))}. It has no stationary covariance; "
                "use covariance(times)."
            )
        basis, a, sigma = self._free()
        covariance = basis @ linalg.solve_continuous_lyapunov(a, -sigma) @ basis.T
        return (covariance + covariance.T) / 2

    def mean(self, times: Sequence[float] | np.ndarray, start: np.ndarray) -> np.ndarray:
        """E Y(t) from Y(0) = start, of shape (statistics,); shape (times, statistics).

        Raises:
            ValueError: for times that are not finite, at least 0 and increasing.
        """
        a, start = np.asarray(self.drift), _validate.finite("start", start)
        if start.shape != (len(a),):
            raise ValueError(f"start has shape {start.shape}: expected {(len(a),)}.")
        return np.stack([linalg.expm(a * t) @ start for t in check_times(times)])

    def covariance(
        self, times: Sequence[float] | np.ndarray, start: np.ndarray | None = None
    ) -> np.ndarray:
        """Cov Y(t) from Cov Y(0) = start (default zero); shape (times, statistics, statistics).

        Raises:
            ValueError: for times that are not finite, at least 0 and increasing.
        """
        a, sigma = np.asarray(self.drift), np.asarray(self.diffusion)
        n = len(self.names)
        start = np.zeros((n, n)) if start is None else _validate.finite("start", start)
        if start.shape != (n, n):
            raise ValueError(f"start has shape {start.shape}: expected {(n, n)}.")
        _check_covariance("start", start)
        result = []
        for t in check_times(times):
            flow, noise = _flow_and_noise(a, sigma, t)
            covariance = noise + flow @ start @ flow.T
            result.append((covariance + covariance.T) / 2)
        return np.stack(result)

    def leading_mode(self) -> tuple[float, np.ndarray, float]:
        """(rate, left eigenvector l, variance) of y = l.Y, dy = rate*y dt + sqrt(variance) dB.

        The mode that grows fastest, or decays slowest; l has unit norm and its largest entry is
        positive.

        Raises:
            ValueError: if that mode oscillates (complex eigenvalue).
        """
        basis, a, _ = self._free()
        values, vectors = np.linalg.eig(a.T)
        index = int(np.argmax(np.real(values)))
        if abs(np.imag(values[index])) > 1e-12:
            raise ValueError(f"The leading mode oscillates: eigenvalue {values[index]}.")
        left = basis @ np.real(vectors[:, index])
        left = left * np.sign(left[np.argmax(np.abs(left))]) / np.linalg.norm(left)
        return float(np.real(values[index])), left, float(left @ np.asarray(self.diffusion) @ left)

    def exit_time(self, level: float, start: float = 0.0) -> float:
        """Mean time at which |y| of the leading mode first reaches ``level``, from y = ``start``.

        ``level`` and ``start`` are in units of sqrt(dim) times the statistic. The exit is along
        the leading (most unstable) mode; the others do not enter.

        Raises:
            ValueError: if the mode oscillates or has no noise, or |start| > level.
        """
        rate, _, variance = self.leading_mode()
        return mean_exit_time(rate, variance, level, start)


def _check_covariance(name: str, matrix: Any) -> None:
    matrix = np.asarray(matrix)
    scale = np.abs(matrix).max(initial=0)
    if not np.allclose(matrix, matrix.T, rtol=0, atol=_ROUNDING * scale):
        raise ValueError(f"{name}: expected a symmetric matrix.")
    if len(matrix) and np.linalg.eigvalsh(matrix)[0] < -_ROUNDING * scale:
        raise ValueError(
            f"{name}: smallest eigenvalue {np.linalg.eigvalsh(matrix)[0]:.3g}; expected a "
            "covariance, which has none below 0."
        )


def _flow_and_noise(a: np.ndarray, sigma: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray]:
    """e^(A t), and the integral of e^(A s) Sigma e^(A s)ᵀ over s in (0, t).

    Van Loan (1978) holds both in one exponential, which overflows when A t is large and stable: it
    is taken over a short time, and doubled.
    """
    n = len(a)
    doublings = max(0, math.ceil(math.log2(max(float(np.abs(a).sum()) * t, 1e-300))))
    block = linalg.expm(np.block([[-a, sigma], [np.zeros((n, n)), a.T]]) * t / 2**doublings)
    flow = block[n:, n:].T
    noise = flow @ block[:n, n:]
    for _ in range(doublings):
        noise = noise + flow @ noise @ flow.T
        flow = flow @ flow
    return flow, noise
