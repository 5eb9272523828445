"""The audit of every built-in family, and of two that were broken on purpose.

Ben Arous, Gheissari and Jagannath (2022), Definition 2.1 and Theorem 2.2, by Monte Carlo.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from sgdlimits.algorithms.online_sgd import OnlineSGD
from sgdlimits.auditing.closure import QUANTITIES
from sgdlimits.auditing.report import AuditReport
from sgdlimits.auditing.run import audit
from sgdlimits.models.base import Model
from sgdlimits.models.committees_zoo import committee
from sgdlimits.models.mixtures_zoo import binary_gmm, k_gmm, xor_gmm
from sgdlimits.models.spiked_tensor import SpikedTensor
from sgdlimits.plots import COLOURS, PAGE, new_figure
from sgdlimits.reproduce.checks import Check, holds
from sgdlimits.reproduce.workspace import Workspace

_LEVEL = 1e-3  # of each audit's test of closure and of its formulas


@dataclass(frozen=True)
class _Case:
    name: str
    model: Model
    step: float = 1.0
    without: tuple[str, ...] = ()
    missing: str = ""  # what the audit should suggest


def _cases() -> tuple[_Case, ...]:
    return (
        _Case("spiked matrix", SpikedTensor(order=2, snr=1.2)),
        _Case("spiked tensor, $k=3$", SpikedTensor(order=3, snr=1.2), step=0.3),
        _Case("binary mixture", binary_gmm(snr=1.0)),
        _Case("XOR mixture, $K=2$", xor_gmm(snr=1.0, width=2)),
        _Case("$k$-GMM, $k=2$", k_gmm(2, snr=1.0)),
        _Case("committee, erf", committee(2, 1, noise=0.1)),
        _Case("spiked matrix, $m$ alone", SpikedTensor(order=2, snr=1.2), 1.0, ("r2",), "<x, x>"),
        _Case("binary, no $Q_{12}$", binary_gmm(snr=1.0), 1.0, ("Q_12",), "<W_1, W_2>"),
    )


def audits(work: Workspace) -> tuple[Figure, list[Check]]:
    """Closure, critical scaling and formulas of every family."""
    dims = work.size((20, 40, 80), (50, 100, 200, 400), (20, 40))
    options = {"dims": dims, "points": work.size(8, 12), "fibres": work.size(2, 4),
               "samples": work.size(4000, 4000), "level": _LEVEL, "seed": work.seed}  # fmt: skip
    cases = _cases()
    cases = work.size(cases, cases, (cases[0], cases[-2]))
    reports = [
        audit(case.model, OnlineSGD(step=case.step), without=case.without, **options)
        for case in cases
    ]
    figure, axes = new_figure(1, 3, width=PAGE, height=2.9, sharey=True)
    _closure_panel(axes[0, 0], cases, reports)
    _critical_panel(axes[0, 1], reports)
    _formula_panel(axes[0, 2], reports)
    checks = [check for pair in zip(cases, reports, strict=True) for check in _checks(*pair)]
    return figure, checks


def _closure_panel(axis: Axes, cases: tuple[_Case, ...], reports: list[AuditReport]) -> None:
    for row, report in enumerate(reports):
        comparisons = len(report.names) * len(QUANTITIES)
        for i in range(len(report.names)):
            p = comparisons * min(report.spreads[quantity][i].p for quantity in QUANTITIES[:2])
            axis.plot(np.clip(p, 1e-12, 1), row, "o", ms=3.5, alpha=0.7,
                      color=COLOURS["second" if p < _LEVEL else "simulation"])  # fmt: skip
    axis.axvline(_LEVEL, color="black", ls="--", lw=0.8)
    axis.set(xscale="log", xlim=(5e-13, 2), xlabel="corrected $p$, a dot a statistic")
    axis.set_yticks(range(len(cases)), [case.name for case in cases])
    axis.invert_yaxis()
    axis.set_title("does the drift close?")


def _critical_panel(axis: Axes, reports: list[AuditReport]) -> None:
    for row, report in enumerate(reports):
        a = report.critical
        axis.errorbar(a.exponent, row, xerr=[[a.exponent - a.low], [a.high - a.exponent]],
                      fmt="o", ms=3.5, color=COLOURS["simulation"], capsize=2)  # fmt: skip
    axis.axvline(1, color="black", ls="--", lw=0.8)
    axis.set(xlabel=r"$a$ of the critical $\delta_n \sim n^{-a}$")
    axis.set_title("critical step")


def _formula_panel(axis: Axes, reports: list[AuditReport]) -> None:
    for row, report in enumerate(reports):
        for name, comparison in (report.exact or {}).items():
            first = name == "population drift"
            bound = stats.norm.isf(_LEVEL / 2 / comparison.comparisons / 2)
            axis.plot(comparison.largest, row, "o" if first else "s", ms=3.5,
                      color=COLOURS["simulation" if first else "third"],
                      label=("population drift" if first else "one step's mean")
                      if row == 0 else None)  # fmt: skip
            axis.plot(bound, row, "|", color="black", ms=8)
    axis.set(xlabel="largest $|z|$ (tick: bound)", xlim=(0, None))
    axis.legend(loc="lower right")
    axis.set_title("formulas")


def _checks(case: _Case, report: AuditReport) -> list[Check]:
    name = case.name.replace("$", "")
    if case.without:
        added = {s.candidate for s in report.suggestions}
        return [
            holds(f"{name}: does not close", "–", not report.closes,
                  f"open: {', '.join(report.open_statistics) or 'none'}; level {_LEVEL:g}"),
            holds(f"{name}: suggests {case.missing}", "–", case.missing in added,
                  f"suggested: {', '.join(sorted(added)) or 'nothing'}"),
        ]  # fmt: skip
    critical = report.critical
    checks = [
        holds(f"{name}: closes", "yes", report.closes,
              f"open: {', '.join(report.open_statistics) or 'none'}; level {_LEVEL:g}"),
        holds(f"{name}: delta ~ 1/n is critical", "yes", report.step == "critical",
              f"a = {critical}, resolution 0.15"),
        holds(f"{name}: localizable", "yes", report.localizable == "holds", report.localizable),
    ]  # fmt: skip
    for quantity, each in (report.exact or {}).items():
        checks.append(
            holds(f"{name}: {quantity} against formulas", "–", each.p >= _LEVEL / 2,
                  f"largest of {each.comparisons} |z|: {each.largest:.1f}, p {each.p:.2g}")
        )  # fmt: skip
    return checks
