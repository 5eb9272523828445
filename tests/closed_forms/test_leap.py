"""Leap complexity: examples of the literature, and greedy against all orders."""

import numpy as np
import pytest

import sgdlimits as sl
from sgdlimits.closed_forms.leap import leap_by_enumeration


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ([(1, 0, 0), (1, 1, 0), (1, 1, 1)], 1),  # z1 + z1 z2 + z1 z2 z3
        ([(1, 1, 1)], 3),  # z1 z2 z3
        ([(2,)], 2),  # h2
        ([(1, 0, 0), (1, 1, 1)], 2),  # z1 + z1 z2 z3
        ([(0, 1), (2, 1)], 2),  # z2 + h2(z1) z2
        ([(3,)], 3),
        ([(2,), (3,)], 2),
        ([(0, 0)], 0),
        ([], 0),
    ],
)
def test_examples(components, expected):
    assert sl.leap(components) == expected
    assert leap_by_enumeration(components) == expected


def test_greedy_is_optimal():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(400):
        count, coordinates = rng.integers(1, 6), rng.integers(1, 5)
        target = rng.integers(0, 4, (count, coordinates)) * rng.integers(0, 2, (count, coordinates))
        components = [tuple(int(x) for x in row) for row in target]
        assert sl.leap(components) == leap_by_enumeration(components)
        seen.add(sl.leap(components))
    assert len(seen) > 4


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="same length"):
        sl.leap([(1,), (1, 2)])
    with pytest.raises(ValueError, match="-1"):
        sl.leap([(-1,)])
    with pytest.raises(TypeError, match=r"0\.5"):
        sl.leap([(0.5,)])
