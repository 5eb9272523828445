"""The variance of linear regression's fluctuations, against the package's own diffusion."""

import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.reproduce import label_noise_panels as panels


@pytest.mark.parametrize("name", panels.LAWS)
def test_theory_starts_with_the_diffusion_of_the_model(name):
    # From no variance: d Cov(t) = t * diffusion + O(t^2).
    eff = sl.effective_dynamics(panels._model(name), sl.OnlineSGD(step=panels._STEP))
    u = sl.Statistics([], [[0.0]], [[1.0]])
    moments = eff.one_step_moments(u, 10**6)
    diffusion = np.asarray(moments.covariance) * 10**12 / panels._STEP
    found = panels.theory(panels.LAWS[name].fourth, np.array([0.0, 1e-5]))[2:, 1] / 1e-5
    expected = diffusion[0, 0], diffusion[0, 1], diffusion[1, 1]
    # The model's nodes see fourth powers of Laplace noise to some 3 %; other laws are 15 % away.
    np.testing.assert_allclose(found, expected, rtol=0.04)


def test_only_the_variance_sees_the_law():
    times = np.array([0.0, 1.0, 4.0])
    gaussian, other = panels.theory(3.0, times), panels.theory(1.0, times)
    np.testing.assert_allclose(gaussian[:4], other[:4], rtol=1e-7)
    assert gaussian[4, -1] > 1.1 * other[4, -1]
