"""What an audit found: dataset, tables, verdicts, picture."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from sgdlimits.auditing.closure import DRIFT, POWER, QUANTITIES, Spread
from sgdlimits.auditing.powers import RESOLUTION, Power
from sgdlimits.auditing.suggestions import Suggestion

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

#: Step-size scalings delta ~ n^-a that are scanned.
SCAN = (0.5, 0.75, 1.0, 1.25, 1.5)


class Condition(NamedTuple):
    """One bound of Definition 2.1: a quantity that may grow like ``allowed`` powers of n."""

    name: str
    power: Power
    allowed: float
    strict: bool
    dims: int = 3  # fitted; with two, a misfit cannot be seen, and nothing fails

    @property
    def verdict(self) -> str:
        """One of "holds", "fails" and "undecided"."""
        verdict = (self.power.below if self.strict else self.power.at_most)(self.allowed)
        return "undecided" if verdict == "fails" and self.dims < 3 else verdict


class FormulaCheck(NamedTuple):
    """Estimates against a model's formulas: the largest |z| of so many, and its p-value."""

    largest: float
    comparisons: int
    p: float


@dataclass(frozen=True)
class AuditReport:
    """Whether statistics close, at which step size, and what was measured.

    Attributes:
        dataset: dims (dim, fibre, point, statistic): population drift, corrector, drift and
            volatility with standard errors (``*_error``), and the quantities of Definition 2.1.
        names: the statistics.
        level: false-alarm rate of the whole test of closure.
        looks: how often at most the test was made, sharing the level.
        scaling: a of delta = step / n^a.
        spreads: per quantity ("population drift", "corrector", "volatility") one entry per
            statistic.
        powers: exponents in n of each quantity, per statistic.
        conditions: Definition 2.1 at this scaling, its last bound as o(delta^-3).
        suggestions: what would explain the spread of what does not close.
        exact: estimates against the formulas of a model that has them, else None.
    """

    dataset: xr.Dataset
    names: tuple[str, ...]
    level: float
    scaling: float
    spreads: dict[str, list[Spread]]
    powers: dict[str, list[Power]]
    conditions: list[Condition]
    suggestions: list[Suggestion]
    exact: dict[str, FormulaCheck] | None
    looks: int = 1

    # -- verdicts ------------------------------------------------------------------------------

    def closure(self, name: str, quantity: str | None = None) -> str:
        """Verdict on one statistic: the worst of drift and corrector, or that of one quantity.

        The level is shared by all quantities and statistics (and fibres, within each).
        """
        index = self.names.index(name)
        wanted = DRIFT if quantity is None else (quantity,)
        verdicts = [self.spreads[each][index].verdict(self.share) for each in wanted]
        order = ("does not close", "closes as n grows", "closes")
        return min(verdicts, key=order.index)

    @property
    def share(self) -> float:
        """The level of one test: of one quantity of one statistic at one look."""
        return self.level / (len(self.names) * len(QUANTITIES) * self.looks)

    def detectable(self, name: str) -> float:
        """The spread of drift or corrector within fibres that is found with probability 0.9.

        The larger of the two, relative to the size of the drift's terms at the largest dim
        (corrector per unit of delta); a statistic "closes" up to this.
        """
        index = self.names.index(name)
        both = [self.spreads[each][index] for each in DRIFT]
        size = max(float(spread.size[-1]) for spread in both)
        found = max(spread.detectable(self.share) for spread in both)
        return found / size if size > 0 else np.inf

    @property
    def open_statistics(self) -> tuple[str, ...]:
        """The statistics whose drift depends on more than the statistics."""
        return tuple(name for name in self.names if self.closure(name) == "does not close")

    @property
    def closes(self) -> bool:
        """Whether the drift of every statistic is a function of the statistics, as n grows."""
        return not self.open_statistics

    @property
    def noise_closes(self) -> bool:
        """Whether the variance of the noise is, too."""
        return all(self.closure(name, "volatility") != "does not close" for name in self.names)

    @property
    def localizable(self) -> str:
        """Whether every condition holds: "holds", "fails" if one does, else "undecided"."""
        verdicts = {condition.verdict for condition in self.conditions}
        return next((v for v in ("fails", "undecided") if v in verdicts), "holds")

    @property
    def critical(self) -> Power:
        """The a of the critical scaling delta ~ n^-a: the largest power of a correction.

        At smaller steps (larger a) corrector and volatility vanish; at larger ones they blow up.
        """
        corrections = [
            power
            for quantity in ("corrector", "volatility")
            for power in self.powers[quantity]
            if not power.vanishing
        ]
        if not corrections:
            return Power(np.nan, np.nan, np.nan)
        return max(corrections, key=lambda power: power.exponent)

    def step_at(self, scaling: float) -> str:
        """What delta ~ n^-scaling is: "too large", "critical" or "subcritical"."""
        critical = self.critical
        if critical.vanishing or critical.high < scaling - RESOLUTION:
            return "subcritical"
        if critical.low > scaling + RESOLUTION:
            return "too large"
        return "critical"

    @property
    def step(self) -> str:
        """What the audited step size is: "too large", "critical" or "subcritical"."""
        return self.step_at(self.scaling)

    @property
    def formulas_agree(self) -> bool | None:
        """Whether the model's formulas passed, at the report's level; None without formulas."""
        if self.exact is None:
            return None
        share = self.level / len(self.exact)
        return all(comparison.p >= share for comparison in self.exact.values())

    @property
    def passed(self) -> bool:
        """Closed, localizable (nothing fails), step not too large, formulas right if any."""
        return (
            self.closes
            and self.localizable != "fails"
            and self.step != "too large"
            and self.formulas_agree is not False
        )

    # -- tables --------------------------------------------------------------------------------

    def _sections(self) -> list[tuple[str, list[str], list[list[str]]]]:
        exponents = [self.powers[quantity] for quantity in QUANTITIES]
        statistics = [
            [name, self.closure(name), f"{self.detectable(name):.1%}",
             self.closure(name, "volatility"),
             *(str(powers[i]) for powers in exponents)]
            for i, name in enumerate(self.names)
        ]  # fmt: skip
        conditions = [
            [c.name, str(c.power), f"{'<' if c.strict else '≤'} {c.allowed:g}", c.verdict]
            for c in self.conditions
        ]
        scan = [[f"n^-{a:g}", self.step_at(a)] for a in sorted({*SCAN, self.scaling})]
        suggestions = [[s.statistic, s.candidate, f"{s.explained:.0%}", f"{s.p:.1g}"]
                       for s in self.suggestions]  # fmt: skip
        exact = [[name, f"{c.largest:.1f}", str(c.comparisons), f"{c.p:.2g}"]
                 for name, c in (self.exact or {}).items()]  # fmt: skip
        head = ["statistic", "drift", f"seen with p = {POWER:g} from", "noise", *QUANTITIES]
        sections = [
            ("Statistics: closure, and powers of n per unit of step size",
             head, statistics),
            (f"Localizability at delta ~ n^-{self.scaling:g}",
             ["quantity", "power of n", "allowed", "verdict"], conditions),
            (f"Step sizes: critical at delta ~ n^-a, a = {self.critical}",
             ["delta", "verdict"], scan),
            ("What explains the spread within fibres",
             ["statistic", "add", "explains", "p"], suggestions),
            ("Against the model's formulas", ["quantity", "largest |z|", "of", "p"], exact),
        ]  # fmt: skip
        return [section for section in sections if section[2]]

    def tables(self) -> "list[Table]":
        """The report as tables for a terminal (rich)."""
        from rich.table import Table

        result = []
        for title, head, rows in self._sections():
            table = Table(title=title, title_justify="left")
            for column in head:
                table.add_column(column)
            for row in rows:
                table.add_row(*row)
            result.append(table)
        return result

    def show(self) -> None:
        """Print the tables and the verdict."""
        from rich.console import Console

        console = Console()
        for table in self.tables():
            console.print(table)
        console.print(self.summary(), highlight=False)

    def markdown(self) -> str:
        """The report as Markdown."""
        parts = [self.summary()]
        for title, head, rows in self._sections():
            lines = [head, ["---"] * len(head), *rows]
            body = "\n".join(
                "| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |"
                for line in lines
            )
            parts.append(f"**{title}**\n\n{body}")
        return "\n\n".join(parts) + "\n"

    def summary(self) -> str:
        """The verdicts in a sentence or two."""
        dims = ", ".join(str(int(d)) for d in self.dataset["dim"].values)
        if self.closes:
            least = max(self.detectable(name) for name in self.names)
            closes = (
                f"The statistics close (level {self.level:g}, dims {dims}; spreads from "
                f"{least:.1%} of the drift are found with probability {POWER:g})."
            )
        else:
            closes = f"{', '.join(self.open_statistics)} do not close (level {self.level:g})."
            best = {s.candidate for s in self.suggestions[:3]}
            if best:
                closes += f" Candidates to add: {', '.join(sorted(best))}."
        return (
            f"{closes} Localizability {self.localizable} at delta ~ n^-{self.scaling:g}; "
            f"that step is {self.step} (critical: a = {self.critical})."
        )

    def __repr__(self) -> str:
        """The summary."""
        return f"AuditReport: {self.summary()}"

    # -- picture -------------------------------------------------------------------------------

    def plot(self) -> "Figure":
        """Sizes and spreads of drift and corrector against n, and the scan of step sizes."""
        from sgdlimits.auditing.picture import picture  # which draws reports

        return picture(self)
