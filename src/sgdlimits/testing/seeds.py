"""One seed decides everything; nothing else decides anything."""

import warnings
from typing import Any

import numpy as np

from sgdlimits.process.initial import initial
from sgdlimits.simulation.result import DivergenceWarning
from sgdlimits.simulation.simulate import simulate
from sgdlimits.testing.report import Row, fact
from sgdlimits.testing.subject import Subject

# Both pieces share the lane of the whole: the same program computes them.
_WHOLE, _FIRST = 40, 23
_STEPS = 12
# Across blocks of random numbers; a path must not depend on where it is recorded.
_RECORDS = (3, 127, 128, 129, 256, 257, 300)
_OTHER_RECORDS = (64, 129, 300)
_RESTING = 1e-12


def seeds(subject: Subject) -> list[Row]:
    """Starts, pieces, records and seeds of every engine."""
    model, rule = subject.process.model, subject.process.algorithm.rule
    stepping = ("chain", "sgd") if subject.has_chain else ("sgd",)
    noisy = stepping if model.moments_are_estimates else (*stepping, "sde")
    engines = noisy if model.moments_are_estimates else (*noisy, "ode")
    if model.kernel == "tree" and not rule.simple:
        engines = noisy = stepping
    rows = [_starts_and_pieces(subject, engine) for engine in engines]
    rows += [_records(subject, engine) for engine in stepping]
    return rows + [_seeds(subject, engine) for engine in noisy]


def _run(
    subject: Subject, engine: str, runs: int = _WHOLE, seed: int = 7, steps: int = _STEPS,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(run, time, number) of all statistics, and the recorded steps."""
    process, dim = subject.process, subject.dim
    options = {"record": 3, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)  # a run that blows up has a seed, too
        dataset = simulate(
            process.model, process.algorithm, engine, dim=dim, runs=runs, seed=seed,
            time=steps * float(process.delta(dim)), risk=False, **options,
        )  # fmt: skip
    fields = [dataset[name].values for name in subject.points.dims if name in dataset]
    flat = [x.reshape(*x.shape[:2], -1) for x in fields]
    return np.concatenate(flat, axis=2), dataset["step"].values


def _starts_and_pieces(subject: Subject, engine: str) -> Row:
    whole, _ = _run(subject, engine)
    first, _ = _run(subject, engine, runs=_FIRST)
    second, _ = _run(subject, engine, runs=_WHOLE - _FIRST, first_run=_FIRST)
    process = subject.process
    start = initial(process.model, subject.dim, _WHOLE, 7, process.algorithm)
    if engine in ("ode", "sde"):
        start = process.in_the_limit().begin(process.base(start))
    fields = [np.asarray(getattr(start, name)).reshape(_WHOLE, -1) for name in start.dims]
    same = np.array_equal(whole[:, 0], np.concatenate(fields, axis=1))
    pieces = np.array_equal(whole, np.concatenate([first, second]), equal_nan=True)
    note = "" if same else "starts differ from ``initial``"
    note = note if pieces else "pieces differ from the whole"
    return fact(f"{engine}: starts, pieces", "initial, the whole, bit for bit", same and pieces,
                note=note)  # fmt: skip


def _records(subject: Subject, engine: str) -> Row:
    delta, last = float(subject.process.delta(subject.dim)), _RECORDS[-1]
    (one, steps), (other, others) = (
        _run(subject, engine, steps=last, record=np.array(records) * delta)
        for records in (_RECORDS, _OTHER_RECORDS)
    )
    same = np.array_equal(steps, (0, *_RECORDS)) and np.array_equal(others, (0, *_OTHER_RECORDS))
    if same:
        both = np.isin(steps, others), np.isin(others, steps)
        same = np.array_equal(one[:, both[0]], other[:, both[1]], equal_nan=True)
    return fact(f"{engine}: records", "a path recorded elsewhere, bit for bit", same)


def _seeds(subject: Subject, engine: str) -> Row:
    """From one state every statistic that moves differs between runs and seeds, and repeats."""
    point = subject.points[0]
    if engine == "sde":
        point = subject.in_the_limit.points[0]
    one, again, other = (_run(subject, engine, initial=point, seed=s)[0] for s in (7, 7, 8))
    moved = np.abs(one[:, -1] - one[:, 0]).max(0) > _RESTING
    repeats = np.array_equal(one, again, equal_nan=True)
    differs = bool((one[:, -1] != other[:, -1])[:, moved].any(0).all()) and bool(moved.any())
    apart = len(np.unique(one[:, -1][:, moved], axis=0)) == _WHOLE
    holds = repeats and differs and apart
    note = "" if holds else f"repeats {repeats}, seeds differ {differs}, runs differ {apart}"
    return fact(f"{engine}: seeds", "itself, another seed", holds, note=note)
