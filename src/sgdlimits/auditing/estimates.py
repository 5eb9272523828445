"""Drift, corrector, volatility and the quantities of Definition 2.1 at points of fibres."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key

from sgdlimits._tracing import dynamic
from sgdlimits.auditing.points import Scene
from sgdlimits.models.monte_carlo_fibre import VectorStatistics
from sgdlimits.models.monte_carlo_moments import sample_moments, second_derivative

_POWER_STEPS = 12


class Estimates(NamedTuple):
    """At one point x, from sampled gradients G; k statistics, H = G - E[G].

    Leading axes (fibres, points) where there are many. ``*_within`` are variances between single
    samples: the mean's standard error is sqrt(within / samples).
    """

    first: Any  # J E[G]: the population drift
    first_within: Any
    second: Any  # E[Hᵀ (d2u) H]/2: the corrector per unit of delta
    second_within: Any
    variance: Any  # diagonal of Cov(J G): the volatility per unit of delta
    variance_within: Any
    covariance: Any  # (k, k)
    mixed_within: Any  # covariance of the samples of first and second
    increment: Any  # -J E[G] + delta/2 E[Gᵀ (d2u) G]: one step's mean, per delta, to 2nd order
    fourth: Any  # E <H, grad u>^4
    fluctuation: Any  # E <d2u, H Hᵀ - V>^2
    gradient2: Any  # |E G|^2, unbiased: one number
    hessian: Any  # operator norm of d2u (a lower bound)
    third: Any  # likewise of d3u


@eqx.filter_jit
def _estimate(
    scene: Scene, x: Float[Array, "points n"], keys: Key[Array, " points"], samples: int
) -> Estimates:
    unravel, statistics = scene.unravel(), scene.statistics()
    delta = scene.delta

    def at(inputs: tuple[Array, Array]) -> Estimates:
        x, key = inputs
        parameters = unravel(x)

        def gradient(key: Array) -> Array:
            moved = scene.process.step(parameters, scene.frame, key, 0.0)
            return (x - ravel_pytree(moved)[0]) / delta

        key_sample, key_norm = jax.random.split(key)
        gradients = jax.lax.map(gradient, jax.random.split(key_sample, samples), batch_size=256)
        moments = sample_moments(statistics, x, gradients)
        first, second = moments.first, moments.second / 2
        mean = jnp.mean(gradients, axis=0)
        halves = jnp.mean(gradients.reshape(2, samples // 2, -1), axis=1)
        raw = jnp.mean(second, 0) * (1 - 1 / samples) + second_derivative(statistics, x, mean) / 2
        centred = first - jnp.mean(first, axis=0)
        hessian, third = _norms(statistics, x, key_norm)
        return Estimates(
            first=jnp.mean(first, axis=0),
            first_within=jnp.var(first, axis=0, ddof=1),
            second=jnp.mean(second, axis=0),
            second_within=jnp.var(second, axis=0, ddof=1),
            variance=jnp.var(first, axis=0, ddof=1),
            variance_within=jnp.var(centred**2, axis=0, ddof=1),
            covariance=moments.volatility(),
            mixed_within=jnp.mean(centred * (second - jnp.mean(second, axis=0)), axis=0),
            increment=-jnp.mean(first, axis=0) + delta * raw,
            fourth=jnp.mean(centred**4, axis=0),
            fluctuation=4 * jnp.var(second, axis=0, ddof=1),
            gradient2=jnp.sum(halves[0] * halves[1]),
            hessian=hessian,
            third=third,
        )

    return jax.lax.map(at, (x, keys))


def _norms(statistics: VectorStatistics, x: Array, key: Key[Array, ""]) -> tuple[Array, Array]:
    """Operator norms of the second and third derivatives of each statistic, by power iteration."""
    count = jax.eval_shape(statistics, x).shape[0]
    start = jax.random.normal(key, (count, x.size))

    def unit(w: Array) -> Array:
        norm = jnp.linalg.norm(w, axis=1, keepdims=True)
        return w / jnp.where(norm > 0, norm, 1.0)

    def one(i: Array, w: Array, order: int) -> Array:
        pick = lambda x: statistics(x)[i]  # noqa: E731
        if order == 2:
            return jax.jvp(jax.grad(pick), (x,), (w,))[1]
        along = lambda x: jax.jvp(jax.grad(pick), (x,), (w,))[1]  # noqa: E731
        return jax.jvp(along, (x,), (w,))[1]

    def norm(order: int) -> Array:
        index = jnp.arange(count)
        apply = jax.vmap(lambda i, w: one(i, w, order))
        w = jax.lax.fori_loop(0, _POWER_STEPS, lambda _, w: unit(apply(index, w)), unit(start))
        return jnp.linalg.norm(apply(index, w), axis=1)

    return norm(2), norm(3)


def estimate(scene: Scene, points: np.ndarray, samples: int, seed: int) -> Estimates:
    """Estimates at points (fibres, points, n), from independent samples at each."""
    fibres, count, n = points.shape
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), scene.dim), 1)
    keys = jax.random.split(key, fibres * count)
    scene = scene._replace(process=dynamic(scene.process))
    flat = _estimate(scene, jnp.asarray(points.reshape(-1, n)), keys, samples)
    return jax.tree.map(lambda x: np.asarray(x).reshape(fibres, count, *x.shape[1:]), flat)
