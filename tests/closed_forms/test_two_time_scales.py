"""Two time scales: conserved numbers, learning times and their powers of the ratio."""

import math

import numpy as np
import pytest

import sgdlimits as sl

_NEURONS = (1.0, -1.0, 0.5, -0.5, 0.2, -0.2)


def _learned(ratio, student=(1.0, 1.0, 1.0), teacher=(1.0, 1.0, 1.0), **options):
    return sl.two_time_scales(student, teacher, ratio, second_layer=_NEURONS, **options)


def test_components_are_learned_in_order():
    path = _learned(1e-6)
    assert (np.diff(path.learned) > 0).all()
    assert path.risk[0] == pytest.approx(1.5)
    assert path.risk[-1] < 1e-6
    np.testing.assert_allclose(path.residuals[0], [1, 1, 1])


def test_the_constant_takes_ratio_log_2_over_sigma_0_squared():
    for sigma in (1.0, 0.4):
        path = _learned(1e-8, (sigma, 1.0, 1.0), time=0.1)
        assert path.learned[0] == pytest.approx(1e-8 * math.log(2) / sigma**2, rel=1e-4)


def test_the_linear_part_takes_a_quarter_log():
    # t_1 sigma_1 phi_1/sqrt(ratio) - log(1/ratio)/4 tends to a constant.
    constants = [
        _learned(ratio, (1.0, 0.8, 1.0), (1.0, 0.7, 1.0), time=1e3 * ratio**0.5).learned[1]
        * 0.8 * 0.7 / ratio**0.5 - math.log(1 / ratio) / 4
        for ratio in (1e-8, 1e-11, 1e-14)
    ]  # fmt: skip
    assert abs(constants[1] - constants[0]) < 0.05
    assert abs(constants[2] - constants[1]) < 0.02
    # A log/3 would change by 0.58 per step of 1e-3.


def test_the_quadratic_part_takes_the_fourth_root():
    times = [_learned(ratio).learned[2] for ratio in (1e-8, 1e-12)]
    slope = math.log(times[0] / times[1]) / math.log(1e4)
    assert slope == pytest.approx(0.25, abs=0.01)


def test_without_a_part_to_learn_it_has_no_time():
    path = _learned(1e-4, (1.0, 1.0, 0.5), (1.0, 1.0))
    assert math.isnan(path.learned[2])
    assert np.isfinite(path.learned[:2]).all()
    # A student without h_2 never fits it.
    assert _learned(1e-4, (1.0, 1.0), (1.0, 1.0, 0.5)).learned[2] == math.inf


def test_overlaps_stay_on_the_sphere():
    path = _learned(1e-3, time=5.0)
    assert (abs(path.overlaps) <= 1).all()


@pytest.mark.parametrize("copies", [1, 2])
def test_at_finite_width_it_is_the_ode_of_a_committee(copies):
    # By the full equations of two or four neurons on the sphere, step -> 0.
    series, ratio, time = [0.5, 0.8, 0.6], 0.05, 0.7
    layer, width = np.repeat([1.0, -0.6], copies), 2 * copies
    model = sl.committee(
        width, 1, sl.Hermite(series), noise=0.0, train_second_layer=True, second_layer=layer
    )
    sgd = sl.OnlineSGD(1e-9, second_layer_rate=1 / ratio, spherical=True)
    s = np.repeat([0.2, -0.3], copies)
    outside = np.sqrt(1 - s**2)
    W = np.column_stack([s, np.diag(outside)])
    start = sl.Statistics(layer, s[:, None], W @ W.T)
    end = sl.effective_dynamics(model, sgd).solve(start, [time * width])
    path = sl.two_time_scales(
        series, series, ratio, second_layer=[1.0, -0.6], overlaps=[0.2, -0.3], width=width,
        time=time,
    )  # fmt: skip
    np.testing.assert_allclose(path.second_layer[-1], np.asarray(end.v)[0, ::copies], atol=1e-6)
    np.testing.assert_allclose(path.overlaps[-1], np.asarray(end.M)[0, ::copies, 0], atol=1e-6)
    risk = float(np.asarray(sl.risk(model, end))[0])
    assert path.risk[-1] == pytest.approx(risk, abs=1e-6)
    infinite = sl.two_time_scales(
        series, series, ratio, second_layer=[1.0, -0.6], overlaps=[0.2, -0.3], time=time
    )
    assert np.abs(infinite.second_layer[-1] - path.second_layer[-1]).max() > 0.05


def test_a_large_width_is_the_limit():
    late = [_learned(1e-2, width=width).residuals[-1] for width in (600, 60_000)]
    limit = _learned(1e-2).residuals[-1]
    gaps = [np.abs(one - limit).max() for one in late]
    assert gaps[1] < 0.05 * gaps[0] < 0.05
    assert (_learned(1e-2).beside == 0).all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="width=8: expected a multiple of the 6 neurons"):
        _learned(0.1, width=8)
    with pytest.raises(ValueError, match="ratio=0"):
        sl.two_time_scales([1.0], [1.0], 0, second_layer=[1.0])
    with pytest.raises(ValueError, match="one of each per neuron"):
        sl.two_time_scales([1.0], [1.0], 0.1, second_layer=[1.0], overlaps=[0.1, 0.2])
    with pytest.raises(ValueError, match="between -1 and 1"):
        sl.two_time_scales([1.0], [1.0], 0.1, second_layer=[1.0], overlaps=[1.1])
