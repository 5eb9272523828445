"""Models whose parameter is one vector x in R^d, seen through m = <x, v> and r2 = |x - m v|^2."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sgdlimits.models.row_model import AbstractRowModel
from sgdlimits.randomness.chi_square import ChiSquare
from sgdlimits.statistics.base import AbstractStatistics, Label, numeric
from sgdlimits.statistics.overlaps import Coordinates, Parameters, Statistics


class SpikedStatistics(AbstractStatistics):
    """Overlap and radius: m = <x, v> and r2 = |x - m v|^2, of any (equal) shape.

    Source: Ben Arous, Gheissari and Jagannath (2022), section 3.
    """

    m: Float[Array, "*batch"] = eqx.field(converter=numeric("m"))
    r2: Float[Array, "*batch"] = eqx.field(converter=numeric("r2"))

    dims: ClassVar = {"m": (), "r2": ()}
    labels: ClassVar = {
        "m": Label(r"$m$", "overlap with the spike, <x, v>"),
        "r2": Label(r"$r_\perp^2$", "squared norm orthogonal to the spike, |x - m v|^2"),
    }

    @property
    def names(self) -> tuple[str, ...]:
        """("m", "r2")."""
        return ("m", "r2")

    @property
    def vector(self) -> Float[Array, "*batch 2"]:
        """(m, r2) on one last axis."""
        return jnp.stack(jnp.broadcast_arrays(self.m, self.r2), axis=-1)

    def with_vector(self, vector: Float[Array, "*batch 2"]) -> "SpikedStatistics":
        """Statistics with (m, r2) = vector."""
        return SpikedStatistics(vector[..., 0], vector[..., 1])


class AbstractVectorModel(AbstractRowModel[SpikedStatistics]):
    """One vector, and one known direction v of norm 1: a subclass says its data law and gradient.

    Random starts are x ~ N(0, I/dim).
    """

    statistics_class: ClassVar = SpikedStatistics
    overlap_dims: ClassVar = ((), ())

    @property
    def template(self) -> SpikedStatistics:
        """(m, r2) = (0, 0)."""
        return SpikedStatistics(0.0, 0.0)

    @property
    def width(self) -> int:
        """One vector."""
        return 1

    @property
    def layer_size(self) -> int:
        """No second layer."""
        return 0

    # -- rows and coordinates ------------------------------------------------------------------

    def rows_of(self, parameters: Float[Array, " dim"]) -> Parameters:
        """x is the only row."""
        return Parameters(jnp.zeros(0, parameters.dtype), parameters[None])

    def parameters_of(self, rows: Parameters) -> Float[Array, " dim"]:
        """x."""
        return rows.W[0]

    def overlaps(self, u: SpikedStatistics) -> Statistics:
        """M = m, Q = m^2 + r2."""
        return Statistics(jnp.zeros(0), u.m[None, None], (u.m * u.m + u.r2)[None, None])

    def of_overlaps(self, overlaps: Statistics) -> SpikedStatistics:
        """m = M, r2 = Q - M^2."""
        m = overlaps.M[0, 0]
        return SpikedStatistics(m, overlaps.Q[0, 0] - m * m)

    def coordinates(self, u: SpikedStatistics) -> Coordinates:
        """(m, r2) are coordinates already."""
        return Coordinates(jnp.zeros(0), u.m[None, None], u.r2[None, None])

    def of_coordinates(self, state: Coordinates) -> SpikedStatistics:
        """(m, r2)."""
        return SpikedStatistics(state.B[0, 0], state.rest[0, 0])

    # -- what is allowed -----------------------------------------------------------------------

    def check_statistics(self, u: SpikedStatistics) -> None:
        """Finite, of one shape, and r2 >= 0."""
        if not isinstance(u, SpikedStatistics):
            name = type(self).__name__
            raise TypeError(f"statistics={u!r}: {name} expects SpikedStatistics(m, r2).")
        u.batch_shape  # noqa: B018 (raises when the fields disagree)
        m, r2 = np.asarray(u.m), np.asarray(u.r2)
        if not (np.isfinite(m).all() and np.isfinite(r2).all()):
            raise ValueError("statistics: m and r2 must be finite.")
        if (r2 < 0).any():
            raise ValueError(
                f"statistics: r2={float(r2.min())!r}: expected a squared norm, at least 0."
            )

    def admissible(self, u: SpikedStatistics) -> SpikedStatistics:
        """r2 is a squared norm."""
        return SpikedStatistics(u.m, jnp.maximum(u.r2, 0))

    # -- real parameters -----------------------------------------------------------------------

    def statistics(
        self, parameters: Float[Array, " dim"], frame: Float[Array, "1 dim"]
    ) -> SpikedStatistics:
        """m = <x, v>, r2 = |x - m v|^2."""
        m = jnp.sum(parameters * frame[0])
        rest = parameters - m * frame[0]
        return SpikedStatistics(m, jnp.sum(rest * rest))

    # -- laws ----------------------------------------------------------------------------------

    def initial_constants(self, dim: int) -> ChiSquare:
        """|x - m v|^2 * dim is chi-square with dim - 1 degrees of freedom."""
        return ChiSquare(dim - 1)

    def initial_statistics(
        self, key: Key[Array, ""], dim: Float[Array, ""], constants: ChiSquare
    ) -> SpikedStatistics:
        """x ~ N(0, I/dim): one normal for m, one chi-square for r2."""
        key_m, key_r2 = jax.random.split(key)
        return SpikedStatistics(
            jax.random.normal(key_m) / jnp.sqrt(1.0 * dim), constants.sample(key_r2) / dim
        )

    def lift(
        self, key: Key[Array, ""], u: SpikedStatistics, frame: Float[Array, "1 dim"]
    ) -> Float[Array, " dim"]:
        """m v + r times a uniform unit vector orthogonal to v."""
        v = frame[0]
        z = jax.random.normal(key, v.shape)
        z = z - jnp.sum(z * v) * v
        z = z - jnp.sum(z * v) * v  # twice: orthogonal to rounding
        return u.m * v + jnp.sqrt(u.r2) * z / jnp.sqrt(jnp.sum(z * z))

    def search_points(self, rng: np.random.Generator, count: int, step: float) -> SpikedStatistics:
        """|m| up to 2 and r2 up to 2."""
        return SpikedStatistics(rng.uniform(-2, 2, count), rng.uniform(0, 2, count))
