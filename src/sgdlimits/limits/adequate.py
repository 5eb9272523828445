"""Expectations that are accurate where they are needed, or a warning that they are not.

Default rules are quick, and right at states of order one. At others, and for losses that jump where
nobody expects it, their error estimates say that they are not; then the next finer rule is taken.
"""

import warnings
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits._tracing import dynamic
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)

ENOUGH = 1e-3  # of the scale
_LOOKED_AT = 6  # states of a solution
_MOST_NODES = 2**17  # of rules for solutions


class InaccurateWarning(UserWarning):
    """Expectations whose estimated error is more than 1e-3 of their scale."""


def finer_along(process: Process[S], template: S, path: np.ndarray) -> Process[S] | None:
    """What to solve with instead of a process, given its solution (times, statistics).

    None where its expectations are accurate enough at a few states of the solution, or where
    finer ones would take too long: a solution asks for thousands of them.

    Warns:
        InaccurateWarning: if they are not, and there is nothing finer.
    """
    states = path[np.isfinite(path).all(-1)]
    if not len(states) or is_exact(process):
        return None
    # The same number always, so that there is one program.
    some = states[np.linspace(0, len(states) - 1, _LOOKED_AT).astype(int)]
    errors = _errors(dynamic(process), template.with_vector(jnp.asarray(some)))
    finer = after(process, errors)
    return None if finer is None or finer.model.expectation_nodes > _MOST_NODES else finer


def is_exact(process: Process) -> bool:
    """Whether there is nothing to estimate."""
    model = process.model
    return model.moments_are_estimates or not model.knows_errors or process.drift_is_exact


def after(process: Process[S], errors: dict[str, Array]) -> Process[S] | None:
    """What to compute with instead, given the errors of a process; None if they are small enough.

    Warns:
        InaccurateWarning: if they are not, and there is nothing finer.
    """
    worst = {name: float(error) for name, error in errors.items()}
    name = max(worst, key=lambda name: worst[name], default=None)
    if name is None or not worst[name] > ENOUGH:
        return None
    finer = process.finer()
    if finer is None:
        if not process.kernel.can_refine:
            warnings.warn(
                f"{name} is known to {worst[name]:.1e} of its scale only, under rule="
                f"{process.algorithm.rule!r} by Sobol points; results carry the error.",
                InaccurateWarning,
                stacklevel=4,
            )
            return None
        rule = getattr(process.model, "rule", None)
        warnings.warn(
            f"{name} is known to {worst[name]:.1e} of its scale only, by {type(rule).__name__} of "
            f"{getattr(rule, 'count', 0)} nodes; results carry the error. For less of it give the "
            "model a finer rule=, such as QuasiMonteCarlo(dim, log2_nodes=18, split=False).",
            InaccurateWarning,
            stacklevel=4,
        )
    return finer


def errors_of(process: Process[S], u: S) -> dict[str, Float[Array, ""]]:
    """Largest relative errors over all batch axes of ``u``."""
    function = process.relative_errors
    for _ in u.batch_shape:
        function = jax.vmap(function)
    return {name: jnp.max(error) for name, error in function(u).items()}


@eqx.filter_jit
def _errors(process: Process, u: AbstractStatistics) -> dict[str, Float[Array, ""]]:
    return errors_of(process, u)
