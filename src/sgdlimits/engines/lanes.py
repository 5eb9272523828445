"""How many runs are computed together: by what one run holds, not by how many there are.

A lane is padded to its size, so it should cost one run little more than one run; and it should hold
enough runs that calling an operation costs little beside it. Where one run is a few numbers, both
hold for a wide range of sizes: there, and only there, the size goes by the number of runs. That
code is element by element in the runs, which the tests hold to give equal bits at all sizes.
"""

import jax
import numpy as np

from sgdlimits.process.lanes import LARGE

_SIZES = (16, 64, LARGE)
_SIZES_GPU = (256, 4096)
# Numbers beside which calling an operation costs little.
_VECTORS = 2**10  # most of a step is drawing its sample, which no lane makes cheaper
_VECTORS_GPU = 2**19
_EXPECTATIONS = 2**13
_MOST_DIFFUSIONS, _MOST_SOLUTIONS = 8, 4  # one run alone should not wait for many


def of_statistics(runs: int) -> int:
    """Lane for a few numbers per run, in code that is element by element in the runs."""
    sizes = _SIZES if jax.default_backend() == "cpu" else _SIZES_GPU
    return next((size for size in sizes if runs <= size), sizes[-1])


def of_vectors(numbers: int) -> int:
    """Lane for vectors of ``numbers`` numbers per run."""
    cpu = jax.default_backend() == "cpu"
    return min(_fitting(_VECTORS if cpu else _VECTORS_GPU, numbers), 4096)


def of_diffusions(runs: int, numbers: int) -> int:
    """Lane for SDEs, whose coefficients at one state may be expectations over ``numbers``."""
    if numbers <= 1:  # formulas
        return of_statistics(runs)
    return min(_fitting(_EXPECTATIONS, numbers), _MOST_DIFFUSIONS)


def of_solutions(numbers: int) -> int:
    """Lane for an adaptive solver whose right-hand side holds ``numbers`` numbers at once."""
    return min(_fitting(_EXPECTATIONS, numbers), _MOST_SOLUTIONS)


def _fitting(room: int, numbers: int) -> int:
    """Largest power of two of runs that fit in a room; at least one."""
    return 2 ** int(np.log2(max(1, room // max(1, numbers))))
