"""Expectations of two activations in NumPy, by brute force: some 700 x 700 nodes, kinks known.

Independent of the package: activations, slopes and kinks are written down once more.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special


class Known(NamedTuple):
    """An activation as a user writes it, and what is known of it."""

    function: Callable
    value: Callable
    slope: Callable
    kinks: tuple[float, ...] = ()


def _gelu(x):
    return np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)


def _gelu_slope(x):
    t = np.tanh(_gelu(x))
    return (1 + t) / 2 + x / 2 * (1 - t**2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)


def _mish_slope(x):
    t = np.tanh(np.logaddexp(0, x))
    return t + x * (1 - t**2) * special.expit(x)


_SCALE, _ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
_STEPS = tuple(np.arange(-1.5, 2.1, 0.5))

KNOWN = {
    "relu": Known(jax.nn.relu, lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0), (0.0,)),
    "abs": Known(jnp.abs, np.abs, np.sign, (0.0,)),
    "sign": Known(jnp.sign, np.sign, np.zeros_like, (0.0,)),
    "heaviside": Known(
        lambda x: jnp.heaviside(x, 0.5), lambda x: np.heaviside(x, 0.5), np.zeros_like, (0.0,)
    ),
    "leaky relu": Known(
        lambda x: jax.nn.leaky_relu(x, 0.1),
        lambda x: np.where(x > 0, x, 0.1 * x),
        lambda x: np.where(x > 0, 1.0, 0.1),
        (0.0,),
    ),
    "hardtanh": Known(
        jax.nn.hard_tanh, lambda x: np.clip(x, -1, 1), lambda x: 1.0 * (abs(x) < 1), (-1.0, 1.0)
    ),
    "relu6": Known(
        jax.nn.relu6,
        lambda x: np.clip(x, 0, 6),
        lambda x: 1.0 * ((x > 0) & (x < 6)),
        (0.0, 6.0),
    ),
    "elu": Known(
        jax.nn.elu,
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda x: np.exp(np.minimum(x, 0)),
        (0.0,),
    ),
    "selu": Known(
        jax.nn.selu,
        lambda x: _SCALE * np.where(x > 0, x, _ALPHA * np.expm1(np.minimum(x, 0))),
        lambda x: _SCALE * np.where(x > 0, 1, _ALPHA * np.exp(np.minimum(x, 0))),
        (0.0,),
    ),
    "softsign": Known(
        jax.nn.soft_sign, lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2, (0.0,)
    ),
    "gelu": Known(jax.nn.gelu, lambda x: x / 2 * (1 + np.tanh(_gelu(x))), _gelu_slope),
    "silu": Known(
        jax.nn.silu,
        lambda x: x * special.expit(x),
        lambda x: special.expit(x) * (1 + x * special.expit(-x)),
    ),
    "mish": Known(
        lambda x: x * jnp.tanh(jax.nn.softplus(x)),
        lambda x: x * np.tanh(np.logaddexp(0, x)),
        _mish_slope,
    ),
    "softplus 50": Known(
        lambda x: jax.nn.softplus(50 * x) / 50,
        lambda x: np.logaddexp(0, 50 * x) / 50,
        lambda x: special.expit(50 * x),
    ),
    "tanh": Known(jnp.tanh, np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "staircase": Known(
        lambda x: jnp.clip(jnp.floor(2 * x) / 2, -2, 2),
        lambda x: np.clip(np.floor(2 * x) / 2, -2, 2),
        np.zeros_like,
        _STEPS,
    ),
    "sine": Known(lambda x: jnp.sin(5 * x), lambda x: np.sin(5 * x), lambda x: 5 * np.cos(5 * x)),
    "x sign x": Known(lambda x: x * jnp.sign(x), np.abs, np.sign, (0.0,)),
    "cubic": Known(lambda x: x**3 - 3 * x, lambda x: x**3 - 3 * x, lambda x: 3 * x**2 - 3),
}

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_NORMAL = np.linspace(-9, 9, 13)
_SIDE = 5e-3 * 1.7 ** np.arange(22)  # to 350
_GRADED = np.concatenate([-_SIDE[::-1], [0.0], _SIDE])


def _rule(cuts):
    cuts = np.sort(np.clip(cuts, -9, 9), axis=-1)
    half = np.diff(cuts)[..., None] / 2
    z = cuts[..., :-1, None] + half * (1 + _NODES)
    weight = half * _WEIGHTS * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return z.reshape(*cuts.shape[:-1], -1), weight.reshape(*cuts.shape[:-1], -1)


def standard_pair(q, m, r):
    """(b, c, s) with y = b zeta, x = c zeta + s xi."""
    b = np.sqrt(r)
    c = m / b if r > 0 else 0.0
    rest = q - c * c
    return b, c, np.sqrt(rest) if rest > 1e-14 * q else 0.0


def dense(sigma: Known, tau: Known, q: float, m: float, r: float) -> np.ndarray:
    """(E[sigma tau], E[sigma' zeta tau], E[sigma' xi tau], E[sigma'(x) tau'(y)])."""
    b, c, s = standard_pair(q, m, r)
    at_x, at_y = np.r_[_GRADED, sigma.kinks], np.r_[_GRADED, tau.kinks]
    cuts = [_NORMAL]
    if b > 0:
        cuts.append(at_y / b)
    if c != 0:
        layers = np.r_[0.0, sigma.kinks][:, None] / c + np.linspace(-8, 8, 17) * s / abs(c)
        cuts += [at_x / c, layers.ravel()]
    z, weight = _rule(np.concatenate(cuts))
    keep = weight > 1e-17
    z, weight = z[keep], weight[keep]
    if s > 0:
        normal = np.broadcast_to(_NORMAL, (len(z), len(_NORMAL)))
        xi, inner = _rule(np.concatenate([normal, (at_x - c * z[:, None]) / s], axis=1))
        x = c * z[:, None] + s * xi
        slopes = sigma.slope(x)
        value, slope = (inner * sigma.value(x)).sum(1), (inner * slopes).sum(1)
        turned = (inner * xi * (slopes - sigma.slope(c * z)[:, None])).sum(1)
    else:
        value, slope, turned = sigma.value(c * z), sigma.slope(c * z), np.zeros_like(z)
    target = weight * tau.value(b * z)
    return np.array([
        target @ value, target @ (z * slope), target @ turned, (weight * tau.slope(b * z)) @ slope
    ])  # fmt: skip


def sizes(sigma: Known, tau: Known, q: float, r: float) -> np.ndarray:
    """What the four numbers are at most, by Cauchy and Schwarz."""
    z, weight = _rule(np.concatenate([_NORMAL, _GRADED]))

    def norm(function, variance):
        return np.sqrt(weight @ function(np.sqrt(variance) * z) ** 2)

    slope, target = norm(sigma.slope, q), norm(tau.value, r)
    return np.array(
        [norm(sigma.value, q) * target, slope * target, slope * target, slope * norm(tau.slope, r)]
    )
