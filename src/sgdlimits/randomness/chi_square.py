"""Chi-square variables at the price of one normal each.

Rejection samplers need a data-dependent number of draws, which neither vectorises nor couples runs
at different dimensions. Here the degrees of freedom are constant over a run, so the increasing map
z -> quantile(Phi(z)) that makes a chi-square of a standard normal is tabulated once: its cube root
(Wilson and Hilferty 1931) is nearly linear in z, and a polynomial fits it to rounding. The normals
of double precision never leave |z| < 8.3, so the fit covers every value that can occur.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from numpy.polynomial import chebyshev
from scipy import special

from sgdlimits import _validate

_Z_MAX = 8.5
_DEGREE = 32
_MOST_FITS = 16
_MOST_SQUARES = 16  # below this the fit of degree 32 loses digits; a sum of squares is exact
_SERIES_FROM = (
    2500  # SciPy's inverse loses digits from about 1e6 on (2e-7 at 1e7): extrapolate instead
)


def _quantile_over_mean(dof: float, z: np.ndarray) -> np.ndarray:
    """Chi-square quantile at Phi(z), divided by ``dof``; each tail from its own side."""
    lower = special.gammaincinv(dof / 2, special.ndtr(np.minimum(z, 0)))
    upper = special.gammainccinv(dof / 2, special.ndtr(-np.maximum(z, 0)))
    return np.where(z < 0, lower, upper) * 2 / dof


def _cube_root_quantile(dof: float, z: np.ndarray) -> np.ndarray:
    """Cube root of quantile/mean at the points z, to about 1e-15."""
    if dof < _SERIES_FROM:
        return np.cbrt(_quantile_over_mean(dof, z))
    # In eps = dof^-1/2 the Cornish-Fisher expansion is analytic, with (z, eps) -> (-z, -eps) a
    # symmetry, so the value at tiny eps is an interpolation between nodes on both sides of zero.
    eps_max = _SERIES_FROM**-0.5
    nodes = eps_max * np.cos(np.pi * (np.arange(14) + 0.5) / 14)
    slopes = np.array(
        [(np.cbrt(_quantile_over_mean(eps**-2, z * np.sign(eps))) - 1) / eps for eps in nodes]
    )
    coefficients = chebyshev.chebfit(nodes / eps_max, slopes, 13)
    eps = dof**-0.5
    return 1 + eps * chebyshev.chebval(eps / eps_max, coefficients)


def _fit(dof: float) -> np.ndarray:
    """Coefficients of the cube root of quantile/mean, in powers of z / _Z_MAX."""
    t = np.cos(np.pi * (np.arange(256) + 0.5) / 256)
    return chebyshev.cheb2poly(chebyshev.chebfit(t, _cube_root_quantile(dof, _Z_MAX * t), _DEGREE))


def _from_normal(z: Array, mean: Array, coefficients: Array) -> Array:
    """Chi-squares of normals, by fits with the powers on the first axis."""
    t = z / _Z_MAX
    root = jnp.zeros_like(t)
    for k in range(_DEGREE, -1, -1):
        root = root * t + coefficients[k]
    return mean * root * root * root


class ChiSquare(eqx.Module):
    """Chi-square law with ``dof`` degrees of freedom, sampled from normals.

    ``from_normals`` is exact for dof <= 16 (a sum of squares) and exact to a relative 1e-13 above.
    Above 16 it is increasing in its one normal, so laws at different dof can be coupled.
    """

    normals: int = eqx.field(static=True)  # standard normals that one draw consumes
    fitted: bool = eqx.field(static=True)
    mean: Array
    coefficients: Array  # of the cube root, in powers of z / _Z_MAX; empty unless fitted

    def __init__(self, dof: int):
        dof = _validate.integer("dof", dof, 0)
        self.fitted = dof > _MOST_SQUARES
        self.normals = 1 if self.fitted else dof
        self.mean = jnp.asarray(float(dof))
        self.coefficients = jnp.asarray(_fit(dof)) if self.fitted else jnp.zeros(0)

    def from_normals(self, z: Float[Array, "normals *shape"]) -> Float[Array, "*shape"]:
        """Turn independent standard normals, stacked on the first axis, into chi-squares."""
        if not self.fitted:
            return jnp.sum(z * z, axis=0)
        return _from_normal(z[0], self.mean, self.coefficients)

    def sample(self, key: Key[Array, ""], shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Independent draws of the given shape."""
        return self.from_normals(jax.random.normal(key, (self.normals, *shape)))


class ChiSquares(eqx.Module):
    """Chi-squares with dof, dof - 1, ... degrees of freedom, one of each a draw.

    As exact as ``ChiSquare``, at the price of a few fits however many there are: in dof^-1/2 the
    coefficients are smooth.

    Args:
        dof: of the first, at least ``count`` - 1.
        count: how many.
    """

    few: tuple[ChiSquare, ...]  # sums of squares, the last of all
    means: Float[Array, " fitted"]
    coefficients: Float[Array, "powers fitted"]

    def __init__(self, dof: int, count: int):
        degrees = np.arange(dof, dof - count, -1)
        fitted = degrees[degrees > _MOST_SQUARES].astype(float)
        self.few = tuple(ChiSquare(int(x)) for x in degrees[len(fitted) :])
        self.means = jnp.asarray(fitted)
        self.coefficients = jnp.asarray(_fits(fitted))

    def sample(self, key: Key[Array, ""]) -> Float[Array, " count"]:
        """One draw of all."""
        key_fitted, *keys = jax.random.split(key, 1 + len(self.few))
        z = jax.random.normal(key_fitted, self.means.shape)
        each = [_from_normal(z, self.means, self.coefficients)]
        each += [square.sample(key)[None] for square, key in zip(self.few, keys, strict=True)]
        return jnp.concatenate(each)


def _fits(degrees: np.ndarray) -> np.ndarray:
    """Of neighbouring degrees of freedom, from at most ``_MOST_FITS`` fits: (powers, degrees)."""
    if not len(degrees):
        return np.zeros((_DEGREE + 1, 0))
    if len(degrees) <= _MOST_FITS:
        return np.stack([_fit(dof) for dof in degrees], axis=-1)
    eps = degrees**-0.5
    middle, half = (eps[0] + eps[-1]) / 2, (eps[-1] - eps[0]) / 2
    nodes = np.cos(np.pi * (np.arange(_MOST_FITS) + 0.5) / _MOST_FITS)
    known = np.stack([_fit((middle + half * x) ** -2) for x in nodes])
    between = chebyshev.chebfit(nodes, known, _MOST_FITS - 1)
    return chebyshev.chebval((eps - middle) / half, between)
