"""Data on a hidden manifold: inputs are a function of few latent coordinates, and so are labels.

X = g(A C), C ~ N(0, I_D), labels from fields f = T C. For features A that are no special ones,
fields of X and of C are jointly Gaussian as both dimensions grow. Their covariances are exact at
any size: with a_i = A_i C, rho_ij the correlation of a_i and a_j, and Hermite coefficients c_ki of
g(a_i),

    E X_i X_j = sum_k c_ki c_kj rho_ij^k,   E X_i f = E[g'(a_i)] A_i Tᵀ.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from numpy.typing import ArrayLike

from sgdlimits import _validate
from sgdlimits.data.blocks import Blocks
from sgdlimits.data.spectrum import Spectrum
from sgdlimits.data.teacher import LabelFunction, Teacher
from sgdlimits.expectations.activations import as_activation
from sgdlimits.provenance import left_out

_NODES = 201
_ORDERS = 24  # of Hermite polynomials; correlations of different inputs to that power are nothing
_MEAN = 1e-9  # of inputs, in units of their deviations, that counts as none


class Manifold(NamedTuple):
    """What the law stands for.

    Attributes:
        features: A, (dim, latent).
        teacher: T, (directions, latent).
        directions: columns are eigenvectors of the inputs' covariance, in the order of the blocks;
            inputs times these are what the law speaks of.
        frame: rows of the teacher as the law has them, in these coordinates.
        missing: share of the variance of f that inputs do not contain, row by row.
    """

    features: np.ndarray
    teacher: np.ndarray
    directions: np.ndarray
    frame: np.ndarray
    missing: np.ndarray


class HiddenManifold(Teacher):
    """The equivalent Gaussian law of a hidden manifold; build one with ``hidden_manifold``."""

    manifold: Any = eqx.field(static=True, metadata=left_out(lambda manifold: True))
    nonlinearity: Any = eqx.field(static=True, metadata=left_out(lambda nonlinearity: True))

    def __init__(self, manifold: Manifold, nonlinearity: Any, label: LabelFunction, **options: Any):
        self.manifold, self.nonlinearity = _Held(manifold), nonlinearity
        super().__init__(label, **options)

    @property
    def parts(self) -> Blocks:
        """Its blocks, which it always has."""
        assert self.blocks is not None
        return self.blocks

    def real_sample(
        self, key: Key[Array, ""]
    ) -> tuple[Float[Array, " dim"], Float[Array, " outputs"]]:
        """One sample of the manifold itself, in the law's coordinates, with its label."""
        x, y = self.raw_sample(key)
        return x @ jnp.asarray(self.manifold.directions), y

    def raw_sample(
        self, key: Key[Array, ""]
    ) -> tuple[Float[Array, " dim"], Float[Array, " outputs"]]:
        """The same in the coordinates of the features: X = g(A C)."""
        of, (key_c, key_z) = self.manifold, jax.random.split(key)
        c = jax.random.normal(key_c, (of.features.shape[1],))
        x = self.nonlinearity(jnp.asarray(of.features) @ c)
        y = jnp.asarray(self.label_function(jnp.asarray(of.teacher) @ c, jax.random.normal(key_z)))
        return x, jnp.atleast_1d(y)


