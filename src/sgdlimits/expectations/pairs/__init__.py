"""Closed forms of Gaussian expectations, one file per pair of activations.

A pair is added by a file with a ``Pair``, an entry in ``PAIRS``, and ``kinds`` of its activations.
"""

from sgdlimits.expectations.pairs.table import PAIRS, pair_of

__all__ = ["PAIRS", "pair_of"]
