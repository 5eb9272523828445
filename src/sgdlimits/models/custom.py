"""Any loss, any data, any statistics: nothing derived, the moments of a step by Monte Carlo.

Ben Arous, Gheissari and Jagannath (2022), Theorem 2.2, with drift, corrector and volatility taken
at random points of the fibre {x : u(x) = u}. Status: a Monte Carlo estimate at a finite dimension,
and meaningful only if the statistics close, which ``sgdlimits.audit`` tests.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from sgdlimits import _resources, _validate
from sgdlimits.models.base import AbstractModel
from sgdlimits.models.monte_carlo_fibre import onto_fibre
from sgdlimits.models.monte_carlo_moments import sample_moments
from sgdlimits.statistics.named_statistics import NamedStatistics, statistics_of

#: (parameters, sample) -> loss of one sample (or mini-batch), ridge included.
Loss = Callable[[Any, Any], Array]
#: (key, dim) -> one sample, any tree of arrays.
Sampler = Callable[[Key[Array, ""], int], Any]
#: parameters -> named scalars.
StatisticsFunction = Callable[[Any], Mapping[str, Array]]
#: (key, dim) -> parameters of one random start, any tree of arrays.
Start = Callable[[Key[Array, ""], int], Any]


class MonteCarlo(eqx.Module):
    """How a ``CustomModel`` estimates its moments: dimension, fibre points, samples, seed.

    The random numbers are the same at every state, so that the drift is a smooth function, and
    independent between fibre points, whose spread gives the standard error.

    Args:
        dim: dimension in which the moments are taken; they differ from their limit by O(1/dim).
        points: random points of the fibre; with one there are no standard errors (NaN).
        samples: sampled gradients at each.
        seed: of all of it.

    Raises:
        TypeError, ValueError: unless dim >= 1, points >= 1, samples >= 2 and seed >= 0.
    """

    dim: int = eqx.field(static=True, default=200)
    points: int = eqx.field(static=True, default=8)
    samples: int = eqx.field(static=True, default=256)
    seed: int = 0
    first: Any = 0  # number of the first point: replicates are one point each

    def __check_init__(self) -> None:
        _validate.integer("dim", self.dim, 1)
        _validate.integer("points", self.points, 1)
        _validate.integer("samples", self.samples, 2)
        if not isinstance(self.seed, jax.Array):  # traced, where replicates have seeds
            _validate.integer("seed", self.seed, 0, 2**63 - 1)
        if not isinstance(self.first, jax.Array):  # likewise
            _validate.integer("first", self.first, 0, 2**31 - 1)
        one = 16.0 * self.dim
        _resources.check_count("dim", self.dim, lambda dim: 16.0 * dim)
        _resources.check_count("points", self.points, lambda n: one * n)
        _resources.check_count("samples", self.samples, lambda n: one * n)


class FibreMoments(NamedTuple):
    """At one fibre point x, or at several on a leading axis, J = du/dx and G a sampled gradient."""

    radial: Float[Array, "*points statistics"]  # J x
    first: Float[Array, "*points statistics"]  # E J G
    second: Float[Array, "*points statistics"]  # E Hᵀ (d2u) H, H = G - E G
    volatility: Float[Array, "*points statistics statistics"]  # Cov J G


class CustomModel(AbstractModel[NamedStatistics]):
    """A loss L(x, Y), a sampler of Y, statistics u(x) and a random start, all as functions of dim.

    Engines: ``sgd`` takes real steps. ``ode`` and ``sde`` estimate drift -A u + delta L u and
    diffusion by Monte Carlo on random points of the fibre, with standard errors. There is no
    ``chain``. Whether the statistics close is for ``sgdlimits.audit`` to say.

    Args:
        loss: (parameters, sample) -> scalar, differentiable in the parameters. A ridge or a
            mini-batch is part of it.
        sample: (key, dim) -> one sample, any tree of arrays (a batch of them for mini-batches).
        statistics: parameters -> dict of named scalars, differentiable.
        initial: (key, dim) -> parameters of one random start, an array or any tree of them.
        monte_carlo: how moments are estimated.
        directions: dim -> array (directions, dim) of vectors that the data law singles out, if
            any; the audit looks at overlaps with them.

    Raises:
        TypeError, ValueError: if a function does not return what it should at ``monte_carlo.dim``.

    Source: Ben Arous, Gheissari and Jagannath (2022), Theorem 2.2; Monte Carlo estimate.
    """

    loss: Loss = eqx.field(static=True)
    sample: Sampler = eqx.field(static=True)
    statistics_function: StatisticsFunction = eqx.field(static=True)
    initial: Start = eqx.field(static=True)
    monte_carlo: MonteCarlo
    directions: Callable[[int], Array] | None = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    kernel: ClassVar = "tree"
    has_chain: ClassVar = False
    has_one_step_moments: ClassVar = False
    has_risk: ClassVar = False
    starts_from_parameters: ClassVar = True
    moments_are_estimates: ClassVar = True
    citation: ClassVar = (
        "G. Ben Arous, R. Gheissari, A. Jagannath. High-dimensional limit theorems for SGD: "
        "effective dynamics and critical scaling. NeurIPS 2022."
    )

    def __init__(
        self,
        *,
        loss: Loss,
        sample: Sampler,
        statistics: StatisticsFunction,
        initial: Start,
        monte_carlo: MonteCarlo | None = None,
        directions: Callable[[int], Array] | None = None,
    ):
        for name, value in (("loss", loss), ("sample", sample), ("statistics", statistics),
                            ("initial", initial)):  # fmt: skip
            if not callable(value):
                raise TypeError(f"{name}={value!r}: expected a function.")
        if monte_carlo is not None and not isinstance(monte_carlo, MonteCarlo):
            raise TypeError(f"monte_carlo={monte_carlo!r}: expected a MonteCarlo(dim=..., ...).")
        if directions is not None and not callable(directions):
            raise TypeError(f"directions={directions!r}: expected a function of dim.")
        self.loss, self.sample, self.statistics_function = loss, sample, statistics
        self.initial, self.directions = initial, directions
        self.monte_carlo = MonteCarlo() if monte_carlo is None else monte_carlo
        self.names = _checked_names(loss, sample, statistics, initial, self.monte_carlo.dim)

    def facts(self) -> dict[str, str]:
        """What it was built from."""
        return {"loss": self._loss_name, "moments": repr(self.monte_carlo)}

    def __repr__(self) -> str:
        """Loss and statistics."""
        shown = ", ".join([*self.names[:8], "..."] if len(self.names) > 8 else self.names)
        return f"CustomModel(loss {self._loss_name}; statistics {shown})"

    @property
    def _loss_name(self) -> str:
        return getattr(self.loss, "__name__", type(self.loss).__name__)

    # -- what is allowed -----------------------------------------------------------------------

    @property
    def statistics_class(self) -> type[NamedStatistics]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The class of these names."""
        return statistics_of(self.names)

    @property
    def template(self) -> NamedStatistics:
        """All zeros."""
        return self.statistics_class(**dict.fromkeys(self.names, 0.0))

    @property
    def expectation_size(self) -> int:
        """Samples at all fibre points, times the dimension of the data."""
        return self.monte_carlo.points * self.monte_carlo.samples * self.monte_carlo.dim

    @property
    def minimum_dim(self) -> int:
        """1: the functions themselves know what they need."""
        return 1

    @property
    def layer_size(self) -> int:
        """Nobody knows of layers."""
        return 0

    def check_statistics(self, u: NamedStatistics) -> None:
        """Of these names, finite, and reached by real parameters in ``monte_carlo.dim``."""
        if not isinstance(u, self.statistics_class):
            raise TypeError(f"statistics={u!r}: expected the statistics {', '.join(self.names)}.")
        vectors = np.asarray(u.vector).reshape(-1, len(self.names))
        if not np.isfinite(vectors).all():
            raise ValueError("statistics: expected finite numbers.")
        reached = np.asarray(_reached(self, jnp.asarray(vectors)))
        if not reached.all():
            state = dict(zip(self.names, vectors[~reached][0].tolist(), strict=True))
            raise ValueError(
                f"statistics: no parameters with {state} were found in dim="
                f"{self.monte_carlo.dim}; expected values that real parameters have."
            )

    # -- 1. the real SGD step ------------------------------------------------------------------

    def frame(self, dim: int) -> Float[Array, "directions dim"]:
        """The known directions; none unless ``directions`` names some."""
        if self.directions is None:
            return jnp.zeros((0, dim))
        frame = jnp.asarray(self.directions(dim), float)
        if frame.ndim != 2 or frame.shape[1] != dim:
            raise ValueError(f"directions: shape {frame.shape} at dim={dim}, expected (any, dim).")
        return frame

    def draw(self, key: Key[Array, ""], dim: int, dtype: Any) -> Any:
        """One sample, its floating-point numbers in ``dtype``."""
        return jax.tree.map(
            lambda y: y.astype(dtype) if jnp.issubdtype(y.dtype, jnp.floating) else y,
            jax.tree.map(jnp.asarray, self.sample(key, dim)),
        )

    def literal_gradient(
        self, parameters: PyTree, frame: Float[Array, "directions dim"], key: Key[Array, ""]
    ) -> PyTree:
        """Of the loss of one fresh sample."""
        dtype = jax.tree.leaves(parameters)[0].dtype
        return jax.grad(self.loss)(parameters, self.draw(key, frame.shape[1], dtype))

    def literal_sample_size(self, dim: int) -> int:
        """Numbers in one sample."""
        return _size(jax.eval_shape(lambda: self.sample(jax.random.key(0), dim)))

    # -- 2. statistics of real parameters ------------------------------------------------------

    def statistics(
        self, parameters: PyTree, frame: Float[Array, "directions dim"]
    ) -> NamedStatistics:
        """The given function."""
        return self.statistics_class(**self.statistics_function(parameters))

    # -- moments of one gradient ---------------------------------------------------------------

    def moments(self, u: NamedStatistics) -> FibreMoments:
        """At every fibre point; NaN where it was not reached."""
        how = self.monte_carlo
        root = jax.random.key(how.seed)

        def at(point: Array) -> FibreMoments:
            key_x, key_y = jax.random.split(jax.random.fold_in(root, point))
            start, unravel = ravel_pytree(self.initial(key_x, how.dim))
            vector = self._vector_statistics(unravel)
            x, reached = onto_fibre(vector, start, u.vector)
            x = jnp.where(reached, x, jnp.nan)

            def gradient(key: Array) -> Array:
                sample = self.draw(key, how.dim, x.dtype)
                return ravel_pytree(jax.grad(self.loss)(unravel(x), sample))[0]

            gradients = jax.lax.map(gradient, jax.random.split(key_y, how.samples), batch_size=256)
            moments = sample_moments(vector, x, gradients)
            return FibreMoments(
                radial=jax.jvp(vector, (x,), (x,))[1],
                first=jnp.mean(moments.first, axis=0),
                second=jnp.mean(moments.second, axis=0),
                volatility=moments.volatility(),
            )

        return jax.lax.map(at, how.first + jnp.arange(how.points))

    def _vector_statistics(self, unravel: Callable) -> Callable[[Array], Array]:
        def vector(x: Array) -> Array:
            named = self.statistics_function(unravel(x))
            return jnp.stack([jnp.asarray(named[name]) for name in self.names])

        return vector

    def risk_deviations(self, u: Any) -> None:
        """None: the risk is what its author says."""
        return

    def replicates(self) -> tuple["CustomModel", ...]:
        """One model per fibre point: the spread of what follows from them is its error."""
        how = self.monte_carlo
        points = (how.first + point for point in range(how.points))
        each = [replace(how, points=1, first=jnp.asarray(point)) for point in points]
        return tuple(eqx.tree_at(lambda m: m.monte_carlo, self, how) for how in each)

    # -- laws and landmarks --------------------------------------------------------------------

    def initial_constants(self, dim: int) -> Float[Array, "0 dim"]:
        """An empty array, whose shape remembers the dimension."""
        return jnp.zeros((0, dim))

    def initial_statistics(
        self, key: Key[Array, ""], dim: Float[Array, ""], constants: Float[Array, "0 dim"]
    ) -> NamedStatistics:
        """Statistics of one random start."""
        return self.statistics(self.initial(key, constants.shape[1]), constants)

    def initial_parameters(
        self, key: Key[Array, ""], frame: Float[Array, "directions dim"]
    ) -> PyTree:
        """The random start itself."""
        return self.initial(key, frame.shape[1])

    def lift(
        self, key: Key[Array, ""], u: NamedStatistics, frame: Float[Array, "directions dim"]
    ) -> PyTree:
        """The fibre point that Gauss-Newton steps reach from a random start; NaN if none."""
        start, unravel = ravel_pytree(self.initial(key, frame.shape[1]))
        x, reached = onto_fibre(self._vector_statistics(unravel), start, u.vector)
        return unravel(jnp.where(reached, x, jnp.nan))

    def search_points(self, rng: np.random.Generator, count: int, step: float) -> NamedStatistics:
        """Statistics of random starts, scaled by factors between 0 and 2."""
        key = jax.random.key(int(rng.integers(2**31)))
        scales = jnp.asarray(rng.uniform(0, 2, count))
        dim = self.monte_carlo.dim

        def one(key: Array, scale: Array) -> NamedStatistics:
            x = jax.tree.map(lambda x: scale * x, self.initial(key, dim))
            return self.statistics(x, jnp.zeros((0, dim)))

        return jax.vmap(one)(jax.random.split(key, count), scales)


