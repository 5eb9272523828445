"""The papers' mixtures, whose fixed points without noise are known by formula."""

from typing import TYPE_CHECKING, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits.closed_forms import softmax_mixture_fixed_points as softmax
from sgdlimits.closed_forms.relu_mixture_fixed_points import ReluBins
from sgdlimits.data.mixture import GaussianMixture
from sgdlimits.models.base import PlainStep
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.statistics.fixed_sets import FixedSet
from sgdlimits.statistics.overlaps import Statistics


class ReluMixture(MultiIndexModel):
    """The model of ``binary_gmm`` and ``xor_gmm``: class means ±e_i, labels 0 and 1."""

    looks: ClassVar = False

    if TYPE_CHECKING:  # type checkers would generate one from the fields
        __init__ = MultiIndexModel.__init__
        data: GaussianMixture  # pyright: ignore[reportIncompatibleVariableOverride]

    def known_fixed_points(self, plain: PlainStep) -> list[FixedSet] | None:
        """Without noise, with ridge, and v trained: every component. Otherwise None."""
        if not all(self.data.noiseless) or self.ridge == 0 or plain.rate == 0:
            return None
        return ReluBins(
            np.array(self.data.coefficients),
            np.array(self.data.labels)[:, 0],
            tuple(float(p) for p in self.data.probabilities),
            float(self.ridge),
            self.width,
        ).fixed_sets()


class SoftmaxMixture(MultiIndexModel):
    """The model of ``k_gmm``: one mean and one linear output per class, cross-entropy."""

    looks: ClassVar = False

    if TYPE_CHECKING:  # type checkers would generate one from the fields
        __init__ = MultiIndexModel.__init__
        data: GaussianMixture  # pyright: ignore[reportIncompatibleVariableOverride]

    def known_fixed_points(self, plain: PlainStep) -> list[FixedSet] | None:
        """The unique point, for orthonormal means of equal probability without noise."""
        k = self.data.directions
        orthonormal = np.allclose(np.array(self.data.gram), np.eye(k), atol=1e-12)
        equal = np.allclose([float(p) for p in self.data.probabilities], 1 / k, atol=1e-12)
        if not (all(self.data.noiseless) and orthonormal and equal and self.ridge > 0):
            return None
        return [softmax.optimum(k, float(self.ridge))]

    def energy(self, u: Statistics) -> Float[Array, "*batch"]:
        """Lyapunov function of the zero-noise flow: the population loss with its ridge.

        It decreases along solutions and is stationary at fixed points only. With noise it is not
        the population loss. Ben Arous, Gheissari, Huang and Jagannath (2023), section 5.2; exact.
        """
        coefficients = jnp.asarray(self.data.coefficients)
        return softmax.energy(u, coefficients, self.data.weights, self.ridge)
