"""Solve the ballistic ODE du = h(u) dt with an adaptive Runge-Kutta method."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.limits.adequate import finer_along
from sgdlimits.limits.coupled_blocks import CoupledBlocks, Couplings
from sgdlimits.limits.vector_field import drift_vector
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)

_SMOOTH = (1e-9, 1e-11)
# Drifts that are Monte Carlo estimates, or sums over nodes that cross kinks, are known to a few
# digits; and where nodes cross kinks the derivative jumps, so that a strict solver would creep:
# XOR at snr 30 by 2^17 Sobol points takes 55 steps at 1e-4, and 917 at 1e-6 to the same end.
_ROUGH = (1e-4, 1e-6)
_SAMPLED = (1e-6, 1e-8)  # smooth, and known to four digits
_MOST_STEPS = 2**18
# A time in which so many steps can be used up by standing still, at rates up to a thousand or so.
_LONG = 2**18 * 1e-3
_LEAST_SHARE = 1 / 256  # of the time, that so many steps must get through
_STIFF = 300.0  # horizon times the fastest rate, from which implicit steps cost less
_SMALLEST_STEP = 1e-13  # a solution that needs less than this is blowing up

#: Relative and absolute, per step; None: what the accuracy of the drift deserves.
Tolerances = tuple[float | None, float | None]


def default_tolerances(process: Process) -> tuple[float, float]:
    """Relative and absolute tolerance that the accuracy of the drift deserves."""
    rough = process.model.moments_are_estimates or not process.drift_is_smooth
    return _ROUGH if rough else _SAMPLED if process.drift_is_rough else _SMOOTH


def check_times(times: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return ``times`` as a float array, or raise unless finite, >= 0 and increasing."""
    result = np.atleast_1d(_validate.reals("times", times))
    if result.ndim != 1 or result.size == 0:
        raise ValueError(f"times has shape {result.shape}: expected a non-empty list of times.")
    if not np.isfinite(result).all() or result[0] < 0 or (np.diff(result) <= 0).any():
        raise ValueError(f"times={result}: expected finite, increasing times from 0 on.")
    return result


def integrate(
    field: Callable[[Float[Array, ""], Float[Array, " n"]], Float[Array, " n"]],
    y0: Float[Array, " n"],
    times: Float[Array, " times"],
    rtol: Array | float,
    atol: Array | float,
    most_steps: int = _MOST_STEPS,
    couplings: Couplings | None = None,
) -> Float[Array, "times n"]:
    """dy/dt = field(t, y) from y0 at t = 0; NaN where the solution does not exist.

    ``couplings``: of many blocks, for implicit steps.
    """
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: field(jnp.asarray(t), y)),
        diffrax.Tsit5() if couplings is None else _implicit(couplings),
        t0=0.0,
        t1=jnp.maximum(times[-1], _SMALLEST_STEP),
        dt0=None,
        y0=y0,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol, dtmin=_SMALLEST_STEP),
        max_steps=most_steps,
        throw=False,
    )
    assert solution.ys is not None
    return jnp.where(jnp.isfinite(solution.ys), solution.ys, jnp.nan)


def _implicit(couplings: Couplings) -> diffrax.AbstractSolver:
    find = diffrax.with_stepsize_controller_tols(diffrax.VeryChord)
    return diffrax.Kvaerno5(root_finder=find(linear_solver=CoupledBlocks(couplings)))


@eqx.filter_jit
def solve_vectors(
    process: Process,
    y0: Float[Array, "batch statistics"],
    times: Float[Array, " times"],
    rtol: Array | float,
    atol: Array | float,
    most_steps: int = _MOST_STEPS,
    couplings: Couplings | None = None,
) -> Float[Array, "times batch statistics"]:
    """The ODE from every row of ``y0``."""

    def one(y: Array) -> Array:
        field = lambda t, y: drift_vector(process, y, t)  # noqa: E731
        return integrate(field, y, times, rtol, atol, most_steps, couplings)

    return jax.vmap(one, out_axes=1)(y0)


def carry_on(
    process: Process,
    y0: Float[np.ndarray, "runs statistics"],
    times: np.ndarray,
    tolerances: tuple[float, float],
    path: Float[np.ndarray, "times runs statistics"],
) -> None:
    """Complete ``path`` where a long time took more steps than the solver may at once.

    At a stable point steps are as long as stability lets them, so that time alone uses them up. It
    goes on piece by piece; a solution that blows up does not get through the first, and stays NaN.
    """
    runs, end = np.arange(len(y0)), float(times[-1])
    good = np.isfinite(path).all(-1).cumprod(0).sum(0)  # times that are done
    last = np.maximum(good - 1, 0)
    begin = np.where(good > 0, times[last], 0.0)
    y = np.where((good > 0)[:, None], path[last, runs], y0)
    piece = np.full(len(y0), end * _LEAST_SHARE)
    left = (good < len(times)) & (end - begin > _LONG) & np.isfinite(y).all(-1)
    while left.any():
        until = np.where(left, np.minimum(begin + piece, end), begin)
        arrays = (jnp.asarray(x) for x in (y, begin, until, times))
        found = _piece(dynamic(process), *arrays, *tolerances)
        part, state = (np.asarray(x) for x in found)
        through = left & np.isfinite(state).all(-1)
        for run in np.flatnonzero(through):
            passed = (times > begin[run]) & (times <= until[run])
            path[passed, run] = part[run, passed]
        begin, y = np.where(through, until, begin), np.where(through[:, None], state, y)
        resting = through & (begin < end) & _rest(process, y, tolerances)
        for run in np.flatnonzero(resting):
            path[times > begin[run], run] = y[run]
        left &= ~resting
        piece = np.where(through, 2 * piece, piece / 2)
        left &= (begin < end) & (piece >= end * _LEAST_SHARE)


