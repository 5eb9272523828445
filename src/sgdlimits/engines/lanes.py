"""How many runs are computed together: by what one run holds, not by how many there are.

A lane is padded to its size, so it should cost one run little more than one run; and it should hold
enough runs that calling an operation costs little beside it. Where the state is a few numbers and
code is element by element, both hold for a wide range of sizes: there, and only there, the size
goes by the number of runs. Such code gives equal bits at all of these sizes, as the tests check;
products of matrices do not.
"""

import jax
import numpy as np

from sgdlimits.engines.sizes import Trace
from sgdlimits.process.lanes import LARGE

_SIZES = (16, 64, LARGE)
_SIZES_GPU = (256, 4096)
_FEW = 64  # numbers beside which the cost of calling operations is what counts
# Numbers beside which calling an operation costs little.
_VECTORS = 2**10  # most of a step is drawing its sample, which no lane makes cheaper
_VECTORS_GPU = 2**19
_STATISTICS = 2**8
_MATRICES = 2**12  # beyond which products of matrices cost as much for each run of a lane
# Up to this many numbers, a few runs together cost little more than one.
_EXPECTATIONS = 2**13
_SOME = 4


def of_steps(runs: int, step: Trace) -> int:
    """Lane for a chain of cheap steps, of states without vectors."""
    cpu = jax.default_backend() == "cpu"
    sizes = _SIZES if cpu else _SIZES_GPU
    if not step.elementwise:
        return min(_fitting(_MATRICES, step.largest), sizes[0]) if cpu else sizes[0]
    return next((size for size in sizes if runs <= size), sizes[-1])


def of_vectors(numbers: int) -> int:
    """Lane for vectors of ``numbers`` numbers per run."""
    cpu = jax.default_backend() == "cpu"
    return min(_fitting(_VECTORS if cpu else _VECTORS_GPU, numbers), 4096)


def of_diffusions(runs: int, coefficients: Trace) -> int:
    """Lane for SDEs, whose coefficients at one state may be large expectations."""
    if coefficients.elementwise and coefficients.largest <= _FEW:
        return of_steps(runs, coefficients)
    small = min(_fitting(_STATISTICS, coefficients.largest), _SIZES[0])
    return max(small, of_solutions(coefficients))


def of_solutions(field: Trace) -> int:
    """Lane for an adaptive solver: runs wait for the one that takes the most steps."""
    return min(_fitting(_EXPECTATIONS, field.largest), _SOME)


def _fitting(room: int, numbers: int) -> int:
    """Largest power of two of runs that fit in a room; at least one."""
    return 2 ** int(np.log2(max(1, room // max(1, numbers))))
