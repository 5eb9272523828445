"""The package's own checker on every model: moments, laws, limits, seeds, states."""

import pytest

from sgdlimits.testing.check import GROUPS
from sgdlimits.testing.report import Report
from tests.registry import every_contract


# Rules of some cases are coarse on purpose, and say so.
@pytest.mark.filterwarnings("ignore:.*of its scale only")
@pytest.mark.stat
@every_contract
def test_contract(case, group):
    # False alarm 1e-3 for all groups of a case together; controls have power 0.999, or say so.
    report = Report(f"{case.id}, {group}", tuple(GROUPS[group](case.subject)))
    print(report)  # shown by -rP, and where it fails
    assert report.passed, f"\n{report}"
