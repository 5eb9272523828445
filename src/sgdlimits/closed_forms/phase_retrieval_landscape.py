"""Critical points of phase retrieval's population risk, with their Hessians, by formula.

f = s^2, y = s*^2 + sqrt(noise) z, one neuron, |w*|^2 = rho, m = w.w*, q = |w|^2:

    risk = noise/2 + (3 rho^2 + 3 q^2 - 4 m^2 - 2 rho q)/2.

Arnaboldi, Krzakala, Loureiro and Stephan (2023), Appendix H, with its factors corrected.
"""

from dataclasses import dataclass

import numpy as np

from sgdlimits import _validate
from sgdlimits.formulas import formula


@dataclass(frozen=True)
class CriticalPoint:
    """A zero of the gradient, or a sphere of them.

    Attributes:
        label: in words.
        m: w.w*; where there are two such points, +m and -m, the positive one.
        q: |w|^2.
        excess_risk: risk - noise/2.
        eigenvalues: of the Hessian, increasing, one per distinct value.
        multiplicities: how often each occurs.
        directions: of each eigenvalue, in words.
    """

    label: str
    m: float
    q: float
    excess_risk: float
    eigenvalues: tuple[float, ...]
    multiplicities: tuple[int, ...]
    directions: tuple[str, ...]

    @property
    def kind(self) -> str:
        """A "minimum", "maximum" or "saddle", by the signs of the eigenvalues that are not 0."""
        negative = any(x < 0 for x in self.eigenvalues)
        positive = any(x > 0 for x in self.eigenvalues)
        return "saddle" if negative and positive else "maximum" if negative else "minimum"


@formula("exact", "Arnaboldi et al. (2023), (63) corrected")
def excess_risk(m, q, rho: float = 1.0):
    """(3 rho^2 + 3 q^2 - 4 m^2 - 2 rho q)/2, of the shape of ``m`` and ``q``.

    Eq. (63), which is printed without the factor 1/2.

    Status: exact.
    """
    m, q = _validate.finite("m", m), _validate.finite("q", q)
    return (3 * rho**2 + 3 * q**2 - 4 * m**2 - 2 * rho * q) / 2


@formula("exact", "Arnaboldi et al. (2023), (67) corrected")
def hessian(w: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """2[(3q - rho) I + 6 w wᵀ - 2 w* w*ᵀ], the Hessian of the risk in R^dim; eq. (67) corrected.

    Status: exact.
    """
    w, teacher = _validate.finite("w", w), _validate.finite("teacher", teacher)
    flat = (3 * w @ w - teacher @ teacher) * np.eye(len(w))
    return 2 * (flat + 6 * np.outer(w, w) - 2 * np.outer(teacher, teacher))


@formula("exact", "Arnaboldi et al. (2023), (83)")
def spherical_hessian(w: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """4[m^2 (I - w wᵀ) - (w* - m w)(w* - m w)ᵀ], the Riemannian Hessian on the unit sphere.

    Symmetric, zero along w. The same form on the tangent space as eq. (83). ``w`` and ``teacher``
    have norm 1.

    Status: exact.
    """
    w, teacher = _validate.finite("w", w), _validate.finite("teacher", teacher)
    m = float(w @ teacher)
    out = teacher - m * w
    return 4 * (m**2 * (np.eye(len(w)) - np.outer(w, w)) - np.outer(out, out))


@formula("exact", "Arnaboldi et al. (2023), (68)-(72) corrected")
def critical_points(dim: int, rho: float = 1.0) -> list[CriticalPoint]:
    """The three critical sets in R^dim; eqs. (68)-(72) corrected.

    w = 0, a maximum; the sphere m = 0, |w|^2 = rho/3, saddles; w = +-w*, minima.

    Status: exact.

    Args:
        dim: dimension, at least 2.
        rho: squared norm of the teacher.
    """
    dim = _validate.integer("dim", dim, 2)
    rho = _validate.positive("rho", rho)
    return [
        CriticalPoint(
            "zero", 0.0, 0.0, 1.5 * rho**2, (-6 * rho, -2 * rho), (1, dim - 1),
            ("along the teacher", "orthogonal"),
        ),
        CriticalPoint(
            "orthogonal to the teacher", 0.0, rho / 3, 4 / 3 * rho**2,
            *_without_none((-4 * rho, 1, "along the teacher"), (0.0, dim - 2, "along the sphere"),
                           (4 * rho, 1, "along w")),
        ),
        CriticalPoint(
            "teacher", rho, rho, 0.0, (4 * rho, 12 * rho), (dim - 1, 1),
            ("orthogonal", "along the teacher"),
        ),
    ]  # fmt: skip


@formula("exact", "Arnaboldi et al. (2023), (84), (85) corrected")
def spherical_critical_points(dim: int) -> list[CriticalPoint]:
    """The critical sets on the unit sphere, w and w* of norm 1; eqs. (84), (85).

    The equator m = 0, the maximum, with one direction down among dim - 2 flat ones (the paper
    counts dim - 1); and w = +-w*.

    Status: exact.

    Args:
        dim: dimension, at least 2.
    """
    dim = _validate.integer("dim", dim, 2)
    return [
        CriticalPoint(
            "equator", 0.0, 1.0, 2.0,
            *_without_none((-4.0, 1, "towards the teacher"), (0.0, dim - 2, "along the equator")),
        ),
        CriticalPoint("teacher", 1.0, 1.0, 0.0, (4.0,), (dim - 1,), ("tangent",)),
    ]  # fmt: skip


def _without_none(*rows: tuple[float, int, str]):
    kept = [row for row in rows if row[1]]
    values, counts, words = zip(*kept, strict=True)
    return values, counts, words
