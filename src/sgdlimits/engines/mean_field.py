"""The reduced equations of wide committees, from the same kind of random start."""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits._tracing import dynamic
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.engines.path import Advanced, Record
from sgdlimits.limits import flow
from sgdlimits.limits.mean_field import MeanField, MeanFieldStatistics, check_nodes, reduce
from sgdlimits.models.base import AbstractModel
from sgdlimits.models.committee import Committee
from sgdlimits.randomness.chi_square import ChiSquare
from sgdlimits.randomness.streams import run_keys
from sgdlimits.statistics.base import AbstractStatistics
from sgdlimits.statistics.overlaps import Statistics
from sgdlimits.statistics.rows import ON_SPHERE

RTOL, ATOL = 1e-8, 1e-10


def check_dim(model: AbstractModel, dim: object) -> int:
    """Return ``dim``, or raise unless ``model`` is a committee and some dimension is left."""
    if not isinstance(model, Committee):
        raise ValueError(
            f"engine='mean_field': {type(model).__name__} has no reduced equations; it is for "
            "committees."
        )
    check_nodes(model)
    return _validate.integer("dim", dim, model.teacher_width + 1)


def start(
    model: Committee,
    sgd: OnlineSGD,
    given: AbstractStatistics | None,
    dim: int,
    numbers: np.ndarray,
    seed: int,
) -> MeanFieldStatistics:
    """One state per run: the given one, or rows N(0, I/dim) drawn without their mutual overlaps."""
    if given is None:
        keys = run_keys(seed, "initial", jnp.asarray(numbers))
        law = ChiSquare(dim - model.teacher_width)
        u = jax.lax.map(lambda key: _random(model, key, jnp.asarray(float(dim)), law), keys)
        return _unit(model, u) if sgd.spherical else u
    if isinstance(given, Statistics):
        model.check_state(given, sgd)
        given = reduce(model, given)
    if not isinstance(given, MeanFieldStatistics):
        raise TypeError(f"initial={given!r}: expected Statistics or MeanFieldStatistics.")
    shape, runs = given.batch_shape, len(numbers)
    p, k = model.width, model.teacher_width
    expected = {"v": (p if model.train_second_layer else 0,), "M": (p, k), "q": (p,)}
    for name, one in expected.items():
        value = np.asarray(getattr(given, name))
        if value.shape[len(shape) :] != one or not np.isfinite(value).all():
            raise ValueError(
                f"initial: {name} has shape {value.shape[len(shape) :]}, expected {one} and finite."
            )
    if (np.asarray(given.q) < 0).any():
        raise ValueError(f"initial: q is {np.min(given.q):.3g} somewhere, expected at least 0.")
    norm2 = np.asarray(_norms(model, given))
    if sgd.spherical and (np.abs(norm2 - 1) > ON_SPHERE).any():
        raise ValueError(
            f"initial: rows of norm² {norm2.min():.6g} to {norm2.max():.6g}, but spherical=True "
            "keeps them at 1."
        )
    if shape not in ((), (runs,)):
        raise ValueError(f"initial has batch shape {shape}: expected one state, or one per run.")
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (runs, *x.shape[len(shape) :])), given)


def _random(model: Committee, key: Array, dim: Array, law: ChiSquare) -> MeanFieldStatistics:
    key_b, key_q = jax.random.split(key)
    B = jax.random.normal(key_b, (model.width, model.teacher_width)) / jnp.sqrt(dim)
    v = jnp.asarray(model.second_layer) if model.train_second_layer else jnp.zeros(0)
    return MeanFieldStatistics(v, B @ model.root.T, law.sample(key_q, (model.width,)) / dim)


def _unit(model: Committee, u: MeanFieldStatistics) -> MeanFieldStatistics:
    norm2 = _norms(model, u)
    return MeanFieldStatistics(u.v, u.M / jnp.sqrt(norm2)[..., None], u.q / norm2)


def _norms(model: Committee, u: MeanFieldStatistics) -> Float[Array, "*batch neurons"]:
    """q_i + M_i P^-1 M_iᵀ."""
    inverse = jnp.linalg.inv(jnp.asarray(model.gram))
    return u.q + jnp.einsum("...ik,kl,...il->...i", u.M, inverse, u.M)


def run_mean_field(
    reduction: MeanField,
    model: Committee,
    sgd: OnlineSGD,
    begin: MeanFieldStatistics,
    times: np.ndarray,
    advanced: Advanced,
) -> Iterator[Record]:
    """Yield the solution at ``times`` after 0; the runs are the leading axis."""
    path = np.asarray(_solve(reduction, dynamic(model), dynamic(sgd), begin, jnp.asarray(times)))
    bad = ~np.isfinite(path).all(-1)
    diverged = np.where(bad.any(-1), times[bad.argmax(-1)], np.nan)
    for index in range(1, len(times)):
        yield Record(index, begin.with_vector(jnp.asarray(path[:, index])), diverged)
    advanced(len(path))


@eqx.filter_jit
def _solve(
    reduction: MeanField,
    model: Committee,
    sgd: OnlineSGD,
    begin: MeanFieldStatistics,
    times: Float[Array, " times"],
) -> Float[Array, "runs times statistics"]:
    def one(u: MeanFieldStatistics) -> Array:
        def field(t: Array, y: Array) -> Array:
            return reduction.drift(model, u.with_vector(y), sgd).vector

        return flow.integrate(field, u.vector, times, RTOL, ATOL)

    return jax.lax.map(one, begin)


@eqx.filter_jit
def _risks(reduction: MeanField, model: Committee, u: MeanFieldStatistics) -> Array:
    return jax.lax.map(lambda u: reduction.risk(model, u), u)


def with_mean_field_risk(dataset: xr.Dataset, model: Committee, reduction: MeanField) -> xr.Dataset:
    """The dataset with ``risk`` (run, time) of the reduced equations."""
    values = [np.asarray(dataset[name]) for name in ("v", "M", "q")]
    runs, times = values[0].shape[:2]
    u = MeanFieldStatistics(*(x.reshape(runs * times, *x.shape[2:]) for x in values))
    risk = np.asarray(_risks(reduction, dynamic(model), u)).reshape(runs, times)
    attrs = {"long_name": "population risk", "symbol": r"$\mathcal{R}$", "units": "1"}
    return dataset.assign(risk=xr.Variable(("run", "time"), risk, attrs))
