"""Spiked matrices and tensors: Y = snr v^(x k) + W, loss |Y - x^(x k)|^2 + (ridge/2) |x|^2.

Ben Arous, Gheissari and Jagannath (2022), section 3. W has n^k independent N(0, 1) entries and is
not symmetrised: a symmetric W with unit off-diagonal variance would double the corrector.
"""

import dataclasses
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from sgdlimits import _validate
from sgdlimits._shown import number
from sgdlimits.closed_forms import spiked_tensor_phases as phases
from sgdlimits.closed_forms.spiked_tensor_stability import critical_snr
from sgdlimits.data.isotropic_noise import IsotropicNoise
from sgdlimits.models.base import PlainStep
from sgdlimits.models.expectations import Expectations
from sgdlimits.models.rule_errors import Coarser
from sgdlimits.models.sample_gradient import Gradient, Seen
from sgdlimits.models.vector_model import AbstractVectorModel, SpikedStatistics
from sgdlimits.statistics.fixed_sets import FixedSet


class SpikedTensor(AbstractVectorModel):
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

    sees_overlaps: ClassVar = True
    knows_batches: ClassVar = True
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
        snr = Lambda * dim ** ((order - 2) / 2)
        return cls(order=order, snr=snr, ridge=ridge)  # pyright: ignore[reportCallIssue]

    @property
    def data(self) -> IsotropicNoise:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The noise of the gradient, which stands for that of the tensor."""
        return IsotropicNoise()

    def varied(self, name: str, value: float) -> "SpikedTensor":
        """With another ``order``, ``snr`` or ``ridge``."""
        if name not in ("order", "snr", "ridge"):
            raise ValueError(f"parameter={name!r}: SpikedTensor has order, snr and ridge.")
        whole = name == "order" and float(value).is_integer()
        return dataclasses.replace(self, **{name: int(value) if whole else value})

    def facts(self) -> dict[str, str]:
        """Order, snr, ridge, and the snr above which the spike holds at step 1."""
        threshold = critical_snr(self.order, 1.0, float(self.ridge))
        return {
            "order": str(self.order),
            "snr": number(self.snr),
            "ridge": number(self.ridge),
            "critical snr at step 1": number(threshold),
        }

    # -- the risk ------------------------------------------------------------------------------

    def coarser(self) -> Coarser["SpikedTensor"]:
        """None are needed."""
        return Coarser()

    def risk(self, u: SpikedStatistics) -> Float[Array, ""]:
        """E|Y - x^(x k)|^2 less the noise's own dim^k: |snr v^(x k) - x^(x k)|^2, without ridge."""
        k = self.order
        return self.snr**2 - 2 * self.snr * u.m**k + (u.m**2 + u.r2) ** k

    def irreducible_risk(self) -> Float[Array, ""]:
        """0: the noise's part is left out of ``risk``."""
        return jnp.zeros(())

    # -- the gradient of one sample ------------------------------------------------------------

    def gradient(self, v: Float[Array, " none"], seen: Seen) -> Gradient:
        """Exactly the law of the gradient, with a vector of noise for the tensor's.

        The noise is -2 g, g = sum over slots of W contracted with x on all other slots: Gaussian
        with covariance k|x|^(2k-2) I + k(k-1)|x|^(2k-4) x xᵀ, the law of
        sqrt(k)|x|^(k-1) (z + (sqrt(k) - 1) (x.z) x/|x|^2) for z ~ N(0, I).
        """
        assert seen.M is not None
        assert seen.Q is not None
        k, m, norm2 = self.order, seen.M[0, 0], seen.Q[0, 0]
        power = k * norm2 ** (k - 1)
        noise = 2 * jnp.sqrt(power)
        along = noise * (k**0.5 - 1) * seen.s[0] / _nonzero(norm2)
        snr, ridge = (jnp.asarray(x, norm2.dtype) for x in (self.snr, self.ridge))
        push = -2 * k * snr * m ** (k - 1)
        pull = 2 * power + ridge - along
        return Gradient(-noise[None], v, pull, push[None, None], penalty=ridge)

    def literal_gradient(
        self, parameters: Float[Array, " dim"], frame: Float[Array, "1 dim"], key: Key[Array, ""]
    ) -> Float[Array, " dim"]:
        """Of |Y - x^(x k)|^2 + (ridge/2)|x|^2 for one fresh tensor Y of dim^k entries."""
        x = parameters
        data = jax.random.normal(key, (x.shape[0],) * self.order, x.dtype)
        data = data + self.snr * self._power(frame[0].astype(x.dtype))

        def loss(x: Array) -> Array:
            return jnp.sum((data - self._power(x)) ** 2) + self.ridge / 2 * jnp.sum(x * x)

        return jax.grad(loss)(x)

    def _power(self, x: Array) -> Array:
        """The tensor x^(x k)."""
        result = x
        for _ in range(self.order - 1):
            result = result[..., None] * x
        return result

    def literal_sample_size(self, dim: int) -> int:
        """dim^order entries."""
        return dim**self.order

    # -- expectations --------------------------------------------------------------------------

    def deviations(self, u: SpikedStatistics) -> None:
        """None: all is by formula."""

    def expectations(self, u: SpikedStatistics) -> Expectations:
        """(3.1): the gradient of -2 lambda m^k + R^(2k) with ridge, and the noise's inflation."""
        k, norm2 = self.order, u.m * u.m + u.r2
        pull = 2 * k * norm2 ** (k - 1) + self.ridge
        push = 2 * k * self.snr * u.m ** (k - 1)
        gf, gs = pull * u.m - push, pull * norm2 - push * u.m
        gg = 4 * k * norm2 ** (k - 1)
        return Expectations(jnp.zeros(0), *(x[None, None] for x in (gf, gs, gg)))

    def increment_factor(self, u: SpikedStatistics, plain: PlainStep) -> Float[Array, "2 2"]:
        """Jacobian of (m, r2) times the square root of the noise in the plane of v and x."""
        jacobian = jnp.stack([jnp.asarray(2.0), 4 * jnp.sqrt(u.r2)])
        return jacobian[:, None] * self._plane_root(u)

    def _plane_root(self, u: SpikedStatistics) -> Float[Array, "2 2"]:
        """Symmetric root of the covariance of the noise g along v and along x - m v."""
        k = self.order
        direction = jnp.stack([u.m, jnp.sqrt(u.r2)])
        norm2 = jnp.sum(direction**2)
        outer = direction[:, None] * direction[None, :] / _nonzero(norm2)
        return jnp.sqrt(k * norm2 ** (k - 1)) * (jnp.eye(2) + (k**0.5 - 1) * outer)

    def increment_moments(
        self, u: SpikedStatistics, plain: PlainStep, dim: Float[Array, ""] | None
    ) -> tuple[Float[Array, " statistics"], Float[Array, "statistics statistics"]]:
        """Mean and covariance of increment/delta; exact at finite dim, for any batch.

        The noise of a batch is that of one sample with variance 1/batch.
        """
        k, root = self.order, self._plane_root(u)
        plane = root @ root / plain.batch
        power = k * (u.m * u.m + u.r2) ** (k - 1)
        pull = 2 * power + self.ridge
        mean_m = 2 * k * self.snr * u.m ** (k - 1) - pull * u.m
        if dim is None:
            jacobian = jnp.stack([jnp.asarray(2.0), 4 * jnp.sqrt(u.r2)])
            mean_r2 = -2 * pull * u.r2 + 4 * plain.step * power / plain.batch
            # The drift of r2 is that of |x|^2 less that of m^2: the push along v drops out.
            covariance = jacobian[:, None] * plane * jacobian
            return jnp.stack([mean_m, mean_r2]), covariance
        delta = plain.step / dim
        rest = (1 - delta * pull) * jnp.sqrt(u.r2)  # mean of the new component along x - m v
        outside = power / plain.batch * (dim - 2)
        mean_r2 = (delta * pull - 2) * pull * u.r2 + 4 * delta * (plane[1, 1] + outside)
        var_m = 4 * plane[0, 0]
        cov = 8 * rest * plane[0, 1]
        spread = 4 * delta**2 * plane[1, 1]
        var_r2 = 4 * rest**2 * spread / delta**2 + 2 * spread**2 / delta**2
        var_r2 = var_r2 + 32 * delta**2 * power**2 / plain.batch**2 * (dim - 2)
        covariance = jnp.stack([jnp.stack([var_m, cov]), jnp.stack([cov, var_r2])])
        return jnp.stack([mean_m, mean_r2]), covariance

    # -- laws and landmarks --------------------------------------------------------------------

    def search_points(self, rng: np.random.Generator, count: int, step: float) -> SpikedStatistics:
        """|m| up to 1.2 lambda^(1/k) and r2 up to 1.2 c: every fixed point lies inside.

        Every other point is drawn towards the origin, on all scales down to 1e-4: with a ridge,
        orders k >= 3 have fixed points there.
        """
        m_max = 1.2 * float(self.snr) ** (1 / self.order)
        shrink = np.where(np.arange(count) % 2 == 0, 1.0, 10 ** rng.uniform(-4, 0, count))
        m = rng.uniform(-m_max, m_max, count) * shrink
        return SpikedStatistics(m, rng.uniform(0, 1.2 * float(step), count) * shrink)

    def known_fixed_points(self, plain: PlainStep) -> list[FixedSet]:
        """Proposition 3.2 for any step and ridge, corrected for odd orders."""
        points = phases.fixed_points(
            self.order, float(self.snr), float(plain.step), float(self.ridge)
        )
        return [FixedSet(SpikedStatistics(m, r2)) for m, r2 in points]


def _nonzero(x: Array) -> Array:
    """x, or 1 where x is 0: the noise vanishes with |x|, so its direction there is immaterial."""
    return jnp.where(x == 0, 1.0, x)
