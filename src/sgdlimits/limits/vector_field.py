"""The drift as a function of a vector, and its Jacobian."""

from typing import TypeVar

import equinox as eqx
import jax
from jaxtyping import Array, Float

from sgdlimits._tracing import dynamic
from sgdlimits.algorithm import OnlineSGD
from sgdlimits.models.base import AbstractModel
from sgdlimits.models.statistics import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)


def drift_vector(
    model: AbstractModel[S], sgd: OnlineSGD, y: Float[Array, " statistics"]
) -> Float[Array, " statistics"]:
    """h in the coordinates ``names``."""
    return model.drift(model.template.with_vector(y), sgd).vector


def jacobian(
    model: AbstractModel[S], sgd: OnlineSGD, u: S
) -> Float[Array, "statistics statistics"]:
    """Dh at one state, rows and columns in the order of ``names``."""
    return _jacobian(dynamic(model), dynamic(sgd), u.vector)


@eqx.filter_jit
def _jacobian(model: AbstractModel, sgd: OnlineSGD, y: Array) -> Array:
    return jax.jacfwd(lambda y: drift_vector(model, sgd, y))(y)
