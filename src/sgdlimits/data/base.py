"""What a data law says of one sample: how it looks in a few projections, and its label."""

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, Key

import sgdlimits._x64  # noqa: F401
from sgdlimits.data.blocks import Blocks

Matrix = tuple[tuple[float, ...], ...]


class AbstractDataLaw(eqx.Module):
    """X = Fᵀ a_c + deviation_c Z with Z ~ N(0, I), class c with probability p_c, label y(c, f, z).

    F is a frame of a few fixed directions with Gram matrix G = F Fᵀ; f = F X; z are standard
    normals behind the label. A law knows nothing of networks, losses or algorithms.
    """

    #: Whether there is an snr to change, by ``with_snr``.
    has_snr: ClassVar[bool] = False
    #: Whether a class is drawn with every sample.
    draws_classes: ClassVar[bool]

    #: a, one row a class.
    coefficients: eqx.AbstractVar[Matrix]
    gram: eqx.AbstractVar[Matrix]
    #: Classes without noise, whose deviation is 0.
    noiseless: eqx.AbstractVar[tuple[bool, ...]]
    #: Numbers in one label, and standard normals behind it.
    outputs: eqx.AbstractVar[int]
    label_noises: eqx.AbstractVar[int]
    #: Whether labels depend on f = F X or on noise, and not on the class alone.
    labels_see_fields: eqx.AbstractVar[bool]

    # -- how it shows itself -------------------------------------------------------------------

    def facts(self) -> dict[str, str]:
        """What a table in a notebook says of it; default: the covariance, if it has one."""
        blocks = self.in_blocks()
        return {} if blocks is None else {"covariance": f"{len(blocks.fractions)} eigenvalues"}

    # -- labels --------------------------------------------------------------------------------

    @abstractmethod
    def label(
        self, c: Integer[Array, ""], f: Float[Array, " directions"], z: Float[Array, " noises"]
    ) -> Float[Array, " outputs"]:
        """y of one sample of class c with projections f, and standard normals z."""

    # -- classes -------------------------------------------------------------------------------

    @property
    @abstractmethod
    def deviations(self) -> Float[Array, " classes"]:
        """Standard deviation of every coordinate of the noise, class by class."""

    @property
    @abstractmethod
    def weights(self) -> Float[Array, " classes"]:
        """Class probabilities."""

    def classes(self, uniform: Float[Array, "*shape"]) -> Integer[Array, "*shape"]:
        """Class of a uniform variable."""
        cumulative = jnp.cumsum(self.weights)[:-1]
        return jnp.sum(uniform[..., None] >= cumulative, axis=-1)

    def zero_noise(self) -> "AbstractDataLaw":
        """The law as its noise vanishes, if that has a meaning; default: itself."""
        return self

    # -- covariance ----------------------------------------------------------------------------

    def in_blocks(self) -> Blocks | None:
        """Eigenvalues of the noise beside 1 and where they hold; None: it is isotropic."""
        return None

    def total(self) -> "AbstractDataLaw":
        """The isotropic law that rules for expectations are chosen for; default: itself."""
        return self

    def _coloured(
        self, noise: Float[Array, " dim"], c: Integer[Array, ""] | int
    ) -> Float[Array, " dim"]:
        """Isotropic noise as it is in class c, but for its deviation."""
        blocks = self.in_blocks()
        if blocks is None:
            return noise
        values = blocks.spectrum.eigenvalues
        values = values[0] if len(values) == 1 else values[c]
        roots = jnp.sqrt(values).astype(noise.dtype)
        return roots[blocks.places(noise.shape[0]).block] * noise

    # -- the frame -----------------------------------------------------------------------------

    @property
    def directions(self) -> int:
        """r, the number of rows of the frame."""
        return len(self.gram)

    @property
    def root(self) -> Float[Array, "directions directions"]:
        """Lower triangular R with G = R Rᵀ."""
        return jnp.asarray(np.linalg.cholesky(np.array(self.gram)))

    def frame(self, dim: int) -> Float[Array, "directions dim"]:
        """Rows F with F Fᵀ = G: the root, padded with zeros; block by block if there are some."""
        blocks = self.in_blocks()
        if blocks is not None:
            return blocks.frame(dim)
        r = self.directions
        return jnp.zeros((r, dim)).at[:, :r].set(self.root)

    # -- samples -------------------------------------------------------------------------------

    def sample(
        self, key: Key[Array, ""], frame: Float[Array, "directions dim"], dtype
    ) -> tuple[Float[Array, " dim"], Float[Array, " outputs"]]:
        """One sample (X, y) in R^dim."""
        key_class, key_noise = jax.random.split(key)
        noise = jax.random.normal(key_noise, frame.shape[1:], dtype)
        index = self.classes(jax.random.uniform(key_class))
        coefficients = jnp.asarray(self.coefficients, dtype)[index]
        noise = self._coloured(noise, index)
        x = coefficients @ frame + self.deviations.astype(dtype)[index] * noise
        # Both the preactivations and the update need x: without the barrier it is drawn twice.
        x = jax.lax.optimization_barrier(x)
        z = jax.random.normal(jax.random.fold_in(key_class, 1), (self.label_noises,), dtype)
        return x, self.label(index, frame @ x, z).astype(dtype)

    def split(self, key: Key[Array, ""], samples: int) -> tuple[Integer[Array, " samples"], Array]:
        """Classes of samples, and the key of what else is random about them."""
        if not self.draws_classes:
            return jnp.zeros(samples, dtype=int), key
        key_class, key_noise = jax.random.split(key)
        return self.classes(jax.random.uniform(key_class, (samples,))), key_noise
