"""When a check passes, and how it reads in the table."""

import math

import pytest

from sgdlimits.reproduce.checks import SIGMAS, against_simulation, equal, holds, table


@pytest.mark.parametrize(("distance", "passes"), [(3.9, True), (-3.9, True), (4.1, False)])
def test_theory_and_simulation_may_differ_by_four_standard_errors(distance, passes):
    assert SIGMAS == 4
    check = against_simulation("x", "–", 1.0, 1.0 + 0.1 * distance, 0.1)
    assert check.passed == passes
    assert not check.exact


def test_a_stated_bias_is_allowed_on_top():
    assert not against_simulation("x", "–", 1.0, 1.6, 0.1).passed
    check = against_simulation("x", "–", 1.0, 1.6, 0.1, bias=0.3, why_bias="(1/n)")
    assert check.passed
    assert check.rule.endswith("allowed 4 s.e. + 0.3 (1/n)")


def test_what_is_not_a_number_fails():
    assert not against_simulation("x", "–", 1.0, math.nan, 0.1).passed
    assert not against_simulation("x", "–", 1.0, 1.0, math.nan).passed
    assert not equal("x", "–", math.nan, 1.0, 1.0).passed


def test_equal_numbers_are_equal_within_the_tolerance():
    assert equal("x", "–", 1.0, 1.0 + 1e-9, 1e-8).passed
    assert not equal("x", "–", 1.0, 1.0 + 1e-7, 1e-8).passed


def test_rows_of_the_table():
    checks = [
        against_simulation("|m|", "1", 0.5, 0.52, 0.01),
        against_simulation("m", "1", 0.5, 0.55, 0.01, bias=0.1, why_bias="(1/n)"),
        holds("stable", "yes", False, "never"),
    ]
    assert table(checks).splitlines()[2:] == [
        r"| pass | \|m\| | 1 | 0.5 | 0.52 ± 0.01 | 2.0 s.e. |",
        "| within stated bias | m | 1 | 0.5 | 0.55 ± 0.01 | 5.0 s.e.; allowed 4 s.e. + 0.1 (1/n) |",
        "| **FAIL** | stable | yes | – | – | never |",
    ]
