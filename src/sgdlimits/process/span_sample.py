"""Random numbers of a step in the few coordinates that it sees, for any rule."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sgdlimits.data.base import AbstractDataLaw
from sgdlimits.process.wide_outside import NarrowOutside, WideOutside


class SpanSamples(NamedTuple):
    """Of one step: samples and noises, one after the other on the second to last axis."""

    inside: Float[Array, "vectors directions_and_rows"]  # in an orthonormal basis of the span
    deviation: Float[Array, " batch"]  # of each coordinate of a sample outside of the span
    outside: Array  # of vectors of deviation 1 there: see ``outside_of``
    label: Float[Array, "batch outputs"]
    layer_noise: Float[Array, " layer"]


def draw_span_samples(
    law: AbstractDataLaw,
    rows: int,
    batch: int,
    noises: int,
    layer: int,
    outside: NarrowOutside | WideOutside,
    key: Key[Array, ""],
    steps: int,
) -> SpanSamples:
    """Of ``steps`` steps; every leaf has a leading axis of that length.

    ``noises`` vectors of standard normals follow the samples of every step.
    """
    r, count = law.directions, steps * batch
    classes, key = law.split(key, count)
    keys = jax.random.split(key, 4)
    deviation = law.deviations[classes]
    means = (jnp.asarray(law.coefficients) @ law.root)[classes]
    z = jax.random.normal(keys[0], (count, r + rows))
    e = means + deviation[:, None] * z[:, :r]
    inside = jnp.concatenate([e, deviation[:, None] * z[:, r:]], axis=1)
    label_noise = jax.random.normal(keys[1], (count, law.label_noises))
    label = jax.vmap(law.label)(classes, e @ law.root.T, label_noise)
    more = jax.random.normal(keys[2], (steps, noises, r + rows))
    inside = jnp.concatenate([inside.reshape(steps, batch, r + rows), more], axis=1)
    key_gram, key_layer = jax.random.split(keys[3])
    gram = outside.draw(key_gram, steps)
    layer_noise = jax.random.normal(key_layer, (steps, layer if noises else 0))
    label = label.reshape(steps, batch, label.shape[1])
    return SpanSamples(inside, deviation.reshape(steps, batch), gram, label, layer_noise)
