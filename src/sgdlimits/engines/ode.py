"""The ballistic limit, from the same finite-dim initial statistics as the other engines."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from sgdlimits._tracing import dynamic
from sgdlimits.algorithm import OnlineSGD
from sgdlimits.engines.path import Advanced, Record
from sgdlimits.limits import flow
from sgdlimits.models.base import AbstractModel
from sgdlimits.models.statistics import AbstractStatistics

RTOL, ATOL = 1e-9, 1e-11


def run_ode(
    model: AbstractModel,
    sgd: OnlineSGD,
    start: AbstractStatistics,
    times: np.ndarray,
    advanced: Advanced,
) -> Iterator[Record]:
    """Yield the solution at ``times`` after 0; the runs are the leading axis."""
    path = flow.solve_vectors(
        dynamic(model), dynamic(sgd), start.vector, jnp.asarray(times), RTOL, ATOL
    )
    path = np.asarray(path)
    bad = ~np.isfinite(path).all(-1)
    diverged = np.where(bad.any(0), times[bad.argmax(0)], np.nan)
    for index in range(1, len(times)):
        yield Record(index, start.with_vector(jnp.asarray(path[index])), diverged)
    advanced(path.shape[1])
