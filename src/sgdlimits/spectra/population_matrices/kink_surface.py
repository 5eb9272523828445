"""What kinks add to the Hessian of the population loss, and to no sample's Hessian.

The gradient g_i of a ReLU network jumps where s_i crosses the kink. Moving W_i moves that surface
through the data, so the population loss has in its Hessian, on the block W_i W_i, besides the mean
of the samples' Hessians,

    S_i = sum over kinks of E[ (g_i(kink+) - g_i(kink-)) delta(s_i - kink) X Xᵀ ].

Ben Arous et al. (2023), (4.4) ff., drop it, which is right for empirical matrices only. It settles
the curvature that SGD's drift sees; finite differences of the population loss confirm it. Kinks of
a teacher add nothing: they do not move with W. Exact up to the error of the quadrature.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sgdlimits._tracing import dynamic
from sgdlimits.expectations.rules import AbstractRule
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.accurate_rule import Accurate, accurate
from sgdlimits.spectra.field_rules import field_rules
from sgdlimits.spectra.labelled_nodes import Cases, labelled_nodes, seen_rows
from sgdlimits.spectra.population_matrices.block_expectations import Seen, SmallMatrices
from sgdlimits.spectra.population_matrices.span import independent_coordinates

_SIDE = 1e-9  # distance from a kink at which its one-sided values are taken


def surface(
    model: MultiIndexModel, v: np.ndarray, T: np.ndarray, A: np.ndarray, i: int
) -> Accurate:
    """(within the span, on every direction orthogonal to it) of S_i.

    Args:
        model: with noise in every class.
        v: second layer.
        T: coordinates of the neurons in an orthonormal basis of the span, shape (p, n).
        A: coordinates of the fixed directions, shape (r, n).
        i: the neuron.
    """
    n, law = T.shape[1], model.data
    length = float(np.linalg.norm(T[i]))
    if not model.network.kinks or length == 0:
        nothing = SmallMatrices(np.zeros((n, n)), np.zeros(()), np.zeros(()))
        return Accurate(nothing, SmallMatrices(np.zeros((1, n, n)), np.zeros(1), np.zeros(1)))
    t = T[i] / length
    others = seen_rows(law, np.delete(T, i, axis=0), A)
    along, beside = others @ t, others - np.outer(others @ t, t)
    # Coordinates orthogonal to t that the other fields see: beside = L O.
    L, O = _lower(beside, others, t)  # noqa: E741
    means = np.array(law.coefficients) @ A
    rules, apart = field_rules(model, len(others), len(O))

    kinks = np.array(model.network.kinks)
    sigma = np.repeat(np.asarray(law.deviations), len(kinks))
    m, shares = (np.repeat(x, len(kinks), axis=0) for x in (means, np.asarray(law.weights)))
    kink = np.tile(kinks, len(means))
    y = (kink - m @ T[i]) / (sigma * length)  # coordinate along t at which s_i = kink
    density = shares * np.exp(-(y**2) / 2) / np.sqrt(2 * np.pi) / (sigma * length)
    numbers = np.repeat(np.arange(len(means)), len(kinks))
    cases = Cases(numbers, m @ others.T + (sigma * y)[:, None] * along, sigma, L)
    point = m + (sigma * y)[:, None] * t
    second_layer = jnp.asarray(v)

    def estimate(rule: AbstractRule | None) -> SmallMatrices:
        arguments = second_layer, jnp.asarray(kinks), jnp.asarray(i)
        nodes = labelled_nodes(model, cases, rule, apart, _jumps, arguments)
        jumps = nodes.values(_jumps_of_each, dynamic(model), arguments)
        J = np.stack([jumps[k, ..., k % len(kinks)] for k in range(len(jumps))])
        # Noise is left in the directions orthogonal to t.
        at = Seen(density, sigma, point, others, L, O)
        J0, J1 = nodes.moments(J)
        inner = at.moment(J0, J1, nodes.second_moments(J))
        bulk = at.bulk(J0)
        absolute = at.bulk((nodes.weight * np.abs(J)).sum(2))
        return SmallMatrices(inner - bulk[:, None, None] * np.outer(t, t), bulk, absolute)

    return accurate(f"surface term of neuron {i}", estimate, rules, SmallMatrices.sizes)


def _lower(beside: np.ndarray, others: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """beside = L O, L lower triangular and O orthonormal rows that are orthogonal to t.

    What is left of a row that is along t is rounding.
    """
    tiny = np.linalg.norm(beside, axis=1) <= 1e-7 * np.linalg.norm(others, axis=1)
    complement = np.linalg.svd(t[None, :])[2][1:]
    L, O = independent_coordinates(np.where(tiny[:, None], 0.0, beside) @ complement.T)  # noqa: E741
    return L, O @ complement


def _jumps(
    model: MultiIndexModel, arguments: Any, others: Array, label: Array
) -> Float[Array, " kinks"]:
    """Of g_i where s_i is at each kink."""
    v, kinks, i = arguments

    def at(s_i: Array) -> Array:
        index = jnp.arange(len(others) + 1)
        spread = others[
            jnp.clip(jnp.where(index > i, index - 1, index), 0, max(len(others) - 1, 0))
        ]
        s = jnp.where(index == i, s_i, spread) if len(others) else s_i[None]
        return model.sample_gradients(v, s, label)[0][i]

    return jax.vmap(lambda kink: at(kink + _SIDE) - at(kink - _SIDE))(kinks)


@eqx.filter_jit
def _jumps_of_each(
    model: MultiIndexModel, arguments: Any, others: Array, labels: Array
) -> Float[Array, "samples kinks"]:
    return jax.vmap(lambda s, y: _jumps(model, arguments, s, y))(others, labels)
