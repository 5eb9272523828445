"""The plane of exponents: regions, their borders, their clocks."""

import pytest

import sgdlimits as sl


@pytest.mark.parametrize(
    ("kappa", "delta", "name", "steps", "excess"),
    [
        (0.0, 0.0, "plateau", 1.0, 0.0),
        (0.5, -0.5, "plateau", 1.0, 0.0),
        (0.0, 0.5, "perfect learning", 1.5, -0.5),
        (0.25, 0.0, "perfect learning", 1.25, -0.25),
        (0.0, -0.25, "bad learning", 0.5, None),
        (0.25, -0.5, "bad learning", 0.5, None),
        (0.0, -0.5, "no ODE", 0.0, None),
        (0.25, -1.0, "no ODE", 0.0, None),
    ],
)
def test_regions(kappa, delta, name, steps, excess):
    found = sl.regime(kappa, delta)
    assert (found.name, found.steps_exponent, found.excess_exponent) == (name, steps, excess)


def test_the_clock_is_continuous_across_the_borders():
    for total in (0.0, -0.5):
        before, after = (sl.regime(0.0, total + shift) for shift in (-1e-9, 1e-9))
        assert before.steps_exponent == pytest.approx(after.steps_exponent, abs=1e-8)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="width_exponent=-1"):
        sl.regime(-1, 0)
    with pytest.raises(ValueError, match="step_exponent"):
        sl.regime(0, float("nan"))


def test_boundaries_are_met_by_sums_that_round():
    assert 0.2 - 0.7 != -0.5
    assert sl.regime(0.2, -0.7).name == "no ODE"
    assert sl.regime(0.3, -(0.1 + 0.2)).name == "plateau"
