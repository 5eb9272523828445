"""The diffusive limit about a fixed point or an invariant manifold, by differentiating the drift.

With Y = sqrt(dim)(u - centre) for chosen statistics and the rest w macroscopic,

    dY = D_u h(centre, w) Y dt + B(centre, w) dB,    dw = h_w(centre, w) dt,

if the drift of the chosen statistics vanishes on u = centre. Ben Arous, Gheissari and Jagannath
(2022), (2.7); Proposition 3.3 is rescale("m") of the spiked tensor.
"""

from collections.abc import Sequence
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits import _validate
from sgdlimits._shown import in_one_line
from sgdlimits._tracing import dynamic
from sgdlimits.limits import flow
from sgdlimits.limits.diffusion import AbstractDiffusion, Time
from sgdlimits.limits.vector_field import directional, drift_vector, field_and_rates
from sgdlimits.process.process import Process
from sgdlimits.statistics.base import AbstractStatistics

S = TypeVar("S", bound=AbstractStatistics)

_INVARIANCE = 1e-8


class RescaledDynamics(AbstractDiffusion[S]):
    """Diffusion of (sqrt(dim) times some statistics, the rest macroscopic).

    States are given and returned as the model's own statistics, whose scaled entries now mean
    sqrt(dim)*(u - centre). Time is unchanged. Without ``dim``: the limit dim -> infinity.
    """

    process: Process[S]
    scaled: tuple[bool, ...] = eqx.field(static=True)
    centre: Float[Array, " statistics"]
    dim: float | None

    @in_one_line
    def __repr__(self) -> str:
        """What is magnified, and what stays macroscopic."""
        names = self.process.template.names
        large = [name for name, scaled in zip(names, self.scaled, strict=True) if scaled]
        rest = [name for name in names if name not in large] or ["nothing"]
        at = "" if self.dim is None else f" at dim {self.dim:g}"
        return (
            f"RescaledDynamics({', '.join(large)} magnified by sqrt(dim){at}; "
            f"{', '.join(rest)} macroscopic)"
        )

    @classmethod
    def create(
        cls,
        process: Process[S],
        names: tuple[str, ...],
        centre: S | None,
        dim: int | None,
    ) -> "RescaledDynamics[S]":
        """``EffectiveDynamics.rescale``."""
        template = process.template
        if not names:
            raise ValueError(f"scaled=(): expected at least one of {template.names}.")
        for name in names:
            _validate.one_of("scaled", name, template.names)
        mask = tuple(name in names for name in template.names)
        origin = template.vector if centre is None else centre.vector
        origin = jnp.where(jnp.asarray(mask), origin, 0.0)
        if dim is not None:
            return cls(process, mask, origin, float(_validate.integer("dim", dim, 1)))
        result = cls(process, mask, origin, None)
        result._check_invariant()
        return result

    def _check_invariant(self) -> None:
        points = self.process.search_points(np.random.default_rng(0), 16).vector
        process = dynamic(self.process)
        on_set = jnp.where(jnp.asarray(self.scaled), self.centre, points)
        drift = jax.vmap(lambda y: drift_vector(process, y))(on_set)
        worst = float(jnp.max(jnp.abs(jnp.where(jnp.asarray(self.scaled), drift, 0.0))))
        if not worst <= _INVARIANCE:
            raise ValueError(
                f"scaled={self.scaled_names}: their drift on {self._centre_text()} is up to "
                f"{worst:.3g}, not 0, so sqrt(dim) times them has no limit there. Scale about a "
                "fixed point, or magnify other statistics."
            )

    @property
    def scaled_names(self) -> tuple[str, ...]:
        """Names of the magnified statistics."""
        return tuple(n for n, s in zip(self.process.template.names, self.scaled, strict=True) if s)

    def _centre_text(self) -> str:
        values = [float(c) for c, s in zip(self.centre, self.scaled, strict=True) if s]
        return ", ".join(f"{n}={c:g}" for n, c in zip(self.scaled_names, values, strict=True))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates; scaled ones carry their magnification."""
        return tuple(
            f"sqrt(dim)*{name}" if scaled else name
            for name, scaled in zip(self.process.template.names, self.scaled, strict=True)
        )

    def check_state(self, u: object) -> None:
        """Raise TypeError or ValueError unless ``u`` is a rescaled state, any batch axes.

        The point at which its coefficients are taken must be possible: with ``dim`` that is where
        the statistics are, in the limit the centre beside the macroscopic ones.
        """
        template = self.process.template
        if not isinstance(u, type(template)):
            raise TypeError(f"initial={u!r}: expected {type(template).__name__}.")
        batch = u.batch_shape
        for name in template.dims:
            value, one = np.asarray(getattr(u, name)), np.shape(getattr(template, name))
            if value.shape[len(batch) :] != one:
                raise ValueError(
                    f"initial: {name} has shape {value.shape[len(batch) :]}, expected {one}."
                )
            if not np.isfinite(value).all():
                raise ValueError(f"initial: {name} must be finite.")
        read = template.with_vector(u.vector)
        for name in template.dims:
            if not np.allclose(getattr(u, name), getattr(read, name)):
                raise ValueError(f"initial: {name} must be symmetric.")
        self.process.check_state(template.with_vector(self._point(u.vector)))

    # -- coefficients --------------------------------------------------------------------------

    def drift(self, u: S) -> S:
        """Drift per unit time at rescaled states ``u``, any leading batch axes."""
        return u.with_vector(_over_batch(self._dynamic().drift_vector, u.vector))

    def diffusion(self, u: S) -> Float[Array, "*batch statistics statistics"]:
        """Covariance per unit time; zero for macroscopic statistics."""
        factor = _over_batch(self._dynamic().factor, u.vector)
        return factor @ jnp.swapaxes(factor, -1, -2)

    def drift_vector(
        self, y: Float[Array, " statistics"], time: Time = 0.0
    ) -> Float[Array, " statistics"]:
        """Drift of one state, in the order of ``names``."""
        mask = jnp.asarray(self.scaled)
        if self.dim is not None:
            h = drift_vector(self.process, self._point(y), time)
            return jnp.where(mask, jnp.sqrt(self.dim) * h, h)
        point = self._point(y)
        h, tangent = directional(self.process, point, jnp.where(mask, y, 0.0), time)
        return jnp.where(mask, tangent, h)

    def factor(
        self, y: Float[Array, " statistics"], time: Time = 0.0
    ) -> Float[Array, "statistics noises"]:
        """Noise factor of one state; rows of macroscopic statistics vanish."""
        point = self.process.admissible(self.process.template.with_vector(self._point(y)))
        factor = self.process.diffusion_factor(point, time)
        return jnp.where(jnp.asarray(self.scaled)[:, None], factor, 0.0)

    def _point(self, y: Array) -> Array:
        """Statistics at which the coefficients are taken."""
        offset = 0.0 if self.dim is None else y / jnp.sqrt(self.dim)
        return jnp.where(jnp.asarray(self.scaled), self.centre + offset, y)

    def _dynamic(self) -> "RescaledDynamics[S]":
        return dynamic(self)

    # -- Gaussian laws -------------------------------------------------------------------------

    def gaussian(
        self,
        u0: S,
        times: Sequence[float] | np.ndarray,
        covariance: np.ndarray | None = None,
    ) -> tuple[S, Float[Array, "times statistics statistics"]]:
        """Mean and covariance at ``times`` of the process from a Gaussian start.

        Args:
            u0: mean of the start (one state; scaled entries magnified).
            times: increasing times from 0 on.
            covariance: covariance of the start, in the order of ``names``; default zero. Entries
                of macroscopic statistics must be zero.

        Returns:
            (mean, covariance) with a leading time axis. Exact: given the deterministic macroscopic
            statistics the magnified ones are linear.

        Raises:
            ValueError: with ``dim`` set (the magnified drift need not be linear), or if the
                covariance has the wrong shape or moves macroscopic statistics.
        """
        if self.dim is not None:
            raise ValueError(
                f"dim={self.dim!r}: the drift at finite dim need not be linear and its law not "
                "Gaussian; sample it with sample_diffusion, or rescale without dim."
            )
        n = len(self.scaled)
        start = (
            np.zeros((n, n)) if covariance is None else _validate.finite("covariance", covariance)
        )
        if start.shape != (n, n):
            raise ValueError(f"covariance has shape {start.shape}: expected {(n, n)}.")
        macroscopic = ~np.array(self.scaled)
        if np.abs(start[macroscopic]).max(initial=0) > 0:
            raise ValueError("covariance: expected zero rows for macroscopic statistics.")
        times = flow.check_times(times)
        path = _gaussian_path(self._dynamic(), u0.vector, jnp.asarray(start), jnp.asarray(times))
        return u0.with_vector(path[:, :n]), path[:, n:].reshape(len(times), n, n)


def _over_batch(function, y: Array) -> Array:
    for _ in y.shape[:-1]:
        function = jax.vmap(function)
    return function(y)


@eqx.filter_jit
def _gaussian_path(
    dynamics: RescaledDynamics, y0: Array, covariance: Array, times: Array
) -> Float[Array, "times packed"]:
    n = y0.size

    def field(t: Array, packed: Array) -> Array:
        y, c = packed[:n], packed[n:].reshape(n, n)
        # Only the scaled block fluctuates, so derivatives along macroscopic directions meet zeros.
        scaled = jnp.asarray(dynamics.scaled, float)
        a = scaled[:, None] * field_and_rates(dynamics.process, dynamics._point(y))[1] * scaled
        b = dynamics.factor(y, t)
        return jnp.concatenate([dynamics.drift_vector(y, t), (a @ c + c @ a.T + b @ b.T).ravel()])

    start = jnp.concatenate([y0, covariance.ravel()])
    return flow.integrate(field, start, times, 1e-10, 1e-12)
