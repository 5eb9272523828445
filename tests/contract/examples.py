"""What users write: an update rule, a data law, a model, each a few lines."""

from typing import ClassVar

import jax.numpy as jnp

import sgdlimits as sl
from sgdlimits.algorithms.rules import AbstractRule
from sgdlimits.data.base import AbstractDataLaw


class DecoupledDecay(AbstractRule):
    """theta' = (1 - delta decay) theta - delta gradient: weight decay that no loss knows of."""

    decay: float = 0.1

    def update(self, parameters, gradient, delta, time):
        return (1 - delta * self.decay) * parameters - delta * gradient


class TwoScales(AbstractDataLaw):
    """Inputs of two sizes, large ones with probability ``share``; y = f + noise z."""

    large: float = 1.5
    share: float = 0.3
    noise: float = 0.5

    coefficients: ClassVar = ((0.0,), (0.0,))
    gram: ClassVar = ((1.0,),)
    noiseless: ClassVar = (False, False)
    outputs: ClassVar = 1
    label_noises: ClassVar = 1
    labels_see_fields: ClassVar = True
    draws_classes: ClassVar = True

    @property
    def deviations(self):
        return jnp.stack([jnp.ones(()), jnp.asarray(self.large, float)])

    @property
    def weights(self):
        share = jnp.asarray(self.share, float)
        return jnp.stack([1 - share, share])

    def label(self, c, f, z):
        return f + jnp.asarray(self.noise, f.dtype) * z


def _squared(output, label):
    return (label[0] - output) ** 2 / 2


class LinearRegression(sl.MultiIndexModel):
    """Two linear neurons on any data law."""

    def __init__(self, data):
        network = sl.Network(lambda v, s: s[0] + 0.5 * s[1], width=2, layer=0)
        super().__init__(data=data, network=network, loss=_squared)
