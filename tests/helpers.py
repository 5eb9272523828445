"""Statistics of tests: those of the package's own checker."""

from sgdlimits.testing.statistics import (
    FALSE_ALARM,
    ks_scores,
    moment_z_scores,
    random_rotation,
    same_law,
    z_limit,
    z_scores,
)

__all__ = [
    "FALSE_ALARM",
    "ks_scores",
    "moment_z_scores",
    "random_rotation",
    "same_law",
    "z_limit",
    "z_scores",
]
