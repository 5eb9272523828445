"""The plateau of constant steps: closed forms of E[sigma'^2], and the ODE's fixed point."""

import numpy as np
import pytest

from sgdlimits.closed_forms.committee_plateau import plateau_excess


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
