"""A model that says its gradient only has errors of quadrature, and claims them."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.models.sample_gradient import Gradient
from sgdlimits.models.vector_model import AbstractVectorModel

_SNR = 0.5


class Steep(AbstractVectorModel):
    """One row that sees a mixture through a tanh of some slope."""

    data: sl.GaussianMixture
    slope: float
    citation: ClassVar = "none"

    def gradient(self, v, seen):
        return Gradient(g=-jnp.tanh(self.slope * seen.s), h=v, pull=1.0)


def _model(slope):
    return Steep(sl.GaussianMixture([[1.0]], [0.0], snr=_SNR), slope)


def _truth(slope, m, norm2):
    """E[g f] by many nodes on a line, f regressed on s."""
    z = np.linspace(-9, 9, 400_001)
    weight = np.exp(-z * z / 2)
    weight /= weight.sum()
    s = m + np.sqrt(norm2 / _SNR) * z
    f = 1 + m / np.sqrt(norm2 * _SNR) * z
    return weight @ (-np.tanh(slope * s) * f)


@pytest.mark.parametrize("slope", [0.3, 3.0, 10.0])
def test_errors_are_claimed(slope):
    model, u = _model(slope), sl.SpikedStatistics(0.4, 0.9)
    exact = _truth(slope, 0.4, 0.4**2 + 0.9) + 0.4  # and the pull
    error = abs(float(model.expectations(u).gf[0, 0]) - exact)
    claim = float(jnp.linalg.norm(model.deviations(u).gf[:, 0, 0]))
    assert error <= 3 * claim + 1e-9
    assert (error > 1e-4) == (slope > 1)  # there is something to claim, and something that is not


def test_what_is_not_accurate_warns():
    dynamics = sl.effective_dynamics(_model(30.0))
    with pytest.warns(sl.InaccurateWarning, match="of its scale only"):
        dynamics.drift(sl.SpikedStatistics(0.4, 0.9))
    assert float(dynamics.process.drift_error(sl.SpikedStatistics(0.4, 0.9)).m) > 1e-3


def test_formulas_claim_nothing():
    model = sl.SpikedTensor(snr=2.0)
    assert model.deviations(sl.SpikedStatistics(0.4, 0.9)) is None
