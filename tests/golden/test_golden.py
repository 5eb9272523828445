"""No number changes unnoticed: what every family computes today is what its golden file holds.

Golden files hold seeded paths of the engines, fields at generic states, and spectra, of the cases
in ``cases.py``. They say nothing about what is right; the other tests do.
"""

import numpy as np
import pytest

from tests.golden import record
from tests.golden.cases import CASES, TOLERANCES

_RULE = (
    "golden files may only change with a line under *Changed* in CHANGELOG.md that says why "
    "(then: python -m tests.golden.record CASE)"
)


def _difference(value: np.ndarray, golden: np.ndarray) -> str:
    """The largest absolute difference, and the largest relative to the largest golden number."""
    if value.shape != golden.shape:
        return f"shape {value.shape} instead of {golden.shape}"
    if not np.array_equal(np.isfinite(value), np.isfinite(golden)):
        return "NaN or infinity in other places"
    finite = np.isfinite(golden)
    gap = np.abs(value - golden, where=finite, out=np.zeros(golden.shape)).max(initial=0.0)
    size = np.abs(golden, where=finite, out=np.zeros(golden.shape)).max(initial=0.0)
    return f"largest difference {gap:.3g} where numbers reach {size:.3g}"


def _changes(values: record.Numbers, golden: record.Numbers) -> list[str]:
    """One line per quantity that is missing, new, or different."""
    lines = [f"{name}: only in one of the two" for name in sorted(set(values) ^ set(golden))]
    for name in sorted(set(values) & set(golden)):
        allowed = TOLERANCES[name.split(".")[0]]
        try:
            np.testing.assert_allclose(
                values[name], golden[name], rtol=allowed.rtol, atol=allowed.atol
            )
        except AssertionError:
            lines.append(
                f"{name}: {_difference(values[name], golden[name])}; allowed are rtol "
                f"{allowed.rtol} and atol {allowed.atol} ({allowed.why})"
            )
    return lines


def _check(name: str, values: record.Numbers) -> None:
    lines = _changes(values, record.load(name))
    if lines:
        pytest.fail("\n".join([f"{name}: {_RULE}", *lines]), pytrace=False)


@pytest.mark.parametrize("name", CASES)
def test_numbers_are_those_of_the_golden_file(name):
    _check(name, record.compute(CASES[name]()))


def test_every_case_has_a_file_and_every_file_a_case():
    assert {path.stem for path in record.DATA.glob("*")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_change_by_1e_6_is_red(name):
    """Negative control: every quantity in turn, with one number moved by 1e-6."""
    golden = record.load(name)
    _check(name, golden)
    for quantity, numbers in golden.items():
        if not np.isfinite(numbers).any():
            continue  # empty, or times of divergence of runs that do not diverge
        moved = _moved(numbers)
        with pytest.raises(pytest.fail.Exception, match=r"\*Changed\* in CHANGELOG.md") as failure:
            _check(name, {**golden, quantity: moved})
        assert f"{quantity}: largest difference" in str(failure.value)


def _moved(numbers: np.ndarray) -> np.ndarray:
    """The number of largest size moved by 1e-6."""
    moved = numbers.copy()
    moved[np.unravel_index(np.nanargmax(np.abs(numbers)), numbers.shape)] += 1e-6
    return moved
