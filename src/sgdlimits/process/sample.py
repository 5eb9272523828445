"""The random numbers of a step's samples, as the exact chain needs them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sgdlimits.data.base import AbstractDataLaw
from sgdlimits.process.outside import OutsideGram


class Samples(NamedTuple):
    """The random numbers of one step's batch, in coordinates; the batch is the last axis, if any.

    With one sample a step there is no batch axis.
    """

    e: Float[Array, "directions *batch"]  # of X in an orthonormal basis of the frame's span
    xi: Float[Array, "rows *batch"]  # ... of the span of the rows' rest
    deviation: Float[Array, "*batch"]  # of each coordinate of X outside of both
    label: Float[Array, "outputs *batch"]
    outside: Float[Array, "*rank"]  # see ``OutsideGram``


def draw_samples(
    law: AbstractDataLaw,
    rows: int,
    batch: int,
    outside: OutsideGram,
    key: Key[Array, ""],
    steps: int,
) -> Samples:
    """The random numbers of ``steps`` steps; every leaf has a leading axis of that length."""
    r, count = law.directions, steps * batch
    classes, key = law.split(key, count)
    noises = law.label_noises
    single = r + rows + noises
    if batch == 1:
        z = jax.random.normal(key, (single + outside.normals, steps))
        rest, z = z[single:], z[:single]
    else:
        key_outside, key = jax.random.split(key)
        z = jax.random.normal(key, (single, count))
        rest = jax.random.normal(key_outside, (outside.normals, steps))
    deviation = law.deviations[classes]
    means = jnp.asarray(law.coefficients) @ law.root
    e = means[classes] + (deviation * z[:r]).T
    f = e @ law.root.T
    label = jax.vmap(law.label)(classes, f, z[single - noises :].T)
    gram = outside.from_normals(rest)
    if batch == 1:
        # One sample's outside part is one number, which its deviation scales.
        return Samples(e, (deviation * z[r : r + rows]).T, deviation, label, deviation**2 * gram)
    xi = (deviation * z[r : r + rows]).T

    def by_step(x: Array) -> Array:
        return jnp.moveaxis(x.reshape(steps, batch, *x.shape[1:]), 1, -1)

    return Samples(by_step(e), by_step(xi), by_step(deviation), by_step(label), gram)
