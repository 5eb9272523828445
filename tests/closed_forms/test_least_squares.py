"""Least squares by modes: the Volterra equation, the sheet's floors, and the ODE of the model."""

import numpy as np
import pytest

import sgdlimits as sl


def _uniform(dim):
    return sl.Spectrum(np.arange(1, dim + 1) / dim)


@pytest.mark.parametrize(("step", "floor"), [(0.5, 7.16e-4), (1.0, 1.67e-3), (1.5, 3.01e-3)])
def test_floors_of_the_literature(step, floor):
    law = sl.LeastSquares(_uniform(512), step=step, noise=0.01)
    assert law.floor == pytest.approx(floor, rel=3e-3)
    assert law.stable_step == pytest.approx(2 * 512 / np.sum(np.arange(1, 513) / 512))
    start = np.full(512, 1 / 512)
    assert law.excess_risk([1e5], start)[0] == pytest.approx(law.floor, rel=1e-9)


def test_it_solves_the_volterra_equation():
    spectrum = sl.Spectrum([3.0, 1.0, 0.2, 0.0], fractions=[0.1, 0.3, 0.5, 0.1])
    law = sl.LeastSquares(spectrum, step=1.2, noise=0.3, batch=2)
    start = np.array([0.5, 0.2, 1.0, 2.0])
    t = np.linspace(0, 4, 4001)
    risk, values = law.excess_risk(t, start), np.asarray(spectrum.eigenvalues[0])
    forcing = (values * start * np.exp(-2 * values * t[-1])).sum() / 2
    integral = np.trapezoid(law.kernel(t[-1] - t) * (risk + 0.15), t)
    assert risk[-1] == pytest.approx(forcing + integral, rel=1e-6)
    assert risk[0] == pytest.approx((values * start).sum() / 2)


def test_steps_that_are_not_stable():
    law = sl.LeastSquares(sl.Spectrum([2.0, 1.0]), step=1.4, noise=0.1)
    assert law.stable_step == pytest.approx(4 / 3)
    assert law.floor == np.inf
    growing = law.excess_risk([10.0, 100.0, 400.0], [1.0, 1.0])
    assert growing[0] < growing[1] < growing[2]
    with pytest.raises(ValueError, match="distances: expected 2 numbers"):
        law.excess_risk([1.0], [1.0])
    with pytest.raises(ValueError, match="one set"):
        sl.LeastSquares(sl.Spectrum([[1.0], [2.0]]))


def _linear(spectrum):
    return sl.committee(1, 1, sl.Polynomial([0.0, 1.0]), noise=0.01, covariance=spectrum)


def _at_teacher(blocks):
    G = np.full((blocks, 1, 1), 1 / blocks)
    return sl.BlockStatistics(np.zeros(0), G, G)


@pytest.mark.parametrize(("blocks", "time"), [(8, 30.0), (40, 400.0)])  # explicit and implicit
def test_the_ode_of_the_model_is_the_formula(blocks, time):
    spectrum = _uniform(blocks)
    u, sgd = _at_teacher(blocks), sl.OnlineSGD(step=1.5, batch=2)
    u = sl.BlockStatistics(u.v, 0.2 * u.M, u.Q)
    result = sl.simulate(_linear(spectrum), sgd, "ode", dim=400, time=time, initial=u, record=4)
    law = sl.LeastSquares(spectrum, step=1.5, noise=0.01, batch=2)
    distances = np.asarray(u.Q - 2 * u.M + 1 / blocks)[:, 0, 0]
    known = law.excess_risk(result.time.values, distances)
    np.testing.assert_allclose(result.risk[0] - 0.005, known, rtol=1e-6, atol=1e-9)
    # Control: the noise of one sample a step is twice that of two.
    other = sl.LeastSquares(spectrum, step=1.5, noise=0.01)
    assert abs(other.excess_risk(time, distances) / known[-1] - 1) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("step", "floor"), [(0.5, 7.16e-4), (1.0, 1.67e-3), (1.5, 3.01e-3)])
def test_floors_from_the_ode(step, floor):
    result = sl.simulate(
        _linear(_uniform(512)), sl.OnlineSGD(step=step), "ode", dim=512, time=3000.0,
        initial=_at_teacher(512), record=2,
    )  # fmt: skip
    assert float(result.risk[0, -1]) - 0.005 == pytest.approx(floor, rel=3e-3)
