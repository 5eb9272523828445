"""Eigenvalues of the inputs' covariance, each with the fraction of the dimensions that it holds."""

import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

import sgdlimits._x64  # noqa: F401
from sgdlimits import _validate

_MOST_SHOWN = 6


class Spectrum(eqx.Module):
    """Covariance with eigenvalue lambda_j on a block of dimension fractions_j * dim.

    Blocks are orthogonal and known: coordinates of the data, or its principal directions. Classes
    may have eigenvalues of their own, in the same blocks (their covariances commute).

    Args:
        eigenvalues: at least 0, shape (blocks,), or (classes, blocks) for one set per class.
        fractions: of the dimensions, one for each block, above 0, with sum 1; default: equal.

    Raises:
        TypeError: for what is no array of numbers.
        ValueError: for other shapes, negative or infinite eigenvalues, eigenvalues that are all 0,
            or fractions that are no fractions.

    Attributes:
        eigenvalues: shape (sets, blocks), with one set for all classes or one for each.
        fractions: one for each block.
    """

    eigenvalues: Float[Array, "sets blocks"]
    fractions: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        eigenvalues: ArrayLike | Sequence[Any],
        fractions: ArrayLike | Sequence[Any] | None = None,
    ):
        values = _array("eigenvalues", eigenvalues)
        if values.ndim not in (1, 2) or values.size == 0:
            raise ValueError(
                f"eigenvalues has shape {values.shape}: expected (blocks,) or (classes, blocks)."
            )
        values = np.atleast_2d(values)
        if not np.isfinite(values).all() or (values < 0).any():
            raise ValueError(
                f"eigenvalues: smallest {values.min():.6g}, largest {values.max():.6g}; expected "
                "finite numbers that are at least 0."
            )
        if (values.max(axis=1) == 0).any():
            raise ValueError("eigenvalues: all are 0 in a class; expected one above 0.")
        blocks = values.shape[1]
        shares = np.full(blocks, 1 / blocks) if fractions is None else fractions
        shares = _array("fractions", shares)
        if shares.shape != (blocks,):
            raise ValueError(f"fractions has shape {shares.shape}: expected ({blocks},).")
        if not (shares > 0).all() or not abs(shares.sum() - 1) < 1e-9:
            raise ValueError(
                f"fractions: smallest {shares.min():.6g}, sum {shares.sum():.12g}; expected "
                "numbers above 0 with sum 1."
            )
        self.eigenvalues = jnp.asarray(values)
        self.fractions = tuple(shares.tolist())

    @classmethod
    def power_law(
        cls, exponent: float, blocks: int, *, largest: float = 1.0, mean: float | None = None
    ) -> "Spectrum":
        """lambda_j proportional to j^-exponent, j = 1, ..., blocks, in blocks of equal size.

        A negative exponent gives (j/blocks)^|exponent|.

        Args:
            exponent: of the decay; 0 is isotropic.
            blocks: how many eigenvalues.
            largest: the largest of them.
            mean: the mean of them, tr Sigma/dim, instead of ``largest``.

        Raises:
            TypeError, ValueError: for arguments that are out of range.
        """
        exponent = _validate.number("exponent", exponent)
        count = _validate.integer("blocks", blocks, 1)
        values = np.arange(1, count + 1, dtype=float) ** -exponent
        if mean is None:
            return cls(_validate.positive("largest", largest) * values / values.max())
        return cls(_validate.positive("mean", mean) * values / values.mean())

    @classmethod
    def of(cls, samples: ArrayLike, *, blocks: int | None = None) -> "Spectrum":
        """Eigenvalues of the sample covariance of rows, in decreasing order.

        Args:
            samples: shape (samples, features); centred here.
            blocks: neighbouring eigenvalues are replaced by the means of so many groups of (nearly)
                equal size; default: each stands for itself.

        Raises:
            TypeError, ValueError: for no table of finite numbers, or more blocks than features.

        Warns:
            UserWarning: with fewer samples than ten times the features the eigenvalues of a sample
                are spread more widely than those of the law.
        """
        table = _array("samples", samples)
        if table.ndim != 2 or len(table) < 2 or not np.isfinite(table).all():
            raise ValueError(
                f"samples has shape {table.shape}: expected finite numbers (samples, features), "
                "with two samples or more."
            )
        count, features = table.shape
        groups_wanted = features if blocks is None else blocks
        blocks = _validate.integer("blocks", groups_wanted, 1, features)
        if count < 10 * features:
            warnings.warn(
                f"samples: {count} of {features} features; the eigenvalues of so few samples are "
                "more spread out than those of their law. Take more samples, or fewer blocks.",
                stacklevel=2,
            )
        centred = table - table.mean(axis=0)
        values = np.linalg.svd(centred, compute_uv=False) ** 2 / (count - 1)
        values = np.concatenate([values, np.zeros(features - len(values))])
        groups = np.array_split(values, int(blocks))
        return cls([x.mean() for x in groups], [len(x) / features for x in groups])

    @property
    def sets(self) -> int:
        """Of eigenvalues: 1, or one for each class."""
        return self.eigenvalues.shape[0]

    @property
    def blocks(self) -> int:
        """How many."""
        return self.eigenvalues.shape[1]

    @property
    def mean(self) -> Float[Array, " sets"]:
        """tr Sigma/dim of each set."""
        return self.eigenvalues @ jnp.asarray(self.fractions)

    def sizes(self, dim: int) -> np.ndarray:
        """Dimensions of the blocks in R^dim: whole numbers nearest to fractions * dim, sum dim."""
        exact = np.array(self.fractions) * dim
        sizes = np.floor(exact + 1e-9).astype(int)
        missing = dim - sizes.sum()
        order = np.argsort(sizes - exact, kind="stable")
        sizes[order[:missing]] += 1
        return sizes

    def __repr__(self) -> str:
        """Values where they fit on a line, else how many and their range."""
        values = np.asarray(self.eigenvalues)
        if values.size > _MOST_SHOWN:
            sets = f"{self.sets} sets of " if self.sets > 1 else ""
            size = f"{values.min():.4g} to {values.max():.4g}, mean {values.mean():.4g}"
            return f"Spectrum({sets}{self.blocks} eigenvalues: {size})"
        shown = (values if self.sets > 1 else values[0]).round(6).tolist()
        fractions = [round(x, 6) for x in self.fractions]
        return f"Spectrum({shown}, fractions={fractions})"


def _array(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}={value!r}: expected an array of numbers.") from error
