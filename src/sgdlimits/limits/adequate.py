"""Expectations that are accurate where they are needed, or a warning that they are not.

Default rules are quick, and right at states of order one. At others, and for losses that jump where
nobody expects it, their error estimates say that they are not; then the next finer rule is taken.
"""

import math
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
_LOOKED_AT = 6  # times of solutions
_MOST = 12  # states of solutions
_MOST_NODES = 2**17  # of solutions, which ask for thousands of expectations


class InaccurateWarning(UserWarning):
    """Expectations whose estimated error is more than 1e-3 of their scale."""


def adequate(process: Process[S], u: S, most: float = math.inf) -> Process[S]:
    """The process, or one with finer expectations, good enough at all of the states ``u``.

    Rules of more nodes than ``most`` are not taken.

    Warns:
        InaccurateWarning: if there is none.
    """
    if is_exact(process):
        return process
    while True:
        following = after(process, _errors(dynamic(process), u))
        if following is None or following.model.expectation_nodes > most:
            return process
        process = following


def adequate_along(process: Process[S], template: S, paths: np.ndarray) -> Process[S]:
    """The same for solutions, vectors on the last axis and times on the first: at a few of them."""
    times = np.unique(np.linspace(0, len(paths) - 1, _LOOKED_AT).astype(int))
    states = paths[times].reshape(-1, paths.shape[-1])
    states = states[np.isfinite(states).all(-1)]
    if not len(states) or is_exact(process):
        return process
    kept = np.unique(np.linspace(0, len(states) - 1, _MOST).astype(int))
    # The same number always, so that there is one program.
    some = template.with_vector(jnp.asarray(states[np.resize(kept, _MOST)]))
    return adequate(process, some, _MOST_NODES)


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
    function = process.model.relative_errors
    for _ in u.batch_shape:
        function = jax.vmap(function)
    return {name: jnp.max(error) for name, error in function(u).items()}


@eqx.filter_jit
def _errors(process: Process, u: AbstractStatistics) -> dict[str, Float[Array, ""]]:
    return errors_of(process, u)
