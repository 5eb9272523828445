"""Losses of one sample: (output of the network, label) -> a number.

Outputs may have any shape with as many numbers as the label; labels of signs are ±1. Any other
function, written in JAX, will do as well.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Output = Float[Array, "*shape"]
Label = Float[Array, " outputs"]


def squared(output: Output, label: Label) -> Float[Array, ""]:
    """|y - f|^2/2."""
    return jnp.sum((label - jnp.reshape(output, label.shape)) ** 2) / 2


def logistic(output: Output, label: Label) -> Float[Array, ""]:
    """log(1 + exp(-y f)) for labels y = ±1; the sum over outputs."""
    return jnp.sum(_softplus(-label * jnp.reshape(output, label.shape)))


def hinge(output: Output, label: Label) -> Float[Array, ""]:
    """max(0, 1 - y f) for labels y = ±1; the sum over outputs."""
    return jnp.sum(jnp.maximum(0.0, 1 - label * jnp.reshape(output, label.shape)))


def perceptron(output: Output, label: Label) -> Float[Array, ""]:
    """max(0, -y f) for labels y = ±1: only samples on the wrong side push; the sum over outputs."""
    return jnp.sum(jnp.maximum(0.0, -label * jnp.reshape(output, label.shape)))


def correlation(output: Output, label: Label) -> Float[Array, ""]:
    """-y f; bounded below only where the norm of the parameters is kept."""
    return -jnp.sum(label * jnp.reshape(output, label.shape))


def binary_cross_entropy(output: Float[Array, ""], label: Label) -> Float[Array, ""]:
    """-y z + log(1 + e^z) for the logit z and y in {0, 1}."""
    return _softplus(output) - label[0] * output


def softmax_cross_entropy(
    output: Float[Array, " classes"], label: Float[Array, " classes"]
) -> Float[Array, ""]:
    """log sum e^z - z_y for logits z and a one-hot label."""
    return jax.nn.logsumexp(output) - jnp.sum(label * output)


@jax.custom_jvp
def _softplus(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log(1 + e^x); its own derivative rule, because the default one takes the logarithm again."""
    return jax.nn.softplus(x)


@_softplus.defjvp
def _softplus_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    return jax.nn.softplus(x), jax.nn.sigmoid(x) * dx
