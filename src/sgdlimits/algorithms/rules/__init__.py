"""Update rules: what a step does with the mean gradient of a batch."""

from sgdlimits.algorithms.rules.base import AbstractRule
from sgdlimits.algorithms.rules.plain import Plain

__all__ = ["AbstractRule", "Plain"]
