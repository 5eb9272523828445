"""E[sigma'(u_i) sigma'(u_j) e^2], the four-point functions behind the gradient's noise.

u ~ N(0, Omega) are the preactivations of p students and k teachers, e = sum_m w_m sigma_m(u_m) is
the error of the output, with the student's activation on the first p and the teacher's on the rest.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.expectations.pairs import pair_of
from sgdlimits.expectations.pairs.base import Committee4
from sgdlimits.expectations.rules import AbstractRule
from sgdlimits.expectations.small_linalg import cholesky


def slopes_and_squared_error(of: Committee4, rule: AbstractRule) -> Float[Array, "p p"]:
    """The matrix over i, j <= p: by formula if there is one, else by ``rule`` in n dimensions."""
    formula = pair_of(of.student, of.teacher).four_point
    return quadrature_four_point(of, rule) if formula is None else formula(of)


def quadrature_four_point(of: Committee4, rule: AbstractRule) -> Float[Array, "p p"]:
    """All pairs from one set of nodes in n dimensions."""
    p = of.width
    kinks = tuple(sorted({*of.student.kinks, *of.teacher.kinks}))
    factor = cholesky(of.covariance)
    z, weight = rule.nodes(jnp.zeros(len(factor)), factor, kinks).together
    u = factor @ z
    error = of.weights[:p] @ of.student(u[:p]) + of.weights[p:] @ of.teacher(u[p:])
    slopes = of.student.slope(u[:p])
    return (slopes * (weight * error**2)) @ slopes.T
