"""Two squares s^2: matrix products, and the only steps whose covariance has a closed form."""

from dataclasses import replace

import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.expectations.pairs import square_covariance
from sgdlimits.expectations.pairs.base import Committee4, FreeStep
from sgdlimits.expectations.pairs.polynomial import POLYNOMIAL


def four_point(of: Committee4) -> Float[Array, "p p"]:
    """The noise of the gradient of a committee of squares.

    4 {(T1^2 + 2 T2) C + 4 T1 C B C + 8 C B C B C} with C = Omega, B = diag(w), and traces
    T1 = tr(C B), T2 = tr(C B C B); Isserlis. Exact.
    """
    p, C = of.width, of.covariance
    once = C * of.weights  # Omega B
    T1, T2 = jnp.trace(once), jnp.sum(once * once.T)
    second = once[:p] @ C
    third = (once[:p] @ once) @ C
    total = (T1**2 + 2 * T2) * C[:p, :p] + 4 * T1 * second[:, :p] + 8 * third[:, :p]
    return 2 * (total + total.T)


def increment_covariance(of: Committee4, step: FreeStep) -> Float[Array, "statistics statistics"]:
    """The covariance of one step of a committee of squares. See ``square_covariance``; exact."""
    teachers = of.covariance.shape[0] - of.width
    trained = step.rate is not None
    rate = step.rate if step.rate is not None else jnp.ones(())
    increments = square_covariance.monomials(
        step.layer, teachers, step.step, rate, trained, step.shrink
    )
    return square_covariance.covariance(
        increments, of.covariance, -of.weights, step.noise, step.dim
    )


SQUARE = replace(POLYNOMIAL, four_point=four_point, increment_covariance=increment_covariance)
