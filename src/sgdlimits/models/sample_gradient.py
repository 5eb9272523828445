"""What the gradient of one sample's loss sees, and what it is: the model's side of the kernel."""

from typing import NamedTuple

from jaxtyping import Array, Float


class Seen(NamedTuple):
    """One sample X, and the rows, as the gradient of its loss sees them.

    ``M`` and ``Q`` are the rows' overlaps with the frame and each other; None for models whose
    gradient does not look at them. Algorithms may ask for more; models need not look at it.
    """

    s: Float[Array, " rows"]  # R X
    label: Float[Array, " outputs"]
    M: Float[Array, "rows directions"] | None = None
    Q: Float[Array, "rows rows"] | None = None
    norm2: Array | None = None  # |X|^2/dim, where an algorithm asks for it


class Gradient(NamedTuple):
    """Gradient of one sample's loss: pull R + push F + g X in the rows R, h in the rest v."""

    g: Float[Array, " rows"]
    h: Float[Array, " layer"]
    pull: Array | float = 0.0
    push: Float[Array, "rows directions"] | None = None
    #: The part of ``pull`` that is a ridge's: the same for every sample, penalty v of h included.
    penalty: Array | float = 0.0