@eqx.filter_jit
def _reached(model: CustomModel, vectors: Float[Array, "states statistics"]) -> Array:
    start, unravel = ravel_pytree(model.initial(jax.random.key(0), model.monte_carlo.dim))
    vector = model._vector_statistics(unravel)
    return jax.lax.map(lambda u: onto_fibre(vector, start, u).reached, vectors, batch_size=64)


def _checked_names(
    loss: Loss, sample: Sampler, statistics: StatisticsFunction, initial: Start, dim: int
) -> tuple[str, ...]:
    """Names of the statistics, after all functions were tried on shapes alone."""
    key = jax.random.key(0)
    parameters = jax.eval_shape(lambda: initial(key, dim))
    leaves = jax.tree.leaves(parameters)
    if not leaves or not all(jnp.issubdtype(x.dtype, jnp.floating) for x in leaves):
        raise TypeError(f"initial: gives {parameters}, expected floating-point arrays.")
    value = jax.eval_shape(lambda x: loss(x, sample(key, dim)), parameters)
    if getattr(value, "shape", None) != ():
        given = f"shape {value.shape}" if hasattr(value, "shape") else repr(value)
        raise ValueError(f"loss: gives {given} for one sample, expected a scalar.")
    order: list[str] = []  # JAX would sort them

    def ordered(x: PyTree) -> Any:
        named = statistics(x)
        if not isinstance(named, Mapping) or not named:
            raise TypeError(f"statistics: gives {named!r}, expected a dict of named scalars.")
        order.extend(str(name) for name in named)
        return dict(named)

    for name, value in jax.eval_shape(ordered, parameters).items():
        if getattr(value, "shape", None) != ():
            raise ValueError(f"statistics: {name!r} is {value}, expected a scalar.")
    statistics_of(tuple(order))
    return tuple(order)


def _size(tree: PyTree) -> int:
    return sum(x.size for x in jax.tree.leaves(tree))
