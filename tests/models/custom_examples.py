"""Custom models whose drift is known in closed form, for the tests of what is estimated."""

import jax
import jax.numpy as jnp

import sgdlimits as sl

NOISE = 0.5


def sample(key, dim):
    key_x, key_z = jax.random.split(key)
    x = jax.random.normal(key_x, (dim,))
    return x, x[0] + NOISE * jax.random.normal(key_z)


def squared_error(w, y):
    x, target = y
    return 0.5 * (target - jnp.sum(w * x)) ** 2


def overlaps(w):
    return {"m": w[0], "q": jnp.sum(w * w)}


def gaussian(key, dim):
    return jax.random.normal(key, (dim,)) / jnp.sqrt(1.0 * dim)


def regression(**kwargs) -> sl.CustomModel:
    """Linear regression on N(0, I): dm = 1 - m, dq = 2 (m - q) + step * E[residual^2]."""
    given = {"loss": squared_error, "sample": sample, "statistics": overlaps, "initial": gaussian}
    return sl.CustomModel(**(given | kwargs))


def regression_drift(m, q, step):
    """(f, g), both exact at every dim up to the O(1/dim) of g."""
    return (m - 1, 2 * (q - m)), (0.0, step * (1 - 2 * m + q + NOISE**2))
