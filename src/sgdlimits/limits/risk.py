"""The population risk as a function of the summary statistics."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
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
    _validate.boolean("excess", excess)
    statistics = _checked(model, statistics)
    least = model.irreducible_risk() if excess else 0.0
    if least is None:
        raise ValueError(f"excess=True: {type(model).__name__} has no formula for its least risk.")
    return risk_of_batch(dynamic(model), statistics, len(statistics.batch_shape)) - least


def risk_error(model: AbstractModel, statistics: AbstractStatistics) -> Float[Array, "*batch"]:
    """Estimated absolute error of ``risk`` at the given statistics.

    0 where the risk is a formula; NaN where the rule for expectations has nothing to compare with.

    Args:
        model: the model.
        statistics: any batch axes.

    Raises:
        TypeError, ValueError: for statistics that do not fit, or a model without a risk.
    """
    statistics = _checked(model, statistics)
    errors = risk_error_of_batch(dynamic(model), statistics, len(statistics.batch_shape))
    return jnp.zeros(statistics.batch_shape) if errors is None else errors


def _checked(model: AbstractModel, statistics: AbstractStatistics) -> AbstractStatistics:
    """The model's own statistics of valid ones."""
    check_model(model)
    if not model.has_risk:
        raise ValueError(f"{type(model).__name__} does not say its risk.")
    if isinstance(statistics, Remembered):  # memory has no part in it
        statistics = statistics.base
    if not isinstance(statistics, model.statistics_class):
        name = model.statistics_class.__name__
        raise TypeError(f"statistics={statistics!r}: expected {name} for {type(model).__name__}.")
    if not is_traced(statistics):
        model.check_statistics(statistics)
    return statistics


@eqx.filter_jit
def risk_of_batch(model: AbstractModel, u: AbstractStatistics, axes: int) -> Array:
    """The risk over so many leading axes, compiled."""
    function: Callable[[Any], Array] = model.risk
    for _ in range(axes):
        function = jax.vmap(function)
    return function(u)


@eqx.filter_jit
def risk_error_of_batch(model: AbstractModel, u: AbstractStatistics, axes: int) -> Array | None:
    """Errors of the risk over so many leading axes, compiled; None where it has none."""

    def one(u: Any) -> Array | None:
        deviations = model.risk_deviations(u)
        return None if deviations is None else jnp.sqrt(jnp.sum(deviations**2))

    function: Callable[[Any], Array | None] = one
    for _ in range(axes):
        function = jax.vmap(function)
    return function(u)
