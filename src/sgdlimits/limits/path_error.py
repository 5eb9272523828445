"""What the error of a drift does to the solution of its ODE, to first order.

The error of a rule for expectations is the same at every visit of a state, so that along a path it
adds up with its sign. Each deviation D_j of the drift is carried on its own,

    de_j/dt = Dh(u) e_j + D_j(u),  e_j(0) = 0,

along du/dt = h(u), and the squares of what arrives add up. A deviation has the sign of the error at
best most of the time, and what it adds early may cancel what it adds late: so what comes in between
two knots is also carried alone, and these squares are added too.

That is an estimate, as good as the deviations are, and first order: where a path is so unstable
that its error is no longer small, it says so by being large.

D and Dh are taken at a few knots of the path, close where it moves fast; between them the equation
is solved as if they were constant, which no stiffness can upset. Dh is that of quicker expectations
where there are any: what carries an error need not be better known than the error.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits._tracing import dynamic
from sgdlimits.limits.vector_field import drift_vector
from sgdlimits.process.process import Process

_KNOTS = 25
_UNIFORM, _GEOMETRIC = 256, 64  # times among which knots are chosen
_FIRST = 1e-6  # of the horizon
_TERMS = 14  # of an exponential series at norm 1/2
_QUICK = 2e-2  # error of drifts that slopes are taken of
_STEP = 1e-7  # of finite differences
_CROSSING = 1e-2  # of those that must average over nodes that cross kinks
_ENOUGH = 30_000  # nodes for that: some 300 cross, and average to a twentieth


def moments_of(times: Float[np.ndarray, " times"]) -> Float[np.ndarray, " moments"]:
    """Times at which a path must be known for its errors at the given times."""
    horizon = float(times[-1])
    uniform = np.linspace(0, horizon, _UNIFORM)
    return np.union1d(
        np.concatenate([[0.0], np.geomspace(_FIRST, 1, _GEOMETRIC)]) * horizon, uniform
    )


def path_errors(
    process: Process,
    moments: Float[np.ndarray, " moments"],
    paths: Float[np.ndarray, "moments batch statistics"],
    times: Float[np.ndarray, " times"],
) -> Float[np.ndarray, "times batch statistics"]:
    """Errors of solutions; NaN where they do not exist.

    Raises:
        ValueError: if the rule for the drift's expectations has no error estimate.
    """
    quick = _quick(process)
    process, quick = dynamic(process), dynamic(quick)
    _, chosen, place = np.unique(paths[0], axis=0, return_index=True, return_inverse=True)
    each = [_along(process, quick, moments, paths[:, i], times) for i in chosen]
    return np.stack(each, axis=1)[:, place.ravel()]


def _quick(process: Process) -> Process:
    """With the fewest nodes whose slopes will do."""
    if process.has_jacobian:
        return process.accurate_to(_QUICK)
    coarser = process.coarser()
    others = () if coarser is None else coarser.others
    enough = [x for x in others if x.model.expectation_nodes >= _ENOUGH]
    return min(enough, key=lambda x: x.model.expectation_nodes, default=process)


def _along(
    process: Process, quick: Process, moments: np.ndarray, path: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Of one path, which is known at the moments."""
    errors = np.full((len(times), path.shape[1]), np.nan)
    exists = np.isfinite(path).all(1)
    last = len(path) if exists.all() else int(np.argmin(exists))
    if last < 2:
        return errors
    knots = _knots(moments[:last], path[:last])
    t, y = moments[knots], path[knots]
    slopes, deviations = (
        np.asarray(x) for x in _at_knots(process, quick, jnp.asarray(t), jnp.asarray(y))
    )
    size = np.sqrt(carried_squares(t, slopes, deviations))
    within = times <= t[-1]
    for i in range(path.shape[1]):
        errors[within, i] = np.interp(times[within], t, size[:, i])
    return errors


def _knots(moments: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Numbers of moments between which about as much happens; half of it is time itself."""
    moves = np.abs(np.diff(path, axis=0)).sum(1)
    share = np.diff(moments) / moments[-1] + moves / max(moves.sum(), 1e-300)
    passed = np.concatenate([[0.0], np.cumsum(share)])
    chosen = np.searchsorted(passed, np.linspace(0, passed[-1], _KNOTS) * (1 - 1e-12))
    return np.unique([0, *chosen.tolist(), len(moments) - 1])


def carried_squares(
    times: Float[np.ndarray, " knots"],
    slopes: Float[np.ndarray, "knots n n"],
    deviations: Float[np.ndarray, "knots estimates n"],
) -> Float[np.ndarray, "knots n"]:
    """Squared errors at the knots."""
    knots, count, n = deviations.shape
    between = lambda x: (x[1:] + x[:-1]) / 2  # noqa: E731
    # The flow of (e, 1): one exponential carries e on and adds what comes in.
    generator = np.zeros((knots - 1, n + count, n + count))
    generator[:, :n, :n] = between(slopes)
    generator[:, :n, n:] = np.swapaxes(between(deviations), 1, 2)
    flows = _exponentials(np.diff(times)[:, None, None] * generator)
    squares = np.zeros((knots, n))
    together, apart = np.zeros((n, count)), np.zeros((n, n))
    for k, flow in enumerate(flows):
        onwards, new = flow[:n, :n], flow[:n, n:]
        together = onwards @ together + new
        apart = onwards @ apart @ onwards.T + new @ new.T
        squares[k + 1] = (together**2).sum(1) + np.diagonal(apart)
    return squares


def _exponentials(matrices: np.ndarray) -> np.ndarray:
    """exp of every matrix: Taylor's series of a fraction, squared as often as it was halved."""
    largest = np.abs(matrices).sum(-1).max(initial=0.0)
    halvings = max(0, int(np.ceil(np.log2(max(largest, 1e-300)))) + 1)
    fraction = matrices / 2.0**halvings
    result = term = np.broadcast_to(np.eye(matrices.shape[-1]), matrices.shape)
    for order in range(1, _TERMS):
        term = term @ fraction / order
        result = result + term
    for _ in range(halvings):
        result = result @ result
    return result


@eqx.filter_jit
def _at_knots(
    process: Process, quick: Process, times: Float[Array, " knots"], path: Float[Array, "knots n"]
) -> tuple[Float[Array, "knots n n"], Float[Array, "knots estimates n"]]:
    """Dh and the deviations."""
    template, n = process.template, path.shape[1]
    exact = quick.has_jacobian

    def deviations(at: tuple[Array, Array]) -> Array:
        each = process.drift_deviations(template.with_vector(at[1]), at[0])
        assert each is not None
        return each.vector

    def field(at: tuple[Array, Array]) -> Array:
        return drift_vector(quick, at[1], at[0])

    base = jax.vmap(lambda y: process.interior(template.with_vector(y)).vector)(path)
    length = (_STEP if exact else _CROSSING) * jnp.maximum(1.0, jnp.max(jnp.abs(path), axis=1))
    moved = base[:, None] + length[:, None, None] * jnp.concatenate([jnp.zeros((1, n)), jnp.eye(n)])
    flat = jnp.repeat(times, n + 1), moved.reshape(-1, n)
    values = jax.lax.map(field, flat).reshape(len(path), n + 1, n)
    slopes = (values[:, 1:] - values[:, :1]) / length[:, None, None]
    each = jax.lax.map(deviations, (times, path))
    return jnp.swapaxes(slopes, 1, 2), each
