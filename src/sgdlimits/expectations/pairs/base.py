"""What closed forms a pair of activations may have, and what they are functions of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float

from sgdlimits.expectations.activations import AbstractActivation


class TwoPoint(NamedTuple):
    """The overlap of two activations, and its derivatives.

    For (x, y) ~ N(0, [[q, m], [m, r]]): k = E[sigma(x) tau(y)], k_m = dk/dm and k_q = dk/dq.
    """

    k: Float[Array, "*shape"]
    k_m: Float[Array, "*shape"]
    k_q: Float[Array, "*shape"]


class Smoothed(NamedTuple):
    """An activation averaged over Gaussian noise on its argument: sigma, sigma', sigma'', sigma'^2.

    sigma'' is meant as the derivative of the averaged slope, which exists at kinks too.
    """

    value: Float[Array, "*shape"]
    slope: Float[Array, "*shape"]
    bend: Float[Array, "*shape"]
    slope2: Float[Array, "*shape"]


class Committee4(NamedTuple):
    """A student committee next to its teacher, as its Gaussian preactivations see it.

    ``covariance`` is Omega of u = (s, s*), ``weights`` are signed, w = (v/p, -a/k), so that the
    error of the output is e = sum_m w_m sigma_m(u_m); ``width`` is p, the number of students.
    """

    student: AbstractActivation
    teacher: AbstractActivation
    covariance: Float[Array, "n n"]
    weights: Float[Array, " n"]
    width: int


class FreeStep(NamedTuple):
    """One step of SGD that does not normalise rows.

    Args:
        layer: v, the student's second layer.
        step: delta * dim.
        rate: of the second layer, relative to ``step``; None where it is fixed, and no statistic.
        noise: Delta, the variance of the label noise.
        dim: d; None for the limit d -> infinity.
        shrink: 1 - delta * ridge, which multiplies Q's linear increment; 1 in the limit.
    """

    layer: Float[Array, " p"]
    step: Float[Array, ""]
    rate: Float[Array, ""] | None
    noise: Float[Array, ""]
    dim: Float[Array, ""] | None
    shrink: Array | float = 1.0


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The closed forms that one pair of activations has; None stands for: by quadrature.

    All are exact, and written in JAX: to be compiled, vectorised and differentiated. They are
    called only with activations of the kinds under which the pair stands in the table ``PAIRS``.

    Args:
        two_point: ``(sigma, tau, q, m, r) -> TwoPoint``, entry by entry in q, m, r.
        four_point: ``(of: Committee4) -> (p, p)``, E[sigma'(u_i) sigma'(u_j) e^2].
        smooth: ``(activation, mean, variance) -> Smoothed``, entry by entry; looked up under an
            activation paired with itself.
        increment_covariance: ``(of: Committee4, step: FreeStep) -> (statistics, statistics)``, the
            covariance of increment/delta of (v, M, Q).
    """

    # Any: what an entry knows of its activations, such as coefficients, others do not have.
    two_point: Callable[[Any, Any, Array, Array, Array], TwoPoint] | None = None
    four_point: Callable[[Committee4], Array] | None = None
    smooth: Callable[[Any, Array, Array], Smoothed] | None = None
    increment_covariance: Callable[[Committee4, FreeStep], Array] | None = None

    @property
    def exact(self) -> bool:
        """Whether drift and corrector need no nodes: two- and four-point functions are known."""
        return self.two_point is not None and self.four_point is not None


def symmetric(upper: Float[Array, " pairs"], p: int) -> Float[Array, "p p"]:
    """The symmetric matrix whose upper triangle, by rows, is given."""
    i, j = np.triu_indices(p)
    index = np.zeros((p, p), dtype=int)
    index[i, j] = index[j, i] = np.arange(len(i))
    return upper[index]
