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
        self.coefficients = jnp.zeros(0)
        if self.fitted:
            t = np.cos(np.pi * (np.arange(256) + 0.5) / 256)
            fit = chebyshev.chebfit(t, _cube_root_quantile(dof, _Z_MAX * t), _DEGREE)
            self.coefficients = jnp.asarray(chebyshev.cheb2poly(fit))

    def from_normals(self, z: Float[Array, "normals *shape"]) -> Float[Array, "*shape"]:
        """Turn independent standard normals, stacked on the first axis, into chi-squares."""
        if not self.fitted:
            return jnp.sum(z * z, axis=0)
        t = z[0] / _Z_MAX
        root = jnp.zeros_like(t)
        for k in range(_DEGREE, -1, -1):
            root = root * t + self.coefficients[k]
        return self.mean * root * root * root

    def sample(self, key: Key[Array, ""], shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Independent draws of the given shape."""
        return self.from_normals(jax.random.normal(key, (self.normals, *shape)))
