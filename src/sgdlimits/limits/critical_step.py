"""The largest step at which training rests: where a fixed point of the limit stops being stable."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.limits import flow
from sgdlimits.limits.stability import linear
from sgdlimits.limits.vector_field import jacobian
from sgdlimits.models.base import AbstractModel
from sgdlimits.process.initial import draw_initial
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

_LONGER = 1.3  # from one step to the next
_MOST = 200  # steps that are tried
_FAR = 1e7  # times the first step: stable as far as that is stable whatever the step
_NEWTON = 40
_ZERO = 1e-9  # of the drift, relative to the state
_SETTLED = 200.0  # nominal time after which the flow is near where it rests
_DIM = 1_000_000


class _Rest(NamedTuple):
    """A fixed point as a vector."""

    state: np.ndarray
    stable: bool


def critical_step(
    model: AbstractModel,
    sgd: OnlineSGD | None = None,
    *,
    initial: AbstractStatistics | None = None,
    rtol: float = 1e-4,
) -> float:
    """The step at which the fixed point that training rests in loses its stability.

    The flow is followed from ``initial`` at the step of ``sgd``, and the fixed point that it ends
    in along growing steps, until an eigenvalue of the drift's Jacobian reaches 0, the point leaves
    the domain, or there is none any more. For least squares this is 2 batch/(tr Sigma/dim), where
    the excess risk diverges; momentum with ``beta`` divides it by 1/(1 - beta).

    Args:
        model: the model.
        sgd: the algorithm, with its batch and rule, at a step that is stable; default
            ``OnlineSGD(step=0.1)``.
        initial: where training starts; default: a random start in dimension 10^6.
        rtol: relative error of the answer.

    Returns:
        The step; inf if the point is stable at all steps that were tried, up to 10^6 times the
        first.

    Raises:
        TypeError, ValueError: for arguments that do not fit, a schedule,
            or if training does not rest at the step of ``sgd``.

    Status: asymptotic, dim -> infinity; the fixed point that was found, which need not be the last
    one that is stable.
    """
    sgd = OnlineSGD(step=0.1) if sgd is None else sgd
    process = Process(model, sgd).in_the_limit()
    process.kernel.check_limit()
    if not process.autonomous:
        raise ValueError(f"{process.changing}: a step that changes has no critical value.")
    if sgd.rule.asks_population:
        raise ValueError(f"rule={sgd.rule!r}: it finds its own step, which has no critical value.")
    rtol = _validate.positive("rtol", rtol)
    first = float(sgd.step)
    rest = _settle(process, _start(process, initial))
    if rest is None or not rest.stable:
        raise ValueError(
            f"sgd={sgd!r}: training does not rest in a stable fixed point at this step; take a "
            "smaller one, or another initial."
        )
    below, above = first, np.inf
    for _ in range(_MOST):
        # Where the steps are close to each other the last one is asked again, from beside it: from
        # far away Newton's method may have missed a point that is there.
        close = above - below <= rtol * above
        step = min(_LONGER * below, above) if close or np.isinf(above) else (below + above) / 2
        found = _follow(_at(process, step), rest)
        if found is not None and found.stable:
            below, rest = step, found
            above = np.inf if step == above else above
            if below > _FAR * first:
                return np.inf
        elif close and np.isfinite(above):
            break
        else:
            above = step
    return (below + above) / 2


def _at(process: Process, step: float) -> Process:
    algorithm = dataclasses.replace(process.algorithm, step=step)
    return Process(process.model, algorithm)


def _start(process: Process, given: AbstractStatistics | None) -> Any:
    if given is None:
        return draw_initial(process, _DIM, np.arange(1), 0)[0]
    start: Any = process.complete(given)
    process.check_state(start)
    if start.batch_shape != ():
        raise ValueError(f"initial has batch shape {start.batch_shape}: expected one state.")
    return start


def _settle(process: Process, start: Any) -> _Rest | None:
    """Where the flow ends."""
    ends = flow.solve_vectors(
        dynamic(process), start.vector[None], jnp.asarray([_SETTLED]), 1e-8, 1e-10
    )
    return _follow(process, _Rest(np.asarray(ends)[-1, 0], True))


def _follow(process: Process, near: _Rest) -> _Rest | None:
    """The fixed point by Newton's method from a state near it; None without one in the domain."""
    last = y = near.state
    template = process.template
    for _ in range(_NEWTON):
        if not np.isfinite(y).all():
            return None
        u = template.with_vector(jnp.asarray(y))
        speed = np.asarray(flow.drift_of(dynamic(process), u.vector))
        if not np.isfinite(speed).all():
            y = (last + y) / 2  # the step has left the domain
            continue
        if np.abs(speed).max() <= _ZERO * (1 + np.abs(y).max()):
            break
        slopes = np.asarray(jacobian(process, u))
        last, y = y, y - np.linalg.lstsq(slopes, speed, rcond=1e-12)[0]
    else:
        return None
    u = template.with_vector(jnp.asarray(y))
    try:
        process.check_state(u)
    except ValueError:
        return None
    return _Rest(y, bool(linear(process, u).eigenvalues[0].real < 0))
