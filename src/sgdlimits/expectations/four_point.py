"""E[sigma'(u_i) sigma'(u_j) e^2], the four-point functions behind the gradient's noise.

u ~ N(0, Omega) are the preactivations of p students and k teachers, e = sum_m w_m sigma_m(u_m) is
the error of the output, with the student's activation on the first p and the teacher's on the rest.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sgdlimits.expectations.pairs import pair_of
from sgdlimits.expectations.pairs.base import Committee4
from sgdlimits.expectations.panel_rule import PanelRule
from sgdlimits.expectations.rules import AbstractRule
from sgdlimits.expectations.small_linalg import cholesky

_WORTH_COMPARING = 5  # nodes a panel; with fewer the next coarser rule says too much


def slopes_and_squared_error(of: Committee4, rule: AbstractRule) -> Float[Array, "p p"]:
    """The matrix over i, j <= p: by formula if there is one, else by ``rule`` in n dimensions."""
    formula = pair_of(of.student, of.teacher).four_point
    return quadrature_four_point(of, rule) if formula is None else formula(of)


def four_point_deviations(of: Committee4, rule: AbstractRule) -> Float[Array, "estimates p p"]:
    """Whose squares add up to the squared error of what ``rule`` gives; zero for formulas.

    Distances to two coarser rules, or deviations of the rule's replicates.

    Raises:
        ValueError: if the rule has neither.
    """
    if pair_of(of.student, of.teacher).four_point is not None:
        return jnp.zeros((1, of.width, of.width))
    coarser = rule.coarser()
    if coarser is not None:
        rules = [coarser]
        if isinstance(coarser, PanelRule) and coarser.order >= _WORTH_COMPARING:
            rules.append(PanelRule(coarser.points, coarser.order - 1))
        fine = quadrature_four_point(of, rule)
        return jnp.stack([fine - quadrature_four_point(of, x) for x in rules])
    each = _replicates(of, rule)
    count = len(each)
    if count < 2:
        raise ValueError(f"rule={rule!r}: it has no error estimate; take a larger one.")
    return (each - jnp.mean(each, axis=0)) / jnp.sqrt(1.0 * count * (count - 1))


def quadrature_four_point(of: Committee4, rule: AbstractRule) -> Float[Array, "p p"]:
    """All pairs from one set of nodes in n dimensions."""
    if isinstance(rule, PanelRule):
        return _by_panels(of, rule)
    return jnp.mean(_replicates(of, rule), axis=0)


def _replicates(of: Committee4, rule: AbstractRule) -> Float[Array, "replicates p p"]:
    p = of.width
    kinks = tuple(sorted({*of.student.kinks, *of.teacher.kinks}))
    factor = cholesky(of.covariance)
    nodes = rule.nodes(jnp.zeros(len(factor)), factor, kinks)

    def one(z: Array, weight: Array) -> Array:
        u = factor @ z
        error = of.weights[:p] @ of.student(u[:p]) + of.weights[p:] @ of.teacher(u[p:])
        slopes = of.student.slope(u[:p])
        return (slopes * (weight * error**2)) @ slopes.T

    return jax.vmap(one)(nodes.z, nodes.weight)


def _by_panels(of: Committee4, rule: PanelRule) -> Float[Array, "p p"]:
    """Coordinate by coordinate: a field is evaluated only where it changes."""
    p, factor = of.width, cholesky(of.covariance)
    axes = rule.axes(jnp.zeros(len(factor)), factor)
    error = jnp.zeros(())
    slopes: list[Array] = []
    for j in range(len(axes)):
        u = factor[j, j] * axes[j].z
        for l in range(j):  # noqa: E741
            z = axes[l].z
            u = u + factor[j, l] * z.reshape(*z.shape, *(1,) * (j - l))
        sigma = of.student if j < p else of.teacher
        error = error[..., None] + of.weights[j] * sigma(u)
        if j < p:
            slopes.append(sigma.slope(u))
    squared, total = error**2, jnp.zeros((p, p))
    for j in range(len(axes) - 1, -1, -1):
        if j < p:
            inside = slopes[j] * squared  # given coordinates 0 to j
            for i in range(j + 1):
                value = slopes[i].reshape(*slopes[i].shape, *(1,) * (j - i)) * inside
                for l in range(j, -1, -1):  # noqa: E741
                    value = jnp.sum(axes[l].weight * value, axis=-1)
                total = total.at[i, j].set(value)
        squared = jnp.sum(axes[j].weight * squared, axis=-1)
    return jnp.triu(total) + jnp.triu(total, 1).T
