"""Fixed points of the ballistic limit: by formula and by a search that knows only the drift."""

from functools import partial
from typing import Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax
import numpy as np
import optimistix
from jaxtyping import Array, Bool, Float

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.algorithm import OnlineSGD
from sgdlimits.limits.vector_field import drift_vector, jacobian
from sgdlimits.models.base import AbstractModel
from sgdlimits.models.statistics import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)

_METHODS = ("auto", "formula", "search")
_SNAP = 1e-9  # coordinates below this are zero: degenerate roots converge only linearly
_SAME = 1e-6  # distance below which two roots are one
_RESIDUAL = 1e-9
_NEUTRAL = 1e-7  # |real part| below which linear stability does not decide


class FixedPoint(eqx.Module, Generic[S]):
    """A zero of the drift.

    Attributes:
        statistics: where it is.
        eigenvalues: of the Jacobian of the drift, by decreasing real part; real when all are.
        stable: whether the flow stays near it; decided by the eigenvalues or, when the leading one
            vanishes, by following the flow from its neighbourhood.
    """

    statistics: S
    eigenvalues: np.ndarray
    stable: bool

    def __repr__(self) -> str:
        """One line, with values."""
        name = "stable" if self.stable else "not stable"
        return f"FixedPoint({self.statistics}, {name}, eigenvalues={self.eigenvalues.round(6)})"


def find(
    model: AbstractModel[S], sgd: OnlineSGD, method: str, starts: int, seed: int
) -> list[FixedPoint[S]]:
    """``EffectiveDynamics.fixed_points``."""
    _validate.one_of("method", method, _METHODS)
    starts = _validate.integer("starts", starts, 1)
    seed = _validate.integer("seed", seed, 0)
    known = None if method == "search" else model.known_fixed_points(sgd)
    if known is None and method == "formula":
        raise ValueError(
            f"method='formula': {type(model).__name__} has no formula; use method='search'."
        )
    points = _search(model, sgd, starts, seed) if known is None else known
    points = sorted(points, key=lambda u: tuple(np.asarray(u.vector).round(6)))
    return [_classify(model, sgd, u) for u in points]


# -- the search ------------------------------------------------------------------------------------


@eqx.filter_jit
def _newton(
    model: AbstractModel, sgd: OnlineSGD, starts: Float[Array, "starts statistics"]
) -> tuple[Float[Array, "starts statistics"], Bool[Array, " starts"]]:
    # The pseudo-inverse keeps Newton's steps finite at degenerate roots and on continua of them.
    solver = optimistix.Newton(rtol=1e-12, atol=1e-13, linear_solver=lineax.SVD())

    field = partial(drift_vector, model, sgd)
    # In units of the largest rate, so that one absolute tolerance fits slow and fast dynamics.
    fastest = jnp.max(jnp.abs(jax.vmap(jax.jacfwd(field))(starts)))

    def one(y: Array) -> tuple[Array, Array]:
        solution = optimistix.root_find(
            lambda y, args: field(y) / fastest, solver, y, max_steps=512, throw=False
        )
        return solution.value, solution.result == optimistix.RESULTS.successful

    return jax.vmap(one)(starts)


def _search(model: AbstractModel[S], sgd: OnlineSGD, starts: int, seed: int) -> list[S]:
    points = model.search_points(np.random.default_rng(seed), starts, sgd)
    roots, converged = _newton(dynamic(model), dynamic(sgd), points.vector)
    found: list[np.ndarray] = []
    for y in np.asarray(roots)[np.asarray(converged)]:
        y = np.where(np.abs(y) < _SNAP, 0.0, y)
        if _is_new(y, found) and _is_root(model, sgd, y):
            found.append(y)
    return [model.template.with_vector(jnp.asarray(y)) for y in found]


def _is_new(y: np.ndarray, found: list[np.ndarray]) -> bool:
    return all(np.abs(y - other).max() > _SAME for other in found)


def _is_root(model: AbstractModel, sgd: OnlineSGD, y: np.ndarray) -> bool:
    if not np.isfinite(y).all():
        return False
    try:
        model.check_statistics(model.template.with_vector(jnp.asarray(y)))
    except ValueError:  # a zero of the formulas outside the domain of the statistics
        return False
    residual = np.asarray(drift_vector(dynamic(model), dynamic(sgd), jnp.asarray(y)))
    rates = np.asarray(jacobian(model, sgd, model.template.with_vector(jnp.asarray(y))))
    # How far the root still is, by Newton's step: the drift alone says little at a degenerate root.
    step = np.linalg.lstsq(rates, residual, rcond=1e-13)[0]
    small = np.abs(residual).max() <= _RESIDUAL * max(1.0, np.abs(rates).max())
    return bool(small and np.abs(step).max() <= _SAME * (1 + np.abs(y).max()))


# -- stability -------------------------------------------------------------------------------------


def _classify(model: AbstractModel[S], sgd: OnlineSGD, u: S) -> FixedPoint[S]:
    eigenvalues = np.linalg.eigvals(np.asarray(jacobian(model, sgd, u)))
    eigenvalues = eigenvalues[np.argsort(-eigenvalues.real)]
    if (np.abs(eigenvalues.imag) == 0).all():
        eigenvalues = eigenvalues.real
    leading = eigenvalues[0].real
    if abs(leading) > _NEUTRAL:
        stable = bool(leading < 0)
    else:
        stable = not _escapes(model, sgd, np.asarray(u.vector))
    return FixedPoint(u, eigenvalues, stable)


@eqx.filter_jit
def _furthest(
    model: AbstractModel,
    sgd: OnlineSGD,
    centre: Float[Array, " statistics"],
    starts: Float[Array, "starts statistics"],
    radius: float,
) -> Float[Array, " starts"]:
    """Largest distance from the centre along the flow, followed by arc length for 20 radii.

    By arc length, because near a degenerate point the flow in time is arbitrarily slow.
    """

    def direction(y: Array) -> Array:
        h = drift_vector(model, sgd, y)
        return h / jnp.maximum(jnp.sqrt(jnp.sum(h * h)), 1e-300)

    def step(y: Array, _: None) -> tuple[Array, Array]:
        middle = y + radius / 40 * direction(y)
        y = y + radius / 20 * direction(middle)
        return y, jnp.sqrt(jnp.sum((y - centre) ** 2))

    return jax.vmap(lambda y: jnp.max(jax.lax.scan(step, y, length=400)[1]))(starts)


def _escapes(model: AbstractModel, sgd: OnlineSGD, centre: np.ndarray) -> bool:
    rng = np.random.default_rng(0)
    radius = 1e-3
    starts = []
    for direction in rng.standard_normal((256, centre.size)):
        y = centre + radius * direction / np.linalg.norm(direction)
        try:
            model.check_statistics(model.template.with_vector(jnp.asarray(y)))
        except ValueError:
            continue
        starts.append(y)
    if not starts:
        return False
    distances = _furthest(
        dynamic(model), dynamic(sgd), jnp.asarray(centre), jnp.asarray(np.array(starts)), radius
    )
    return bool(np.nanmax(np.asarray(distances)) > 5 * radius)
