"""The population risk of each family is the mean loss of samples drawn as the papers write."""

import numpy as np
import pytest
from scipy.special import expit

import sgdlimits as sl

_Z = 4.5  # standard errors: false alarm 1e-5 each
_SAMPLES = 400_000


def _z(losses, expected):
    return (losses.mean() - expected) / (losses.std() / np.sqrt(len(losses)))


@pytest.mark.stat
def test_risk_of_the_xor_mixture():
    snr, rng = 2.0, np.random.default_rng(7)
    model = sl.xor_gmm(snr=snr, ridge=0.3, width=2)
    v, W = np.array([1.2, -0.7]), np.array([[0.8, 0.3, 0.5], [-0.2, 0.9, 0.4]])
    u = sl.Statistics(v, W[:, :2], W @ W.T)
    means = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    c = rng.integers(4, size=_SAMPLES)
    x = means[c] + rng.standard_normal((_SAMPLES, 3)) / np.sqrt(snr)
    score = np.maximum(x @ W.T, 0) @ v
    losses = np.logaddexp(0, score) - (c < 2) * score  # cross-entropy; no ridge
    assert abs(_z(losses, float(sl.risk(model, u)))) < _Z
    with pytest.raises(ValueError, match=r"excess=True: .* has no formula"):
        sl.risk(model, u, excess=True)


@pytest.mark.stat
def test_risk_of_the_binary_mixture():
    snr, rng = 3.0, np.random.default_rng(8)
    model = sl.binary_gmm(snr=snr, ridge=0.1, width=1)
    W = np.array([0.9, -0.4, 0.6])
    labels = rng.integers(2, size=_SAMPLES)
    noise = rng.standard_normal((_SAMPLES, 3)) / np.sqrt(snr)
    score = 1.3 * np.maximum((2 * labels - 1) * W[0] + noise @ W, 0)
    u = sl.Statistics([1.3], [[W[0]]], [[W @ W]])
    losses = np.logaddexp(0, score) - labels * score
    assert abs(_z(losses, float(sl.risk(model, u)))) < _Z
    assert abs(_z(expit(score), float(sl.risk(model, u)))) > 2 * _Z  # another loss is told apart


@pytest.mark.stat
@pytest.mark.parametrize("order", [2, 3])
def test_risk_of_the_spiked_tensor(order):
    snr, rng = 1.4, np.random.default_rng(9)
    model = sl.SpikedTensor(snr=snr, order=order, ridge=0.2)
    x = np.array([0.6, -0.5, 0.3])
    spike, power = np.array([1.0, 0, 0]), x
    tensor = spike
    for _ in range(order - 1):
        tensor, power = np.multiply.outer(tensor, spike), np.multiply.outer(power, x)
    noise = rng.standard_normal((_SAMPLES // 4, power.size))
    losses = ((snr * tensor - power).ravel() + noise) ** 2
    found = losses.sum(1) - power.size  # the noise's own norm is left out
    u = sl.SpikedStatistics(x[0], x[1:] @ x[1:])
    assert abs(_z(found, float(sl.risk(model, u)))) < _Z
    assert float(sl.risk(model, u, excess=True)) == float(sl.risk(model, u))


def test_risks_of_a_batch_and_bad_statistics(as_users_run):
    model = sl.SpikedTensor(snr=1.4)
    many = sl.SpikedStatistics(np.array([[0.1, 0.2, 0.3]]), np.full((1, 3), 0.5))
    risks = sl.risk(model, many)
    assert risks.shape == (1, 3)
    assert float(risks[0, 1]) == pytest.approx(float(sl.risk(model, many[0][1])), rel=1e-14)
    with pytest.raises(TypeError, match=r"statistics=.*expected SpikedStatistics"):
        sl.risk(model, sl.Statistics([], [[0.1]], [[1.0]]))
    with pytest.raises(TypeError, match="excess=1"):
        sl.risk(model, many, excess=1)  # type: ignore[arg-type]
