"""The risk and its error as variables of a result, computed from the recorded statistics."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from sgdlimits._tracing import dynamic
from sgdlimits.models.base import AbstractModel
from sgdlimits.process.lanes import LARGE, map_lanes
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.reserved import ERROR

_RISK = {
    "long_name": "population risk, E[loss] of a fresh sample",
    "symbol": r"$\mathcal{R}$",
    "units": "1",
}
_ERROR = {
    "long_name": "estimated error of risk: of its expectation, and what the statistics' errors do",
    "units": "1",
}


def with_risk(dataset: xr.Dataset, model: AbstractModel) -> xr.Dataset:
    """The dataset with ``risk`` (run, time): expected loss at each record, NaN where diverged.

    And with ``risk_error``, unless risk and statistics are exact.
    """
    names = tuple(model.template.dims)
    shape = dataset[names[0]].shape[:2]
    numbers, states = dynamic(model), _flat(dataset, model, "")
    known = all(name + ERROR in dataset for name in names)
    errors = _flat(dataset, model, ERROR) if known else None

    def one_lane(rows: Array) -> tuple[Array, Array | None]:
        at = lambda x: x[np.asarray(rows)]  # noqa: E731
        return _risk_and_error(numbers, *jax.tree.map(at, (states, errors)))

    risk, error = map_lanes(one_lane, np.arange(shape[0] * shape[1]), LARGE)
    variables = {"risk": (risk, _RISK), "risk" + ERROR: (error, _ERROR)}
    found = {
        name: xr.Variable(("run", "time"), values.reshape(shape), attrs)
        for name, (values, attrs) in variables.items()
        if values is not None
    }
    return dataset.assign(found)


def _flat(dataset: xr.Dataset, model: AbstractModel, ending: str) -> AbstractStatistics:
    """Runs and times on one axis."""
    values = (np.asarray(dataset[name + ending]) for name in model.template.dims)
    flat = (x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]) for x in values)
    return model.statistics_class(*flat)


@eqx.filter_jit
def _risk_and_error(
    model: AbstractModel, states: AbstractStatistics, errors: AbstractStatistics | None
) -> tuple[Float[Array, " states"], Float[Array, " states"] | None]:
    def one(u: AbstractStatistics, e: AbstractStatistics | None) -> tuple[Array, Array | None]:
        risk, deviations = model.risk(u), model.risk_deviations(u)
        if deviations is None and e is None:
            return risk, None
        square = jnp.zeros(()) if deviations is None else jnp.sum(deviations**2)
        if e is not None:  # the signs of these are not known
            slope = jax.grad(lambda y: model.risk(u.with_vector(y)))(model.interior(u).vector)
            square = square + jnp.sum(jnp.abs(slope) * e.vector) ** 2
        return risk, jnp.sqrt(square)

    return jax.vmap(one)(states, errors)
