"""What kinks add to the Hessian of the population loss, and to no sample's Hessian.

The gradient g_i of a ReLU network jumps where s_i crosses the kink. Moving W_i moves that surface
through the data, so the population loss has in its Hessian, on the block W_i W_i, besides the mean
of the samples' Hessians,

    S_i = sum over kinks of E[ (g_i(kink+) - g_i(kink-)) delta(s_i - kink) X Xᵀ ].

Ben Arous et al. (2023), (4.4) ff., drop it, which is right for empirical matrices only. It settles
the curvature that SGD's drift sees; finite differences of the population loss confirm it. Kinks of
a teacher add nothing: they do not move with W. Exact up to the error of the quadrature.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sgdlimits._tracing import dynamic
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.labelled_nodes import LabelledNodes, labelled_nodes, seen_rows
from sgdlimits.spectra.population_matrices.span import lower_orthonormal

_SIDE = 1e-9  # distance from a kink at which its one-sided values are taken


def surface(
    model: MultiIndexModel, v: np.ndarray, T: np.ndarray, A: np.ndarray, i: int
) -> tuple[np.ndarray, float]:
    """(within the span, on every direction orthogonal to it) of S_i.

    Args:
        model: with noise in every class.
        v: second layer.
        T: coordinates of the neurons in an orthonormal basis of the span, shape (p, n).
        A: coordinates of the fixed directions, shape (r, n).
        i: the neuron.
    """
    n, law = T.shape[1], model.data
    inner, bulk = np.zeros((n, n)), 0.0
    length = float(np.linalg.norm(T[i]))
    if not model.network.kinks or length == 0:
        return inner, bulk
    t = T[i] / length
    others = seen_rows(law, np.delete(T, i, axis=0), A)
    along, beside = others @ t, others - np.outer(others @ t, t)
    # Coordinates orthogonal to t that the other fields see: beside = L O.
    L, O = _lower(beside, t)  # noqa: E741
    means = np.array(law.coefficients) @ A
    classes = zip(np.asarray(law.weights), np.asarray(law.deviations), means, strict=True)
    for c, (p, sigma, m) in enumerate(classes):
        for kink in model.network.kinks:
            y = (kink - T[i] @ m) / (sigma * length)  # coordinate along t at which s_i = kink
            density = np.exp(-(y**2) / 2) / np.sqrt(2 * np.pi) / (sigma * length)
            centre = others @ m + sigma * along * y
            nodes = labelled_nodes(model, c, centre, sigma * L)
            moments = _jump_moments(dynamic(model), jnp.asarray(v), nodes, i, kink)
            J0, J1, J2 = (np.asarray(x) for x in moments)
            point = m + sigma * y * t
            # Noise is left in the directions orthogonal to t: I - t tᵀ there, less what is seen.
            across = sigma * np.outer(point, J1 @ O)
            noise = J0 * (np.eye(n) - np.outer(t, t)) + O.T @ (J2 - J0 * np.eye(len(J1))) @ O
            term = J0 * np.outer(point, point) + across + across.T + sigma**2 * noise
            inner += p * density * term
            bulk += float(p * density * sigma**2 * J0)
    return inner, bulk


def _lower(beside: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """beside = L O, L lower triangular and O orthonormal rows that are orthogonal to t."""
    complement = np.linalg.svd(t[None, :])[2][1:]
    L, O = lower_orthonormal(beside @ complement.T)  # noqa: E741
    return L, O @ complement


@eqx.filter_jit
def _jump_moments(
    model: MultiIndexModel, v: Array, nodes: LabelledNodes, i: int, kink: float
) -> tuple[Array, Array, Array]:
    """E[J], E[J z], E[J z zᵀ] of the jump J of g_i given s_i at the kink."""

    def jump(others: Array, label: Array) -> Array:
        def side(sign: float) -> Array:
            at = jnp.asarray(kink + sign * _SIDE)[None]
            s = jnp.concatenate([others[:i], at, others[i:]])
            return model.sample_gradients(v, s, label)[0][i]

        return side(1.0) - side(-1.0)

    z, weight, others, labels = nodes
    J = weight * jax.vmap(jump)(others, labels)
    return J.sum(), J @ z, jnp.einsum("n,na,nb->ab", J, z, z)
