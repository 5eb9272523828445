"""The data law of classification problems: a Gaussian mixture with labelled classes."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from sgdlimits import _validate

Matrix = tuple[tuple[float, ...], ...]


def _matrix(name: str, value: object) -> Matrix:
    array = np.asarray(value, dtype=float)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ValueError(f"{name}: expected a finite matrix, got shape {array.shape}.")
    return tuple(tuple(float(x) for x in row) for row in array)


def _row(name: str, value: object, allow_infinite: bool = False) -> tuple[float, ...]:
    array = np.atleast_1d(np.asarray(value, dtype=float))
    bad = np.isnan(array) if allow_infinite else ~np.isfinite(array)
    if array.ndim != 1 or bad.any():
        raise ValueError(f"{name}: expected a list of numbers, got {value!r}.")
    return tuple(float(x) for x in array)


class GaussianMixture(eqx.Module):
    """X = mu_c + Z, Z ~ N(0, I/snr_c), class c with probability p_c, label y_c.

    The class means lie in the span of r linearly independent directions, the rows of the frame F:
    mu_c = Fᵀ a_c.

    Args:
        coefficients: a, shape (classes, directions).
        labels: what the loss is given for each class, shape (classes,) or (classes, outputs).
        gram: G = F Fᵀ; default: orthonormal directions. Dependent means are coefficients over
            fewer directions.
        probabilities: default: equal.
        snr: lambda, one number or one per class; inf is the zero-noise limit.

    Raises:
        ValueError: for shapes that disagree, probabilities that do not sum to 1, an snr that is
            not above 0, or a Gram matrix that is not symmetric and positive definite.
    """

    coefficients: Matrix = eqx.field(static=True)
    labels: Matrix = eqx.field(static=True)
    gram: Matrix = eqx.field(static=True)
    probabilities: tuple[float, ...]
    snr: tuple[float, ...]
    noiseless: tuple[bool, ...] = eqx.field(static=True)  # classes with snr = inf

    def __init__(
        self,
        coefficients: ArrayLike,
        labels: ArrayLike,
        *,
        gram: ArrayLike | None = None,
        probabilities: ArrayLike | None = None,
        snr: ArrayLike = 1.0,
    ):
        self.coefficients = _matrix("coefficients", coefficients)
        classes, directions = np.shape(self.coefficients)
        table = np.asarray(labels, dtype=float)
        self.labels = _matrix("labels", table[:, None] if table.ndim == 1 else table)
        self.gram = _validate.gram("gram", np.eye(directions) if gram is None else gram, directions)
        equal = np.full(classes, 1 / classes)
        self.probabilities = _row(
            "probabilities", equal if probabilities is None else probabilities
        )
        row = _row("snr", snr, allow_infinite=True)
        self.snr = row * classes if len(row) == 1 else row
        self._check(classes)
        self.noiseless = tuple(value == math.inf for value in self.snr)

    def _check(self, classes: int) -> None:
        if len(self.labels) != classes:
            raise ValueError(f"labels: expected one per class ({classes}), got {len(self.labels)}.")
        p = np.array(self.probabilities)
        if p.shape != (classes,) or (p < 0).any() or not math.isclose(p.sum(), 1, abs_tol=1e-9):
            raise ValueError(
                f"probabilities={self.probabilities!r}: expected {classes} numbers, at least 0, "
                "that sum to 1."
            )
        if len(self.snr) != classes:
            raise ValueError(f"snr: expected one number, or one per class, got {len(self.snr)}.")
        for value in self.snr:
            if value != math.inf:
                _validate.positive("snr", value)

    def with_snr(self, snr: float) -> "GaussianMixture":
        """The same mixture with another snr, the same in every class."""
        return GaussianMixture(
            np.array(self.coefficients),
            np.array(self.labels),
            gram=np.array(self.gram),
            probabilities=np.array(self.probabilities),
            snr=snr,
        )

    @property
    def directions(self) -> int:
        """r, the number of rows of the frame."""
        return len(self.gram)

    @property
    def root(self) -> Float[Array, "directions directions"]:
        """Lower triangular R with G = R Rᵀ."""
        return jnp.asarray(np.linalg.cholesky(np.array(self.gram)))

    @property
    def deviations(self) -> Float[Array, " classes"]:
        """Standard deviation of the noise of each class, snr^-1/2."""
        return 1 / jnp.sqrt(jnp.stack([jnp.asarray(x, float) for x in self.snr]))

    @property
    def weights(self) -> Float[Array, " classes"]:
        """Class probabilities."""
        return jnp.stack([jnp.asarray(x, float) for x in self.probabilities])

    def frame(self, dim: int) -> Float[Array, "directions dim"]:
        """Rows F with F Fᵀ = G: the root, padded with zeros."""
        r = self.directions
        return jnp.zeros((r, dim)).at[:, :r].set(self.root)
