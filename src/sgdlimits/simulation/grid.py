"""Which steps are recorded, and their exact times."""

from typing import Any

import numpy as np

from sgdlimits import _resources, _validate
from sgdlimits.engines.path import Recorded


class Grid(Recorded):
    """Recorded steps and times as a caller asks for them."""

    @classmethod
    def records(cls, time: object, delta: float, record: Any) -> int:
        """At most how many there will be, before any is made."""
        last = _last(_validate.positive("time", time), delta)
        if np.ndim(record) == 0:
            return min(_validate.integer("record", record, 2), last + 1)
        return min(np.size(record) + 2, last + 1)

    @classmethod
    def create(cls, time: float, delta: float, record: int | np.ndarray) -> "Grid":
        """Steps nearest to the requested times.

        Args:
            time: horizon, in units of steps * delta; rounded to whole steps.
            delta: duration of one step.
            record: number of equally spaced records, or the times themselves.

        Raises:
            ValueError: if the horizon holds no step, or a requested time lies outside it.
        """
        time = _validate.positive("time", time)
        last, count = _last(time, delta), cls.records(time, delta, record)
        if np.ndim(record) == 0:
            _resources.check_count("record", count, lambda count: 64.0 * count)
            steps = np.rint(np.linspace(0, last, count)).astype(np.int64)
        else:
            wanted = _numbers(record)
            if wanted.ndim != 1 or not np.isfinite(wanted).all():
                raise ValueError("record: expected a number, or a list of finite times.")
            if wanted.size and (wanted.min() < 0 or wanted.max() > time * (1 + 1e-12)):
                raise ValueError(
                    f"record: times from {wanted.min():.6g} to {wanted.max():.6g} given, expected "
                    f"between 0 and time={time!r}."
                )
            steps = np.concatenate([[0], np.rint(wanted / delta).astype(np.int64), [last]])
        steps = np.unique(np.minimum(steps, last))
        return cls(steps, steps * delta)


def _last(time: float, delta: float) -> int:
    """Number of the last step."""
    if time / delta >= 2**62:
        raise ValueError(f"time={time!r}: more steps of {delta:.3g} than can be counted.")
    last = round(time / delta)
    if last < 1:
        raise ValueError(
            f"time={time!r}: expected at least one step of duration step/dim = {delta:.3g}."
        )
    return last


def _numbers(record: object) -> np.ndarray:
    try:
        return _validate.reals("record", record)
    except TypeError as error:
        raise TypeError(f"record={record!r}: expected a number, or a list of times.") from error
