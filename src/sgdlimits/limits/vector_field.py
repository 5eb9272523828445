"""The drift as a function of one state, of a vector, and its Jacobian."""

from typing import TypeVar

import jax
from jaxtyping import Array, Float

from sgdlimits._tracing import dynamic
from sgdlimits.algorithm import OnlineSGD
from sgdlimits.models.base import AbstractModel
from sgdlimits.models.statistics import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)


def drift_of(model: AbstractModel[S], sgd: OnlineSGD, u: S) -> S:
    """h = -f + g of one state: the only place where the two meet."""
    f, g = model.population_drift(u, sgd), model.corrector(u, sgd)
    return jax.tree.map(lambda f, g: g - f, f, g)


def drift_vector(
    model: AbstractModel[S], sgd: OnlineSGD, y: Float[Array, " statistics"]
) -> Float[Array, " statistics"]:
    """h in the coordinates ``names``."""
    return drift_of(model, sgd, model.template.with_vector(y)).vector


def jacobian(
    model: AbstractModel[S], sgd: OnlineSGD, u: S
) -> Float[Array, "statistics statistics"]:
    """Dh at one state, rows and columns in the order of ``names``."""
    model, sgd = dynamic(model), dynamic(sgd)
    return jax.jacfwd(lambda y: drift_vector(model, sgd, y))(u.vector)
