"""Spiked matrices and tensors: Y = snr v^(x k) + W, loss |Y - x^(x k)|^2 + (ridge/2) |x|^2.

Ben Arous, Gheissari and Jagannath (2022), section 3. W has n^k independent N(0, 1) entries and is
not symmetrised: a symmetric W with unit off-diagonal variance would double the corrector.
"""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sgdlimits import _validate
from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.closed_forms import spiked_tensor_phases as phases
from sgdlimits.models.base import AbstractModel, OneStepMoments
from sgdlimits.randomness.chi_square import ChiSquare
from sgdlimits.statistics.base import AbstractStatistics, Label, numeric
from sgdlimits.statistics.fixed_sets import FixedSet


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


class _ChainNoise(NamedTuple):
    along_spike: Array
    along_rest: Array
    chi_square: Array


class SpikedTensor(AbstractModel[SpikedStatistics]):
    """Spiked tensor model of any order k >= 2, at signal-to-noise ratio lambda.

    Args:
        order: k, the order of the tensor; 2 is the spiked matrix.
        snr: lambda, the strength of the spike.
        ridge: alpha, adds (alpha/2)|x|^2 to the loss.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if ``order`` < 2, ``snr`` is not above 0, or ``ridge`` is negative.

    Source: Ben Arous, Gheissari and Jagannath (2022), section 3; exact.
    """

    order: int = eqx.field(static=True, default=2)
    snr: float = eqx.field(converter=_validate.as_float, default=1.2)
    ridge: float = eqx.field(converter=_validate.as_float, default=0.0)

    statistics_class: ClassVar = SpikedStatistics
    citation: ClassVar = (
        "G. Ben Arous, R. Gheissari, A. Jagannath. High-dimensional limit theorems for SGD: "
        "effective dynamics and critical scaling. NeurIPS 2022."
    )

    def __check_init__(self) -> None:
        _validate.integer("order", self.order, 2)
        _validate.positive("snr", self.snr)
        _validate.nonnegative("ridge", self.ridge)

    @classmethod
    def at_gradient_threshold(
        cls, order: int, Lambda: float, dim: int, ridge: float = 0.0
    ) -> "SpikedTensor":
        """The model with snr = Lambda * dim^((order-2)/2): signal and noise balance near m = 0.

        At this scaling sqrt(dim)*m near m = 0 follows a nonlinear SDE (for order >= 3), not an
        Ornstein-Uhlenbeck process; see ``EffectiveDynamics.rescale(..., dim=dim)``.
        """
        order = _validate.integer("order", order, 2)
        Lambda = _validate.positive("Lambda", Lambda)
        dim = _validate.integer("dim", dim, 2)
        return cls(order=order, snr=Lambda * dim ** ((order - 2) / 2), ridge=ridge)

    @property
    def template(self) -> SpikedStatistics:
        """(m, r2) = (0, 0)."""
        return SpikedStatistics(0.0, 0.0)

    # -- what is allowed -----------------------------------------------------------------------

    @property
    def minimum_dim(self) -> int:
        """2: one direction for the spike and one for the rest."""
        return 2

    def check_algorithm(self, sgd: OnlineSGD) -> None:
        """The parameter is one vector of free norm, without a second layer."""
        if sgd.spherical:
            raise ValueError("spherical=True: SpikedTensor keeps |x| free; use spherical=False.")
        if sgd.second_layer_rate != 1.0:
            raise ValueError(
                f"second_layer_rate={sgd.second_layer_rate!r}: SpikedTensor has no second layer; "
                "leave it at 1.0."
            )

    def check_statistics(self, u: SpikedStatistics) -> None:
        """Finite, of one shape, and r2 >= 0."""
        if not isinstance(u, SpikedStatistics):
            raise TypeError(f"statistics={u!r}: SpikedTensor expects SpikedStatistics(m, r2).")
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

    def risk(self, u: SpikedStatistics) -> Float[Array, ""]:
        """E|Y - x^(x k)|^2 less the noise's own dim^k: |snr v^(x k) - x^(x k)|^2, without ridge."""
        k = self.order
        return self.snr**2 - 2 * self.snr * u.m**k + (u.m**2 + u.r2) ** k

    def irreducible_risk(self) -> Float[Array, ""]:
        """0: the noise's part is left out of ``risk``."""
        return jnp.zeros(())

    # -- 1. the real SGD step ------------------------------------------------------------------

    def frame(self, dim: int) -> Float[Array, "1 dim"]:
        """The spike v = e_1."""
        return jnp.zeros((1, dim)).at[0, 0].set(1.0)

    def sgd_step(
        self,
        parameters: Float[Array, " dim"],
        frame: Float[Array, "1 dim"],
        key: Key[Array, ""],
        sgd: OnlineSGD,
        *,
        literal: bool = False,
    ) -> Float[Array, " dim"]:
        """x - delta grad L(x, Y) for one fresh Y."""
        if literal:
            return self._literal_step(parameters, frame, key, sgd)
        noise = jax.random.normal(key, parameters.shape, parameters.dtype)
        return self.step_with_normals(parameters, frame, noise, sgd)

    def step_with_normals(
        self,
        x: Float[Array, " dim"],
        frame: Float[Array, "1 dim"],
        z: Float[Array, " dim"],
        sgd: OnlineSGD,
    ) -> Float[Array, " dim"]:
        """The step in O(dim), from z ~ N(0, I).

        The noise of the gradient is -2 g, g = sum over slots of W contracted with x on all other
        slots: Gaussian with covariance k|x|^(2k-2) I + k(k-1)|x|^(2k-4) x xᵀ.
        """
        k, v = self.order, frame[0]
        delta = sgd.delta(x.shape[0])
        norm2 = jnp.sum(x * x)
        shrink = 1 - delta * (2 * k * norm2 ** (k - 1) + self.ridge)
        noise = 2 * delta * jnp.sqrt(k * norm2 ** (k - 1))
        along = noise * (k**0.5 - 1) * jnp.sum(x * z) / _nonzero(norm2)
        signal = 2 * delta * k * self.snr * jnp.sum(x * v) ** (k - 1)
        return (shrink + along) * x + noise * z + signal * v

    def _literal_step(
        self, x: Array, frame: Array, key: Key[Array, ""], sgd: OnlineSGD
    ) -> Float[Array, " dim"]:
        data = jax.random.normal(key, (x.shape[0],) * self.order, x.dtype)
        data = data + self.snr * self._power(frame[0].astype(x.dtype))

        def loss(x: Array) -> Array:
            return jnp.sum((data - self._power(x)) ** 2) + self.ridge / 2 * jnp.sum(x * x)

        return x - sgd.delta(x.shape[0]) * jax.grad(loss)(x)

    def _power(self, x: Array) -> Array:
        """The tensor x^(x k)."""
        result = x
        for _ in range(self.order - 1):
            result = result[..., None] * x
        return result

    def literal_sample_size(self, dim: int) -> int:
        """dim^order entries."""
        return dim**self.order

    # -- 2. statistics of real parameters ------------------------------------------------------

    def statistics(
        self, parameters: Float[Array, " dim"], frame: Float[Array, "1 dim"]
    ) -> SpikedStatistics:
        """m = <x, v>, r2 = |x - m v|^2."""
        m = jnp.sum(parameters * frame[0])
        rest = parameters - m * frame[0]
        return SpikedStatistics(m, jnp.sum(rest * rest))

    # -- 3. the exact chain --------------------------------------------------------------------

    def chain_constants(self, dim: int) -> ChiSquare:
        """The gradient noise orthogonal to v and x is chi-square with dim - 2 degrees."""
        return ChiSquare(dim - 2)

    def chain_noise(self, key: Key[Array, ""], steps: int, constants: ChiSquare) -> _ChainNoise:
        """Two normals in the plane of v and x, one chi-square for everything outside it."""
        z = jax.random.normal(key, (2 + constants.normals, steps))
        return _ChainNoise(z[0], z[1], constants.from_normals(z[2:]))

    def chain_step(
        self, state: SpikedStatistics, noise: _ChainNoise, sgd: OnlineSGD, dim: Float[Array, ""]
    ) -> SpikedStatistics:
        """One exact step of (m, r2); status: exact at every dim >= 2.

        (The chi-square is exact to a relative 1e-13; see ``ChiSquare``.)
        """
        k, u = self.order, state
        delta = sgd.delta(dim)
        r = jnp.sqrt(u.r2)
        norm2 = u.m * u.m + u.r2
        power = k * norm2 ** (k - 1)
        shrink = 1 - delta * (2 * power + self.ridge)
        scale = 2 * delta * jnp.sqrt(power)
        along = (k**0.5 - 1) * (u.m * noise.along_spike + r * noise.along_rest) / _nonzero(norm2)
        m = (
            shrink * u.m
            + 2 * delta * k * self.snr * u.m ** (k - 1)
            + scale * (noise.along_spike + along * u.m)
        )
        rest = shrink * r + scale * (noise.along_rest + along * r)
        return SpikedStatistics(m, rest * rest + scale * scale * noise.chi_square)

    # -- 4. one-step moments -------------------------------------------------------------------

    def population_drift(self, u: SpikedStatistics, sgd: OnlineSGD) -> SpikedStatistics:
        """f of (3.1): the gradient flow of -2 lambda m^k + R^(2k), with ridge."""
        k = self.order
        pull = 2 * k * (u.m * u.m + u.r2) ** (k - 1) + self.ridge
        return SpikedStatistics(pull * u.m - 2 * k * self.snr * u.m ** (k - 1), 2 * pull * u.r2)

    def corrector(self, u: SpikedStatistics, sgd: OnlineSGD) -> SpikedStatistics:
        """g of (3.1): the noise of the gradient inflates r2 at rate 4 k c R^(2k-2)."""
        k = self.order
        growth = 4 * k * sgd.step * (u.m * u.m + u.r2) ** (k - 1)
        return SpikedStatistics(jnp.zeros_like(growth), growth)

    def diffusion_factor(self, u: SpikedStatistics, sgd: OnlineSGD) -> Float[Array, "2 2"]:
        """Jacobian of (m, r2) times the square root of the noise in the plane of v and x."""
        root = self._plane_root(u)
        jacobian = jnp.stack([jnp.asarray(2.0), 4 * jnp.sqrt(u.r2)])
        return jnp.sqrt(sgd.step) * jacobian[:, None] * root

    def _plane_root(self, u: SpikedStatistics) -> Float[Array, "2 2"]:
        """Symmetric root of the covariance of the noise g along v and along x - m v."""
        k = self.order
        direction = jnp.stack([u.m, jnp.sqrt(u.r2)])
        norm2 = jnp.sum(direction**2)
        outer = direction[:, None] * direction[None, :] / _nonzero(norm2)
        return jnp.sqrt(k * norm2 ** (k - 1)) * (jnp.eye(2) + (k**0.5 - 1) * outer)

    def one_step_moments(
        self, u: SpikedStatistics, sgd: OnlineSGD, dim: Float[Array, ""]
    ) -> OneStepMoments:
        """Exact mean and covariance of one increment of (m, r2) at finite dim."""
        k, delta = self.order, sgd.delta(dim)
        root = self._plane_root(u)
        plane = root @ root
        power = k * (u.m * u.m + u.r2) ** (k - 1)
        pull = 2 * power + self.ridge
        rest = (1 - delta * pull) * jnp.sqrt(u.r2)  # mean of the new component along x - m v
        mean_m = delta * (2 * k * self.snr * u.m ** (k - 1) - pull * u.m)
        noise2 = plane[1, 1] + power * (dim - 2)
        mean_r2 = delta * (delta * pull - 2) * pull * u.r2 + 4 * delta**2 * noise2
        var_m = 4 * delta**2 * plane[0, 0]
        cov = 8 * delta**2 * rest * plane[0, 1]
        var_rest = 4 * delta**2 * plane[1, 1]
        var_r2 = 4 * rest**2 * var_rest + 2 * var_rest**2 + 32 * delta**4 * power**2 * (dim - 2)
        covariance = jnp.stack([jnp.stack([var_m, cov]), jnp.stack([cov, var_r2])])
        return OneStepMoments(jnp.stack([mean_m, mean_r2]), covariance)

    # -- laws and landmarks --------------------------------------------------------------------

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

    def search_points(
        self, rng: np.random.Generator, count: int, sgd: OnlineSGD
    ) -> SpikedStatistics:
        """|m| up to 1.2 lambda^(1/k) and r2 up to 1.2 c: every fixed point lies inside.

        Every other point is drawn towards the origin, on all scales down to 1e-4: with a ridge,
        orders k >= 3 have fixed points there.
        """
        m_max = 1.2 * float(self.snr) ** (1 / self.order)
        shrink = np.where(np.arange(count) % 2 == 0, 1.0, 10 ** rng.uniform(-4, 0, count))
        m = rng.uniform(-m_max, m_max, count) * shrink
        return SpikedStatistics(m, rng.uniform(0, 1.2 * float(sgd.step), count) * shrink)

    def known_fixed_points(self, sgd: OnlineSGD) -> list[FixedSet]:
        """Proposition 3.2 for any step and ridge, corrected for odd orders."""
        points = phases.fixed_points(
            self.order, float(self.snr), float(sgd.step), float(self.ridge)
        )
        return [FixedSet(SpikedStatistics(m, r2)) for m, r2 in points]


def _nonzero(x: Array) -> Array:
    """x, or 1 where x is 0: the noise vanishes with |x|, so its direction there is immaterial."""
    return jnp.where(x == 0, 1.0, x)
