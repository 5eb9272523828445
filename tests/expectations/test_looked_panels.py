"""Panels that look for themselves: against closed forms of Gaussian integrals, at any norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from scipy.stats import norm

from sgdlimits.expectations.looked_panels import LookedPanels


def _mean(function, mean, deviation, rule):
    def look(z):
        return function(mean + deviation * z)

    nodes = rule.nodes_of(jnp.array([mean]), jnp.array([[deviation]]), (), look)
    z, weight = nodes.together
    return float(weight @ function(mean + deviation * z)[0])


_JUMP = 0.7314


@pytest.mark.parametrize("deviation", [1e-3, 0.1, 1.0, 5.0, 30.0])
@pytest.mark.parametrize("mean", [0.0, 0.6, -3.0])
def test_means_are_those_of_closed_forms(mean, deviation):
    far = (_JUMP - mean) / deviation
    known = {
        "step": (lambda s: jnp.where(s > _JUMP, 1.0, 0.0), norm.sf(far)),
        "relu": (
            lambda s: jax.nn.relu(s - _JUMP),
            (mean - _JUMP) * norm.sf(far) + deviation * norm.pdf(far),
        ),
        "erf": (
            lambda s: jax.scipy.special.erf(s),
            special.erf(mean / np.sqrt(1 + 2 * deviation**2)),
        ),
        "square": (lambda s: s * s, mean**2 + deviation**2),
    }
    rule = LookedPanels()
    for name, (function, exact) in known.items():
        value = _mean(function, mean, deviation, rule)
        assert value == pytest.approx(exact, rel=1e-9, abs=1e-9 if deviation < 10 else 1e-7), name
        coarser = _mean(function, mean, deviation, rule.coarser())
        assert abs(value - exact) <= 3 * abs(value - coarser) + 1e-10, name


def test_without_a_look_a_jump_is_missed():
    # The control: the same nodes for an integrand that is not shown.
    rule, z0 = LookedPanels(), 0.3217
    nodes = rule.nodes(jnp.zeros(1), jnp.eye(1), ())
    z, weight = nodes.together
    assert abs(float(weight @ jnp.where(z[0] > z0, 1.0, 0.0)) - norm.sf(z0)) > 1e-4


def test_derivatives_see_a_jump_that_stays():
    def mean_of(m, q):
        at = lambda s: jnp.where(s > 0.4, 1.0, 0.0)  # noqa: E731
        look = lambda z: at(m + jnp.sqrt(q) * z)  # noqa: E731
        nodes = LookedPanels().nodes_of(m[None], jnp.sqrt(q)[None, None], (), look)
        z, weight = nodes.together
        return weight @ at(m + jnp.sqrt(q) * z)[0]

    m, q = jnp.array(0.2), jnp.array(1.7)
    far = (0.4 - 0.2) / np.sqrt(1.7)
    exact = norm.pdf(far) / np.sqrt(1.7), norm.pdf(far) * far / (2 * 1.7)
    np.testing.assert_allclose(jax.grad(mean_of, argnums=(0, 1))(m, q), exact, rtol=1e-7)