def _rest(process: Process, y: np.ndarray, tolerances: tuple[float, float]) -> np.ndarray:
    """Which states are at a stable fixed point, to the tolerances: they will not move any more."""
    if not process.autonomous:
        return np.zeros(len(y), dtype=bool)
    drift, slopes = (np.asarray(x) for x in _linearised(dynamic(process), jnp.asarray(y)))
    known = np.isfinite(drift).all(-1) & np.isfinite(slopes).all((-1, -2))
    rate = np.full(len(y), np.inf)
    rate[known] = np.linalg.eigvals(slopes[known]).real.max(-1)
    allowed = tolerances[1] + tolerances[0] * np.linalg.norm(y, axis=-1)
    return (rate < 0) & (np.linalg.norm(drift, axis=-1) <= -rate * allowed)


@eqx.filter_jit
def _linearised(process: Process, y: Float[Array, "batch statistics"]) -> tuple[Array, Array]:
    """Drift and its Jacobian."""

    def one(y: Array) -> tuple[Array, Array]:
        return drift_vector(process, y), jax.jacfwd(lambda y: drift_vector(process, y))(y)

    return jax.vmap(one)(y)


@eqx.filter_jit
def _piece(
    process: Process,
    y0: Float[Array, "batch statistics"],
    begin: Float[Array, " batch"],
    until: Float[Array, " batch"],
    times: Float[Array, " times"],
    rtol: Array | float,
    atol: Array | float,
) -> tuple[Float[Array, "batch times statistics"], Float[Array, "batch statistics"]]:
    """From each state at its time until another: at the times between, and at the end."""

    def one(y: Array, start: Array, end: Array) -> tuple[Array, Array]:
        end = jnp.maximum(end, start + _SMALLEST_STEP)
        inside = jnp.clip(times, start, end) - start
        field = lambda t, y: drift_vector(process, y, start + t)  # noqa: E731
        wanted = jnp.append(inside, end - start)
        path = integrate(field, y, wanted, rtol, atol)
        return path[:-1], path[-1]

    return jax.vmap(one)(y0, begin, until)


@eqx.filter_jit
def drift_of(process: Process, y: Float[Array, " statistics"]) -> Float[Array, " statistics"]:
    """The drift at one state, compiled."""
    return drift_vector(process, y)


def tolerances_for(process: Process, chosen: Tolerances) -> tuple[float, float]:
    """Those that were chosen; where none was, what the accuracy of the drift deserves."""
    rtol, atol = (
        default if own is None else own
        for own, default in zip(chosen, default_tolerances(process), strict=True)
    )
    return rtol, atol


def solve(process: Process[S], u0: S, times: np.ndarray, chosen: Tolerances) -> S:
    """``EffectiveDynamics.solve`` after its arguments are checked."""
    y0 = u0.vector
    flat = u0.with_vector(y0.reshape(-1, y0.shape[-1]))
    solved = solve_adequately(process, flat, times, chosen)
    path = np.concatenate([each.paths for each in solved], axis=1)
    order = np.argsort(np.concatenate([each.runs for each in solved]))
    return u0.with_vector(jnp.asarray(path[:, order].reshape(len(times), *y0.shape)))


#: Of a solution that is differentiated: reverse derivatives cost memory for every step allowed.
_MOST_TRACED_STEPS = 2**14


def solve_traced(process: Process[S], u0: S, times: np.ndarray, chosen: Tolerances) -> S:
    """``EffectiveDynamics.solve`` inside a transformation of JAX: one rule, no checks."""
    rtol, atol = tolerances_for(process, chosen)
    y0 = u0.vector
    flat = y0.reshape(-1, y0.shape[-1])
    path = solve_vectors(dynamic(process), flat, jnp.asarray(times), rtol, atol, _MOST_TRACED_STEPS)
    return u0.with_vector(path.reshape(len(times), *y0.shape))


def couplings_of(process: Process, horizon: float) -> Couplings | None:
    """Of the statistics of a model with many blocks, where explicit steps would be too many."""
    if process.model.coupled_blocks() is None:
        return None
    weights, parts = process.kernel.coupled_blocks()
    if horizon * weights.max(initial=0.0) < _STIFF:
        return None
    return Couplings(weights, parts)


class Solutions(NamedTuple):
    """Those of some starts, and the process that was accurate enough for them."""

    process: Process
    runs: np.ndarray
    paths: np.ndarray  # (times, runs, statistics)


def solve_adequately(
    process: Process, start: AbstractStatistics, times: np.ndarray, chosen: Tolerances
) -> list[Solutions]:
    """Solutions from a batch of starts, each by expectations that are accurate enough along it.

    Every start decides for itself, so that a solution does not depend on those beside it.
    """
    found, left = [], np.arange(len(start.vector))
    while True:
        tolerances = tolerances_for(process, chosen)
        path = np.array(
            solve_vectors(
                dynamic(process),
                start.vector,
                jnp.asarray(times),
                *tolerances,
                couplings=couplings_of(process, float(times[-1])),
            )
        )
        carry_on(process, np.asarray(start.vector), times, tolerances, path)
        finer = {run: finer_along(process, start, path[:, run]) for run in left.tolist()}
        kept = np.array([run for run, other in finer.items() if other is None], dtype=int)
        if len(kept):
            found.append(Solutions(process, kept, path[:, kept]))
        left = np.setdiff1d(left, kept)
        if not len(left):
            return found
        process = next(other for other in finer.values() if other is not None)
