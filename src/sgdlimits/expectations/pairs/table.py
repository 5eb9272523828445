"""Which pairs of activations have closed forms: one entry each."""

from itertools import product

from sgdlimits.expectations.activations import AbstractActivation
from sgdlimits.expectations.pairs.base import Pair
from sgdlimits.expectations.pairs.erf import ERF
from sgdlimits.expectations.pairs.polynomial import POLYNOMIAL
from sgdlimits.expectations.pairs.relu import RELU
from sgdlimits.expectations.pairs.square import SQUARE

#: By the kinds of student and teacher. It is read while programs are traced: enter a pair before
#: the first use of its activations.
PAIRS: dict[tuple[str, str], Pair] = {
    ("erf", "erf"): ERF,
    ("relu", "relu"): RELU,
    ("square", "square"): SQUARE,
    ("polynomial", "polynomial"): POLYNOMIAL,
}

_UNKNOWN = Pair()


def pair_of(student: AbstractActivation, teacher: AbstractActivation) -> Pair:
    """The closed forms of two activations, from their most special kinds that have an entry.

    Two squares are also two polynomials; the entry of squares wins. Without an entry every form
    is None.
    """
    for kinds in product(student.kinds, teacher.kinds):
        if kinds in PAIRS:
            return PAIRS[kinds]
    return _UNKNOWN
