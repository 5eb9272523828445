"""The chain against real vectors, in law, after several steps."""

import numpy as np

from sgdlimits.testing.controls import FORGETS_FLUCTUATIONS, Control, longer_step, verdict
from sgdlimits.testing.report import Row
from sgdlimits.testing.statistics import POWER, draws_for_ks, functionals, ks_limit, ks_scores
from sgdlimits.testing.subject import STEPS, Subject


def laws(subject: Subject) -> list[Row]:
    """Default and literal steps against the chain; against each other where there is none."""
    if not subject.has_chain:
        return [_literal_and_default(subject)] if subject.has_literal else []
    rows = [_chain_and_real(subject, subject.dim, literal=False)]
    if subject.has_literal:
        rows.append(_chain_and_real(subject, subject.literal_dim, literal=True))
    return rows


def _chain_and_real(subject: Subject, dim: int, *, literal: bool) -> Row:
    real, right = subject.real(dim, literal), subject.chain(dim)
    worst, limit, _ = _scores(real, right, subject.rate)
    controls = [Control("step 10 % longer", longer_step(subject.process)), FORGETS_FLUCTUATIONS]
    each = [
        _seen(subject, dim, control, real, right)
        for control in controls
        if control.applies(subject.process.chain_constants(dim))
    ]
    words, failed = "; ".join(words for words, _ in each), any(failed for _, failed in each)
    name = "literal steps in law" if literal else "default steps in law"
    compared = f"chain, {STEPS} steps, dim {dim}"
    return Row(name, compared, worst, limit, worst <= limit, "KS", words, failed)


def _seen(
    subject: Subject, dim: int, control: Control, real: np.ndarray, right: np.ndarray
) -> tuple[str, bool]:
    """What a wrong chain does in the place of the right one."""
    wrong = subject.chain(dim, 1, control)
    # How much it takes to tell the two chains apart, whatever the real steps do.
    pilot, limit, count = _scores(right, wrong, subject.rate)
    more = draws_for_ks(pilot, count, limit) * _effective(right, wrong) / _effective(real, wrong)
    found, limit, _ = _scores(real, wrong, subject.rate)
    return verdict(control.name, found > limit, found, POWER if more <= 1 else 0.0)


def _literal_and_default(subject: Subject) -> Row:
    dim = subject.dim
    one, other = subject.real(dim, True), subject.real(dim, False)
    worst, limit, _ = _scores(one, other, subject.rate)
    compared = f"default steps, dim {dim}"
    return Row("literal steps in law", compared, worst, limit, worst <= limit, "KS")


def _scores(one: np.ndarray, other: np.ndarray, rate: float) -> tuple[float, float, int]:
    """Worst score over points and functionals, its limit, number of comparisons."""
    scores = np.concatenate(
        [ks_scores(*functionals(x, y)) for x, y in zip(one, other, strict=True)]
    )
    return float(scores.max()), ks_limit(scores.size, rate), scores.size


def _effective(one: np.ndarray, other: np.ndarray) -> float:
    """Draws that a comparison of both counts as."""
    n, m = one.shape[1], other.shape[1]
    return n * m / (n + m)
