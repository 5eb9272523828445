"""Update rules: what a step does with the gradients of a batch."""

from sgdlimits.algorithms.rules.adagrad_norm import adagrad_norm
from sgdlimits.algorithms.rules.adjusted_momentum import adjusted_momentum
from sgdlimits.algorithms.rules.alternate import alternate
from sgdlimits.algorithms.rules.average import average
from sgdlimits.algorithms.rules.base import AbstractRule, At, Memory, Scalar
from sgdlimits.algorithms.rules.chain import chain
from sgdlimits.algorithms.rules.clip import clip, normalise
from sgdlimits.algorithms.rules.line_search import line_search
from sgdlimits.algorithms.rules.momentum import momentum
from sgdlimits.algorithms.rules.noise import noise
from sgdlimits.algorithms.rules.plain import Plain
from sgdlimits.algorithms.rules.polyak import polyak
from sgdlimits.algorithms.rules.repeat import repeat
from sgdlimits.algorithms.rules.sign import sign
from sgdlimits.algorithms.rules.weight_decay import weight_decay

__all__ = [
    "AbstractRule",
    "At",
    "Memory",
    "Plain",
    "Scalar",
    "adagrad_norm",
    "adjusted_momentum",
    "alternate",
    "average",
    "chain",
    "clip",
    "line_search",
    "momentum",
    "noise",
    "normalise",
    "polyak",
    "repeat",
    "sign",
    "weight_decay",
]

#: For configuration files.
BY_NAME = {
    rule.__name__: rule
    for rule in (
        adagrad_norm,
        adjusted_momentum,
        alternate,
        average,
        clip,
        line_search,
        momentum,
        noise,
        normalise,
        polyak,
        repeat,
        sign,
        weight_decay,
    )
}
