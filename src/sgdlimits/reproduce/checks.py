"""What a reproduction must show: quantity, paper, theory, simulation, verdict."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sgdlimits.analysis.compare import Comparison

SIGMAS = 4.0  # two-sided false-alarm rate 6e-5 a check


@dataclass(frozen=True)
class Check:
    """One line of ``checks.md``.

    ``paper`` is what the paper says (a number, or words), ``theory`` what this package derives,
    ``simulation`` what was measured, with its standard error. ``exact`` says that the verdict does
    not depend on the size of the figure: formulas, without a simulation. ``by_bias`` says that it
    passed because of what theory is allowed to leave out, and not by noise alone.
    """

    quantity: str
    paper: str
    theory: float | None
    simulation: float | None
    standard_error: float | None
    passed: bool
    rule: str
    exact: bool = False
    by_bias: bool = False

    @property
    def verdict(self) -> str:
        """``pass``, ``within stated bias`` where noise alone would not explain it, or ``FAIL``."""
        if not self.passed:
            return "FAIL"
        return "within stated bias" if self.by_bias else "pass"

    def row(self) -> str:
        """As a row of a Markdown table, verdict first."""
        simulation = _number(self.simulation)
        if self.standard_error is not None:
            simulation += f" ± {self.standard_error:.2g}"
        verdict = self.verdict if self.passed else f"**{self.verdict}**"
        numbers = (self.paper, _number(self.theory), simulation)
        cells = (verdict, self.quantity, *numbers, self.rule)
        return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def against_simulation(
    quantity: str,
    paper: str,
    theory: float,
    simulation: float,
    standard_error: float,
    bias: float = 0.0,
    why_bias: str = "",
) -> Check:
    """Theory against a measured mean: within 4 standard errors plus a stated bias.

    ``bias`` allows for what the theory leaves out at finite dimension; ``why_bias`` says what.
    """
    distance = abs(simulation - theory)
    rule = f"{distance / standard_error:.1f} s.e." if standard_error > 0 else "exact"
    if bias > 0:
        rule += f"; allowed {SIGMAS:g} s.e. + {bias:.2g} {why_bias}".rstrip()
    passed = bool(distance <= SIGMAS * standard_error + bias)
    by_bias = passed and bool(distance > SIGMAS * standard_error)
    return Check(quantity, paper, theory, simulation, standard_error, passed, rule, by_bias=by_bias)


def agree(quantity: str, paper: str, comparison: "Comparison") -> Check:
    """Means agree at all times at once: the simultaneous band meets what is allowed."""
    low, high = comparison.distance_band
    rule = (
        f"sup-distance {comparison.distance:.2g} in [{low:.2g}, {high:.2g}], "
        f"allowed {comparison.allowed:.2g}"
    )
    return holds(quantity, paper, comparison.agrees, rule)


def equal(
    quantity: str, paper: str, theory: float, computed: float, tolerance: float, exact: bool = True
) -> Check:
    """Two routes to one number agree within an absolute tolerance."""
    passed = bool(abs(theory - computed) <= tolerance)
    rule = f"|difference| {abs(theory - computed):.1e}, allowed {tolerance:.0e}"
    return Check(quantity, paper, theory, computed, None, passed, rule, exact)


def holds(
    quantity: str, paper: str, passed: bool | np.bool_, rule: str, exact: bool = False
) -> Check:
    """A statement that is true or false."""
    return Check(quantity, paper, None, None, None, bool(passed), rule, exact)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value == 0 or math.isnan(value):
        return f"{value:g}"
    return f"{value:.6g}"


def table(checks: list[Check]) -> str:
    """The table of ``checks.md``."""
    head = "| verdict | quantity | paper says | theory here | simulation here ± s.e. | rule |\n"
    return head + "|---|---|---|---|---|---|\n" + "\n".join(check.row() for check in checks) + "\n"
