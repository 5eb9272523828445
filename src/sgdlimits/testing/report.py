"""What ``check`` found, as rows of a table."""

from dataclasses import dataclass

from sgdlimits.testing.statistics import FALSE_ALARM


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        name: what is checked.
        compared: with what, where.
        worst: largest score or difference found.
        limit: what it may be.
        passed: whether the comparison holds.
        score: "z", "KS" or "difference": what ``worst`` and ``limit`` are.
        control: what a subtly wrong version did in the same comparison; empty without one.
        control_failed: whether a wrong version passed that should have been rejected.
        note: what was left out, and why.
    """

    name: str
    compared: str
    worst: float
    limit: float
    passed: bool
    score: str = "difference"
    control: str = ""
    control_failed: bool = False
    note: str = ""

    @property
    def good(self) -> bool:
        """Whether the comparison holds, and sees what is wrong."""
        return self.passed and not self.control_failed

    @property
    def verdict(self) -> str:
        """In a word."""
        return "ok" if self.good else "FAILED" if not self.passed else "BLIND"


@dataclass(frozen=True)
class Report:
    """All rows of a check; prints as a table.

    Attributes:
        title: what was checked.
        rows: one comparison each.
    """

    title: str
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether every comparison holds."""
        return all(row.good for row in self.rows)

    def __getitem__(self, name: str) -> Row:
        """The row of this name."""
        return next(row for row in self.rows if row.name == name)

    def __str__(self) -> str:
        """The table."""
        head = ("check", "compared with", "score", "worst", "limit", "verdict", "negative control")
        cells = [head, *(self._cells(row) for row in self.rows)]
        widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
        lines = ["  ".join(x.ljust(w) for x, w in zip(c, widths, strict=True)) for c in cells]
        lines.insert(1, "  ".join("-" * w for w in widths))
        notes = [f"{row.name}: {row.note}" for row in self.rows if row.note]
        rate = (
            f"A correct program fails by chance with probability at most {FALSE_ALARM:g}, all rows "
            "together. z: standard errors; KS: Kolmogorov-Smirnov distance times sqrt(n m/(n + m))."
        )
        lines = [line.rstrip() for line in (self.title, *lines, *notes, rate)]
        return "\n".join(lines)

    @staticmethod
    def _cells(row: Row) -> tuple[str, ...]:
        numbers = (f"{row.worst:.3g}", f"{row.limit:.3g}")
        return (row.name, row.compared, row.score, *numbers, row.verdict, row.control)


def difference(
    name: str, compared: str, found: float, limit: float, *, note: str = "", control: str = ""
) -> Row:
    """A row about a number that rounding, or the next order, bounds."""
    # NaN is no agreement.
    return Row(name, compared, float(found), limit, bool(found <= limit), note=note,
               control=control)  # fmt: skip


def fact(name: str, compared: str, holds: bool, *, note: str = "") -> Row:
    """A row about something that holds or does not."""
    return Row(name, compared, 0.0 if holds else 1.0, 0.0, bool(holds), note=note)
