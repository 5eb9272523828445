"""The plateau of constant steps: closed forms of E[sigma'^2], and the ODE's fixed point."""

import math

import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.closed_forms.committee_plateau import plateau_excess, plateau_rate


def test_known_slopes():
    # Squares: E[(2 s)^2] = 4 q. ReLU: 1/2. erf(s/sqrt 2): (2/pi)/sqrt(1 + 2 q).
    q = [1.0, 0.4]
    a = [1.0, -0.7]
    unit = 0.05 * 0.3 / 16

    def expected(each):
        return unit * sum(x * x * y for x, y in zip(a, each, strict=True))

    square = plateau_excess(0.05, 0.3, q, lambda s: 2 * s, a)
    assert square == pytest.approx(expected([4.0, 1.6]), rel=1e-9)
    relu = plateau_excess(0.05, 0.3, q, lambda s: (s > 0).astype(float), a)
    assert relu == pytest.approx(expected([0.5, 0.5]), rel=1e-9)
    erf = plateau_excess(0.05, 0.3, q, lambda s: np.sqrt(2 / np.pi) * np.exp(-s * s / 2), a)
    assert erf == pytest.approx(expected([2 / np.pi / np.sqrt(1 + 2 * x) for x in q]), rel=1e-9)


def test_one_neuron_of_phase_retrieval():
    # step noise on the sphere's whole: gamma Delta/(1 - 6 gamma) -> gamma Delta as gamma -> 0.
    assert plateau_excess(1e-3, 0.5, [1.0], lambda s: 2 * s) == pytest.approx(5e-4, rel=1e-9)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="norms"):
        plateau_excess(0.1, 0.1, [-1.0], np.sign)
    with pytest.raises(ValueError, match="second_layer has shape"):
        plateau_excess(0.1, 0.1, [1.0], np.sign, [1.0, 2.0])


# -- how long it lasts -----------------------------------------------------------------------------


def _near_the_plateau(width, teachers, size):
    """Every neuron is R (F_1 + ... + F_k), plus a little of its own teacher and less of others'."""
    W = np.full((width, teachers), 1 / math.sqrt(teachers * (2 * teachers - 1)))
    own = np.arange(width)[:, None] % teachers == np.arange(teachers)
    W = W + size * (own - own.mean(0) - own.mean(1, keepdims=True) + own.mean())
    return sl.Statistics(np.zeros(0), W, W @ W.T)


@pytest.mark.parametrize(("width", "teachers"), [(2, 2), (4, 2)])
def test_differences_grow_at_the_rate_of_the_plateau(width, teachers):
    rate = plateau_rate(width, teachers)
    dynamics = sl.effective_dynamics(sl.committee(width, teachers, "erf"), sl.OnlineSGD(1e-5))
    start = _near_the_plateau(width, teachers, 1e-4)
    times = np.array([0.0, 1.0, 4.0]) / rate
    M = np.asarray(dynamics.solve(start, times).M)
    gaps = np.ptp(M, axis=-1).max(-1)
    np.testing.assert_allclose(np.log(gaps[1:] / gaps[0]), [1.0, 4.0], rtol=1e-3)


def test_its_length_is_the_time_to_grow_from_chance():
    length = sl.plateau_length(3, 2, dim=10_000, level=0.5)
    assert length == pytest.approx(math.log(0.5 * 100) / plateau_rate(3, 2))
    # Saad and Solla (1995), K = M: 2 K / (pi sqrt(2K - 1) (2K + 1)^(3/2)) where v_i = p, eta = 1.
    assert 9 * plateau_rate(3) == pytest.approx(6 / math.pi / math.sqrt(5) / 7**1.5)
    with pytest.raises(ValueError, match="teacher_width=1"):
        sl.plateau_length(3, 1, dim=100)
    with pytest.raises(ValueError, match=r"level=0\.05: expected more"):
        sl.plateau_length(3, dim=100, level=0.05)
