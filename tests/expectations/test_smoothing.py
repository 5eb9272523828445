"""Activations averaged over Gaussian noise, against Gauss-Legendre between the kinks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sgdlimits.expectations.activations import Activation
from sgdlimits.expectations.smoothing import smooth
from tests.expectations.examples import CUBIC, EXAMPLES

_KINKED = Activation(lambda x: jnp.maximum(x - 0.3, 0) ** 2 + jnp.abs(x - 0.3), kinks=[0.3])
_CASES = {
    **{"-".join(kinds): (pair[-1], 1e-11) for kinds, pair in EXAMPLES.items()},
    "cubic": (CUBIC, 1e-11),
    "gelu": (Activation(jax.nn.gelu), 1e-6),
    "kinked": (_KINKED, 1e-9),
}


def _mean(function, mean, q, kinks):
    """E[function(mean + sqrt(q) xi)], split at the kinks."""
    x, w = np.polynomial.legendre.leggauss(100)
    at, totals = jax.jit(jax.vmap(function)), []
    for one, spread in zip(np.asarray(mean), np.sqrt(q), strict=True):
        edges = np.array([-12.0, *((kink - one) / spread for kink in sorted(kinks)), 12.0])
        half = np.diff(edges)[:, None] / 2
        z = (edges[:-1, None] + half * (1 + x)).ravel()
        weights = (half * w).ravel() * stats.norm.pdf(z)
        totals.append(weights @ np.asarray(at(jnp.asarray(one + spread * z))))
    return np.array(totals)


@pytest.mark.parametrize("name", _CASES)
def test_averages_are_those_of_quadrature(name):
    activation, tolerance = _CASES[name]
    mean, q = jnp.array([0.4, -1.2, 0.0]), jnp.array([0.7, 0.05, 2.0])

    @jax.jit
    def both(mean, q):
        # The mean of sigma'' is the derivative of the mean slope: nodes miss a kink's weight.
        slope = lambda mean: smooth(activation, mean, q).slope  # noqa: E731
        return smooth(activation, mean, q), jax.jvp(slope, (mean,), (jnp.ones(3),))[1]

    found, bend = both(mean, q)
    slope = jax.grad(activation)
    for values, function in [
        (found.value, activation),
        (found.slope, slope),
        (found.slope2, lambda x: slope(x) ** 2),
    ]:
        wanted = _mean(function, mean, q, activation.kinks)
        np.testing.assert_allclose(values, wanted, rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.bend, bend, rtol=0, atol=100 * tolerance)


@pytest.mark.parametrize("name", _CASES)
def test_no_noise_leaves_the_activation(name):
    activation, _ = _CASES[name]
    x = jnp.array([-1.1, 0.2, 0.9])
    found = smooth(activation, x, jnp.zeros(3))
    np.testing.assert_allclose(found.value, activation(x), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(found.slope, jax.vmap(jax.grad(activation))(x), rtol=1e-12)
    assert np.isfinite(found.bend).all()
