"""One step of any rule, on rows in any coordinates: those of R^dim, or of a span.

The exact chain takes this very step in the few dimensions that a step sees: the span of directions
and rows, and a basis of what the samples have outside of it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.algorithms.rules.base import At
from sgdlimits.expectations.small_linalg import cholesky
from sgdlimits.models.sample_gradient import Gradient, Seen
from sgdlimits.process.ruled_gradient import ruled_gradient


class RowState(NamedTuple):
    """Second layers and rows, of parameters and then of memories, and scalars by name."""

    scalars: dict[str, Array]
    v: Float[Array, "kinds layer"]
    R: Float[Array, "kinds width coordinates"]


class Drawn(NamedTuple):
    """What a step sees: samples, and noise where the rule wants some."""

    x: Float[Array, "batch coordinates"]
    label: Float[Array, "batch outputs"]
    noise: Float[Array, "*width_coordinates"]
    layer_noise: Float[Array, "*layer"]
    #: Deviations of samples whose parts outside ``x`` leaves out, and as many rows as ``width``
    #: with T Tᵀ ~ Wishart: what the mean of g Xᵀ has there is C T, C Cᵀ = the mean's own Gram. One
    #: such pair for every block of inputs.
    outside: tuple[tuple[Array, Array], ...] = ()


class MeanGradient(NamedTuple):
    """Of a batch: in the second layer, in the rows, and the norm² of g X."""

    h: Float[Array, " layer"]
    G: Float[Array, "width coordinates"]
    square: Float[Array, ""]


def mean_gradient(
    model: Any,
    algorithm: OnlineSGD,
    v: Float[Array, " layer"],
    W: Float[Array, "width coordinates"],
    frame: Float[Array, "r coordinates"],
    drawn: Drawn,
    dim: Any,
) -> MeanGradient:
    """Of the samples, each as the rule takes it."""
    rule, x = algorithm.rule, drawn.x
    M, Q = (W @ frame.T, W @ W.T) if model.sees_overlaps else (None, None)
    asked = rule.scales_samples or rule.lookahead is not None

    def of_sample(x: Array, label: Array) -> Gradient:
        norm2 = jnp.sum(x * x) / jnp.asarray(dim, x.dtype) if asked else None
        seen = Seen(W @ x, label, M, Q, norm2)
        found = ruled_gradient(model, rule, v, seen) if asked else model.gradient(v, seen)
        return found._replace(pull=jnp.asarray(found.pull), penalty=jnp.asarray(found.penalty))

    each = jax.vmap(of_sample)(x, drawn.label)
    along = each.g.T @ x / len(x)
    for deviation, basis in drawn.outside:
        scaled = each.g.T * deviation
        along = along + cholesky(scaled @ scaled.T) @ basis / len(x)
    in_rows = jnp.mean(each.pull) * W + along
    if each.push is not None:
        in_rows = in_rows + jnp.mean(each.push, axis=0) @ frame
    return MeanGradient(jnp.mean(each.h, axis=0), in_rows, jnp.sum(along * along))


def row_step(
    model: Any,
    algorithm: OnlineSGD,
    state: RowState,
    frame: Float[Array, "r coordinates"],
    drawn: Drawn,
    dim: Any,
    time: Array,
) -> RowState:
    """The state after one step from nominal ``time``; rows of norm 1 where the algorithm says."""
    rule, (scalars, v, R) = algorithm.rule, state

    def gradient(v: Array) -> MeanGradient:
        return mean_gradient(model, algorithm, v, R[0], frame, drawn, dim)

    found = gradient(v[0])
    square = found.square / jnp.asarray(dim, found.square.dtype) ** 2
    scalars = scalars | rule.accumulate(scalars, square)
    v = move(algorithm, v, found.h, drawn.layer_noise, scalars, dim, time, layer=True)
    if rule.alternates:
        found = gradient(v[0])
    R = move(algorithm, R, found.G, drawn.noise, scalars, dim, time)
    if algorithm.spherical:
        W = R[0] / jnp.linalg.norm(R[0], axis=1, keepdims=True)
        R = jnp.concatenate([W[None], R[1:]])
    return RowState(scalars, v, R)


def move(
    algorithm: OnlineSGD,
    kinds: Float[Array, "kinds *shape"],
    gradient: Float[Array, "*shape"],
    noise: Any,
    scalars: dict[str, Array],
    dim: Any,
    time: Array,
    *,
    layer: bool = False,
) -> Float[Array, "kinds *shape"]:
    """Parameters and memories of a layer after the rule has moved them along a mean gradient."""
    rule, dtype = algorithm.rule, gradient.dtype
    delta = jnp.asarray(algorithm.delta(dim), dtype) * jnp.asarray(algorithm.factor(time), dtype)
    rate = jnp.asarray(algorithm.second_layer_rate, dtype) if layer else jnp.ones((), dtype)
    if rule.simple:
        return rule.update(kinds[0], gradient, rate * delta, time.astype(dtype))[None]
    names = [memory.name for memory in rule.memory]
    memory = dict(zip(names, kinds[1:], strict=True))
    scalars = {name: x.astype(dtype) for name, x in scalars.items()}
    at = At(kinds[0], memory, noise, scalars, delta, time.astype(dtype))
    direction, memory = rule.direction(gradient, at)
    return jnp.stack([kinds[0] - rate * delta * direction, *(memory[name] for name in names)])
