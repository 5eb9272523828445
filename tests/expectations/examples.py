"""One pair of activations for every entry of the table of closed forms."""

import jax.numpy as jnp

from sgdlimits.expectations.activations import Erf, Hermite, Polynomial, Relu

SQUARE = Polynomial([0.0, 0.0, 1.0])
CUBIC = Polynomial([0.1, 0.2, 0.5, 0.3])
EXAMPLES = {
    ("erf", "erf"): (Erf(), Erf()),
    ("relu", "relu"): (Relu(), Relu()),
    ("square", "square"): (SQUARE, SQUARE),
    ("polynomial", "polynomial"): (CUBIC, Hermite([0.2, 0.4, 0.3])),
}

# Four preactivations, none of norm one twice, and signed weights.
COVARIANCE = jnp.array(
    [[1.0, 0.3, -0.2, 0.5], [0.3, 0.8, 0.1, 0.2], [-0.2, 0.1, 1.2, 0.4], [0.5, 0.2, 0.4, 0.9]]
)
WEIGHTS = jnp.array([0.5, -0.3, 0.7, -1.1])
