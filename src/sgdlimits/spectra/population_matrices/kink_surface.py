"""What kinks add to the Hessian of the population loss, and to no sample's Hessian.

The gradient g_i of a ReLU network jumps where s_i crosses the kink. Moving W_i moves that surface
through the data, so the population loss has in its Hessian, on the block W_i W_i, besides the mean
of the samples' Hessians,

    S_i = sum over kinks of E[ (g_i(kink+) - g_i(kink-)) delta(s_i - kink) X Xᵀ ].

Ben Arous et al. (2023), (4.4) ff., drop it, which is right for empirical matrices only. It settles
the curvature that SGD's drift sees; finite differences of the population loss confirm it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from sgdlimits._tracing import dynamic
from sgdlimits.expectations.rules import rule_for
from sgdlimits.models.multi_index import MultiIndexModel
from sgdlimits.spectra.population_matrices.flat_nodes import flat_nodes

_SIDE = 1e-9  # distance from a kink at which its one-sided values are taken


def surface(
    model: MultiIndexModel, v: np.ndarray, T: np.ndarray, means: np.ndarray, i: int
) -> tuple[np.ndarray, float]:
    """(within the span, on every direction orthogonal to it) of S_i.

    Args:
        model: with noise in every class.
        v: second layer.
        T: coordinates of the neurons in an orthonormal basis of the span, shape (p, n).
        means: coordinates of the class means, shape (classes, n).
        i: the neuron.
    """
    n = T.shape[1]
    inner, bulk = np.zeros((n, n)), 0.0
    length = float(np.linalg.norm(T[i]))
    if not model.network.kinks or length == 0:
        return inner, bulk
    t = T[i] / length
    others = np.delete(T, i, axis=0)
    along, beside = others @ t, others - np.outer(others @ t, t)
    # Coordinates orthogonal to t that the other neurons see: beside = L O.
    L, O = _lower(beside, t)  # noqa: E741
    classes = zip(
        np.asarray(model.data.weights), np.asarray(model.data.deviations), means,
        np.array(model.data.labels), strict=True,
    )  # fmt: skip
    for p, sigma, m, label in classes:
        for kink in model.network.kinks:
            y = (kink - T[i] @ m) / (sigma * length)  # coordinate along t at which s_i = kink
            density = np.exp(-(y**2) / 2) / np.sqrt(2 * np.pi) / (sigma * length)
            centre = others @ m + sigma * along * y
            J0, J1, J2 = (
                np.asarray(x)
                for x in _jump_moments(
                    dynamic(model), jnp.asarray(v), sigma * L, centre, label, i, kink
                )
            )
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
    Q, R = np.linalg.qr((beside @ complement.T).T)
    sign = np.where(np.diagonal(R) < 0, -1.0, 1.0)
    return R.T * sign, (Q * sign).T @ complement


def _jump_moments(
    model: MultiIndexModel, v: Array, factor: np.ndarray, centre: np.ndarray, label, i: int, kink
) -> tuple[Array, Array, Array]:
    """E[J], E[J z], E[J z zᵀ] of the jump J of g_i given s_i at the kink."""
    count = len(factor)
    if count:
        z, weight = flat_nodes(
            rule_for(count, kinks=model.network.kinks), centre, factor, model.network.kinks
        )
    else:
        z, weight = jnp.zeros((1, 0)), jnp.ones(1)
    J = weight * _jumps(model, v, jnp.asarray(centre + z @ factor.T), jnp.asarray(label), i, kink)
    return J.sum(), J @ z, jnp.einsum("n,na,nb->ab", J, z, z)


@eqx.filter_jit
def _jumps(model: MultiIndexModel, v: Array, others: Array, label: Array, i: int, kink) -> Array:
    def jump(others: Array) -> Array:
        def side(sign: float) -> Array:
            at = jnp.asarray(kink + sign * _SIDE)[None]
            s = jnp.concatenate([others[:i], at, others[i:]])
            return jax.grad(model.sample_loss, argnums=1)(v, s, label)[i]

        return side(1.0) - side(-1.0)

    return jax.vmap(jump)(others)