def hidden_manifold(
    features: ArrayLike,
    nonlinearity: Any,
    label: LabelFunction,
    *,
    teacher: ArrayLike | None = None,
    blocks: int | None = None,
) -> HiddenManifold:
    """Inputs X = g(A C) of latent C ~ N(0, I), labels y = label(T C, z), as a Gaussian law.

    Asymptotic: as both dimensions grow, for features that are spread over inputs and latent
    coordinates, fields of inputs and labels are jointly Gaussian (Goldt et al. 2020 and 2022);
    their covariances are exact, but for the means that ``blocks`` take. Coordinates of the law are
    eigenvectors of the inputs' covariance; what inputs do not contain of T C is ``hidden``.

    Args:
        features: A, (dim, latent), often rows of norm 1.
        nonlinearity: g, "erf", "relu", an activation, or a function of one variable in JAX, that
            gives inputs of mean 0: odd ones do.
        label: (f, z) -> label, f = T C of shape (directions,), z a standard normal.
        teacher: T, (directions, latent); default: one row, 1/sqrt(latent) everywhere.
        blocks: neighbouring eigenvalues are replaced by their mean, in so many groups of nearly
            equal size; default: at most 32, by the size of dim.

    Returns:
        A ``Teacher`` with a covariance and a hidden part; its ``manifold`` says what it stands for,
        and ``real_sample`` draws from that.

    Raises:
        TypeError, ValueError: for arrays that do not fit, or inputs whose mean is not 0.
    """
    A = _table("features", features)
    dim, latent = A.shape
    T = np.full((1, latent), latent**-0.5) if teacher is None else _table("teacher", teacher)
    if T.shape[1] != latent:
        raise ValueError(f"teacher has shape {T.shape}: expected (directions, {latent}).")
    norms = np.linalg.norm(A, axis=1)
    if norms.min() == 0:
        raise ValueError("features: a row is zero; its input would be a constant.")
    groups = min(32, dim) if blocks is None else _validate.integer("blocks", blocks, 1, dim)
    g = as_activation("nonlinearity", nonlinearity)
    mean, variance, coefficients = _moments(g, norms)
    if (np.abs(mean) > _MEAN * np.sqrt(variance) + 1e-12).any():
        raise ValueError(
            f"nonlinearity={nonlinearity!r}: inputs have means up to {np.abs(mean).max():.3g}, and "
            "the law has none; subtract E[g(a)], a ~ N(0, |A_i|^2)."
        )
    linear = (coefficients[0] / norms)[:, None] * A
    covariance = _covariance(A / norms[:, None], variance, coefficients)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    cross = T @ linear.T @ vectors  # of f with inputs
    parts = np.array_split(np.arange(dim), int(groups))
    means = np.array([values[part].mean() for part in parts])
    each = np.repeat(means, [len(part) for part in parts])
    # Covariances of the label's fields with inputs stay what they are, whatever the blocks.
    seen = each > 1e-12 * values[0]
    frame = np.where(seen, cross / np.where(seen, each, 1.0), 0.0)
    gram = np.stack([frame[:, part] @ frame[:, part].T for part in parts])
    total = T @ T.T
    hidden = _positive(total - np.tensordot(means, gram, axes=1))
    missing = np.diagonal(hidden) / np.diagonal(total)
    found = Manifold(A, T, vectors, frame, missing)
    return HiddenManifold(
        found, g, label, gram=gram, hidden=hidden,
        covariance=Spectrum(means, [len(part) / dim for part in parts]),
    )  # fmt: skip


def _positive(matrix: np.ndarray) -> np.ndarray:
    """Without the negative eigenvalues that rounding leaves."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T


def _moments(
    g: Callable[[Array], Array], norms: Float[np.ndarray, " dim"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of g(a), a ~ N(0, norm^2): mean, variance, and Hermite coefficients (orders from 1, dim).

    By Simpson's rule, which kinks at 0 do not upset: 0 is a node.
    """
    z = np.linspace(-10.0, 10.0, 20 * _NODES + 1)
    weight = np.where(np.arange(len(z)) % 2, 4.0, 2.0) * np.exp(-z * z / 2)
    weight[[0, -1]] /= 2
    weight *= (z[1] - z[0]) / 3 / math.sqrt(2 * math.pi)
    values = np.asarray(jax.lax.map(lambda norm: g(norm * jnp.asarray(z)), jnp.asarray(norms)))
    mean, polynomials = values @ weight, [np.ones_like(z), z]
    for k in range(1, _ORDERS):  # normalised: E h_k^2 = 1
        last, before = polynomials[-1], polynomials[-2]
        polynomials.append((z * last - math.sqrt(k) * before) / math.sqrt(k + 1))
    coefficients = np.stack([values @ (weight * h) for h in polynomials[1:]])
    return mean, (values - mean[:, None]) ** 2 @ weight, coefficients


def _covariance(
    units: Float[np.ndarray, "dim latent"],
    variance: Float[np.ndarray, " dim"],
    coefficients: Float[np.ndarray, "orders dim"],
) -> Float[np.ndarray, "dim dim"]:
    """Of inputs, whose own variances are known."""
    correlation = units @ units.T
    covariance, power = np.zeros_like(correlation), np.ones_like(correlation)
    for c in coefficients:
        power = power * correlation
        covariance += np.outer(c, c) * power
    np.fill_diagonal(covariance, variance)
    return covariance


def _table(name: str, value: Any) -> np.ndarray:
    try:
        table = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: expected an array of numbers.") from error
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise ValueError(f"{name} has shape {table.shape}: expected a matrix of finite numbers.")
    return table


class _Held:
    """Arrays as something static: equal only to itself."""

    def __init__(self, manifold: Manifold):
        self.manifold = manifold

    def __getattr__(self, name: str) -> Any:
        return getattr(self.manifold, name)

    def __repr__(self) -> str:
        dim, latent = self.manifold.features.shape
        return f"Manifold(dim={dim}, latent={latent}, missing={self.manifold.missing.round(3)})"
