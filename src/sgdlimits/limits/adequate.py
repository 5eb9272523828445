"""Expectations that are accurate where they are needed, or a warning that they are not.

Default rules are quick, and right at states of order one. At others, and for losses that jump where
nobody expects it, their error estimates say that they are not; then the next finer rule is taken.
"""

import math
import warnings
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits._logging import logger
from sgdlimits._tracing import dynamic
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)

ENOUGH = 1e-3  # of the scale
_LOOKED_AT = 6  # states of a solution
_MOST_NODES = 2**17  # of rules for solutions


class InaccurateWarning(UserWarning):
    """Expectations whose estimated error is more than 1e-3 of their scale."""


class Inaccurate(NamedTuple):
    """The expectation with the largest error, in units of its scale."""

    name: str
    error: float

    def warn(self, process: Process, stacklevel: int) -> None:
        """Say so, and what buys accuracy."""
        if not process.kernel.can_refine:
            warnings.warn(
                f"{self.name} is known to {self.error:.1e} of its scale only, under "
                f"rule={process.algorithm.rule!r} by Sobol points; results carry the error.",
                InaccurateWarning,
                stacklevel=stacklevel + 1,
            )
            return
        rule = getattr(process.model, "rule", None)
        warnings.warn(
            f"{self.name} is known to {self.error:.1e} of its scale only, by "
            f"{type(rule).__name__} of {getattr(rule, 'count', 0)} nodes; results carry the error. "
            "For less of it give the model a smaller tolerance= than 1e-3, or a finer rule=, such "
            "as QuasiMonteCarlo(dim, log2_nodes=18, split=False).",
            InaccurateWarning,
            stacklevel=stacklevel + 1,
        )


def finer_along(process: Process[S], template: S, path: np.ndarray) -> Process[S] | None:
    """What to solve with instead of a process, given its solution (times, statistics).

    None where its expectations are accurate enough at a few states of the solution.

    Warns:
        InaccurateWarning: if they are not, and there is nothing finer, or what there is would take
            too long: a solution asks for thousands of expectations.
    """
    worst = _along(process, template, path)
    return None if worst is None else _after(process, worst, _MOST_NODES)


def say_along(process: Process[S], template: S, paths: np.ndarray, enough: float = ENOUGH) -> None:
    """Warn where expectations are not accurate enough along paths (times, runs, statistics).

    For what cannot change its rule on the way. ``enough``: of the scale; a model's own tolerance
    comes before it.

    Warns:
        InaccurateWarning: once, for the first run where it is so.
    """
    for run in range(paths.shape[1]):
        worst = _along(process, template, paths[:, run], enough)
        if worst is not None:
            worst.warn(process, stacklevel=4)
            return


def after(process: Process[S], errors: dict[str, Array]) -> Process[S] | None:
    """What to compute with instead, given the errors of a process; None if they are small enough.

    Warns:
        InaccurateWarning: if they are not, and there is nothing finer.
    """
    worst = _worst(process, errors)
    return None if worst is None else _after(process, worst)


def _after(process: Process[S], worst: Inaccurate, most: float = math.inf) -> Process[S] | None:
    finer = process.finer()
    if finer is None or finer.model.expectation_nodes > most:
        worst.warn(process, stacklevel=5)
        return None
    logger.info("%s: %d nodes leave an error of %.1e of the scale; taking %d",
                worst.name, process.model.expectation_nodes, worst.error,
                finer.model.expectation_nodes)  # fmt: skip
    return finer


def _along(
    process: Process[S], template: S, path: np.ndarray, enough: float = ENOUGH
) -> Inaccurate | None:
    states = path[np.isfinite(path).all(-1)]
    if not len(states) or is_exact(process):
        return None
    # The same number always, so that there is one program.
    some = states[np.linspace(0, len(states) - 1, _LOOKED_AT).astype(int)]
    errors = _errors(dynamic(process), template.with_vector(jnp.asarray(some)))
    return _worst(process, errors, enough)


def _worst(process: Process, errors: dict[str, Array], enough: float = ENOUGH) -> Inaccurate | None:
    """None where all is as accurate as asked for."""
    asked, largest = process.model.allowed_error, {k: float(x) for k, x in errors.items()}
    name = max(largest, key=lambda name: largest[name], default=None)
    if name is None or not largest[name] > (enough if asked is None else asked):
        return None
    return Inaccurate(name, largest[name])


def is_exact(process: Process) -> bool:
    """Whether there is nothing to estimate."""
    model = process.model
    return model.moments_are_estimates or not model.knows_errors or process.drift_is_exact


def errors_of(process: Process[S], u: S) -> dict[str, Float[Array, ""]]:
    """Largest relative errors over all batch axes of ``u``."""
    function = process.relative_errors
    for _ in u.batch_shape:
        function = jax.vmap(function)
    return {name: jnp.max(error) for name, error in function(u).items()}


@eqx.filter_jit
def _errors(process: Process, u: AbstractStatistics) -> dict[str, Float[Array, ""]]:
    return errors_of(process, u)
