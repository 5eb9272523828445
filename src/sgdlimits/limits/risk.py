"""The population risk as a function of the summary statistics."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.models.base import AbstractModel, check_model
from sgdlimits.statistics.base import AbstractStatistics, is_traced
from sgdlimits.statistics.remembered import Remembered


def risk(
    model: AbstractModel, statistics: AbstractStatistics, *, excess: bool = False
) -> Float[Array, "*batch"]:
    """Expected loss of one fresh sample, without the ridge, at the given statistics.

    Args:
        model: the model; its ``risk`` says what is left out.
        statistics: any batch axes; with what a rule carries along or without.
        excess: above the risk that no parameters can remove (committees: the label noise's
            Delta/2). Mixtures have no such number.

    Returns:
        One number per state.

    Raises:
        TypeError, ValueError: for statistics that do not fit, or a model without excess risk.
    """
    check_model(model)
    if not model.has_risk:
        raise ValueError(f"{type(model).__name__} does not say its risk.")
    _validate.boolean("excess", excess)
    if isinstance(statistics, Remembered):  # memory has no part in it
        statistics = statistics.base
    if not isinstance(statistics, model.statistics_class):
        name = model.statistics_class.__name__
        raise TypeError(f"statistics={statistics!r}: expected {name} for {type(model).__name__}.")
    if not is_traced(statistics):
        model.check_statistics(statistics)
    least = model.irreducible_risk() if excess else 0.0
    if least is None:
        raise ValueError(f"excess=True: {type(model).__name__} has no formula for its least risk.")
    return risk_of_batch(dynamic(model), statistics, len(statistics.batch_shape)) - least


@eqx.filter_jit
def risk_of_batch(model: AbstractModel, u: AbstractStatistics, axes: int) -> Array:
    """The risk over so many leading axes, compiled."""
    function: Callable[[Any], Array] = model.risk
    for _ in range(axes):
        function = jax.vmap(function)
    return function(u)
