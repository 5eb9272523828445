"""The drift as a function of a vector, and its Jacobian."""

from typing import TypeVar

import equinox as eqx
import jax
from jaxtyping import Array, Float

from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.models.base import AbstractModel
from sgdlimits.statistics.base import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)


def drift_vector(
    model: AbstractModel[S], sgd: OnlineSGD, y: Float[Array, " statistics"]
) -> Float[Array, " statistics"]:
    """h in the coordinates ``names``."""
    return model.drift(model.template.with_vector(y), sgd).vector


def jacobian(
    model: AbstractModel[S], sgd: OnlineSGD, u: S
) -> Float[Array, "statistics statistics"]:
    """Dh at one state, rows and columns in the order of ``names``.

    Raises:
        ValueError: if the model computes its drift in a way that has no derivative.
    """
    check_jacobian(model)
    return _jacobian(dynamic(model), dynamic(sgd), u.vector)


def check_jacobian(model: AbstractModel) -> None:
    """Raise ValueError if the model computes its drift in a way that has no derivative."""
    if not model.has_jacobian:
        raise ValueError(
            "the drift's nodes cross the network's kinks, so its derivative would miss them; give "
            "the model rule=QuasiMonteCarlo(dim, log2_nodes, split=True)."
        )


@eqx.filter_jit
def _jacobian(model: AbstractModel, sgd: OnlineSGD, y: Array) -> Array:
    y = model.interior(model.template.with_vector(y)).vector
    return jax.jacfwd(lambda y: drift_vector(model, sgd, y))(y)
